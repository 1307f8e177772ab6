"""What every chip on I2C has in common: acknowledging, a register pointer, time, and the power-on reset."""

NEVER = 1 << 62  # a time in us that no run reaches


class I2cChip:
    """A chip as the bus sees it. Times are virtual microseconds.

    `i2c(write, read_n)` is one transaction (write, repeated start, read) and returns the bytes read, or None when the
    chip does not acknowledge. `peek` says without side effect what a read at any time t < valid_until_us would return,
    or None when such a read is not known to be free of side effects. `advance(now_us)` steps the chip; conversions
    that end by then sample the inputs as they are at the call, so whoever steps a plant calls it plant first, at
    least as often as the plant moves. `next_change_us`: before that time no register and no pin changes by itself.
    """

    def __init__(self) -> None:
        self.acking = True
        self.now_us = 0
        self.next_change_us = NEVER
        self._pointer = 0
        self.power_on_reset()

    def power_on_reset(self) -> None:
        """Put every register to its power-on value, as after a brown-out. Inputs and faults stay."""
        raise NotImplementedError

    def advance(self, now_us: int) -> None:
        self.now_us = now_us
        while now_us >= self.next_change_us:
            self._change(now_us)

    def i2c(self, write: bytes, read_n: int) -> bytes | None:
        if not self.acking:
            return None
        if write:
            self._pointer = write[0]
            if len(write) > 1:
                self._write(self._pointer, write[1:])
        if not read_n:
            return b""
        data = self._content(self._pointer, read_n)
        self._after_read(self._pointer, read_n)
        return data

    def peek(self, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        if not self.acking or len(write) != 1 or not read_n:
            return None
        valid_until_us = self._valid_until(write[0], read_n)
        if valid_until_us <= self.now_us:
            return None
        return self._content(write[0], read_n), valid_until_us

    def preview(self, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        """What a read whose side effect keeps it out of peek() would give, and until when, if nobody comes first."""
        if not self.acking or len(write) != 1 or not read_n or self.next_change_us <= self.now_us:
            return None
        return self._content(write[0], read_n), self.next_change_us

    def _change(self, now_us: int) -> None:
        """Do what is due at `next_change_us` and move it on."""
        raise NotImplementedError

    def _write(self, register: int, data: bytes) -> None:
        raise NotImplementedError

    def _content(self, register: int, read_n: int) -> bytes:
        raise NotImplementedError

    def _after_read(self, register: int, read_n: int) -> None:
        """Side effects of a read; none by default."""

    def _valid_until(self, register: int, read_n: int) -> int:
        """Until when a read of these registers stays the same and without side effect; 0 when it is not."""
        raise NotImplementedError


class WordChip(I2cChip):
    """One whose registers hold 16 bits, high byte first: `_value` by their addresses."""

    _value: dict[int, int]
    writable: dict[int, int]  # bits of each register that a write reaches

    def _write(self, register: int, data: bytes) -> None:
        """A register that can't be written, or half a word, changes nothing."""
        mask = self.writable.get(register)
        if mask is None or len(data) < 2:
            return
        word = data[0] << 8 | data[1]
        self._value[register] = self._value[register] & ~mask | word & mask
        self._written(register, word)

    def _written(self, register: int, word: int) -> None:
        """What a write does besides; nothing by default."""

    def _content(self, register: int, read_n: int) -> bytes:
        return self._value.get(register, 0).to_bytes(2, "big")[:read_n].ljust(read_n, b"\xff")
