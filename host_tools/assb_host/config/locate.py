"""Where a board, pack or cell file is: shipped under a name, or at a path."""

import os
from importlib.resources import files
from pathlib import Path

from assb_host.config.errors import ConfigError

KINDS = {"board": "boards", "pack": "packs", "cell": "cells"}


def shipped_folder(kind: str) -> Path:
    return Path(str(files("assb_configs"))) / KINDS[kind]


def shipped_names(kind: str) -> list[str]:
    """Names of the files that come with the package; `kind` is board, pack or cell."""
    return sorted(path.stem for path in shipped_folder(kind).glob("*.toml"))


def is_path(name: str) -> bool:
    return name.endswith(".toml") or "/" in name or "\\" in name


def find(kind: str, name: str, *, named_in: Path | None = None, key: str = "") -> Path:
    """Path of a file by shipped name or by path; a path inside another file (`named_in`) is relative to that file."""
    if is_path(name):
        path = Path(name) if named_in is None else named_in.parent / name
        if path.is_file():
            return path
        if path.is_dir():
            raise ConfigError(named_in or path, key, f"the folder {name}", "a TOML file", "name a file in it")
        raise ConfigError(
            named_in or path, key, None if named_in is None else name, "a file that exists", f"there is no {path}"
        )
    path = shipped_folder(kind) / f"{name}.toml"
    if path.is_file():
        return path
    if named_in is None and Path(name).exists():
        return find(kind, os.path.join(".", name))
    allowed = f"one of {', '.join(shipped_names(kind))}, or a path that ends in .toml"
    if named_in is not None:
        raise ConfigError(named_in, key, name, allowed)
    raise ConfigError(f"{kind} {name}", "", None, allowed)
