"""A `machine.I2C` for CPython whose devices are chip models: the firmware's drivers run against it unchanged."""

import errno
from collections.abc import Mapping

from assb_hil.chips.i2c_chip import I2cChip


class ModelBus:
    """`chips`: models by 7-bit address. OSError(ENODEV) where a board's bus sees no acknowledge.

    Time stands still but for `sleep_ms` and `sleep_us`, which advance every chip; the first fits the drivers'
    `sleep_ms` argument. `transfers` counts transactions.
    """

    def __init__(self, chips: Mapping[int, I2cChip]) -> None:
        self.chips = dict(chips)
        self.now_us = 0
        self.transfers = 0

    def sleep_us(self, duration_us: int) -> None:
        self.now_us += duration_us
        for chip in self.chips.values():
            chip.advance(self.now_us)

    def sleep_ms(self, duration_ms: int) -> None:
        self.sleep_us(duration_ms * 1000)

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        buffer[:] = self._transfer(address, bytes((register,)), len(buffer))

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._transfer(address, bytes((register,)) + bytes(data), 0)

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        buffer[:] = self._transfer(address, b"", len(buffer))

    def writeto(self, address: int, data: bytes) -> int:
        self._transfer(address, bytes(data), 0)
        return len(data)

    def scan(self) -> list[int]:
        return sorted(address for address, chip in self.chips.items() if chip.acking)

    def _transfer(self, address: int, write: bytes, read_n: int) -> bytes:
        self.transfers += 1
        chip = self.chips.get(address)
        data = None if chip is None else chip.i2c(write, read_n)
        if data is None:
            raise OSError(errno.ENODEV, f"no acknowledge at I2C address 0x{address:02x}")
        return data
