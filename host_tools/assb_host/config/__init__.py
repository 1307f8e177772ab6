"""Board, pack and cell files (TOML): read, checked, and made into the config image that a board runs with."""

from assb_host.config.board import load_board
from assb_host.config.budget import budget_terms_ms, fault_time_budget_ms, lost_data_budget_ms
from assb_host.config.errors import ConfigError
from assb_host.config.image_builder import build_config, build_image
from assb_host.config.locate import shipped_names
from assb_host.config.pack import PackConfig, load_pack

__all__ = [
    "ConfigError",
    "PackConfig",
    "budget_terms_ms",
    "build_config",
    "build_image",
    "fault_time_budget_ms",
    "load_board",
    "load_pack",
    "lost_data_budget_ms",
    "shipped_names",
]
