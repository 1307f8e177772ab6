"""The C kernel with the names of twin.py, over the native module; see ekf.py, learning.py and power.py for the models.
The detectors' part is ../detection/native.py.

Importing it raises ImportError where there is no native module. A step allocates nothing but the floats passed in.
"""

from array import array

from assb.const import const
from assb.detection import native
from assb.detection.native import Detector, Pack  # noqa: F401
from assb.estimation import assb_kernel  # pyright: ignore[reportAttributeAccessIssue] (no Python: natmod makes it)

# Places in the state, in floats: the members of the C struct (a test compares)
_SOC = const(0)
_SOC_RESIDUAL = const(1)
_V1_V = const(2)
_V2_V = const(3)
_HYSTERESIS = const(4)
_LEAK_A = const(5)
_COVARIANCE = const(6)
_LEAK_VAR = const(20)
_NIS_MEAN = const(27)
_RESISTANCE_SCALE = const(28)
_CAPACITY_SCALE = const(29)
_R0_OHM = const(30)
_INNOVATION_V = const(31)
_INNOVATION_VAR = const(32)
_KEPT_DT_S = const(33)
_STATE_FLOATS = const(49)
_STATES = const(5)

_HYSTERESIS_V = const(404)  # place in the parameters (a test compares)

# Places in what learning keeps (a test compares)
_RESISTANCE = const(0)
_RESISTANCE_STEPS = const(2)
_CAPACITY = const(3)
_CAPACITY_PAIRS = const(12)
_LEARNED = const(14)
_LEARNING_FLOATS = const(45)


def demand_whole():
    """Raises ValueError or AttributeError for a module of another layout, or one that lacks a part."""
    if assb_kernel.LEARNING_FLOATS != _LEARNING_FLOATS:
        raise ValueError("the native module learns in %d floats" % assb_kernel.LEARNING_FLOATS)
    for name in ("check", "reset", "restore", "lose", "update", "told"):
        getattr(assb_kernel, "learning_" + name)
    for name in ("check", "limits"):
        getattr(assb_kernel, "power_" + name)
    native.demand_whole()


class Ekf:
    """State and covariance of one cell; several may share one `params`.

    params: array 'f' in the flat layout. Raises ValueError for one that is too short, for a number that is not finite,
    an axis that does not rise, a figure that must be positive and is not, and for a module with another state.
    """

    def __init__(self, params):
        if assb_kernel.EST_STATE_FLOATS != _STATE_FLOATS:
            raise ValueError("the native module has a state of %d floats" % assb_kernel.EST_STATE_FLOATS)
        self._p = params
        self.state = array("f", bytes(4 * _STATE_FLOATS))
        self.sample = array("f", bytes(4 * 5))
        if assb_kernel.est_check(params) != 0:
            raise ValueError("an estimator parameter is not finite, not positive, or its axis does not rise")
        self.reset(0.5, 1.0)

    def reset(self, soc, soc_sigma):
        """At rest, without leak, hysteresis unknown. Returns a status for a SOC outside 0..1 or sigma not in (0, 1]."""
        return assb_kernel.est_reset(self._p, self.state, soc, soc_sigma)

    def rested_soc(self, voltage_v, temperature_degc):
        """SOC at which the rested cell shows this voltage; the OCV table must rise."""
        return assb_kernel.est_rested_soc(self._p, voltage_v, temperature_degc)

    def step(self, voltage_v, current_a, temperature_degc, pressure_mpa, dt_s):
        """Predict over dt_s with current_a held, then correct with voltage_v, measured at the end of dt_s.

        Returns 0, or a negative status for an input that is not finite or implausible; the state is then untouched.
        """
        sample = self.sample
        sample[0] = voltage_v
        sample[1] = current_a
        sample[2] = temperature_degc
        sample[3] = pressure_mpa
        sample[4] = dt_s
        return assb_kernel.est_step(self._p, self.state, sample)

    def predict(self, current_a, temperature_degc, pressure_mpa, dt_s):
        """Count charge over dt_s without looking at the voltage (a lost voltage sensor): the covariance grows."""
        sample = self.sample
        sample[1] = current_a
        sample[2] = temperature_degc
        sample[3] = pressure_mpa
        sample[4] = dt_s
        return assb_kernel.est_predict(self._p, self.state, sample)

    def covariance(self):
        """5 x 5, order soc, v1_v, v2_v, hysteresis, leak_a."""
        full = [[0.0] * _STATES for _ in range(_STATES)]
        at = _COVARIANCE  # the upper triangle, row by row
        for i in range(_STATES):
            for j in range(i, _STATES):
                full[i][j] = full[j][i] = self.state[at]
                at += 1
        return full

    @property
    def soc(self):
        return self.state[_SOC]

    @property
    def soc_residual(self):
        return self.state[_SOC_RESIDUAL]

    @property
    def soc_var(self):
        return self.state[_COVARIANCE]

    @property
    def soc_sigma(self):
        return self.state[_COVARIANCE] ** 0.5

    @property
    def v1_v(self):
        return self.state[_V1_V]

    @property
    def v2_v(self):
        return self.state[_V2_V]

    @property
    def hysteresis(self):
        return self.state[_HYSTERESIS]

    @property
    def hysteresis_v(self):
        return self._p[_HYSTERESIS_V] * self.state[_HYSTERESIS]

    @property
    def leak_a(self):
        return self.state[_LEAK_A]

    @property
    def leak_sigma_a(self):
        return self.state[_LEAK_VAR] ** 0.5

    @property
    def nis_mean(self):
        return self.state[_NIS_MEAN]

    @property
    def r0_ohm(self):
        return self.state[_R0_OHM]

    @property
    def innovation_v(self):
        return self.state[_INNOVATION_V]

    @property
    def innovation_var(self):
        return self.state[_INNOVATION_VAR]

    @property
    def innovation_sigma_v(self):
        return self.state[_INNOVATION_VAR] ** 0.5

    @property
    def resistance_scale(self):
        """Of R0, R1 and R2 against the tables: 1 when new."""
        return self.state[_RESISTANCE_SCALE]

    @resistance_scale.setter
    def resistance_scale(self, scale):
        self.state[_RESISTANCE_SCALE] = scale

    @property
    def capacity_scale(self):
        """Of capacity_ah: 1 when new."""
        return self.state[_CAPACITY_SCALE]

    @capacity_scale.setter
    def capacity_scale(self, scale):
        self.state[_CAPACITY_SCALE] = scale
        self.state[_KEPT_DT_S] = 0.0  # SOC per ampere is kept with the time step


