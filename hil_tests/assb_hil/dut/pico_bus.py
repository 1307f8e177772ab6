"""An emulated Pico's I2C controller on the simulated bus: bytes take their time, chip models answer whole transfers.

The emulator hands over one condition or byte at a time and takes no time for it. Here the clock moves on by the bits
at the rate that the firmware has set, while the processor, which would poll the controller meanwhile, stands still.
"""

from collections.abc import Callable
from typing import Any

from assb_hil.dut.base import World

BYTE_BITS = 9  # eight and the acknowledge (UM10204, 3.1.6)
EDGE_BITS = 1  # of a start or stop condition
NS_PER_CLOCK = 8  # of the controller: 125 MHz
READ = 1  # the emulator's I2CMode
TX_EMPTY = 1 << 4  # of IC_RAW_INTR_STAT, RP2040 datasheet 4.3.17


class UnpredictableReadError(Exception):
    """A chip model that can't say what it would answer: the emulator asks byte by byte, a transfer is one call."""


class PicoBus:
    """One controller. `pass_ns` lets virtual time pass; `settle` steps the world to now."""

    def __init__(
        self, controller: Any, number: int, world: World, pass_ns: Callable[[int], None], settle: Callable[[], None]
    ):
        self._controller = controller
        self._number = number
        self._world = world
        self._pass_ns = pass_ns
        self._settle = settle
        self._address = 0
        self._written = bytearray()
        self._read_n = 0
        self._carried_out = True
        self.transfers = 0
        self.busy_ns = 0
        controller.on_start = self._on_start
        controller.on_connect = self._on_connect
        controller.on_write_byte = self._on_write
        controller.on_read_byte = self._on_read
        controller.on_stop = self._on_stop

    def _take(self, bits: int) -> None:
        ns = bits * NS_PER_CLOCK * (self._controller.scl_high_period + self._controller.scl_low_period)
        self.busy_ns += ns
        self._pass_ns(ns)

    def _on_start(self, repeated: bool) -> None:
        if self._number in self._world.hung_buses():
            return  # nothing completes: the firmware's timeout ends it
        if not repeated:
            self._written.clear()
        self._read_n = 0
        self._take(EDGE_BITS)
        self._controller.complete_start()

    def _on_connect(self, address: int, mode: int) -> None:
        self._take(BYTE_BITS)
        self._settle()
        self._address = address
        acknowledged = (self._number, address) in self._world.acks()
        self._carried_out = not acknowledged
        if mode != READ:
            self._written.clear()
        self._controller.complete_connect(acknowledged)
        if not acknowledged:  # an abort flushes the FIFO, and the firmware's driver waits for it to be empty
            self._controller._set_interrupts(TX_EMPTY)

    def _on_write(self, value: int) -> None:
        self._written.append(value)
        self._take(BYTE_BITS)
        self._controller.complete_write(True)

    def _on_read(self, more: bool) -> None:
        self._read_n += 1
        data = self._ahead() if more else self._carry_out()
        self._take(BYTE_BITS)
        self._controller.complete_read(data[self._read_n - 1] if data else 0xFF)

    def _on_stop(self) -> None:
        if not self._carried_out:
            self._carry_out()
        self._written.clear()
        self._take(EDGE_BITS)
        self._controller.complete_stop()

    def _ahead(self) -> bytes:
        """What a transfer as long as this one is so far would read; nothing happens to the chip yet."""
        asked = (self._number, self._address, bytes(self._written), self._read_n)
        seen = self._world.peek(*asked) or self._world.preview(*asked)
        if seen is None:
            raise UnpredictableReadError(f"bus {self._number}, address {self._address:#x}, after {asked[2].hex()}")
        return seen[0]

    def _carry_out(self) -> bytes | None:
        """The whole transfer, at the end of it."""
        self._carried_out = True
        self.transfers += 1
        return self._world.i2c(self._number, self._address, bytes(self._written), self._read_n)
