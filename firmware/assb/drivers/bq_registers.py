"""Access to a BQ76952: direct commands, subcommands and data memory, with or without CRC (SLUUBY2B 3.1, 13.1).

Little-endian. With CRC a CRC-8 (x8 + x2 + x + 1, from 0) follows every data byte: over address, register and, for a
read, the address again and the first byte; from the second byte on over that byte alone (SLUSE13B 14.1).
"""

import errno

from assb.const import const
from assb.drivers.registers import COUNT_MAX

_SUBCOMMAND = const(0x3E)
_BUFFER = const(0x40)
_CHECKSUM = const(0x60)
_LENGTH_EXTRA = const(4)  # 0x61 counts the two bytes of 0x3E and those of 0x60 too
_POLLS = const(20)
BLOCK = 32


def crc_table():
    """CRC-8 of every byte."""
    table = bytearray(256)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
        table[byte] = crc
    return table


class BqRegisters:
    """`read_into` and `send` are for the ticks: they raise nothing, allocate nothing and count failures in
    `error_count`. The others are for set-up and raise OSError."""

    def __init__(self, bus, address: int, with_crc: bool, name: str):
        self.bus = bus
        self.address = address
        self.name = name
        self.stride = 2 if with_crc else 1
        self.error_count = 0
        self._crc = crc_table() if with_crc else b""
        self._word = bytearray(2 * self.stride)
        self._block = bytearray(BLOCK * self.stride)
        self._data = bytearray(BLOCK)

    def read_into(self, register: int, buffer: bytearray) -> bool:
        """Fill `buffer`, `stride` bytes for each byte of data. False when the chip or a CRC fails."""
        try:
            self.bus.readfrom_mem_into(self.address, register, buffer)
        except OSError:
            return self._failed()
        return self.stride == 1 or self._is_right(register, buffer) or self._failed()

    def send(self, register: int, payload) -> bool:
        """Write what `framed` made of data for this register."""
        try:
            self.bus.writeto_mem(self.address, register, payload)
        except OSError:
            return self._failed()
        return True

    def framed(self, register: int, data):
        """`data` as it is sent to `register`."""
        if self.stride == 1:
            return bytes(data)
        table = self._crc
        crc = table[table[self.address << 1] ^ register]
        payload = bytearray(2 * len(data))
        for at in range(len(data)):
            payload[2 * at] = data[at]
            payload[2 * at + 1] = table[crc ^ data[at]]
            crc = 0
        return payload

    def word(self, buffer, at: int) -> int:
        """The unsigned 16-bit number from data byte `at` on."""
        stride = self.stride
        return buffer[stride * at] | buffer[stride * (at + 1)] << 8

    def read_word(self, register: int) -> int:
        """Slow tick and set-up: the word of a direct command, or -1 after a failed transfer."""
        return self.word(self._word, 0) if self.read_into(register, self._word) else -1

    def command(self, number: int, data=b"") -> bool:
        """Send a subcommand, or with `data` write data memory or a subcommand's argument. False when not acknowledged.

        Address and data go in one block; checksum and length together, as only then the chip takes them (3.1).
        """
        block = bytes((number & 0xFF, number >> 8)) + bytes(data)
        if not self.send(_SUBCOMMAND, self.framed(_SUBCOMMAND, block)):
            return False
        if not data:
            return True
        tail = bytes((~sum(block) & 0xFF, len(block) + 2))
        return self.send(_CHECKSUM, self.framed(_CHECKSUM, tail))

    def answered(self, number: int) -> bool:
        """Whether the answer to subcommand or data memory address `number` lies in the transfer buffer."""
        return self.read_word(_SUBCOMMAND) == number

    def answer(self):
        """Its bytes, with length and checksum verified; None when they are not right."""
        tail = self.read_word(_CHECKSUM)
        if tail < 0:
            return None
        length = (tail >> 8) - _LENGTH_EXTRA
        if not 0 < length <= BLOCK or not self.read_into(_BUFFER, self._block):
            return None
        data, total = self._data, 0
        for at in range(length):  # no list: a heap that is nearly full has no piece for it
            data[at] = self._block[self.stride * at]
            total += data[at]
        number = self.read_word(_SUBCOMMAND)
        if number < 0 or ~(total + (number & 0xFF) + (number >> 8)) & 0xFF != tail & 0xFF:
            self._failed()
            return None
        return bytes(data[:length])

    def ask(self, number: int, sleep_ms):
        """Set-up: the answer to a subcommand, or a block of data memory. Raises OSError."""
        if not self.command(number):
            raise self.error(errno.ENODEV, "no acknowledge")
        for _ in range(_POLLS):
            sleep_ms(1)
            if self.answered(number):
                data = self.answer()
                if data:
                    return data
        raise self.error(
            errno.ETIMEDOUT, f"no right answer to subcommand 0x{number:04x}; is crc set as the part has it?"
        )

    def error(self, code: int, text: str) -> OSError:
        return OSError(code, f"{self.name} at I2C address 0x{self.address:02x}: {text}")

    def _failed(self) -> bool:
        if self.error_count < COUNT_MAX:
            self.error_count += 1
        return False

    def _is_right(self, register: int, buffer) -> bool:
        table, address = self._crc, self.address << 1
        crc = table[table[table[address] ^ register] ^ (address | 1)]
        for at in range(0, len(buffer), 2):
            if table[crc ^ buffer[at]] != buffer[at + 1]:
                return False
            crc = 0
        return True
