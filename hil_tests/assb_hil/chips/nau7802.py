"""Nuvoton NAU7802 bridge converter at register level (datasheet revision 1.7, January 2012)."""

from collections.abc import Callable

from assb_hil.chips.i2c_chip import NEVER, I2cChip

PU_CTRL, CTRL1, CTRL2, OCAL1, GCAL1 = 0x00, 0x01, 0x02, 0x03, 0x06
ADCO, REVISION = 0x12, 0x1F
REGISTERS = 0x20

RR, PUD, PUA, PUR, CS, CR, AVDDS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x80  # PU_CTRL, 11.1
CALS, CAL_ERR, CALMOD = 0x04, 0x08, 0x03  # CTRL2, 11.3
CALMOD_INTERNAL_OFFSET, CALMOD_SYSTEM_OFFSET = 0, 2
RATE_HZ = (10, 20, 40, 80, 10, 10, 10, 320)  # CRS; 4 to 6 are not defined
FULL_SCALE = 1 << 23
POWER_UP_US = 200
# Not in the datasheet: 344 ms was measured by SparkFun for its library.
CALIBRATION_US = 344000
READ_ONLY = {PU_CTRL: PUR | CR, CTRL2: CAL_ERR, ADCO: 0xFF, ADCO + 1: 0xFF, ADCO + 2: 0xFF, REVISION: 0xFF}


def _unloaded() -> float:
    return 0.0


class NAU7802(I2cChip):
    """Input: bridge_v_per_v, the bridge's output over its excitation (0.002 at the rated load of a 2 mV/V cell).

    Reference and excitation are the same AVDD, so its value cancels: code = ratio * gain * 2 * 2**23, since full
    scale is half the reference over the gain (7.2). `external_avdd` tells that the board feeds AVDD; without it and
    without AVDDS nothing converts. `intrinsic_offset_counts` is what the internal offset calibration takes away.
    Simplifications: each conversion settles by itself; reading any ADCO byte clears CR; channel 2, the temperature
    sensor and the system gain calibration are missing (starting the latter raises NotImplementedError).
    """

    def __init__(
        self,
        bridge_v_per_v: Callable[[], float] = _unloaded,
        external_avdd: bool = False,
        intrinsic_offset_counts: int = 0,
    ) -> None:
        self.bridge_v_per_v = bridge_v_per_v
        self.external_avdd = external_avdd
        self.intrinsic_offset_counts = intrinsic_offset_counts
        super().__init__()

    def power_on_reset(self) -> None:
        self._value = bytearray(REGISTERS)
        self._value[GCAL1 + 1] = 0x80  # 1.0 in units of 2**-23
        self._value[REVISION] = 0x0F
        self._powered_us = self._conversion_us = self._calibrated_us = NEVER
        self._schedule()

    @property
    def _period_us(self) -> int:
        return 1000000 // RATE_HZ[self._value[CTRL2] >> 4 & 7]

    def _schedule(self) -> None:
        self.next_change_us = min(self._powered_us, self._conversion_us, self._calibrated_us)

    def _change(self, now_us: int) -> None:
        due_us = self.next_change_us
        if due_us == self._powered_us:
            self._value[PU_CTRL] |= PUR
            self._powered_us = NEVER
        elif due_us == self._calibrated_us:
            self._end_calibration()
        else:
            periods = (now_us - due_us) // self._period_us + 1
            self._conversion_us = due_us + periods * self._period_us
            self._store(ADCO, self._convert(), 3)
            self._value[PU_CTRL] |= CR
        self._schedule()

    def _raw(self) -> int:
        gain = 1 << (self._value[CTRL1] & 7)
        return round(self.bridge_v_per_v() * gain * 2 * FULL_SCALE) + self.intrinsic_offset_counts

    def _convert(self) -> int:
        """8.6.1: output = gain calibration * (measurement - offset calibration), saturating at full scale."""
        offset = int.from_bytes(self._value[OCAL1 : OCAL1 + 3], "big")
        offset = -(offset & 0x7FFFFF) if offset & 0x800000 else offset  # sign and magnitude (11.4)
        gain = int.from_bytes(self._value[GCAL1 : GCAL1 + 4], "big")
        code = (self._raw() - offset) * gain >> 23
        return max(-FULL_SCALE, min(FULL_SCALE - 1, code)) & 0xFFFFFF

    def _end_calibration(self) -> None:
        mode = self._value[CTRL2] & CALMOD
        offset = self.intrinsic_offset_counts if mode == CALMOD_INTERNAL_OFFSET else self._raw()
        self._store(OCAL1, abs(offset) | (0x800000 if offset < 0 else 0), 3)
        self._value[CTRL2] &= ~(CALS | CAL_ERR)
        self._calibrated_us = NEVER
        self._start_conversions()

    def _store(self, register: int, number: int, width: int) -> None:
        self._value[register : register + width] = number.to_bytes(width, "big")

    def _write(self, register: int, data: bytes) -> None:
        for byte in data:
            if register < REGISTERS:
                self._write_byte(register, byte)
            register += 1

    def _write_byte(self, register: int, byte: int) -> None:
        read_only = READ_ONLY.get(register, 0)
        before = self._value[register]
        if self._value[PU_CTRL] & RR and register != PU_CTRL:
            return
        self._value[register] = before & read_only | byte & ~read_only
        if register == PU_CTRL:
            self._write_power(before, byte)
        elif register == CTRL2:
            self._write_rate(byte)
        self._schedule()

    def _write_power(self, before: int, byte: int) -> None:
        if byte & RR:
            self.power_on_reset()
            self._value[PU_CTRL] = RR
            return
        if not byte & PUD:
            self._value[PU_CTRL] &= ~(PUR | CR)
            self._powered_us = NEVER
        elif not before & PUD:
            self._powered_us = self.now_us + POWER_UP_US
        self._start_conversions()

    def _write_rate(self, byte: int) -> None:
        if byte & CALS:
            if byte & CALMOD not in (CALMOD_INTERNAL_OFFSET, CALMOD_SYSTEM_OFFSET):
                raise NotImplementedError("the NAU7802 model has no system gain calibration")
            self._calibrated_us = self.now_us + CALIBRATION_US
            self._conversion_us = NEVER
        else:
            self._start_conversions()

    def _start_conversions(self) -> None:
        power = self._value[PU_CTRL]
        supplied = self.external_avdd or power & AVDDS
        running = supplied and power & (PUD | PUA | CS) == PUD | PUA | CS and self._calibrated_us == NEVER
        self._conversion_us = self.now_us + self._period_us if running else NEVER

    def _content(self, register: int, read_n: int) -> bytes:
        data = bytes(self._value[register : register + read_n])
        return data + b"\xff" * (read_n - len(data))

    def _after_read(self, register: int, read_n: int) -> None:
        if register < ADCO + 3 and register + read_n > ADCO:
            self._value[PU_CTRL] &= ~CR

    def _valid_until(self, register: int, read_n: int) -> int:
        if register < ADCO + 3 and register + read_n > ADCO:
            return 0 if self._value[PU_CTRL] & CR else self.next_change_us
        if register == PU_CTRL and read_n == 1 and self._value[PU_CTRL] & (CR | PUR) == CR | PUR:
            return NEVER  # CR stays until ADCO is read
        return self.next_change_us