class Learning:
    """What the estimator `ekf` learns over days, into which both scales are put; as learning.Learning.

    Raises ValueError for figures that are negative, or zero where they must not be.
    """

    def __init__(self, params, ekf):
        self._p = params
        self._ekf = ekf
        demand_whole()
        self.state = array("f", bytes(4 * assb_kernel.LEARNING_FLOATS))
        self._told = array("f", bytes(4 * 5))  # four sigmas and the two gaps in one
        if assb_kernel.learning_check(params) != 0:
            raise ValueError("a learning parameter is not positive, or a scale's bounds are without 1 between them")
        self.reset()

    def reset(self):
        """A new cell of nominal capacity and resistance, within the prior's sigmas."""
        assb_kernel.learning_reset(self._p, self.state)

    def export(self):
        """What outlives a power cycle."""
        return self.state[:_LEARNED]

    def restore(self, values):
        """Take up what `export` gave. False for values that learning can't have left; nothing has changed then."""
        return len(values) == _LEARNED and assb_kernel.learning_restore(self._p, self.state, values) == 0

    def lose(self):
        """Charge flowed that was not counted: no pair with the anchor before, no step from the sample before."""
        assb_kernel.learning_lose(self.state)

    def update(self, voltage_v, current_a, temperature_degc, dt_s):
        """Learn from the sample that the Ekf has just taken with status 0: it still has it."""
        assb_kernel.learning_update(self._p, self._ekf.state, self.state, self._ekf.sample)

    def soh(self):
        """As learning.Learning.soh."""
        s, told = self.state, self._tell()
        gaps = int(told[4])
        return (
            (s[_CAPACITY], told[2], int(s[_CAPACITY_PAIRS]), gaps % 16),
            (1.0 / s[_RESISTANCE], told[1], int(s[_RESISTANCE_STEPS]), gaps // 16),
        )

    def resistance_sigma(self):
        """1-sigma of the resistance scale as a measure of R0."""
        return self._tell()[0]

    def soc_sigma(self):
        """The filter's, with what an error of the OCV table may have made of SOC."""
        return self._tell()[3]

    def _tell(self):
        assb_kernel.learning_told(self._p, self._ekf.state, self.state, self._told)
        return self._told


class Power:
    """Works out limits of cells that share one `params`; `limits` leaves them in the arrays below, as power.Power."""

    def __init__(self, params):
        self._p = params
        self._ask = array("f", bytes(4 * 4))
        self._limit = array("f", bytes(4 * 12))
        if assb_kernel.power_check(params) != 0:
            raise ValueError("a parameter of the power limits is not finite, or a range is not in order")
        self.current_a = self.power_w = self.voltage_v = self.bound = self._limit

    def limits(self, cell, charging, temperature_degc, pressure_mpa, pressure_known=True):
        """Limits of `cell` (an Ekf) in one direction. `pressure_known` False: the lower end of the window is taken.

        Returns 0, or a negative status for an input that is not finite or implausible; the arrays stay as they are.
        """
        ask, limit = self._ask, self._limit
        ask[0] = temperature_degc
        ask[1] = pressure_mpa
        ask[2] = 1.0 if pressure_known else 0.0
        ask[3] = 1.0 if charging else 0.0
        status = assb_kernel.power_limits(self._p, cell.state, ask, limit)
        if status == 0:
            self.current_a = limit[0:3]
            self.power_w = limit[3:6]
            self.voltage_v = limit[6:9]
            self.bound = [int(limit[9]), int(limit[10]), int(limit[11])]
        return status
