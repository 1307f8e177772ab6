"""TI INA228 at register level (datasheet SLYS021A, January 2021, revised May 2022)."""

from collections.abc import Callable

from assb_hil.chips.i2c_chip import NEVER, WordChip

CONFIG, ADC_CONFIG, SHUNT_CAL, SHUNT_TEMPCO, VSHUNT, VBUS, DIETEMP, CURRENT = range(8)
POWER, ENERGY, CHARGE, DIAG_ALRT, SOVL, SUVL, BOVL, BUVL, TEMP_LIMIT, PWR_LIMIT = range(8, 18)
MANUFACTURER_ID, DEVICE_ID = 0x3E, 0x3F

# Bytes of each register (Table 7-3); power-on values (7.6.1). Table 7-1 gives TEMP_LIMIT FFFFh and PWR_LIMIT 7FFFh,
# the registers' own sections give them the other way round; only the latter leaves both comparators idle.
WIDTH = {register: 2 for register in (*range(18), MANUFACTURER_ID, DEVICE_ID)}
WIDTH |= {VSHUNT: 3, VBUS: 3, CURRENT: 3, POWER: 3, ENERGY: 5, CHARGE: 5}
POWER_ON = {register: 0 for register in WIDTH}
POWER_ON |= {
    ADC_CONFIG: 0xFB68,
    SHUNT_CAL: 0x1000,
    DIAG_ALRT: 0x0001,
    SOVL: 0x7FFF,
    SUVL: 0x8000,
    BOVL: 0x7FFF,
    TEMP_LIMIT: 0x7FFF,
    PWR_LIMIT: 0xFFFF,
    MANUFACTURER_ID: 0x5449,
    DEVICE_ID: 0x2281,
}
WRITABLE = {
    CONFIG: 0x3FF0,
    ADC_CONFIG: 0xFFFF,
    SHUNT_CAL: 0x7FFF,
    SHUNT_TEMPCO: 0x3FFF,
    DIAG_ALRT: 0xF000,
    SOVL: 0xFFFF,
    SUVL: 0xFFFF,
    BOVL: 0x7FFF,
    BUVL: 0x7FFF,
    TEMP_LIMIT: 0xFFFF,
    PWR_LIMIT: 0xFFFF,
}

RST, RSTACC, TEMPCOMP, ADCRANGE = 0x8000, 0x4000, 0x20, 0x10  # CONFIG
ALATCH, CNVR, SLOWALERT, APOL = 0x8000, 0x4000, 0x2000, 0x1000  # DIAG_ALRT, 7.6.1.12
ENERGYOF, CHARGEOF, MATHOF = 0x0800, 0x0400, 0x0200
TMPOL, SHNTOL, SHNTUL, BUSOL, BUSUL, POL, CNVRF, MEMSTAT = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01
CONVERSION_FLAGS = TMPOL | SHNTOL | SHNTUL | BUSOL | BUSUL
LIMIT_FLAGS = CONVERSION_FLAGS | POL
MODE_BUS, MODE_SHUNT, MODE_TEMPERATURE, MODE_CONTINUOUS = 1, 2, 4, 8  # ADC_CONFIG bits 15:12
TIME_BITS = ((MODE_BUS, 9), (MODE_SHUNT, 6), (MODE_TEMPERATURE, 3))  # where ADC_CONFIG has VBUSCT, VSHCT, VTCT

CONVERSION_US = (50, 84, 150, 280, 540, 1052, 2074, 4120)
AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
START_UP_US = 300  # 6.5: power-on reset to the first conversion
CONVDLY_STEP_US = 2000
SHUNT_LSB_V = (312.5e-9, 78.125e-9)
BUS_LSB_V = 195.3125e-6
DIE_LSB_DEGC = 7.8125e-3
CODE_MAX, CODE_MIN = 0x7FFFF, -0x80000
BUS_CODE_MAX = 0x7FFFF


def _nothing() -> float:
    return 0.0


def _room() -> float:
    return 25.0


