"""The board's end of the lockstep: the virtual clock, one round trip per wait, posted writes and predicted reads.

Everything hot works on preallocated arrays and allocates nothing. A write is posted with its time and travels with the
next request. A read of a register that the host could predict is served from the last reply as long as the prediction
holds; otherwise it is a round trip. Both give the value that the chip has at that time, so the trace does not depend
on which way was taken.
"""

import gc
import os
from array import array

import wire
from micropython import const

# Indexes of `state`
_NOW = const(0)
_SYNCED = const(1)  # time of the last reply
_AHEAD = const(2)  # how far the clock may run ahead of the host, µs; -1 at the REPL, where the host owns the time
_SEQUENCE = const(3)
_LENGTH = const(4)  # words in tx
_USED = const(5)
_WATCHDOG = const(6)
_RANDOM = const(7)
_PINS_STALE = const(8)  # sequence during which a pin prediction no longer holds
_TICKS_CALL_US = const(9)
_I2C_OVERHEAD_US = const(10)
_PIN_US = const(11)
_FLASH_ERASE_US = const(12)
_FLASH_PAGE_US = const(13)
_TICKS_AHEAD_US = const(14)  # of time, after a jump
_COSTS = const(15)

_AHEAD_US = const(20_000)
_EIO = const(5)
_ETIMEDOUT = const(110)

# "l" is a word here as well, and unlike "q" reading one makes no long integer
state = array("l", [0] * (_COSTS + 2 * wire.COST_KINDS))
tx = array("l", [0] * wire.REQUEST_WORDS)
rx = array("l", [0] * wire.REPLY_WORDS)
timeouts_us = array("l", [0] * wire.BUSES)
slots = {}  # read word -> prediction number
stale = bytearray(wire.BUSES * 128)  # low byte of the sequence during which the device was written
_port = [None]
_kept = [None]


def call(operation, argument):
    """One round trip; returns the result word. A reply that an interrupt left unread is passed over by its number."""
    sequence = (state[_SEQUENCE] + 1) & 0xFFFFFF
    state[_SEQUENCE] = sequence
    tx[0] = sequence << 8 | operation
    tx[1] = state[_NOW]
    tx[2] = argument
    tx[3] = state[_WATCHDOG]
    tx[4] = state[_USED]
    port = _port[0]
    try:
        port.write(tx, state[_LENGTH] * 8)
        state[_LENGTH] = wire.REQUEST_HEADER_WORDS  # straight after the write: an interrupt can only strike at a jump
        state[_USED] = 0
        while port.readinto(rx) and rx[0] >> 8 != sequence:
            pass
    except OSError:
        rx[0] = -1
    if rx[0] >> 8 != sequence:
        os.system("kill -9 $PPID")  # the host is gone; nothing else may catch this and go on for ever
    state[_NOW] = rx[1]
    state[_SYNCED] = rx[1]
    if rx[0] & wire.FLAGS:
        _obey()
    return rx[2]


def _obey():
    """What the host orders beside answering: faults of the board itself, and Ctrl-C."""
    if rx[0] & wire.ORDER:
        argument = rx[wire.REPLY_DATA + 1]
        if rx[wire.REPLY_DATA] == wire.FILL:
            _fill(argument)
        else:
            state[_TICKS_AHEAD_US] += argument
    if rx[0] & wire.INTERRUPT:
        raise KeyboardInterrupt


def _fill(left_b):
    """Takes memory for good in pieces, smaller ones into the gaps, as a leak would."""
    gc.collect()
    piece_b = 1024
    while piece_b >= 16:
        try:
            while gc.mem_free() > left_b + piece_b:
                _kept[0] = (_kept[0], bytearray(piece_b))  # a list would need room in one piece to grow
        except MemoryError:
            pass
        piece_b >>= 1


def hello(port):
    """First request after power-on or a reset; returns the configuration words of the host as a list."""
    _port[0] = port
    state[_LENGTH] = wire.REQUEST_HEADER_WORDS
    state[_AHEAD] = _AHEAD_US
    call(wire.HELLO, 0)
    words = list(rx)[wire.REPLY_SLOTS :]
    state[_RANDOM] = words[wire.HELLO_SEED]
    state[_TICKS_CALL_US] = words[wire.HELLO_TICKS_CALL_US]
    state[_I2C_OVERHEAD_US] = words[wire.HELLO_I2C_OVERHEAD_US]
    state[_PIN_US] = words[wire.HELLO_PIN_US]
    state[_FLASH_ERASE_US] = words[wire.HELLO_FLASH_ERASE_US]
    state[_FLASH_PAGE_US] = words[wire.HELLO_FLASH_PAGE_US]
    for i in range(2 * wire.COST_KINDS):
        state[_COSTS + i] = words[wire.HELLO_COSTS + i]
    return words


def interactive():
    """From here on the host owns the time: nothing is predicted, every question about time is asked."""
    state[_AHEAD] = -1
    call(wire.INTERACTIVE, 0)


def advance(us):
    """The board was busy for `us`; asks the host when the clock has run far ahead of it."""
    now = state[_NOW] + us
    state[_NOW] = now
    if now - state[_SYNCED] > state[_AHEAD]:
        call(wire.SYNC, 0)
        now = state[_NOW]
    return now


def now_us():
    """Reading the clock costs time as well, so that a loop that waits for it gets there."""
    return advance(state[_TICKS_CALL_US]) + state[_TICKS_AHEAD_US]


def wait(us):
    """Blocks the board for `us` of virtual time: the one round trip of a tick."""
    if us > 0:
        call(wire.WAIT, state[_NOW] + us)
    else:
        now_us()


