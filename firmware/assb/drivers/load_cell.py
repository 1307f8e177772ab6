"""Stack pressure from a load cell on a bridge converter."""

from assb.drivers.fixed_point import Ratio


class LoadCell:
    """pressure_kpa = (counts - zero_counts) * kpa_per_count_ppb * 1e-9, but for what `calibrate` corrects.

    `adc` is a driver with `update()`, `counts` (24 bit), `code` and `status`, such as NAU7802. ValueError when a
    full-scale reading does not fit 30 bits. `error_count`, `code` and `status` are the converter's.
    """

    def __init__(self, adc, zero_counts: int, kpa_per_count_ppb: int):
        self._adc = adc
        self._image = (zero_counts, kpa_per_count_ppb)
        self.calibrate(0, 0)
        self.pressure_kpa = 0

    def calibrate(self, zero_shift_counts: int, span_ppm: int) -> None:
        """Corrections of zero and span; ValueError as above, nothing is changed then. Big integers: set-up only."""
        zero_counts, ppb = self._image
        self._scale = Ratio(ppb * (1000000 + span_ppm), 1000000000000000, 25)  # a difference of two 24-bit numbers
        self._zero_counts = zero_counts + zero_shift_counts

    @property
    def status(self) -> int:
        return self._adc.status

    @property
    def code(self) -> int:
        """What stands still when the converter does."""
        return self._adc.code

    @property
    def error_count(self) -> int:
        return self._adc.error_count

    def update(self) -> bool:
        """Fast tick: True when pressure_kpa is new. Allocates and raises nothing."""
        if not self._adc.update():
            return False
        self.pressure_kpa = self._scale.apply(self._adc.counts - self._zero_counts)
        return True
