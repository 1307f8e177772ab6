"""The seal of a slot, by which a board with a key knows what it may run (firmware/assb/rootfs/seal.py judges it)."""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from assb_host.errors import EXIT_CONFIG, AssbError, MismatchError

KEY_FILE = "/key"  # on the board
SEAL = "seal"  # in the slot
KEY_BYTES = 32


class KeyFileError(AssbError):
    """A key file that can't be used."""

    exit_code = EXIT_CONFIG


@dataclass(frozen=True)
class Key:
    """A board's key. `sets`: a board that has none gets it."""

    data: bytes
    sets: bool = False

    def __repr__(self) -> str:
        return "Key()"  # it is a secret

    @property
    def text(self) -> str:
        """As /key holds it."""
        return self.data.hex()

    def seal(self, hashes: dict[str, str]) -> bytes:
        """The file of that name for a slot with these files: {path in the slot: SHA-256 in hex}."""
        lines = "".join(f"{digest} {path}\n" for path, digest in sorted(hashes.items()))
        return f"{lines}{hmac.new(self.data, lines.encode(), hashlib.sha256).hexdigest()}\n".encode()

    def has_sealed(self, hashes: dict[str, str]) -> bool:
        """Whether a slot with these files, its seal among them, is what this key has sealed."""
        files = {path: digest for path, digest in hashes.items() if path != SEAL}
        return hashes.get(SEAL) == hashlib.sha256(self.seal(files)).hexdigest()


def hashes_in(slot: str, hashes: dict[str, str]) -> dict[str, str]:
    """{path in the slot: SHA-256} of its files, from paths on the board."""
    folder = f"/{slot}/"
    return {path[len(folder) :]: digest for path, digest in hashes.items() if path.startswith(folder) and digest}


def read_key(path: Path, sets: bool = False) -> Key:
    """From a file of 64 hexadecimal digits; one that is not there yet is made, for this user alone, where it `sets`."""
    try:
        if sets and not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError("the key can't be read", str(path), f"{error}; --set-key makes one") from error
    if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", text):
        raise KeyFileError("this is no key", str(path), f"a key file holds {2 * KEY_BYTES} hexadecimal digits")
    return Key(bytes.fromhex(text), sets)


def demand_key(key: Key | None, present: dict[str, str], port: str) -> None:
    """MismatchError, and nothing is written, unless the board's key is this one, or it has none and is to have none or
    this. `present`: {path: SHA-256} of the board."""
    known = present.get(KEY_FILE)
    if known is None:
        if key and not key.sets:
            raise MismatchError("the board has no key", port, "add --set-key to give it this one, or leave --key out")
    elif key is None:
        raise MismatchError("the board runs only what its key has sealed", port, "name the key: --key FILE")
    elif known != hashlib.sha256(key.text.encode()).hexdigest():
        raise MismatchError("the board has another key", port, "use the key that it was given; it can't be replaced")