def cost(kind):
    """Time of a stretch of computing, drawn from the board file's figures: base + jitter × xorshift32 / 2**32."""
    r = state[_RANDOM]
    r ^= r << 13 & 0xFFFFFFFF
    r ^= r >> 17
    r ^= r << 5 & 0xFFFFFFFF
    state[_RANDOM] = r
    i = _COSTS + 2 * kind
    advance(state[i] + (state[i + 1] * r >> 32))


def watchdog_us(timeout_us):
    """Feeds the watchdog. Too late is too late: the host resets the board when it hears of it."""
    if state[_WATCHDOG] and state[_NOW] > state[_WATCHDOG]:
        call(wire.SYNC, 0)
    state[_WATCHDOG] = state[_NOW] + timeout_us


def room(words):
    """Makes room in tx for a record; in interactive mode asks for the time, because the host owns it."""
    if state[_LENGTH] + words > wire.REQUEST_WORDS or state[_AHEAD] < 0:
        call(wire.SYNC, 0)


def post(word, buffer, n, prefix, prefix_n):
    """Queues a write at the present time: `prefix_n` bytes of the integer `prefix`, highest first, then buffer[:n]."""
    i = state[_LENGTH]
    tx[i] = state[_NOW]
    tx[i + 1] = word
    i += 2
    data = 0
    shift = 0
    for k in range(prefix_n - 1, -1, -1):
        data |= (prefix >> 8 * k & 255) << shift
        shift += 8
    for k in range(n):
        if shift == 56:
            tx[i] = data
            i += 1
            data = 0
            shift = 0
        data |= buffer[k] << shift
        shift += 8
    if shift:
        tx[i] = data
        i += 1
    state[_LENGTH] = i
    if state[_AHEAD] < 0:
        call(wire.SYNC, 0)


def post_word(word, data):
    """Queues a write that is a word and one number (pin, PWM)."""
    room(3)
    i = state[_LENGTH]
    tx[i] = state[_NOW]
    tx[i + 1] = word
    tx[i + 2] = data
    state[_PINS_STALE] = state[_SEQUENCE]
    state[_LENGTH] = i + 3
    if state[_AHEAD] < 0:
        call(wire.SYNC, 0)


def acks(bus, address):
    """Whether a device acknowledges. Devices come and go at waits only, so the last reply still holds."""
    return rx[wire.REPLY_ACKS + 2 * bus + address // wire.ADDRESSES_PER_WORD] >> address % wire.ADDRESSES_PER_WORD & 1


def _fail(bus, us):
    """A transfer that nobody acknowledges ends at once; on a bus that hangs it waits for its timeout."""
    hangs = rx[0] & wire.HUNG << bus
    advance(timeouts_us[bus] if hangs else us)
    raise OSError(_ETIMEDOUT if hangs else _EIO)


def write(word, buffer, prefix, prefix_n, us):
    """An I2C write that takes `us`, of prefix and buffer as in post(); OSError when nobody acknowledges."""
    n = len(buffer)
    if n + prefix_n > wire.TRANSFER_BYTES:
        raise ValueError("the virtual board moves at most wire.TRANSFER_BYTES bytes in one I2C transfer")
    room(3 + (n + prefix_n) // 7)
    bus = word >> 4 & 3
    address = word >> 8 & 127
    if not acks(bus, address):
        _fail(bus, us)
    state[_NOW] += us
    stale[bus << 7 | address] = state[_SEQUENCE] & 255
    state[_PINS_STALE] = state[_SEQUENCE]
    post(word | n + prefix_n << 20, buffer, n, prefix, prefix_n)


def read(word, buffer, n, us):
    """An I2C read that takes `us`, of the chip's state at its start; OSError when nobody acknowledges."""
    k = slots.get(word, -1)
    if k >= 0:
        i = wire.REPLY_SLOTS + 2 * k
        until = rx[i]
        if state[_NOW] < until >> 1 and stale[(word >> 4 & 3) << 7 | word >> 8 & 127] != state[_SEQUENCE] & 255:
            if until & 1 and not _replay(word):
                return _read_now(word, buffer, n, us)
            data = rx[i + 1]
            for j in range(n):
                buffer[j] = data & 255
                data >>= 8
            state[_USED] |= 1 << k
            state[_NOW] += us
            return
    if n > wire.TRANSFER_BYTES:
        raise ValueError("the virtual board moves at most wire.TRANSFER_BYTES bytes in one I2C transfer")
    _read_now(word, buffer, n, us)


def _replay(word):
    """Posts a predicted read for its side effect; nothing else is predicted of that device then. False: no room."""
    i = state[_LENGTH]
    if i + 2 > wire.REQUEST_WORDS:
        return False
    tx[i] = state[_NOW]
    tx[i + 1] = word | wire.REPLAY
    stale[(word >> 4 & 3) << 7 | word >> 8 & 127] = state[_SEQUENCE] & 255
    state[_LENGTH] = i + 2
    return True


def _read_now(word, buffer, n, us):
    got = call(wire.READ, word)
    if rx[3] >= 0:
        slots[word] = rx[3]
    if got < 0:
        _fail(word >> 4 & 3, us)
    state[_NOW] += us
    i = wire.REPLY_DATA - 1
    data = 0
    for j in range(n):
        if j % 7 == 0:
            i += 1
            data = rx[i]
        buffer[j] = data & 255
        data >>= 8


def read_level(word):
    """A pin's level or an ADC's count at the present time."""
    state[_NOW] += state[_PIN_US]
    k = slots.get(word, -1)
    if k >= 0:
        i = wire.REPLY_SLOTS + 2 * k
        if state[_NOW] < rx[i] >> 1 and state[_PINS_STALE] != state[_SEQUENCE]:
            state[_USED] |= 1 << k
            return rx[i + 1]
    value = call(wire.READ, word)
    if rx[3] >= 0:
        slots[word] = rx[3]
    return value
