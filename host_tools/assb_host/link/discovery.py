"""Which boards are connected: by the USB ids of the board files, without opening a port; and those that packages add
through the entry point group `assb.boards` (a callable that gives (port, description) of what runs)."""

from importlib.metadata import entry_points
from typing import Any

from serial.tools import list_ports

from assb_host.config.board import load_board
from assb_host.config.locate import find, shipped_names
from assb_host.errors import AssbError
from assb_host.link.console import SerialConsole
from assb_host.link.link import Link
from assb_host.link.lock import PortLock, holder_of
from assb_host.link.target import BOARD_VENDORS

ENTRY_POINTS = "assb.boards"
HELLO_S = 2.0


def board_files() -> list[dict[str, Any]]:
    """Name, USB ids and description of every shipped board file."""
    loaded = [load_board(find("board", name)) for name in shipped_names("board")]
    return [{"name": b.name, "usb_ids": b.micropython.usb_ids, "description": b.description} for b in loaded]


def connected() -> list[dict[str, Any]]:
    """One row for each board: its port, what the USB says of it, the board files that fit, who has the port."""
    files = board_files()
    rows = []
    for port in list_ports.comports():
        if port.vid is None:
            continue
        usb_id = f"{port.vid:04x}:{port.pid:04x}"
        fits = [row["name"] for row in files if usb_id in row["usb_ids"]]
        if fits or port.vid in BOARD_VENDORS:
            rows.append(_row(port.device, usb_id, port.description or "", fits))
    for point in entry_points(group=ENTRY_POINTS):
        rows += [_row(port, "", description, names) for port, description, names in point.load()()]
    return rows


def _row(port: str, usb_id: str, description: str, fits: list[str]) -> dict[str, Any]:
    holder = holder_of(PortLock(port))
    return {"port": port, "usb_id": usb_id, "description": description, "board_files": fits,
            "held_by": str(holder) if holder else ""}  # fmt: skip


def told(port: str) -> str:
    """What the board says of itself, or why it does not."""
    try:
        with SerialConsole(port, "assb boards") as console:
            hello = Link(console).hello(HELLO_S).fields
    except AssbError as error:
        return error.seen
    version = "{version_major}.{version_minor}.{version_patch}".format(**hello)
    return f"assb {version}, pack {hello['pack'] or 'none'}, board {hello['board'] or 'unknown'}"
