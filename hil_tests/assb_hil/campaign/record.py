"""What a trial is and what came of it; every number of a report comes from these."""

import msgspec

SCORES = ("ours", "voltage_threshold", "pseudo_ocv", "mean_difference", "soc_drift")
"""What the thresholds of a Crossings are compared with: our log-likelihood ratio, then the baselines."""
GRID_POINTS = 40  # thresholds per score, geometric; the grid of each score stands with its code
NEVER_S = float("inf")


class TrialSpec(msgspec.Struct, frozen=True):
    """One trial, all of its chance in `seed`. A trial with a `short_class` has one shorted cell; without, none."""

    number: int
    seed: int
    profile: str  # name of the plant and of the cell file that the estimator believes
    bench: str
    cells: int  # in series
    load: str  # row of loads.py
    short_class: str  # row of classes.py, or "" for none
    confounders: tuple[str, ...]  # rows of confounders.py
    duration_s: float
    dt_s: float  # of the plant and the readings: 0.1, or 0.01 where a hard short is looked for
    watch_rests: bool = False  # the load rests when the watch asks for it


class StageChange(msgspec.Struct, frozen=True):
    """A stage as the detectors reported it."""

    time_s: float
    cell: int
    stage: int  # 0 none, 1 suspect, 2 soft short, 3 hard short
    evidence_bits: int  # bit k - 1: evidence row k carried it
    confidence: float  # 0..1
    rs_ohm: float  # inf: none
    rs_low_ohm: float
    rs_high_ohm: float


class Crossings(msgspec.Struct, frozen=True):
    """First times, s, at which one score of one cell reached each threshold of its grid; NEVER_S: not at all."""

    before_s: tuple[float, ...]  # before the onset of the short; without a short: in the whole trial
    after_s: tuple[float, ...]  # at or after the onset, since the onset; empty without a short in this cell


class Truth(msgspec.Struct, frozen=True):
    """The short that was put in."""

    cell: int
    onset_s: float
    rs_ohm: float  # of the leak; of a bridge: geometric mean of its events; growing: at the end
    leak_c: float  # V/Rs over the capacity, 1/h
    bridges_s: tuple[float, ...]  # begins of intermittent bridges


class Observer(msgspec.Struct, frozen=True):
    """What an observer who knows plant and sensors perfectly would know of the shorted cell, at the onset."""

    noise_v: float  # white, of one reading
    dt_s: float
    slope_v: float  # dOCV/dSOC
    capacity_ah: float
    ohm: tuple[float, ...]  # R0, then of each RC pair
    tau_s: tuple[float, ...]  # 0 for R0


class TrialResult(msgspec.Struct, frozen=True):
    """What came of a trial."""

    spec: TrialSpec
    changes: tuple[StageChange, ...]
    crossings: tuple[tuple[Crossings, ...], ...]  # per cell, in the order of SCORES
    truth: Truth | None
    observer: Observer | None  # with a truth
    wall_s: float  # processor time of this trial
    refused: int  # readings that the estimators did not take
    rested_s: float = 0.0  # that the watch asked for

    @property
    def cell_hours(self) -> float:
        return self.spec.cells * self.spec.duration_s / 3600.0