def _signed16(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _clip(code: int, lowest: int, highest: int) -> int:
    return lowest if code < lowest else highest if code > highest else code


class INA228(WordChip):
    """Inputs: bus_voltage_v, shunt_voltage_v (IN+ minus IN-), die_temperature_degc, sampled as conversions end.

    Outputs: `alert_level`, the open-drain pin with its pull-up; the registers. Simplifications, none of them in the
    datasheet: the channels of one round are sampled together at its end and all results of an average appear at
    once; CNVRF is cleared by reading DIAG_ALRT in both alert modes; a limit is compared with the full-resolution
    code; writing CONFIG or ADC_CONFIG restarts the conversion; bytes beyond a register's width read as FFh.
    """

    writable = WRITABLE

    def __init__(
        self,
        bus_voltage_v: Callable[[], float] = _nothing,
        shunt_voltage_v: Callable[[], float] = _nothing,
        die_temperature_degc: Callable[[], float] = _room,
    ) -> None:
        self.bus_voltage_v = bus_voltage_v
        self.shunt_voltage_v = shunt_voltage_v
        self.die_temperature_degc = die_temperature_degc
        super().__init__()

    def power_on_reset(self) -> None:
        self._value = dict(POWER_ON)
        self._energy_codes = 0.0
        self._charge_codes = 0.0
        self._restart(START_UP_US)

    @property
    def alert_asserted(self) -> bool:
        flags = self._value[DIAG_ALRT]
        return bool(flags & LIMIT_FLAGS) or flags & (CNVR | CNVRF) == CNVR | CNVRF

    @property
    def alert_level(self) -> int:
        """Active low unless APOL; open drain, so that idle is the pull-up's high (or, with APOL, driven low)."""
        return int(self.alert_asserted == bool(self._value[DIAG_ALRT] & APOL))

    def _restart(self, delay_us: int = 0) -> None:
        config = self._value[ADC_CONFIG]
        self._mode = config >> 12
        self._average = AVERAGES[config & 7]
        self._round_us = sum(CONVERSION_US[config >> shift & 7] for bit, shift in TIME_BITS if self._mode & bit)
        self._rounds_left = self._average
        self._sums = [0, 0, 0]
        delay_us += (self._value[CONFIG] >> 6 & 0xFF) * CONVDLY_STEP_US
        self.next_change_us = self.now_us + delay_us + self._round_us if self._round_us else NEVER

    def _change(self, now_us: int) -> None:
        """End every round of conversions that is due by `now_us`; the inputs count as constant over them."""
        rounds = (now_us - self.next_change_us) // self._round_us + 1
        if not self._mode & MODE_CONTINUOUS:
            rounds = min(rounds, self._rounds_left)
        codes = self._sample()
        if not self._value[DIAG_ALRT] & SLOWALERT:
            self._compare(*codes)
        sums = self._sums
        if rounds < self._rounds_left:
            self._rounds_left -= rounds
            for channel in range(3):
                sums[channel] += codes[channel] * rounds
        else:
            results, rest = divmod(rounds - self._rounds_left, self._average)
            if not results:  # else a whole average lies within this step, and the inputs were constant over it
                for channel in range(3):
                    sums[channel] = (sums[channel] + codes[channel] * self._rounds_left) // self._average
            shunt, bus, die = codes if results else sums
            self._publish(shunt, bus, die, results + 1)
            self._rounds_left = self._average - rest
            self._sums = [code * rest for code in codes]
        self.next_change_us += rounds * self._round_us
        if not self._mode & MODE_CONTINUOUS and self._rounds_left == self._average:
            self.next_change_us = NEVER  # triggered: done until ADC_CONFIG is written again

    def _sample(self) -> tuple[int, int, int]:
        shunt = round(self.shunt_voltage_v() / SHUNT_LSB_V[bool(self._value[CONFIG] & ADCRANGE)])
        bus = round(self.bus_voltage_v() / BUS_LSB_V)
        die = round(self.die_temperature_degc() / DIE_LSB_DEGC)
        return _clip(shunt, CODE_MIN, CODE_MAX), _clip(bus, 0, BUS_CODE_MAX), _clip(die, -0x8000, 0x7FFF)

    def _compare(self, shunt: int, bus: int, die: int) -> None:
        """The comparators of the channels that are being converted. Transparent: flags follow; latched: they add up."""
        value = self._value
        mode = self._mode
        flags = 0
        if mode & MODE_SHUNT:
            if shunt > _signed16(value[SOVL]) << 4:
                flags |= SHNTOL
            if shunt < _signed16(value[SUVL]) << 4:
                flags |= SHNTUL
        if mode & MODE_BUS:
            if bus > value[BOVL] << 4:
                flags |= BUSOL
            if bus < value[BUVL] << 4:
                flags |= BUSUL
        if mode & MODE_TEMPERATURE and die > _signed16(value[TEMP_LIMIT]):
            flags |= TMPOL
        self._raise_flags(flags, CONVERSION_FLAGS)

    def _raise_flags(self, flags: int, judged: int) -> None:
        held = self._value[DIAG_ALRT]
        self._value[DIAG_ALRT] = (held if held & ALATCH else held & ~judged) | flags

    def _publish(self, shunt: int, bus: int, die: int, results: int) -> None:
        """New results in the registers of the converted channels, and the quantities calculated from them (8.1.2)."""
        value = self._value
        mode = self._mode
        if mode & MODE_TEMPERATURE:
            value[DIETEMP] = die & 0xFFFF
        if mode & MODE_BUS:
            value[VBUS] = bus << 4
        if mode & MODE_SHUNT:
            value[VSHUNT] = (shunt & 0xFFFFF) << 4
            self._calculate(shunt, value[VBUS] >> 4, results * self._average * self._round_us * 1e-6)
            self._raise_flags(POL if value[POWER] > value[PWR_LIMIT] << 8 else 0, POL)
        if value[DIAG_ALRT] & SLOWALERT:
            self._compare(shunt, bus, die)
        value[DIAG_ALRT] |= CNVRF

    def _calculate(self, shunt: int, bus: int, elapsed_s: float) -> None:
        """CURRENT = VSHUNT * 4096 / SHUNT_CAL in both ranges (equations 1 and 2), POWER = VBUS * CURRENT / 2**14
        (195.3125 uV * CURRENT_LSB over 3.2 * CURRENT_LSB), ENERGY in 16 * POWER's unit seconds, CHARGE in CURRENT's."""
        value = self._value
        calibration = value[SHUNT_CAL]
        current = int(shunt * 4096 / calibration) if calibration else 0
        if value[CONFIG] & TEMPCOMP:
            drift = value[SHUNT_TEMPCO] * 1e-6 * (_signed16(value[DIETEMP]) * DIE_LSB_DEGC - 25.0)
            current = int(current / (1.0 + drift))
        power = bus * abs(current) >> 14
        if power > 0xFFFFFF or not CODE_MIN <= current <= CODE_MAX:
            value[DIAG_ALRT] |= MATHOF
            power = min(power, 0xFFFFFF)
            current = _clip(current, CODE_MIN, CODE_MAX)
        else:
            value[DIAG_ALRT] &= ~MATHOF
        value[CURRENT] = (current & 0xFFFFF) << 4
        value[POWER] = power
        if self._mode & MODE_CONTINUOUS:  # 7.3.2: the accumulators run in continuous mode only
            self._accumulate(power * elapsed_s / 16.0, current * elapsed_s)

    def _accumulate(self, energy: float, charge: float) -> None:
        self._energy_codes += energy
        self._charge_codes += charge
        if self._energy_codes >= 1 << 40:
            self._energy_codes -= 1 << 40
            self._value[DIAG_ALRT] |= ENERGYOF
        if abs(self._charge_codes) >= 1 << 39:
            self._charge_codes -= (1 << 40) if self._charge_codes > 0 else -(1 << 40)
            self._value[DIAG_ALRT] |= CHARGEOF

    def _written(self, register: int, word: int) -> None:
        if register == CONFIG:
            if word & RST:
                self.power_on_reset()
                return
            if word & RSTACC:
                self._energy_codes = self._charge_codes = 0.0
            self._restart()
        elif register == ADC_CONFIG:
            self._value[DIAG_ALRT] &= ~CNVRF
            self._restart()

    def _content(self, register: int, read_n: int) -> bytes:
        if register == ENERGY:
            data = int(self._energy_codes).to_bytes(5, "big")
        elif register == CHARGE:
            data = int(self._charge_codes).to_bytes(5, "big", signed=True)
        else:
            data = self._value.get(register, 0).to_bytes(WIDTH.get(register, 2), "big")
        return data[:read_n] if read_n <= len(data) else data + b"\xff" * (read_n - len(data))

    def _after_read(self, register: int, read_n: int) -> None:
        value = self._value
        if register == DIAG_ALRT:
            value[DIAG_ALRT] &= ~(CNVRF | LIMIT_FLAGS) if value[DIAG_ALRT] & ALATCH else ~CNVRF
        elif register == ENERGY:
            value[DIAG_ALRT] &= ~ENERGYOF
        elif register == CHARGE:
            value[DIAG_ALRT] &= ~CHARGEOF

    def _valid_until(self, register: int, read_n: int) -> int:
        if register in (DIAG_ALRT, ENERGY, CHARGE):
            return 0
        if VSHUNT <= register <= POWER and self.next_change_us != NEVER:
            return self.next_change_us + (self._rounds_left - 1) * self._round_us
        return NEVER
