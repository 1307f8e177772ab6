"""The host's end of the lockstep: takes a request of the board, lets the world catch up with it, and answers.

A request is worked off in the order of its times: posted writes first, then the world advances to the time of the
request itself (the wake-up time of a wait). That may take several calls when the caller lets time pass in steps.
"""

from array import array
from collections import deque
from time import perf_counter_ns

from assb_hil.dut.base import World
from assb_hil.dut.board_path import wire
from assb_hil.dut.cost import CostModel

# A prediction that was not used for so many requests is no longer made
FORGET_AFTER = 100
GAP_SLACK = 6
FAR_US = 1 << 59
KIND_MASK = 15


class ProtocolError(Exception):
    """The VM sent what this host does not know: the modules on its path are not this version's."""


def pack_words(data: bytes) -> list[int]:
    """Seven bytes a word."""
    return [
        int.from_bytes(data[i : i + wire.BYTES_PER_WORD], "little") for i in range(0, len(data), wire.BYTES_PER_WORD)
    ]


def unpack_words(words, n: int) -> bytes:
    """The first n bytes of words that carry seven each."""
    return b"".join(word.to_bytes(wire.BYTES_PER_WORD, "little") for word in words)[:n]


def read_key(word: int) -> tuple[int, int, int, bytes, int]:
    """(kind, bus, address or pin, bytes written first, bytes to read) of a read word."""
    prefix_n = word >> 16 & 15
    prefix = (word >> 32).to_bytes(prefix_n, "big") if prefix_n else b""
    return word & KIND_MASK, word >> 4 & 15, word >> 8 & 255, prefix, word >> 20 & 4095


