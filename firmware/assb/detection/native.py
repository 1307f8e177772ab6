"""The C kernel's detectors with the names of detector.py, over the native module. Importing it raises ImportError where
there is none.
"""

from array import array
from math import exp

from assb.const import const
from assb.estimation import assb_kernel  # pyright: ignore[reportAttributeAccessIssue] (no Python: natmod makes it)

_HARD_SHORT = const(3)
_SAMPLE_FLOATS = const(9)
# What detection_told tells, and where: states and scores of the evidences, then the outcome
_EVIDENCES = const(13)
_STAGE = const(26)
_CARRIED = const(27)
_LIKELIHOOD = const(28)
_RS_OHM = const(29)
_RS_LOW_OHM = const(30)
_RS_HIGH_OHM = const(31)
_DIPS_TOTAL = const(32)
_DIPS_DEPTH_V = const(33)
_DIPS_AGES = const(34)
_TOLD_FLOATS = const(35)


def demand_whole():
    """Raises ValueError or AttributeError for a module without detection, or with other figures of it."""
    if assb_kernel.DETECTION_TOLD_FLOATS != _TOLD_FLOATS:
        raise ValueError("the native module tells %d floats of a cell" % assb_kernel.DETECTION_TOLD_FLOATS)
    for name in ("check", "reset", "blind", "loop_ohm", "sample", "second", "collapsed", "told"):
        getattr(assb_kernel, "detection_" + name)


class Pack:
    """The detectors of `cells` cells: what they keep lies in one piece, as the kernel compares them."""

    def __init__(self, cells):
        demand_whole()
        self.kept = array("f", bytes(4 * assb_kernel.DETECTION_FLOATS * cells))
        self.detectors = []

    def add(self, flat, ekf):
        """The next cell's detector."""
        self.detectors.append(Detector(flat, ekf, self))
        return self.detectors[-1]

    def compare(self, own):
        """The kernel does so with every second."""


class Detector:
    """One cell, in all the roles for which detector.Detector has an object each: `cell`, `dips` and `fusion`.

    Raises ValueError for parameters that are not finite or make no sense.
    """

    def __init__(self, flat, ekf, pack):
        self._p = flat
        self._state = ekf.state
        self._all = pack.kept
        self._at = len(pack.detectors)
        floats = assb_kernel.DETECTION_FLOATS
        self.kept = memoryview(pack.kept)[self._at * floats : (self._at + 1) * floats]
        self._sample = array("f", bytes(4 * _SAMPLE_FLOATS))
        self._told = array("f", bytes(4 * _TOLD_FLOATS))
        told = memoryview(self._told)
        self.state, self.score = told[:_EVIDENCES], told[_EVIDENCES : 2 * _EVIDENCES]
        if assb_kernel.detection_check(flat) != 0:
            raise ValueError("a detection parameter is not finite, not positive, or out of its range")
        assb_kernel.detection_reset(self.kept)
        self.stage = 0  # an integer at hand: the fast tick reads it, and floats take heap
        self.voltage_v = self.current_a = self.temperature_degc = self.pressure_mpa = self.aim_mpa = self.dt_s = 0.0
        self.has_pressure = False
        self.cell = self.dips = self.fusion = self
        self._tell()

    def loop_ohm(self):
        """All that lies between OCV and terminals."""
        return assb_kernel.detection_loop_ohm(self._p, self._state, self.temperature_degc)

    def see_sample(self):
        """A sample that the estimator has just taken. True when a second is complete."""
        sample = self._sample
        sample[0] = self.voltage_v
        sample[1] = self.current_a
        sample[2] = self.temperature_degc
        sample[3] = self.pressure_mpa
        sample[5] = self.aim_mpa
        sample[6] = self.dt_s
        sample[7] = 1.0 if self.has_pressure else 0.0
        whole = assb_kernel.detection_sample(self._p, self.kept, self._state, sample)
        self._tell()
        return whole

    def see_second(self, pack):
        """The rest of the evidences, and the stage. True when the stage changed."""
        changed = assb_kernel.detection_second(self._p, self._all, self._at, self._state, self._sample)
        self._tell()
        return changed

    def blind(self):
        """A sample without a voltage: its charge was counted, nothing is to be seen in it."""
        assb_kernel.detection_blind(self.kept)

    def collapse(self):
        """From the fast tick, allocates nothing. True when that is news."""
        self.stage = _HARD_SHORT
        return assb_kernel.detection_collapsed(self.kept, 0.0)

    def shorted(self, rs_ohm):
        """What is left of the voltage after a collapse tells the resistance of the short, roughly."""
        assb_kernel.detection_collapsed(self.kept, rs_ohm)
        self._tell()

    def _tell(self):
        assb_kernel.detection_told(self.kept, self._told)
        self.stage = int(self._told[_STAGE])

    def confidence(self):
        """Of the stage, 0..1."""
        return 1 / (1 + exp(-self._told[_LIKELIHOOD]))

    @property
    def carried(self):
        return int(self._told[_CARRIED])

    @property
    def rs_ohm(self):
        return self._told[_RS_OHM]

    @property
    def rs_low_ohm(self):
        return self._told[_RS_LOW_OHM]

    @property
    def rs_high_ohm(self):
        return self._told[_RS_HIGH_OHM]

    @property
    def total(self):
        """Dips."""
        return self._told[_DIPS_TOTAL]

    @property
    def depth_v(self):
        return self._told[_DIPS_DEPTH_V]

    @property
    def ages(self):
        """Dips in the window."""
        return int(self._told[_DIPS_AGES])
