"""What the firmware is told of a trial's pack: its own files, which share no number with the plant's."""

from functools import lru_cache

from assb.estimation import flat_layout
from assb_host.config.image_builder import estimator_values
from assb_host.config.pack import PackConfig, load_pack


@lru_cache(maxsize=32)
def believed_pack(profile: str) -> PackConfig:
    return load_pack(profile)


@lru_cache(maxsize=32)
def believed(profile: str) -> tuple[float, ...]:
    """The parameters of estimator and detectors, as the config image has them."""
    return tuple(flat_layout.pack(estimator_values(believed_pack(profile))))
