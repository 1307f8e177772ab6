"""TOML files that come with the harness, by name."""

from importlib import resources
from pathlib import Path

from assb_host.config.errors import ConfigError


def shipped_names(package: str) -> list[str]:
    """Names of the files in `package`, without their ending."""
    entries = resources.files(package).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def shipped_path(package: str, name: str) -> Path:
    """Where the shipped file `name` lies."""
    return Path(str(resources.files(package).joinpath(f"{name}.toml")))


def named_path(package: str, name: str) -> Path:
    """The shipped file `name`, or `name` itself where it is a path to a .toml file; raises ConfigError."""
    path = Path(name)
    if path.suffix == ".toml":
        return path
    names = shipped_names(package)
    if name not in names:
        raise ConfigError(package.rpartition(".")[2], "", name, f"one of {', '.join(names)}", "or give a .toml file")
    return shipped_path(package, name)
