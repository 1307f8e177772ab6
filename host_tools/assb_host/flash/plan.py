"""What a flash is to achieve: the files, and what the board must say and be for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assb import VERSION
from assb.protocol import schema
from assb.protocol.image import ImageError, decode

from assb_host.errors import EXIT_CONFIG, AssbError
from assb_host.flash.firmware_files import CONFIG, firmware_files
from assb_host.flash.native_kernel import KernelSource
from assb_host.flash.seal import Key

if TYPE_CHECKING:
    from assb_host.config.board import Board

CONFIG_PATH = f"/a/{CONFIG}"  # on a board that was flashed once


class ImageFileError(AssbError):
    """A config image file that this firmware would refuse."""

    exit_code = EXIT_CONFIG


@dataclass(frozen=True)
class FlashPlan:
    """`files` as firmware_files gives them; `board` is what its board file says of it, None when only firmware is
    written; `config_crc` is None when the board keeps the configuration it has; `kernel` says where
    a native estimator may be found once the board's processor is known, None: bytecode alone. `key` seals a slot."""

    files: dict[str, bytes]
    board: "Board | None" = None
    config_crc: int | None = None
    version: tuple[int, int, int] = VERSION
    schema_id: int = schema.schema_id()
    kernel: KernelSource | None = None
    key: Key | None = None


def plan_for(
    pack: str = "",
    config_file: str = "",
    kernel: KernelSource | None = None,
    changes: dict[str, object] | None = None,
    board: str = "",
) -> FlashPlan:
    """Firmware with the configuration of a pack (name or TOML; `changes` and `board` as of load_pack) or of an image;
    without both, the board keeps its. `board`: of an image, where its board file is not a shipped one."""
    if pack and config_file:
        raise ImageFileError("both a pack and a config image are named", f"{pack}, {config_file}", "name one of them")
    files = firmware_files()
    if config_file:
        image = read_image(Path(config_file))
        config = decode(image)
        described = board_of(config.names[0], board, config_file)
        return FlashPlan(files | {CONFIG: image}, described, config.crc, kernel=kernel)
    if pack:
        from assb_host.config import build_image, load_pack

        loaded = load_pack(pack, board=board or None, changes=changes)
        image = build_image(loaded)
        return FlashPlan(files | {CONFIG: image}, loaded.board, decode(image).crc, kernel=kernel)
    return FlashPlan(files, kernel=kernel)


def board_of(name: str, named: str, config_file: str) -> "Board":
    """The board that an image was built for, from the file that is `named`, or from the shipped one of its name."""
    from assb_host.config import load_board, shipped_names
    from assb_host.config.locate import find

    if not named and name not in shipped_names("board"):
        seen = f"the config image is for board {name}, which is not a shipped one"
        raise ImageFileError(seen, config_file, "name its file: --board FILE")
    board = load_board(find("board", named or name))
    if board.name != name:
        seen = f"the config image is for board {name}, not {board.name}"
        raise ImageFileError(seen, config_file, f"leave --board out, or build one: `assb config build --board {named}`")
    return board


def read_image(path: Path) -> bytes:
    """A config image, checked by the very code that the board would check it with."""
    try:
        image = path.read_bytes()
    except OSError as error:
        raise ImageFileError("the config image can't be read", str(path), error.strerror or str(error)) from error
    try:
        decode(image)
    except ImageError as error:
        raise ImageFileError(
            f"not a config image of this version: {error}", str(path), "build it with `assb config build`"
        ) from error
    return image
