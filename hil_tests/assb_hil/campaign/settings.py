"""What decides the trials of a campaign: its request and the code. A folder holds results of one of each."""

import hashlib
import json
import os
from importlib.util import find_spec
from pathlib import Path

import msgspec
from assb_host.errors import AssbError

FILE_NAME = "campaign.json"
# Whatever a trial's result may depend on; counting and pages are not among it, so that both may change afterwards
SOURCES = (
    ("assb", "**/*.py"),
    ("assb_kernels", "*.py"),
    ("assb_kernels", "*.so"),
    ("assb_kernels", "*.pyd"),
    ("assb_configs", "**/*.toml"),
    ("assb_host", "config/*.py"),
    ("assb_hil", "*.py"),
    ("assb_hil", "campaign/*.py"),
    ("assb_hil", "plants/**/*.toml"),
)


class Settings(msgspec.Struct, frozen=True):
    """As asked for on the command line, and the code that does it."""

    cell_hours: float
    seed: int
    profiles: tuple[str, ...]  # empty: all
    code: str  # fingerprint()
    watch_rests: bool = False


def fingerprint() -> str:
    """Hash of the detectors, their parameters, the simulated cells and the drawing, as installed here."""
    digest = hashlib.sha256()
    for package, pattern in SOURCES:
        root = _folder(package)
        for path in sorted(root.glob(pattern)):
            digest.update(f"{package}/{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def claim(folder: Path, settings: Settings) -> None:
    """Mark `folder` as this campaign's. Raises AssbError where it is another's, or another version's."""
    path = folder / FILE_NAME
    if path.exists():
        _compare(path, _read(path), settings)
    else:
        write_whole(path, json.dumps(msgspec.to_builtins(settings), indent=1).encode() + b"\n")


def _read(path: Path) -> Settings:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except msgspec.MsgspecError as error:
        raise AssbError(f"not a campaign: {error}", str(path), "choose another --out") from None


def _compare(path: Path, there: Settings, asked: Settings) -> None:
    differing = [
        f"{name} {getattr(there, name)!r}, not {getattr(asked, name)!r}"
        for name in Settings.__struct_fields__
        if getattr(there, name) != getattr(asked, name)
    ]
    if differing:
        remedy = "choose another --out, or ask for the same"
        if there.code != asked.code:
            remedy = "its trials were run by other code or parameters: choose another --out"
        raise AssbError(f"the folder holds a campaign with {'; '.join(differing)}", str(path), remedy)


def write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, whenever the process or the power ends."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
