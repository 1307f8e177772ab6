"""`machine` of the virtual board: the calls that the drivers use, as the rp2 and esp32 ports have them; its pins are a
Pico's, and what those can't do is refused as rp2 refuses it.

Pins are inputs after power-on and every reset. An I2C transfer costs nine clocks a byte (UM10204, 3.1.6: eight bits and
the acknowledge) and one more byte for the address, twice when a repeated start turns the direction, plus the overhead
of the software.
"""

import _lockstep
import wire

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

# RP2040 datasheet, 4.7.3: 24 bits of µs, and the counter steps twice per tick (erratum RP2040-E1)
_WDT_LONGEST_MS = 8388
_FIRST_ADC_PIN, _LAST_PIN = 26, 29

_board = {"reset_cause": PWRON_RESET, "unique_id": b"", "freq": 125_000_000}


def _halt(operation):
    """Asks the host for a reset; the process ends before a reply comes."""
    while True:
        _lockstep.call(operation, 0)


def reset():
    _halt(wire.RESET)


def soft_reset():
    _halt(wire.SOFT_RESET)


def reset_cause():
    return _board["reset_cause"]


def unique_id():
    return _board["unique_id"]


def freq(hz=None):
    if hz is None:
        return _board["freq"]
    _board["freq"] = hz


def idle():
    _lockstep.now_us()


def lightsleep(time_ms=0):
    _lockstep.wait(time_ms * 1000)


def disable_irq():
    return 0


def enable_irq(state=0):
    pass


class I2C:
    def __init__(self, id, scl=None, sda=None, freq=400_000, timeout=50_000):
        if not 0 <= id < wire.BUSES:
            raise ValueError(f"I2C bus {id} doesn't exist")
        for pin, offset in ((sda, 0), (scl, 1)):  # RP2040 datasheet 1.4.3
            if pin is not None and _number(pin) & 3 != 2 * id + offset:
                raise ValueError(f"bad pin {_number(pin)} of I2C bus {id}")
        self._bus = id
        _lockstep.timeouts_us[id] = timeout
        self._byte_ns = 9_000_000_000 // freq

    def _us(self, n):
        return n * self._byte_ns // 1000 + _lockstep.state[10]

    def readfrom_mem_into(self, addr, memaddr, buf, addrsize=8):
        n = len(buf)
        word = self._bus << 4 | addr << 8 | addrsize >> 3 << 16 | n << 20 | memaddr << 32
        _lockstep.read(word, buf, n, (n + 2 + (addrsize >> 3)) * self._byte_ns // 1000 + _lockstep.state[10])

    def readfrom_mem(self, addr, memaddr, nbytes, addrsize=8):
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf, addrsize)
        return bytes(buf)

    def writeto_mem(self, addr, memaddr, buf, addrsize=8):
        prefix_n = addrsize >> 3
        us = (len(buf) + prefix_n + 1) * self._byte_ns // 1000 + _lockstep.state[10]
        _lockstep.write(self._bus << 4 | addr << 8, buf, memaddr, prefix_n, us)

    def readfrom_into(self, addr, buf, stop=True):
        n = len(buf)
        _lockstep.read(self._bus << 4 | addr << 8 | n << 20, buf, n, self._us(n + 1))

    def readfrom(self, addr, nbytes, stop=True):
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf)
        return bytes(buf)

    def writeto(self, addr, buf, stop=True):
        n = len(buf)
        _lockstep.write(self._bus << 4 | addr << 8, buf, 0, 0, self._us(n + 1))
        return n

    def scan(self):
        _lockstep.call(wire.SYNC, 0)
        found = []
        for address in range(0x08, 0x78):
            _lockstep.advance(self._us(1))
            if _lockstep.acks(self._bus, address):
                found.append(address)
        return found


def _number(id):
    """Pin number of 5, "5", "GP5" or "GPIO5"."""
    if isinstance(id, int):
        return id
    if isinstance(id, Pin):
        return id.number
    return int(id.lstrip("GPIO"))


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, id, mode=-1, pull=-1, value=None):
        self.number = _number(id)
        if not 0 <= self.number <= _LAST_PIN:
            raise ValueError(f"invalid pin {self.number}")
        self._word = wire.PIN | self.number << 8
        self._mode = Pin.IN
        self._level = -1
        self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        if mode == Pin.IN and self._mode != Pin.IN:
            _lockstep.post_word(wire.RELEASE | self.number << 8, 0)
            self._level = -1
        if mode >= 0:
            self._mode = mode
        if value is not None:
            self._drive(value)
        elif self._mode != Pin.IN and self._level < 0:
            self._drive(0)

    def _drive(self, level):
        level = 1 if level else 0
        _lockstep.state[0] += _lockstep.state[11]
        if level != self._level:
            _lockstep.post_word(self._word | level << 20, 0)
            self._level = level

    def value(self, level=None):
        if level is not None:
            return self._drive(level)
        if self._mode == Pin.OUT:
            return self._level
        return _lockstep.read_level(self._word)

    __call__ = value

    def on(self):
        self._drive(1)

    def off(self):
        self._drive(0)

    def toggle(self):
        self._drive(1 - self._level)


class ADC:
    def __init__(self, id):
        number = _number(id)
        if not _FIRST_ADC_PIN <= number <= _LAST_PIN:
            raise ValueError(f"pin {number} doesn't have ADC capabilities")
        self._word = wire.ADC | number << 8

    def read_u16(self):
        return _lockstep.read_level(self._word)


class PWM:
    def __init__(self, dest, freq=0, duty_u16=-1):
        self._word = wire.PWM | _number(dest) << 8
        self._hz = freq
        self._duty_u16 = max(duty_u16, 0)
        self._post()

    def _post(self):
        _lockstep.post_word(self._word | self._duty_u16 << 20, self._hz)

    def freq(self, hz=None):
        if hz is None:
            return self._hz
        self._hz = hz
        self._post()

    def duty_u16(self, value=None):
        if value is None:
            return self._duty_u16
        self._duty_u16 = value
        self._post()

    def deinit(self):
        _lockstep.post_word(wire.RELEASE | self._word & 0xFF00, 0)


class WDT:
    """Bites in virtual time: the host then resets the board with WDT_RESET. It can't be stopped once started."""

    def __init__(self, id=0, timeout=5000):
        if not 1 <= timeout <= _WDT_LONGEST_MS:
            raise ValueError(f"WDT timeout must be 1..{_WDT_LONGEST_MS} ms")
        self._timeout_us = timeout * 1000
        _lockstep.state[6] = 0
        self.feed()
        _lockstep.call(wire.SYNC, 0)

    def feed(self):
        _lockstep.watchdog_us(self._timeout_us)


class Timer:
    """A periodic timer, as far as a board's program needs it to feed the watchdog while nothing runs.

    The VM has no interrupts. The callback runs once, at its start; from then on it is taken to feed the watchdog in
    time, which therefore does not bite until the program feeds it by itself again.
    """

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1):
        pass

    def init(self, *, mode=PERIODIC, period=1000, callback=None):
        if mode != self.PERIODIC or not callback:
            raise ValueError("the virtual board has periodic timers with a callback only")
        callback(self)
        _lockstep.state[6] = 0
        _lockstep.call(wire.SYNC, 0)