def data_words(word: int) -> int:
    """How many data words follow a post word."""
    kind = word & KIND_MASK
    if kind == wire.I2C:
        return -(-(word >> 20) // wire.BYTES_PER_WORD)
    return 0 if kind == wire.REPLAY else 1


class Lockstep:
    """Virtual time, the request under way and the predictions, for the life of a board; begin() at each reset."""

    def __init__(self, world: World, cost: CostModel, flash_blocks: int, unique_id: int = 0):
        self.world = world
        self.cost = cost
        self.now_us = 0
        self.flash_blocks = flash_blocks
        self.unique_id = unique_id
        self.world_ns = 0
        self.requests = 0
        self.predicted = 0
        self.posted_nacks = 0
        self.flash_operations = 0
        self.power_cut_at: int | None = None
        self._orders: deque[tuple[int, int]] = deque()
        self._stall_us = 0
        self._acks: frozenset[tuple[int, int]] | None = None
        self._reply = array("q", bytes(8 * wire.REPLY_WORDS))
        self.begin(1, True, 1)

    def begin(self, reset_cause: int, run_main: bool, seed: int) -> None:
        """A VM starts afresh."""
        self.reset_cause = reset_cause
        self.run_main = run_main
        self.seed = seed & 0xFFFFFFFF or 1  # xorshift must not start at 0
        self.interactive = False
        self.operation = 0  # of the request under way; 0 while the VM computes
        self.watchdog_us = 0
        self._words: list[int] = []
        self._next_post = 0
        self._made_us = self._at_us = 0
        self._interrupt = 0
        self._orders.clear()
        self._stall_us = 0
        self._keys: list[tuple[int, int, int, bytes, int]] = []
        self._last_used: list[int] = []
        self._gap: list[int] = []  # requests between the last two uses
        self._reply[:] = array("q", bytes(8 * wire.REPLY_WORDS))
        self._acks = None

    def advance(self, now_us: int) -> None:
        """Lets the world catch up."""
        if now_us > self.now_us:
            started = perf_counter_ns()
            self.world.advance(now_us)
            self.world_ns += perf_counter_ns() - started
            self.now_us = now_us

    def take(self, message: bytes) -> None:
        """Begins the request in a datagram."""
        words = memoryview(message).cast("q").tolist()
        if len(words) < wire.REQUEST_HEADER_WORDS:
            raise ProtocolError(f"request of {len(message)} bytes")
        self._words = words
        self.operation = words[0] & 255
        self.argument = words[2]
        self.watchdog_us = words[3]
        self._next_post = wire.REQUEST_HEADER_WORDS
        self._interrupt = 0
        self.requests += 1
        self._note_used(words[4])
        self._made_us = words[1]
        self._at_us = words[2] if self.operation == wire.WAIT else words[1]
        if self.operation == wire.HELLO:
            self._at_us = self.now_us + self.cost.boot_us
        elif self.operation in (wire.WAIT, wire.SYNC):
            self._at_us += self._stall_us
            self._stall_us = 0

    def order(self, order: int, argument: int) -> None:
        """The board gets it with the next reply to a wait."""
        self._orders.append((order, argument))

    def stall(self, us: int) -> None:
        """The board does not run for so long: the wait under way, or the next one, ends later."""
        if self.operation in (wire.WAIT, wire.SYNC):
            self._at_us += us
        else:
            self._stall_us += us

    def _note_used(self, used: int) -> None:
        serial = self.requests
        last_used = self._last_used
        k = 0
        while used:
            if used & 1:
                self._gap[k] = serial - last_used[k]
                last_used[k] = serial
                self.predicted += 1
            used >>= 1
            k += 1

    def reach(self, limit_us: int) -> bool:
        """Works up to the time at which the request was made; True when that has come."""
        return self._work_up_to(min(self._made_us, limit_us)) >= self._made_us or self.bitten()

    def progress(self, limit_us: int) -> bool:
        """Works on the request as far as limit_us allows; True when the board may be answered or has been bitten."""
        while self._work_up_to(min(self._at_us, limit_us)) < min(self._at_us, limit_us):
            if self.bitten():
                return True
        return limit_us >= self._at_us or self.bitten()

    def _work_up_to(self, end_us: int) -> int:
        if self.watchdog_us:
            end_us = min(end_us, self.watchdog_us)
        self._apply_posts(end_us)
        self.advance(end_us)
        return end_us

    def bitten(self) -> bool:
        """Whether the watchdog has run out before the time of the request."""
        return 0 < self.watchdog_us < self._at_us and self.now_us >= self.watchdog_us

    def interrupt(self) -> None:
        """Ctrl-C during a wait: it ends now, and the reply raises KeyboardInterrupt."""
        self._interrupt = wire.INTERRUPT
        self._at_us = max(self.now_us, self._made_us)

    def _apply_posts(self, end_us: int) -> None:
        words = self._words
        i = self._next_post
        while i < len(words) and words[i] <= end_us:
            word = words[i + 1]
            n_words = data_words(word)
            self.advance(words[i])
            started = perf_counter_ns()
            self._apply(word, words[i + 2 : i + 2 + n_words])
            self.world_ns += perf_counter_ns() - started
            i += 2 + n_words
        self._next_post = i

    def _apply(self, word: int, data: list[int]) -> None:
        kind = word & KIND_MASK
        number = word >> 8 & 255
        world = self.world
        if kind == wire.I2C:
            if world.i2c(word >> 4 & 15, number, unpack_words(data, word >> 20), 0) is None:
                self.posted_nacks += 1
        elif kind == wire.PIN:
            world.pin_write(number, word >> 20)
        elif kind == wire.PWM:
            world.pwm_write(number, word >> 20, data[0])
        elif kind == wire.REPLAY:
            _, bus, address, prefix, n = read_key(word)
            world.i2c(bus, address, prefix, n)
        elif kind == wire.RELEASE:
            world.pin_write(number, 0)  # an input pulled low by the circuit's gate resistor
        else:
            raise ProtocolError(f"posted record {word:#x}")

    def answer(self) -> array:
        """The reply to the request under way; the board computes again."""
        result, slot = 0, wire.NONE
        operation = self.operation
        if operation == wire.READ:
            result, slot = self._read()
        elif operation == wire.FLASH:
            result = self._flash()
        elif operation == wire.HELLO:
            self._set_data(self._hello_words(), wire.REPLY_SLOTS)
        elif operation == wire.INTERACTIVE:
            self.interactive = True
        reply = self._reply
        reply[0] = self._words[0] & ~255 | self._interrupt | self._give_order()
        for bus in self.world.hung_buses():
            reply[0] |= wire.HUNG << bus
        reply[1] = self.now_us
        reply[2] = result
        reply[3] = slot
        started = perf_counter_ns()
        self._set_acks()
        self._set_predictions()
        self.world_ns += perf_counter_ns() - started
        self.operation = 0
        return reply

    def _give_order(self) -> int:
        """The flag of an order that goes with this reply, 0 without one."""
        if not self._orders or self.operation not in (wire.WAIT, wire.SYNC):
            return 0
        self._set_data(list(self._orders.popleft()))
        return wire.ORDER

    def _read(self) -> tuple[int, int]:
        key = read_key(self.argument)
        kind, bus, number, prefix, n = key
        started = perf_counter_ns()
        if kind == wire.I2C:
            data = self.world.i2c(bus, number, prefix, n)
            result = wire.NACK if data is None else n
            self._set_data(pack_words((data or b"").ljust(n, b"\xff")))
        elif kind == wire.PIN:
            result = self.world.pin_read(number)
        elif kind == wire.ADC:
            result = self.world.adc_read_u16(number)
        else:
            raise ProtocolError(f"read word {self.argument:#x}")
        self.world_ns += perf_counter_ns() - started
        return result, self._slot(key)

    def _slot(self, key: tuple[int, int, int, bytes, int]) -> int:
        """Where the key's predictions will be found; NONE when it has none."""
        if key in self._keys:
            k = self._keys.index(key)
        elif self.interactive or len(self._keys) == wire.SLOTS or self._peek(key) is None:
            return wire.NONE
        else:
            k = len(self._keys)
            self._keys.append(key)
            self._last_used.append(self.requests)
            self._gap.append(0)
        self._gap[k] = self.requests - self._last_used[k]
        self._last_used[k] = self.requests
        return k

    def _peek(self, key: tuple[int, int, int, bytes, int]) -> tuple[int, int] | None:
        """(value, valid until << 1 | side effect) of a read to come, or None."""
        kind, bus, number, prefix, n = key
        if kind == wire.PIN:
            level = self.world.pin_peek(number)
            return None if level is None else (level[0], min(level[1], FAR_US) << 1)
        if kind != wire.I2C or n > wire.BYTES_PER_WORD:
            return None
        seen, effect = self.world.peek(bus, number, prefix, n), 0
        if seen is None:
            seen, effect = self.world.preview(bus, number, prefix, n), 1
        return None if seen is None else (int.from_bytes(seen[0], "little"), min(seen[1], FAR_US) << 1 | effect)

    def _set_predictions(self) -> None:
        reply = self._reply
        i = wire.REPLY_SLOTS
        for k, key in enumerate(self._keys):
            since = self.requests - self._last_used[k]
            # What is read now and then is predicted when its turn comes again; missing it costs one round trip
            due = since < GAP_SLACK or self._gap[k] - GAP_SLACK < since < FORGET_AFTER
            seen = self._peek(key) if due and not self.interactive else None
            if seen is None:
                reply[i] = 0
            else:
                reply[i + 1], reply[i] = seen
            i += 2

    def _set_acks(self) -> None:
        acks = self.world.acks()
        if acks is self._acks or acks == self._acks:
            return
        self._acks = acks
        masks = [0] * (2 * wire.BUSES)
        for bus, address in acks:
            masks[2 * bus + address // wire.ADDRESSES_PER_WORD] |= 1 << address % wire.ADDRESSES_PER_WORD
        for i, mask in enumerate(masks):
            self._reply[wire.REPLY_ACKS + i] = mask

    def _set_data(self, words: list[int], at: int = wire.REPLY_DATA) -> None:
        for i, word in enumerate(words):
            self._reply[at + i] = word

    def _flash(self) -> int:
        """How many bytes of a flash operation are done before the power fails."""
        self.flash_operations += 1
        if self.power_cut_at is None or self.flash_operations < self.power_cut_at:
            return wire.ALL
        return (self.argument >> 8) // 2

    def _hello_words(self) -> list[int]:
        cost = self.cost
        words = [
            self.reset_cause,
            int(self.run_main),
            self.seed,
            cost.ticks_call_us,
            cost.i2c_overhead_us,
            cost.pin_us,
            cost.flash_erase_us,
            cost.flash_page_us,
            self.flash_blocks,
            self.unique_id,
        ]
        return words + [us for pair in cost.pairs() for us in pair]
