"""Register access shared by the chips on I2C: strict at set-up, silent and allocation-free on the fast tick."""

import errno

COUNT_MAX = 0x3FFFFFFF  # largest small int of a 32-bit MicroPython


class Registers:
    """Registers of `width` bytes, big-endian, of the chip at `address` on a `machine.I2C`-like `bus`.

    `read`, `write` and `program` are for set-up: they raise OSError (EIO, ENODEV, ETIMEDOUT as the port reports them).
    `read_into` is for the ticks: it raises nothing and counts failures in `error_count`. The OSError that a port
    raises inside `machine.I2C` on a missing acknowledge does take heap (or MicroPython's emergency exception buffer
    while the heap is locked); it is caught here, and nothing else is allocated.
    """

    def __init__(self, bus, address: int, width: int, name: str):
        self.bus = bus
        self.address = address
        self.name = name
        self.error_count = 0
        self._word = bytearray(width)

    def read_into(self, register: int, buffer: bytearray) -> bool:
        try:
            self.bus.readfrom_mem_into(self.address, register, buffer)
        except OSError:
            self.count_error()
            return False
        return True

    def count_error(self) -> None:
        if self.error_count < COUNT_MAX:
            self.error_count += 1

    def read(self, register: int) -> int:
        self.bus.readfrom_mem_into(self.address, register, self._word)
        value = 0
        for byte in self._word:
            value = value << 8 | byte
        return value

    def write(self, register: int, value: int) -> None:
        for index in range(len(self._word) - 1, -1, -1):
            self._word[index] = value & 0xFF
            value >>= 8
        self.bus.writeto_mem(self.address, register, self._word)

    def program(self, register: int, value: int, mask: int) -> None:
        """Write, read back and compare the bits in `mask`."""
        self.write(register, value)
        seen = self.read(register)
        if (seen ^ value) & mask:
            raise self.error(errno.EIO, f"register 0x{register:02x} took 0x{value:04x} and reads 0x{seen:04x}")

    def expect(self, register: int, value: int, mask: int) -> None:
        """Raise OSError(ENODEV) when an identity register does not hold `value` in the bits of `mask`."""
        seen = self.read(register)
        if (seen ^ value) & mask:
            raise self.error(errno.ENODEV, f"id register 0x{register:02x} reads 0x{seen:04x}, not 0x{value:04x}")

    def error(self, code: int, text: str) -> OSError:
        return OSError(code, f"{self.name} at I2C address 0x{self.address:02x}: {text}")
