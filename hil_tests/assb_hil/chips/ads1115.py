"""TI ADS1115 at register level (datasheet SBAS444D)."""

from collections.abc import Callable, Mapping

from assb_hil.chips.i2c_chip import NEVER, I2cChip

CONVERSION, CONFIG, LO_THRESH, HI_THRESH = range(4)
POWER_ON = {CONVERSION: 0, CONFIG: 0x8583, LO_THRESH: 0x8000, HI_THRESH: 0x7FFF}
OS, SINGLE_SHOT = 0x8000, 0x0100
PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3), (0, -1), (1, -1), (2, -1), (3, -1))  # MUX, 9.6.3
FULL_SCALE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)  # PGA
RATES_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
WAKE_US = 25  # 9.4.2.1: a single shot begins so much later
CODE_MAX, CODE_MIN = 0x7FFF, -0x8000


class ADS1115(I2cChip):
    """Inputs: inputs_v by number, 0 to 3; what is not there is at ground. A conversion samples them as it ends.

    Simplifications: the data rate is exact (the chip's is within 10 %); the comparator and ALERT/RDY are missing;
    inputs above the supply are converted all the same.
    """

    def __init__(self, inputs_v: Mapping[int, Callable[[], float]] | None = None) -> None:
        self.inputs_v = dict(inputs_v or {})
        super().__init__()

    def power_on_reset(self) -> None:
        self._value = dict(POWER_ON)
        self.next_change_us = NEVER

    @property
    def _period_us(self) -> int:
        return round(1e6 / RATES_HZ[self._value[CONFIG] >> 5 & 7])

    def _change(self, now_us: int) -> None:
        config = self._value[CONFIG]
        positive, negative = (self.inputs_v[at]() if at in self.inputs_v else 0.0 for at in PAIRS[config >> 12 & 7])
        code = round((positive - negative) / FULL_SCALE_V[config >> 9 & 7] * 32768)
        self._value[CONVERSION] = max(CODE_MIN, min(CODE_MAX, code)) & 0xFFFF
        if config & SINGLE_SHOT:
            self._value[CONFIG] |= OS  # idle
            self.next_change_us = NEVER
        else:
            self.next_change_us += ((now_us - self.next_change_us) // self._period_us + 1) * self._period_us

    def _write(self, register: int, data: bytes) -> None:
        if register not in (CONFIG, LO_THRESH, HI_THRESH) or len(data) < 2:
            return
        word = data[0] << 8 | data[1]
        if register != CONFIG:
            self._value[register] = word
            return
        idle = self._value[CONFIG] & OS
        self._value[CONFIG] = word & ~OS | idle
        if not word & SINGLE_SHOT:
            self._value[CONFIG] &= ~OS
            self.next_change_us = self.now_us + WAKE_US + self._period_us
        elif word & OS:
            self._value[CONFIG] &= ~OS  # converting
            self.next_change_us = self.now_us + WAKE_US + self._period_us

    def _content(self, register: int, read_n: int) -> bytes:
        data = self._value.get(register & 3, 0).to_bytes(2, "big")
        return data[:read_n].ljust(read_n, b"\xff")

    def _valid_until(self, register: int, read_n: int) -> int:
        return self.next_change_us
