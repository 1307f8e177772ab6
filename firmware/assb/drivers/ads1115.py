"""TI ADS1115: 16-bit converter with four inputs behind a multiplexer (datasheet SBAS444D).

One conversion of the next input is started in every tick and fetched in the one after, so n inputs are each new every n
ticks. The chip has no identity register: that its configuration holds is all there is to check.
"""

from assb.const import const
from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, HELD, NOT_READY, SATURATED

_CONVERSION = const(0x00)
_CONFIG = const(0x01)
# Config register, 9.6.3
_OS = const(0x8000)
_SINGLE_SHOT = const(0x0100)
_COMPARATOR_OFF = const(0x0003)
_CONFIG_BITS = const(0x7FFF)  # OS is status when read

# (positive, negative) input: MUX. -1: ground
MUX = {(0, 1): 0, (0, 3): 1, (1, 3): 2, (2, 3): 3, (0, -1): 4, (1, -1): 5, (2, -1): 6, (3, -1): 7}
RANGE_MV = (6144, 4096, 2048, 1024, 512, 256)  # PGA 0 to 5; a code is 1/32768 of it
RATES_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
_CODE_MAX = const(0x7FFF)
_OPEN = const(65535)  # of a divider: its NTC is not there, or more than the input can show
_TICKS_MAX = const(30)  # without a result: conversions have stopped


class ADS1115:
    """One ADS1115. `settings`: ((positive, negative), range_mv) of each input in its order.

    Attributes: codes and counts (of results) of each input; status; `error_count`: failed transfers.
    ValueError for an input, a range or a rate that the chip does not have.
    """

    def __init__(self, bus, address, settings, rate_hz=860):
        self._registers = Registers(bus, address, 2, "ADS1115")
        self._word = bytearray(2)
        self._configs = []
        for pair, range_mv in settings:
            if pair not in MUX or range_mv not in RANGE_MV or rate_hz not in RATES_HZ:
                raise ValueError(
                    f"ADS1115 inputs {pair}, range_mv={range_mv}, rate_hz={rate_hz}: have {RANGE_MV} and {RATES_HZ}"
                )
            self._configs.append(
                MUX[pair] << 12
                | RANGE_MV.index(range_mv) << 9
                | _SINGLE_SHOT
                | RATES_HZ.index(rate_hz) << 5
                | _COMPARATOR_OFF
            )
        self._starts = [bytes((word >> 8 | _OS >> 8, word & 0xFF)) for word in self._configs]
        self._bus, self._address = bus, address
        self.codes = [0] * len(self._configs)
        self.counts = [0] * len(self._configs)
        self._at = self._since = 0
        self._configured = self._pending = False
        self.status = NOT_READY

    @property
    def error_count(self):
        return self._registers.error_count

    def check_id(self):
        """The configuration reads as it was written. Raises OSError (EIO) when not; starts a conversion."""
        self._registers.program(_CONFIG, self._configs[self._at] | _OS, _CONFIG_BITS)

    def configure(self):
        """Start the first conversion, read its configuration back. OSError when the chip is absent or not obeying."""
        self.restore()

    def restore(self):
        """As after a brown-out."""
        self._configured = False
        self.status = CONFIG_LOST
        self._at = self._since = 0
        self.check_id()
        self._configured = self._pending = True
        self.status = NOT_READY

    def tick(self):
        """Fast tick: fetch what was converted, start the next input. Allocates and raises nothing.

        CONFIG_LOST, until `restore`, when the configuration is not the one of the conversion that was started.
        """
        if not self._configured:
            self.status = CONFIG_LOST
            return
        at = self._at
        if not self._pending:  # the start before did not reach the chip: what it has was counted
            self._start(at)
            return
        word = self._read(_CONFIG)
        if word < 0:
            return
        if (word ^ self._configs[at]) & _CONFIG_BITS:
            self._configured = False
            self.status = CONFIG_LOST
            return
        if not word & _OS:
            self._since = min(self._since + 1, _TICKS_MAX)
            self.status = HELD if self._since < _TICKS_MAX else NOT_READY
            return
        word = self._read(_CONVERSION)
        if word < 0:
            return
        self._since = 0
        self.codes[at] = signed(word, 16)
        self.counts[at] = (self.counts[at] + 1) & 0xFFFF
        self._pending = False
        at = at + 1 if at + 1 < len(self._configs) else 0
        self._start(at)

    def _start(self, at):
        try:
            self._bus.writeto_mem(self._address, _CONFIG, self._starts[at])
        except OSError:
            self._registers.count_error()
            self.status = BUS_ERROR
            return
        self._at = at
        self._pending = True
        self.status = 0

    def _read(self, register):
        if not self._registers.read_into(register, self._word):
            self.status = BUS_ERROR
            return -1
        return self._word[0] << 8 | self._word[1]


