"""Recordings of a made pack: cells of one profile in series, with leaks, capacities and monitors as a test likes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from assb_host.config.cell import load_cell
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.config.locate import find
from assb_host.config.resample import rising_curve

PROFILE = "graphite_nmc"
CELL = load_cell(find("cell", PROFILE))
OCV_V = rising_curve(CELL.ocv.soc, CELL.ocv.voltage_v, SOC_AXIS)
COLUMNS = "time=t,current=I,voltage=U_*,temperature=T"


def relaxing(aim: np.ndarray, share: np.ndarray) -> np.ndarray:
    """From 0 towards `aim`, by a share of the way per row."""
    found, now = np.zeros(len(aim)), 0.0
    for row in range(len(aim)):
        now += share[row] * (aim[row] - now)
        found[row] = now
    return found


@dataclass
class MadePack:
    """Four hours of discharge and as much of charge at C/8, then rests of an hour; a row every `sample_s`."""

    cells: int
    hours: float
    sample_s: float = 30.0
    soc: float = 0.9
    leak_a: dict[int, tuple[float, float]] = field(default_factory=dict)  # cell: (A, from which hour on)
    capacity_frac: dict[int, float] = field(default_factory=dict)
    offset_soc: dict[int, float] = field(default_factory=dict)
    noise_v: float = 5e-4

    def table(self) -> np.ndarray:
        """Columns t, I, T, U_1 ..."""
        time_s = np.arange(0.0, self.hours * 3600, self.sample_s)
        phase = (time_s / 3600) % 10
        rate_a = CELL.capacity_ah / 8
        current_a = np.where(phase < 4, -rate_a, np.where((phase >= 5) & (phase < 9), rate_a, 0.0))
        noise_v = np.random.default_rng(7).normal(0.0, self.noise_v, (len(time_s), self.cells))
        volts = np.stack([self.voltage_v(k, time_s, current_a) for k in range(self.cells)], axis=1) + noise_v
        return np.column_stack([time_s, current_a, np.full(len(time_s), 25.0), volts])

    def voltage_v(self, k: int, time_s: np.ndarray, current_a: np.ndarray) -> np.ndarray:
        """Of a current held from row to row, by the profile's own tables at 25 degC."""
        leak_a, from_h = self.leak_a.get(k, (0.0, 0.0))
        own_a = current_a - np.where(time_s >= 3600 * from_h, leak_a, 0.0)
        moved_ah = np.cumsum(own_a * np.diff(time_s, prepend=time_s[0])) / 3600
        capacity_ah = CELL.capacity_ah * self.capacity_frac.get(k, 1.0)
        soc = self.soc + self.offset_soc.get(k, 0.0) + moved_ah / capacity_ah
        rc, ocv = CELL.rc, CELL.ocv
        volts = np.interp(soc, SOC_AXIS, OCV_V) + CELL.r0.ohm[2][3] * own_a
        for ohm, tau_s in ((rc.r1_ohm[2], rc.tau1_s), (rc.r2_ohm[2], rc.tau2_s)):
            volts += relaxing(ohm * own_a, np.full(len(own_a), 1 - np.exp(-self.sample_s / tau_s)))
        turned = 1 - np.exp(-ocv.hysteresis_rate * np.abs(own_a) * self.sample_s / 3600 / capacity_ah)
        return volts + ocv.hysteresis_v * relaxing(np.sign(own_a), turned)

    def lines(self) -> list[str]:
        table = self.table()
        head = "t,I,T," + ",".join(f"U_{k + 1}" for k in range(self.cells))
        return [head, *(",".join(f"{value:.7g}" for value in row) for row in table)]


def written(folder: Path, lines: list[str], name: str = "pack.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
