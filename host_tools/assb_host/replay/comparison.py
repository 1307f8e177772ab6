"""Evidence of a short from the cells of a pack alone: charge that one of them misses against its neighbours.

Cells in series carry the same current, so what one lacks against the others needs no counting of charge, and what
leaked during a gap shows after it. At rest each cell's voltage is taken for its OCV and turned into SOC.

* Neighbours, not the whole pack: a module's monitor board feeds on its own cells and reads them one after the other
  while the current moves, so whole groups drift apart, by more per cent than a weak cell, and slant in single rows. A
  cell is compared with the lower one of the medians before and after it in the string; at a module's edge that is its
  own module or a lower one. A group of neighbours that falls together is therefore no cell's short.
* Its own past at about the same SOC: a cell of less capacity lies lower the emptier the pack is, which is no leak.
"""

from dataclasses import dataclass

import numpy as np

from assb_host.config.cell import Cell
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.config.resample import rising_curve
from assb_host.replay.pack_log import PackLog

SIDE = 3  # neighbours on either side, whose median stands for them; fewer cells than two sides: all the others
REST_C = 1 / 40  # less current, in this row and the one before, is a rest
ROW_GAP = 2.5  # of the median interval: the row before must be as near as that
WINDOW_S = 3600.0  # rows of so long come to one figure ...
ROWS_LEAST = 5  # ... if there are so many
SLOPE_LEAST_V = 0.25  # dOCV/dSOC; on a flatter OCV a voltage does not tell charge
# Assumptions: what comes between the voltages of two sound cells at rest, and between their states of charge
VOLTAGE_SIGMA_V = 0.0015
SOC_SIGMA = 0.003
MAD_CELLS = 7  # so many cells show by themselves how far sound ones lie apart
SIGMA_PER_MAD = 1.4826
NEAR_SOC = 0.15  # windows that far apart in SOC are compared
PAST_LEAST = 3  # windows before a cell's usual deviation is known


@dataclass(frozen=True)
class Comparison:
    """A row per window of rest, a column per cell. SOC as fractions; + `deviation` lies above its neighbours.

    `usual` is the median of the cell's earlier deviations near this SOC, at most 0; NaN until it is known.
    """

    time_s: np.ndarray  # of each window's last row, since the first row of the recording
    soc: np.ndarray  # of the pack's median cell
    pack_deviation_v: np.ndarray  # from the pack's median
    deviation: np.ndarray
    sigma: np.ndarray  # of a deviation; one per window
    usual: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def missing(self) -> np.ndarray:
        """What a cell lies below its neighbours by."""
        return np.maximum(0.0, -self.deviation)

    @property
    def fallen(self) -> np.ndarray:
        """What it has lost against its own usual; 0 while that is not known."""
        return np.nan_to_num(np.maximum(0.0, self.usual - self.deviation), nan=0.0)


def compare(cell: Cell, log: PackLog) -> Comparison:
    """All windows of rest; none of a single cell, nor where the OCV is flat."""
    ocv_v = rising_curve(cell.ocv.soc, cell.ocv.voltage_v, SOC_AXIS)
    middle_v = np.median(log.voltage_v, axis=1)
    slope_v = np.interp(middle_v, ocv_v, np.gradient(ocv_v, SOC_AXIS))
    rows = np.flatnonzero(resting(log, REST_C * cell.capacity_ah) & (slope_v >= SLOPE_LEAST_V))
    groups = windows(log.time_s, rows) if log.cells > 1 else []
    count = len(groups)
    soc, sigma = np.zeros(count), np.zeros(count)
    deviation, pack_v = np.zeros((count, log.cells)), np.zeros((count, log.cells))
    for w, group in enumerate(groups):
        cells_v = log.voltage_v[group]
        cells_soc, beside_soc = (np.interp(volts, ocv_v, SOC_AXIS) for volts in (cells_v, beside_v(cells_v)))
        deviation[w] = np.median(cells_soc - beside_soc, axis=0)
        pack_v[w] = np.median(cells_v - middle_v[group, None], axis=0)
        soc[w] = np.median(np.interp(middle_v[group], ocv_v, SOC_AXIS))
        sigma[w] = sigma_of(deviation[w], float(np.median(slope_v[group])))
    time_s = np.array([log.since_s[group[-1]] for group in groups])
    return Comparison(time_s, soc, pack_v, deviation, sigma, usual_of(soc, deviation))


def resting(log: PackLog, rest_a: float) -> np.ndarray:
    quiet = np.abs(log.current_a) <= rest_a
    near = np.diff(log.time_s) <= ROW_GAP * log.sample_s
    return quiet & np.append(False, quiet[:-1] & near)


def windows(time_s: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """`rows` in groups of WINDOW_S at most."""
    groups, begin = [], 0
    while begin < len(rows):
        end = begin + int(np.searchsorted(time_s[rows[begin:]], time_s[rows[begin]] + WINDOW_S, side="right"))
        groups.append(rows[begin:end])
        begin = end
    return [group for group in groups if len(group) >= ROWS_LEAST]


def beside_v(voltage_v: np.ndarray) -> np.ndarray:
    """What each cell is compared with, rows x cells: the lower of its two sides; of few cells the others' lower
    median."""
    cells = voltage_v.shape[1]
    beside = np.full_like(voltage_v, np.nan)
    for k in range(cells):
        if cells <= 2 * SIDE:
            others = np.sort(np.delete(voltage_v, k, axis=1), axis=1)
            beside[:, k] = others[:, (cells - 2) // 2]
            continue
        for side in (slice(k - SIDE, k), slice(k + 1, k + 1 + SIDE)):
            if side.start >= 0 and side.stop <= cells:
                beside[:, k] = np.fmin(beside[:, k], np.median(voltage_v[:, side], axis=1))
    return beside


def sigma_of(deviation: np.ndarray, slope_v: float) -> float:
    least = float(np.hypot(VOLTAGE_SIGMA_V / slope_v, SOC_SIGMA))
    if len(deviation) < MAD_CELLS:
        return least
    spread = SIGMA_PER_MAD * float(np.median(np.abs(deviation - np.median(deviation))))
    return max(least, spread)


def usual_of(soc: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    usual = np.full_like(deviation, np.nan)
    for w in range(len(soc)):
        past = np.flatnonzero(np.abs(soc[:w] - soc[w]) <= NEAR_SOC)
        if len(past) >= PAST_LEAST:
            usual[w] = np.minimum(0.0, np.median(deviation[past], axis=0))
    return usual
