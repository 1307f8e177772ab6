"""Stack pressure from a load cell on a bridge converter."""

from assb.drivers.fixed_point import Ratio


class LoadCell:
    """pressure_kpa = (counts - zero_counts) * kpa_per_count_ppb * 1e-9.

    `adc` is a driver with `update()`, `counts` (24 bit) and `status`, such as NAU7802. ValueError when a full-scale
    reading does not fit 30 bits. `error_count` and `status` are the converter's.
    """

    def __init__(self, adc, zero_counts: int, kpa_per_count_ppb: int):
        self._adc = adc
        self._zero_counts = zero_counts
        self._scale = Ratio(kpa_per_count_ppb, 1000000000, 25)  # a difference of two 24-bit numbers
        self.pressure_kpa = 0

    @property
    def status(self) -> int:
        return self._adc.status

    @property
    def counts(self) -> int:
        return self._adc.counts

    @property
    def error_count(self) -> int:
        return self._adc.error_count

    def update(self) -> bool:
        """Fast tick: True when pressure_kpa is new. Allocates and raises nothing."""
        if not self._adc.update():
            return False
        self.pressure_kpa = self._scale.apply(self._adc.counts - self._zero_counts)
        return True
