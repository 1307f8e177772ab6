"""docs/boards.md and its pictures: the boards that come with the project, and how each is wired."""

from assb_host.config.board import Board, load_board
from assb_host.config.locate import find, shipped_names
from wiring_picture import svg

HEAD = """\
# Boards

Made from `board_configs/boards/`; every key is in [config.md](config.md). A virtual board is a MicroPython VM on this
computer whose chips are models; it needs no wire. Nothing here was measured on a board yet: where a fact comes from
stands beside it (D datasheet or documentation, A assumption).

"""
VIRTUAL = "unix"


def boards() -> list[Board]:
    """Real ones first."""
    found = [load_board(find("board", name)) for name in shipped_names("board")]
    return sorted(found, key=lambda board: (board.micropython.port == VIRTUAL, board.name))


def page() -> str:
    found = boards()
    lines = ["| board | port | native modules | heap | files | watchdog up to |", "|---|---|---|---|---|---|"]
    for board in found:
        python, memory = board.micropython, board.memory
        sizes = f"{memory.heap_bytes // 1024} kB | {memory.flash_bytes // 1024} kB"
        lines.append(
            f"| [{board.name}](#{board.name}) | {python.port} | {python.architecture or 'none'} "
            f"| {sizes} | {python.watchdog_max_ms / 1000:g} s |"
        )
    return HEAD + "\n".join(lines) + "\n\n" + "\n".join(section(board) for board in found)


def section(board: Board) -> str:
    python = board.micropython
    lines = [f"## {board.name}", "", board.description + ".", ""]
    if python.port != VIRTUAL:
        lines += [f"* USB: {', '.join(f'`{each}`' for each in python.usb_ids)}; MicroPython port {python.port}."]
        lines += [f"* Bootloader: {python.bootloader}."]
        lines += [f"* {python.facts_source}."]
        lines += [f"* Pins: {board.pins.source}."]
    lines += [f"* {board.memory.source}.", "", f"![Wiring of {board.name}](boards/{board.name}.svg)", ""]
    return "\n".join(lines)


def pictures() -> dict[str, Board]:
    """Path under docs/: the board it shows."""
    return {f"boards/{board.name}.svg": board for board in boards()}


PAGES = {"boards.md": page} | {path: lambda board=board: svg(board) for path, board in pictures().items()}
