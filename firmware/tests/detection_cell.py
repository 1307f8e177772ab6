"""A cell for tests of the short detectors, and what to call it by."""

import random
from types import SimpleNamespace

from assb.detection.detector import Detector, Pack
from assb.estimation import flat_layout, parameters
from assb.protocol import schema
from bench import OCV_V, PRESSURES_MPA, TEMPERATURES_DEGC

AT = {name: position for position, name in enumerate(schema.EVIDENCES)}
CAPACITY_AH = 0.6
SLOPE_V = 1.2  # of the bench's straight OCV
SIGMA_V = 0.0005
FOLLOW_S = 5.0  # in which the filter takes an offset for its own error
DIP_COUNT = round(flat_layout.DEFAULTS["dip_count"])
CHARGE_ALONE = flat_layout.DEFAULTS["charge_alone"]
FALL_S = round(flat_layout.DEFAULTS["stage_fall_s"])
NONE, SUSPECT, SOFT_SHORT, HARD_SHORT = range(4)
GAP = {"gap_swelling_um": 250.0, "gap_stiffness_mpa_per_um": 0.05}


def parameters_of(**changes):
    cell = {
        "capacity_ah": CAPACITY_AH, "ocv_v": OCV_V, "r0_temperature_degc": TEMPERATURES_DEGC,
        "r0_pressure_mpa": PRESSURES_MPA, "r0_ohm": [0.05] * (len(TEMPERATURES_DEGC) * len(PRESSURES_MPA)),
        "r1_ohm": [0.01] * parameters.TEMPERATURE_POINTS, "r2_ohm": [0.01] * parameters.TEMPERATURE_POINTS,
        "tau1_s": 5.0, "tau2_s": 60.0, "leak_sigma_a": 0.06, "current_max_a": 10.0,
    }  # fmt: skip
    return flat_layout.pack(cell | {"charge_settle_s": 10.0} | changes)


class Cell:
    """A cell whose estimator is right in everything: tests say what the sample shows beside that."""

    def __init__(self, seed=1, pack=None, **changes):
        self.ekf = SimpleNamespace(
            soc=0.5, soc_residual=0.0, r0_ohm=0.05, resistance_scale=1.0, capacity_scale=1.0, innovation_v=0.0,
            soc_var=1e-6,
        )  # fmt: skip
        self.detector = Detector(parameters_of(**changes), self.ekf, "d")
        self.pack = pack or Pack()
        self.pack.detectors.append(self.detector)
        self.random = random.Random(seed)
        self.sample = {"temperature_degc": 25.0, "pressure_mpa": 5.0, "gap_um": 100.0, "aim_mpa": 5.0,
                       "has_pressure": True, "has_gap": True}  # fmt: skip
        self.current_a = self.followed_v = 0.0
        self.told = {name: set() for name in schema.EVIDENCES}

    def run(self, seconds, dt_s=0.1, off_v=0.0, leak_a=0.0, sigma_v=SIGMA_V, rest_v=0.0, **sample):
        """Seconds with `off_v` below the model, a leak that the filter's SOC follows, and `rest_v` per second."""
        self.current_a = sample.pop("current_a", self.current_a)
        self.sample.update(sample)
        for _ in range(round(seconds / dt_s)):
            noise_v = self.random.gauss(0, sigma_v)
            self.ekf.soc += (self.current_a - leak_a) * dt_s / (3600 * CAPACITY_AH)
            self.ekf.innovation_v = noise_v - (off_v - self.followed_v)
            self.followed_v += (off_v - self.followed_v) * dt_s / (FOLLOW_S + dt_s)
            volts = 3.0 + SLOPE_V * self.ekf.soc + 0.05 * self.current_a + noise_v - off_v
            self.feed(volts, dt_s)
        return self

    def dip(self, seconds, off_v, trace_v=0.0015, level_v=0.0):
        """Of a bridge: what it leaves behind takes seconds to go; a loose wire leaves nothing."""
        below = self.run(seconds, off_v=level_v + off_v)
        return below.run(2, off_v=level_v + trace_v).run(5, off_v=level_v)

    def feed(self, volts, dt_s):
        cell = self.detector.cell
        for name, value in (self.sample | {"voltage_v": volts, "current_a": self.current_a, "dt_s": dt_s}).items():
            setattr(cell, name, value)
        if self.detector.see_sample():
            self.pack.compare(self.detector)
            self.detector.see_second(self.pack)
        for name, at in AT.items():
            self.told[name].add(cell.state[at])

    def state(self, name):
        return self.detector.cell.state[AT[name]]

    @property
    def fusion(self):
        return self.detector.fusion
