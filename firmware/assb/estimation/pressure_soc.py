"""SOC from the height of a stack, for cells that grow with their charge (lithium metal, silicon).

A stack in a press: P = k (h - g), so its height moves by dh = dP / k + dg, and SOC by dh / swelling_um. The reference
is the last anchor of learning (a rest whose OCV told SOC). Its sigma grows with the root of the time since (creep of
the stack), has the hysteresis and the reading of the height, and a share of the way itself, as height and charge are
not proportional. What it has wrong stays wrong for hours, so it is no fresh evidence at each step: it corrects the
filter only where the filter knows SOC less well, by one Joseph update. height_sigma_um = 0 turns it off.

The C kernel, cffi_kernels/src/assb_pressure_soc.c, does the same operations in the same order; a test holds them equal.
"""

from assb.const import const
from assb.estimation import learning
from assb.estimation.ekf import clamp

_BAD_PRESSURE = const(-4)
_HEIGHT_SIGMA_UM = const(21)  # rows of the learning parameters
_STIFFNESS = const(22)
_SWELLING_UM = const(23)
_SWELLING_SIGMA = const(24)
_HYSTERESIS_UM = const(25)
_CREEP_UM = const(26)
_ANCHOR_KNOWN = const(25)  # places in the state of learning
_ANCHOR_SOC = const(26)
_ANCHOR_VAR = const(27)
_ELAPSED_H = const(31)
_CLOCK_S = const(32)

GAP_MOST_UM = 1e6


class Height:
    """Corrects the Ekf of `learned`, a Learning; its anchor is the reference."""

    def __init__(self, learned):
        self._learned = learned
        self.known = False
        self.pressure_mpa = 0.0
        self.gap_um = 0.0

    def step(self, pressure_mpa, gap_um):
        """After a step of learning. 1 if it corrected SOC, 0 if not, _BAD_PRESSURE for a bad input."""
        q, s, ekf = self._learned._q, self._learned._s, self._learned._ekf
        if q[_HEIGHT_SIGMA_UM] == 0:
            return 0
        most = ekf._pressure_max_mpa
        if not (-most <= pressure_mpa <= most and -GAP_MOST_UM <= gap_um <= GAP_MOST_UM):
            return _BAD_PRESSURE
        if s[_ANCHOR_KNOWN] == 0:
            self.known = False
        elif s[_ELAPSED_H] == 0:
            self.known = True
            self.pressure_mpa = pressure_mpa
            self.gap_um = gap_um
        elif self.known:
            return self._correct(pressure_mpa, gap_um)
        return 0

    def _correct(self, pressure_mpa, gap_um):
        ekf = self._learned._ekf
        soc, var = self.soc(pressure_mpa, gap_um)
        if not var < ekf.soc_var:
            return 0
        return 1 if ekf.observe_soc(clamp(soc, 0.0, 1.0), learning.square_root(var)) == 0 else 0

    def soc(self, pressure_mpa, gap_um):
        """(SOC, its variance) that a height tells."""
        q, s = self._learned._q, self._learned._s
        pressed_um = (pressure_mpa - self.pressure_mpa) / q[_STIFFNESS]
        grown = (pressed_um + (gap_um - self.gap_um)) / q[_SWELLING_UM]
        curved = q[_SWELLING_SIGMA] * grown
        creep_var = q[_CREEP_UM] * q[_CREEP_UM] * (s[_ELAPSED_H] + s[_CLOCK_S] / 3600.0)
        seen_var = q[_HEIGHT_SIGMA_UM] * q[_HEIGHT_SIGMA_UM] + q[_HYSTERESIS_UM] * q[_HYSTERESIS_UM]
        soc = s[_ANCHOR_SOC] + grown
        return soc, s[_ANCHOR_VAR] + (seen_var + creep_var) / (q[_SWELLING_UM] * q[_SWELLING_UM]) + curved * curved
