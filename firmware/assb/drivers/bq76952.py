"""TI BQ76952: monitor of 3 to 16 cells in series, with their current and up to three thermistors (TRM SLUUBY2B,
datasheet SLUSE13B).

The chip scans all cells in a loop of 54 to 63 ms (half of it with `fast`), so voltages are HELD between two scans, and
measures the whole stack in every third of them (SLUSE13B 10.1.1); the current is new every 3 ms. Its voltages have
steps of 1 mV, whose lowest bit rests on a quiet cell: `scans` stands in for their code, since scans that go on are what
shows that the converter works. So may its current: its code are the raw counts of CC2 (DASTATUS5), 24 bits of 29.6 nV,
which come with a subcommand in every second slow tick. Its FET drivers are not used; it balances as the host commands
(4.2.4), and ends that by itself when the firmware stops asking for it.
"""

import errno
import struct
from array import array

from assb.const import const
from assb.drivers.bq_registers import BqRegisters
from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, HELD, NOT_READY, SATURATED

# Direct commands (12.1)
_SAFETY_STATUS_A = const(0x03)
_BATTERY_STATUS = const(0x12)
_CELL_1_VOLTAGE = const(0x14)
_STACK_VOLTAGE = const(0x34)
_CC2_CURRENT = const(0x3A)
_ALARM_STATUS = const(0x62)
_ALARM_ENABLE = const(0x66)
_INT_TEMPERATURE = const(0x68)
_TS1_TEMPERATURE = const(0x70)
_CC2_COUNTS = const(0x58)  # in the answer to DASTATUS5, from byte 24 of its 32 on

# Battery Status (12.2.14): CFGUPDATE, SLEEP_EN, POR, SLEEP. All 0 once it is set up, so a brown-out shows
_NOT_AS_SET_UP = const(0x800D)
_CFGUPDATE = const(0x0001)
_ADSCAN = const(0x0002)  # Alarm Status (6.6)
# Safety Status A: CUV, COV, OCC, OCD1, as the INA228's flags of the same meaning
_ALERTS = ((0x04, 0x08), (0x08, 0x10), (0x10, 0x40), (0x20, 0x20))

# Subcommands (12.4)
_DEVICE_NUMBER = const(0x0001)
_DASTATUS5 = const(0x0075)
_CB_ACTIVE_CELLS = const(0x0083)
_SET_CFGUPDATE = const(0x0090)
_EXIT_CFGUPDATE = const(0x0092)
_SLEEP_DISABLE = const(0x009A)

# Data memory (13)
_CC_GAIN = const(0x91A8)  # and Capacity Gain
_POWER_CONFIG = const(0x9234)
_ENABLED_PROTECTIONS_A = const(0x9261)
_CUV = const(0x9275)  # threshold, delay; COV: threshold, delay
_OCC = const(0x9280)  # threshold, delay; OCD1: threshold, delay
_TS1_CONFIG = const(0x92FD)  # TS1 to TS3
_DA_CONFIGURATION = const(0x9303)  # and Vcell Mode
_CELL_BALANCE_INTERVAL = const(0x9339)  # and Max Cells
_POWER_CONFIG_AWAKE = const(0x2882)  # as it powers on, without SLEEP
_FASTADC = const(0x0040)
_THERMISTOR = const(0x07)  # 18 kOhm pull-up and its model (103AT), a cell's temperature
_USER_VOLTS_CV = const(0x04)
_STACK_STEP_UV = const(10000)
_BALANCE_INTERVAL_S = const(20)
_SAFE_DELAY = const(2)  # of CUV and COV: 3.3 ms each (13.6)
_PROTECT_STEP_UV = const(50600)
_CURRENT_STEP_PV = 2000000000

_CC_FULL_SCALE_UV = const(200000)  # SLUSE13B 7.15
_CC_LSB_OHM_UA = 7568.4  # CC Gain = 7.5684 / shunt in mOhm (9.1)
_CAPACITY_PER_CC_GAIN = 298261.6178
_CODE_MAX = const(0x7FFF)
_VOLTAGE_MAX_MV = const(5500)  # SLUSE13B 7.19
_ZERO_CELSIUS_DK = const(27315)  # hundredths of a kelvin
_TICKS_MAX = const(30)
_REFRESH_CALLS = const(100)  # slow ticks of 10 to 160 ms: within the interval


