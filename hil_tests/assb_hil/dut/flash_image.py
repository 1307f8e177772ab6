"""Flash images: a file that holds what a board's flash holds, 4096-byte blocks with littlefs."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from assb_host.errors import AssbError

from assb_hil.dut.find_micropython import find_micropython
from assb_hil.dut.vm_path import vm_path

BLOCK_BYTES = 4096
# A Raspberry Pi Pico's file system: 1408 kB of its 2 MB
PICO_BLOCKS = 352
FEWEST_BLOCKS = 8
DEADLINE_S = 60


class FlashImageError(AssbError):
    """An image that is no flash image, or holds no file system."""


def create_blank(image: Path, blocks: int = PICO_BLOCKS) -> None:
    """An erased flash."""
    image.write_bytes(b"\xff" * BLOCK_BYTES * blocks)


def block_count(image: Path) -> int:
    """Blocks of an image; FlashImageError when the file can't be one."""
    size = image.stat().st_size
    if size % BLOCK_BYTES or size < FEWEST_BLOCKS * BLOCK_BYTES:
        seen = f"{size} bytes are no flash image"
        raise FlashImageError(
            seen, str(image), f"name a file of whole {BLOCK_BYTES}-byte blocks, or one that does not exist yet"
        )
    return size // BLOCK_BYTES


def open_image(image: Path) -> int:
    """File descriptor of an image that no other board has; it stays ours until closed."""
    fd = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise FlashImageError(
            "the flash image is in use by another board", str(image), "`assb board list` shows which"
        ) from None
    return fd


def write_image(
    image: Path,
    files: Mapping[str, bytes],
    micropython: str | Path | None = None,
    blocks: int = PICO_BLOCKS,
    keep: bool = False,
) -> None:
    """Puts files (path on the board → content) into an image; a fresh one unless `keep` what it holds."""
    if not keep:
        create_blank(image, blocks)
    with tempfile.TemporaryDirectory(prefix="assb-image-") as directory:
        for name, content in files.items():
            path = Path(directory, name.lstrip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _copy("in" if keep else "format", image, directory, micropython)


def read_image(image: Path, micropython: str | Path | None = None) -> dict[str, bytes]:
    """All files of an image; FlashImageError when it does not mount. The image must not be in use."""
    with tempfile.TemporaryDirectory(prefix="assb-image-") as directory:
        _copy("out", image, directory, micropython)
        found = sorted(path for path in Path(directory).rglob("*") if path.is_file())
        return {"/" + path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def _copy(direction: str, image: Path, directory: str, micropython: str | Path | None) -> None:
    blocks = block_count(image)
    environment = {name: value for name, value in os.environ.items() if name != "MICROPYPATH"}
    done = subprocess.run(
        [find_micropython(micropython), vm_path() / "image_copy.py", direction, image, str(blocks), directory],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        remedy = "the file system is damaged or full; start from a new image"
        raise FlashImageError(f"flash image: {lines[-1] if lines else 'the copy failed'}", str(image), remedy)
