"""An electro-pneumatic regulator with its cylinder: 0 to 10 V in, stack pressure out."""

import math
from collections.abc import Callable


def _no_input() -> float:
    return 0.0


class ElectroPneumaticRegulator:
    """`pressure_mpa` follows input_v / 10 V * full_scale_mpa through play (hysteresis), a slew limit and a lag.

    Defaults: hysteresis 0.5 % of full scale is the class of SMC's ITV series, its high-pressure sibling states 1 %;
    time constant and slew rate depend on the cylinder's volume (assumption). `supply_mpa` is the stack pressure
    that the air supply can reach. Fault: `stalled` holds the pressure. The solution is exact for a constant input,
    so the size of the steps does not matter.
    """

    def __init__(
        self,
        input_v: Callable[[], float] = _no_input,
        full_scale_mpa: float = 10.0,
        *,
        supply_mpa: float = 9.0,
        time_constant_s: float = 0.25,
        slew_mpa_s: float = 4.0,
        hysteresis_frac: float = 0.005,
    ) -> None:
        self.input_v = input_v
        self.full_scale_mpa = full_scale_mpa
        self.supply_mpa = supply_mpa
        self.time_constant_s = time_constant_s
        self.slew_mpa_s = slew_mpa_s
        self.hysteresis_frac = hysteresis_frac
        self.stalled = False
        self.pressure_mpa = 0.0
        self.now_us = 0
        self._play_mpa = 0.0

    def advance(self, now_us: int) -> None:
        dt_s = (now_us - self.now_us) * 1e-6
        self.now_us = now_us
        target_mpa = self._target_mpa()
        if dt_s > 0.0 and not self.stalled:
            self.pressure_mpa = self._approach(target_mpa, dt_s)

    def _target_mpa(self) -> float:
        """Input through the play: the output moves only once the input has crossed the band (Krasnoselskii's play)."""
        wanted_mpa = min(max(self.input_v(), 0.0), 10.0) * 0.1 * self.full_scale_mpa
        half_mpa = 0.5 * self.hysteresis_frac * self.full_scale_mpa
        self._play_mpa = min(max(self._play_mpa, wanted_mpa - half_mpa), wanted_mpa + half_mpa)
        return min(max(self._play_mpa, 0.0), self.supply_mpa)

    def _approach(self, target_mpa: float, dt_s: float) -> float:
        """Full slew while the lag alone would ask for more, then exponential."""
        gap_mpa = target_mpa - self.pressure_mpa
        excess_mpa = abs(gap_mpa) - self.slew_mpa_s * self.time_constant_s
        if excess_mpa > 0.0:
            slew_s = min(dt_s, excess_mpa / self.slew_mpa_s)
            gap_mpa -= math.copysign(slew_s * self.slew_mpa_s, gap_mpa)
            dt_s -= slew_s
        return target_mpa - gap_mpa * math.exp(-dt_s / self.time_constant_s)
