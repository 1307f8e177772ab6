"""Which board a command means: `--port PATH`, `--dut NAME[:BOARD]`, or the one board that is plugged in."""

from contextlib import contextmanager
from importlib.metadata import entry_points

from serial.tools import list_ports

from assb_host.errors import PortError

ENTRY_POINTS = "assb.duts"
# USB vendors of boards that run MicroPython: Raspberry Pi, Espressif, the MicroPython project, STMicroelectronics
BOARD_VENDORS = (0x2E8A, 0x303A, 0xF055, 0x0483)


@contextmanager
def open_target(port: str = "", dut: str = "", **options):
    """Yields the path of the console's port. A virtual board that was started for this is closed on leaving."""
    if port and dut:
        raise PortError("both a port and a device under test are named", f"{port}, {dut}", "name one of them")
    if not dut:
        yield port or find_port()
        return
    with open_dut(dut, **options) as opened:
        yield opened.console_port


def open_dut(dut: str, **options):
    """The device under test of an entry point, as `virtual` or `virtual:bench2`."""
    kind, _, name = dut.partition(":")
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind not in points:
        known = ", ".join(sorted(points)) or "none is installed"
        raise PortError("no such device under test", dut, f"known: {known}")
    return points[kind].load()(name=name, **options)


def find_port() -> str:
    """The port of the one board that is plugged in."""
    ports = [port for port in list_ports.comports() if port.vid in BOARD_VENDORS]
    if len(ports) == 1:
        return ports[0].device
    if not ports:
        raise PortError(
            "no board is plugged in", "USB", "plug one in, or name a port (--port) or the virtual board (--dut virtual)"
        )
    names = ", ".join(f"{port.device} ({port.description})" for port in ports)
    raise PortError(f"{len(ports)} boards are plugged in", names, "say which with --port")
