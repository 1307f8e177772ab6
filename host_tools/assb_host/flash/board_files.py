"""Files of a board through its REPL: what is there, writing, copying, proof by SHA-256, replacing in one piece."""

import binascii
from collections.abc import Callable

from assb_host.errors import FlashError
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import sha256

CHUNK_BYTES = 768  # 1024 characters as base64, which keeps Ctrl-C and the like off the line
NEW = ".new"

# Helpers that live in the board's globals during a flash. A file that an interrupted one left open would be written
# when its object is collected, over what has taken its place by then
HELPERS = """
try:
    _f.close()
except (NameError, AttributeError, OSError):
    pass
import os, hashlib
from binascii import a2b_base64 as _d, hexlify as _x
_b = bytearray(512)
def _hash(path):
    h = hashlib.sha256()
    v = memoryview(_b)
    with open(path, 'rb') as f:
        while 1:
            n = f.readinto(_b)
            if not n:
                return _x(h.digest()).decode()
            h.update(v[:n])
def _walk(folder):
    for e in os.ilistdir(folder):
        path = folder + ('' if folder[-1] == '/' else '/') + e[0]
        if e[1] & 0x4000:
            yield path + '/'
            for p in _walk(path):
                yield p
        else:
            yield path
def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass
def _copy(source, target):
    v = memoryview(_b)
    with open(source, 'rb') as f, open(target, 'wb') as g:
        while 1:
            n = f.readinto(_b)
            if not n:
                return
            g.write(v[:n])
def _say(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.rename(path + '.new', path)
"""
HELPER_NAMES = "_b, _d, _x, _hash, _walk, _remove, _copy, _say, _f"


class BoardFiles:
    """Everything is verified on the board itself: what a hash says here was read from its flash there."""

    def __init__(self, repl: BoardRepl):
        self._repl = repl
        repl.run(HELPERS + "_f = None\n", "file helpers")

    def hashes(self, roots: tuple[str, ...]) -> dict[str, str]:
        """SHA-256 of every file among `roots` and in folders among them. A folder ends in / and has an empty one."""
        code = (
            f"print('{{')\nfor r in {roots!r}:\n try:\n  k = os.stat(r)[0]\n except OSError:\n  continue\n"
            " for p in (_walk(r) if k & 0x4000 else (r,)):\n"
            "  print(repr(p), ':', repr('' if p[-1] == '/' else _hash(p)), ',')\nprint('}')"
        )
        return self._repl.value(code, "hashes of the files")

    def sizes(self, paths: list[str]) -> list[int]:
        """Bytes of each file."""
        return self._repl.value(f"print([os.stat(p)[6] for p in {paths!r}])", "sizes of the files")

    def make_folders(self, folders: list[str]) -> None:
        """Outermost first; one that is there and empty stays."""
        for folder in sorted(folders):
            code = f"try:\n os.mkdir({folder[:-1]!r})\nexcept OSError as e:\n if e.errno != 17: raise"
            self._repl.run(code, folder)

    def write(self, path: str, data: bytes, sent: Callable[[int], None]) -> None:
        """Write a file and prove that it arrived. For one that must be old or new whenever power goes: `replace`."""
        run = self._repl.run
        run(f"_f = open({path!r}, 'wb')", path)
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            text = binascii.b2a_base64(chunk, newline=False).decode()
            run(f"_f.write(_d('{text}'))", path)
            sent(len(chunk))
        run("_f.close()", path)
        seen = self._repl.value(f"print(repr(_hash({path!r})))", path)
        if seen != sha256(data):
            raise FlashError(
                "what the board read back is not what was sent", path, "flash again; the cable or the flash is bad"
            )

    def replace(self, path: str, data: bytes, sent: Callable[[int], None]) -> None:
        """The same under another name first, so that `path` is old or new and never between."""
        self.write(path + NEW, data, sent)
        self._repl.run(f"os.rename({path + NEW!r}, {path!r})", path)

    def copy(self, source: str, target: str) -> None:
        """On the board, without the cable."""
        self._repl.run(f"_copy({source!r}, {target!r})", target)

    def say(self, path: str, text: str) -> None:
        """A short text that is there whole, or as it was before."""
        self._repl.run(f"_say({path!r}, {text!r})", path)

    def text(self, path: str) -> str:
        """Of a short file; empty when there is none, or it holds no text."""
        code = (
            f"try:\n with open({path!r}) as _f: print(repr(_f.read()))\nexcept (OSError, ValueError): print(repr(''))"
        )
        return self._repl.value(code, path)

    def remove(self, paths: list[str]) -> None:
        """Files and, where the name ends in /, folders that are empty by then."""
        for path in sorted(paths, reverse=True):
            self._repl.run(f"os.rmdir({path[:-1]!r})" if path.endswith("/") else f"_remove({path!r})", path)

    def forget(self) -> None:
        """Take the helpers out of the board's globals again."""
        self._repl.run(f"del {HELPER_NAMES}", "file helpers")