class AdsInput:
    """Input number `at` of an ADS1115: `counts` (its code) and `status`, as a bridge converter has them (LoadCell)."""

    error_count = 0  # the chip counts

    def __init__(self, chip, at):
        self._chip = chip
        self._at = at
        self._seen = 0
        self.counts = 0
        self.status = NOT_READY

    def update(self):
        """True when `counts` is new; the chip's `tick` converts. Allocates and raises nothing."""
        chip = self._chip
        results = chip.counts[self._at]
        if results == self._seen:
            self.status = NOT_READY if chip.status & HELD else chip.status or NOT_READY
            return False
        self._seen = results
        self.counts = chip.codes[self._at]
        self.status = 0 if -_CODE_MAX <= self.counts < _CODE_MAX else SATURATED
        return True

    @property
    def code(self):
        """Counts results: wide ranges have less noise than a code (SBAS444D 8.1), so that of a quiet input rests."""
        return self._seen


class AdsCell:
    """A cell behind input `at`, as an INA228 shows one, without a current: `pv_per_code` is the step of a code in
    picovolts, its divider in it."""

    current_ua = current_code = error_count = 0  # the chip counts its errors

    def __init__(self, chip, at, pv_per_code):
        self._input = AdsInput(chip, at)
        self._chip = chip
        self._pv_per_code = pv_per_code
        self.voltage_uv = self.voltage_code = self.alert_flags = 0
        self.status = NOT_READY
        self.calibrate(0, 0, 0)

    def calibrate(self, _current_gain_ppm, _current_offset_ua, voltage_gain_ppm):
        self._scale = Ratio(self._pv_per_code * (1000000 + voltage_gain_ppm), 1000000000000, 16)

    def update(self):
        """Fast tick: True when voltage_uv is new; HELD while the others' turn lasts."""
        adc = self._input
        if not adc.update():
            self.status = HELD if adc.status == NOT_READY and self._chip.status in (0, HELD) else adc.status
            return False
        self.voltage_uv = self._scale.apply(adc.counts)
        self.voltage_code = adc.code
        self.status = adc.status
        return True

    def update_diagnostics(self):
        """Slow tick: the fast one has seen everything."""
        return self.status != CONFIG_LOST

    def clear_alerts(self):
        """The comparator is off."""

    def check_id(self):
        """The chip is asked by itself."""

    def restore(self):
        """As above."""


class AdsRatio:
    """Input `at` as a share of a divider's supply, for an NTC: `read()` in 65536ths, or -1 when nothing is new."""

    def __init__(self, chip, at, supply_mv, range_mv):
        self._input = AdsInput(chip, at)
        self._chip = chip
        self._scale = Ratio(2 * range_mv, supply_mv, 17)

    @property
    def status(self):
        return self._input.status

    @property
    def code(self):
        return self._input.code

    def read(self):
        adc = self._input
        if not adc.update():
            return -1
        return _OPEN if adc.status & SATURATED else max(0, self._scale.apply(adc.counts))