class BQ76952:
    """One BQ76952. `inputs`: bit n - 1 for a cell between VCn and VCn-1; cells count from the lowest on. `thermistors`:
    bits 0 to 2 for TS1 to TS3. `with_crc` as the part has it (BQ7695202: True; SLUSE13B, device comparison).
    Positive current charges: SRP on the cells' side (`polarity=1`), else -1.

    Attributes after `update()`: voltage_uv (of each cell), stack_uv (in steps of 10 mV, up to three scans old), scans,
    current_ua, current_code, status. After `update_diagnostics()`: die_cdegc, alert_flags. `error_count`: failed
    transfers and CRCs.
    """

    def __init__(self, bus, address, inputs, shunt_uohm, with_crc, thermistors=0, polarity=1, sleep_ms=None):
        self._registers = BqRegisters(bus, address, with_crc, "BQ76952")
        self._sleep_ms = sleep_ms
        self._polarity = polarity
        self._shunt_uohm = shunt_uohm
        self._inputs = inputs
        numbers = [number for number in range(16) if inputs >> number & 1]
        if len(numbers) < 3:
            raise ValueError(f"BQ76952 inputs 0x{inputs:04x}: {len(numbers)} cells, the chip is for 3 to 16")
        stride = self._registers.stride
        self.voltage_uv = array("i", bytes(4 * len(numbers)))
        self._cells = bytearray(2 * stride * (numbers[-1] - numbers[0] + 1))
        self._first = numbers[0]
        self._numbers = bytes(numbers)
        self._word = bytearray(2 * stride)
        self._byte = bytearray(stride)
        self._counts = bytearray(3 * stride)
        self._scanned = self._registers.framed(_ALARM_STATUS, (_ADSCAN, 0))
        self._unit_ua, unit_bits = _user_amps(shunt_uohm)
        self._memory = self._described(inputs, thermistors, unit_bits)
        self._alarms = (0, 0, 0, 0, 0)
        self._configured = False
        self._step = self._checked = self._since = self._calls = 0
        self._asked = self._bled = -1
        self.stack_uv = self.scans = self.current_ua = self.current_code = 0
        self.die_cdegc = self.alert_flags = 0
        self.status = NOT_READY
        self.calibrate(0, 0, 0)

    def _described(self, inputs, thermistors, unit_bits):
        """[(address, bytes)] of the set-up, but for the protections."""
        gain = _CC_LSB_OHM_UA / self._shunt_uohm
        pins = bytes([_THERMISTOR if thermistors >> pin & 1 else 0 for pin in range(3)])
        return [
            (_POWER_CONFIG, struct.pack("<H", _POWER_CONFIG_AWAKE)),
            (_CC_GAIN, struct.pack("<ff", gain, gain * _CAPACITY_PER_CC_GAIN)),
            (_DA_CONFIGURATION, struct.pack("<BH", _USER_VOLTS_CV | unit_bits, inputs)),
            (_TS1_CONFIG, pins),
            (_CELL_BALANCE_INTERVAL, bytes((_BALANCE_INTERVAL_S, 16))),
        ]

    @property
    def error_count(self):
        return self._registers.error_count

    def calibrate(self, current_gain_ppm, current_offset_ua, voltage_gain_ppm):
        """As INA228: ValueError when full scale leaves 30 bits, and nothing is changed then. Set-up only."""
        current = Ratio(self._unit_ua * (1000000 + current_gain_ppm), 1000000, 16)
        self._voltage_scale = Ratio(1000 * (1000000 + voltage_gain_ppm), 1000000, 16)
        self._current_scale, self._offset_ua = current, current_offset_ua

    def check_id(self):
        """OSError(ENODEV) unless the chip says 0x7695 (DEVICE_NUMBER, 12.3)."""
        data = self._registers.ask(_DEVICE_NUMBER, self._sleep())
        number = data[0] | data[1] << 8
        if number != 0x7695:
            raise self._registers.error(errno.ENODEV, f"id register 0x0001 reads 0x{number:04x}, not 0x7695")

    def configure(self, fast=False):
        """Check the id, then write the set-up in CONFIG_UPDATE mode (7.6) and read it back. Blocks for 0.1 s.

        `fast`: conversions of 1.5 ms with less resolution (FASTADC). OSError when it is absent or not obeying.
        """
        config = _POWER_CONFIG_AWAKE | (_FASTADC if fast else 0)
        self._memory[0] = (_POWER_CONFIG, struct.pack("<H", config))
        self._program()

    def set_alert_limits(self, undervoltage_uv, overvoltage_uv, charge_ua, discharge_ua):
        """Program the chip's own comparators CUV, COV, OCC, OCD1 (5.2 to 5.4), rounded to the side that trips later: a
        step is 50.6 mV, or 2 mV on the shunt, so they stand behind the limit rows. One that lies beyond the chip's
        range stays off. `discharge_ua` is negative. OSError when the chip does not take them."""
        under = undervoltage_uv // _PROTECT_STEP_UV
        over = -(-overvoltage_uv // _PROTECT_STEP_UV)
        charge = -(-charge_ua * self._shunt_uohm // _CURRENT_STEP_PV)
        discharge = -(discharge_ua * self._shunt_uohm // _CURRENT_STEP_PV)
        enabled = 0
        for bit, value, least, most in (
            (4, under, 20, 90),
            (8, over, 20, 110),
            (16, charge, 2, 62),
            (32, discharge, 2, 100),
        ):
            enabled |= bit if least <= value <= most else 0
        del self._memory[5:]
        self._memory += [
            (_CUV, struct.pack("<BHBH", _within(under, 20, 90), _SAFE_DELAY, _within(over, 20, 110), _SAFE_DELAY)),
            (_OCC, bytes((_within(charge, 2, 62), 4, _within(discharge, 2, 100), 1))),
            (_ENABLED_PROTECTIONS_A, bytes((enabled,))),
        ]
        self._program()

    def _program(self):
        self.status = CONFIG_LOST
        self._configured, self._step = False, 0
        self.check_id()
        sleep_ms = self._sleep()
        for _ in range(2 * len(self._memory) + 12):
            if self._step_set_up():
                return
            sleep_ms(5)
        raise self._registers.error(errno.EIO, f"set-up does not get beyond step {self._step}")

    def restore(self):
        """One step of the set-up, as after a brown-out; call it from the slow tick until `status` is not CONFIG_LOST.

        The set-up as a whole takes longer than a tick may. Raises OSError when the chip does not answer.
        """
        if not self._step_set_up() and self._step == 0:
            raise self._registers.error(errno.EIO, "set-up began anew")

    def _step_set_up(self):
        """Enter CONFIG_UPDATE, write and read back each item, leave it, stay awake, report scans. True at the end."""
        registers, items, step = self._registers, self._memory, self._step
        item, reading = divmod(step - 1, 2)
        if step == 0:
            right = registers.command(_SET_CFGUPDATE)
        elif item < len(items) and not reading:
            mode = registers.read_word(_BATTERY_STATUS)
            right = mode >= 0 and mode & _CFGUPDATE and (step == 1 or self._read_back(items[item - 1]))
            right = right and registers.command(*items[item])
        elif item < len(items):
            right = registers.command(items[item][0])
        elif not reading:
            right = self._read_back(items[-1]) and registers.command(_EXIT_CFGUPDATE)
        else:
            right = registers.command(_SLEEP_DISABLE) and registers.send(
                _ALARM_ENABLE, registers.framed(_ALARM_ENABLE, (_ADSCAN, 0))
            )
            if right:
                self._begin()
                return True
        self._step = step + 1 if right else 0
        return False

    def _begin(self):
        self._step = 0
        self._since, self._asked = _TICKS_MAX, -1
        self._bled = -1  # whatever an earlier start asked for
        self._registers.send(_ALARM_STATUS, self._scanned)  # what was scanned before is of the past
        self._configured = True
        self.status = NOT_READY

    def _read_back(self, item):
        address, wanted = item
        if not self._registers.answered(address):
            return False
        data = self._registers.answer()
        return data is not None and data[: len(wanted)] == wanted

    def update(self):
        """Fast tick: battery status, current, and after a scan the voltages. Allocates and raises nothing.

        True when voltage_uv is new. HELD between scans: only current_ua is new then. NOT_READY when no scan has ended
        for `_TICKS_MAX` ticks, BUS_ERROR also for a wrong CRC; then nothing is new.
        """
        if not self._configured:
            self.status = CONFIG_LOST
            return False
        word = self._read(_BATTERY_STATUS)
        if word < 0:
            return False
        if word & _NOT_AS_SET_UP:
            self._configured = False
            self.status = CONFIG_LOST
            return False
        word = self._read(_CC2_CURRENT)
        alarms = self._read(_ALARM_STATUS) if word >= 0 else -1
        if alarms < 0:
            return False
        code = signed(word, 16)
        self.current_ua = self._current_scale.apply(code) * self._polarity + self._offset_ua
        if not alarms & _ADSCAN:
            self._since = min(self._since + 1, _TICKS_MAX)
            self.status = HELD if self._since < _TICKS_MAX else NOT_READY
            return False
        return self._read_cells(-_CODE_MAX <= code < _CODE_MAX)

    def _read_cells(self, within):
        """The scan's voltages. The flag goes first: a scan that ends meanwhile raises it again."""
        registers = self._registers
        if not registers.send(_ALARM_STATUS, self._scanned) or not registers.read_into(
            _CELL_1_VOLTAGE + 2 * self._first, self._cells
        ):
            self.status = BUS_ERROR
            return False
        stack = self._read(_STACK_VOLTAGE)
        if stack < 0:
            return False
        self.stack_uv = stack * _STACK_STEP_UV
        for at in range(len(self._numbers)):
            code = signed(registers.word(self._cells, 2 * (self._numbers[at] - self._first)), 16)
            within = within and code < _VOLTAGE_MAX_MV
            self.voltage_uv[at] = self._voltage_scale.apply(code)
        self._since = 0
        self.scans = (self.scans + 1) & 0xFFFF
        self.status = 0 if within else SATURATED
        return True

    def _read(self, register):
        if not self._registers.read_into(register, self._word):
            self.status = BUS_ERROR
            return -1
        return self._registers.word(self._word, 0)

    def update_diagnostics(self):
        """Slow tick: the chip's protections and temperature, balancing anew; else the counts of the current and an item
        of the set-up in turn: each is asked for in the call before the one that takes it."""
        if not self._configured:
            return False
        if self._registers.read_into(_SAFETY_STATUS_A, self._byte):
            for bit, flag in _ALERTS:
                self.alert_flags |= flag if self._byte[0] & bit else 0
        kelvin = self._registers.read_word(_INT_TEMPERATURE)
        if kelvin >= 0:
            self.die_cdegc = kelvin * 10 - _ZERO_CELSIUS_DK
        self._calls += 1
        if self._bled > 0 and self._calls >= _REFRESH_CALLS:
            self.bleed_inputs(self._bled)
        elif self._calls & 1:
            self._check_memory()
            self._registers.command(_DASTATUS5)
        else:
            self._take_counts()
            self._asked = self._checked if self._registers.command(self._memory[self._checked][0]) else -1
        return kelvin >= 0

    def _check_memory(self):
        if self._asked < 0:
            return
        item = self._memory[self._asked]
        if self._registers.answered(item[0]) and not self._read_back(item):
            self._configured = False
            self.status = CONFIG_LOST
        self._checked = (self._asked + 1) % len(self._memory)

    def _take_counts(self):
        registers, counts = self._registers, self._counts
        if registers.answered(_DASTATUS5) and registers.read_into(_CC2_COUNTS, counts):
            self.current_code = registers.word(counts, 0) | counts[2 * registers.stride] << 16

    def clear_alerts(self):
        self.alert_flags = 0

    def bleed(self, cells):
        """Bleed the cells of these bits, 0: none. Slow tick; the chip stops by itself after 20 s without a new request.
        False when it was not acknowledged."""
        inputs = 0
        for at in range(len(self._numbers)):
            inputs |= (cells >> at & 1) << self._numbers[at]
        if inputs == self._bled:
            return True
        return self.bleed_inputs(inputs)

    def bleed_inputs(self, inputs):
        """0 goes first: whether the same mask starts the chip's timer anew the TRM does not say."""
        self._asked, self._calls = -1, 0
        right = self._registers.command(_CB_ACTIVE_CELLS, b"\0\0")
        if inputs:
            right = right and self._registers.command(_CB_ACTIVE_CELLS, struct.pack("<H", inputs))
        self._bled = inputs if right else -1
        return right

    def thermistor_cdegc(self, pin):
        """Temperature at TS1 + `pin` in hundredths of a degree, None after a failed transfer."""
        kelvin = self._registers.read_word(_TS1_TEMPERATURE + 2 * pin)
        return None if kelvin < 0 else signed(kelvin, 16) * 10 - _ZERO_CELSIUS_DK

    def _sleep(self):
        if self._sleep_ms is None:
            from time import sleep_ms

            self._sleep_ms = sleep_ms
        return self._sleep_ms


def _within(value, least, most):
    return min(max(value, least), most)


def _user_amps(shunt_uohm):
    """(step of CC2 Current in uA, USER_AMPS): the finest whose 16 bits hold three quarters of the shunt's full scale,
    as the host counts on (12.1, 13.3)."""
    full_scale_ua = _CC_FULL_SCALE_UV * 1000000 // shunt_uohm
    for bits, unit_ua in enumerate((100, 1000, 10000)):
        if 4 * unit_ua * _CODE_MAX >= 3 * full_scale_ua:
            return unit_ua, bits
    raise ValueError(f"BQ76952 shunt_uohm={shunt_uohm}: full scale of {full_scale_ua} uA is over 436 A")
