"""Detectors of internal shorts as the literature has them, to measure ours against. Equations and sources:
assb_baselines.h and its .c."""

import math
from collections.abc import Iterable, Sequence

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer
from assb_kernels.estimator import group_of
from assb_kernels.status import demand_ok

# name: lowest and highest threshold of its crossings; units: assb_baselines.h
SCORES: dict[str, tuple[float, float]] = {
    "voltage_threshold": (1e-3, 1.0),
    "pseudo_ocv": (1e-4, 0.3),
    "mean_difference": (1e-4, 0.3),
    "soc_drift": (1e-4, 1.0),
}
# Per square root of a second: a filter without a leak in it follows one of C/20 within minutes (a choice in its favour:
# ours has 1e-6 and a leak of its own)
SOC_NOISE_FRAC_PER_RTS = 3e-5
COLUMNS = ("time_s", "voltage_v", "current_a", "temperature_degc", "pressure_mpa")


class Baselines:
    """A pack of cells in series; one flat layout (see Estimator) per cell; `low_v` and `high_v`: window of a cell.

    Raises ValueError for a count or parameters that make no sense.
    """

    def __init__(self, flats: Sequence[Sequence[float]], rows_per_second: int, low_v: float, high_v: float) -> None:
        if not 1 <= len(flats) <= lib.ASSB_PACK_MOST or rows_per_second < 1:
            raise ValueError(f"{len(flats)} cells and {rows_per_second} readings per second: at least one of each")
        self._params = ffi.new("assb_est_f64_params[]", len(flats))
        flat = [value for each in flats for value in group_of(each, "params")]
        ffi.cast("double *", self._params)[0 : len(flat)] = flat
        for k in range(len(flats)):
            self._params[k].soc_noise_frac_per_rts = SOC_NOISE_FRAC_PER_RTS
            demand_ok(lib.assb_est_f64_check(self._params + k), f"estimator parameters of cell {k}")
        self._cells = ffi.new("assb_baseline_cell[]", len(flats))
        self.c_baselines = ffi.new(
            "assb_baselines *",
            {
                "cells": len(flats),
                "rows_per_second": rows_per_second,
                "low_v": low_v,
                "high_v": high_v,
                "params": self._params,
                "cell": self._cells,
            },
        )
        ratios = [(high / low) ** (1.0 / (lib.ASSB_GRID - 1)) for low, high in SCORES.values()]
        lib.assb_baselines_reset(self.c_baselines, [low for low, _ in SCORES.values()], ratios)

    def __len__(self) -> int:
        return self.c_baselines.cells

    def run(
        self,
        time_s: Iterable[float],
        voltage_v: Iterable[float],
        current_a: Iterable[float],
        temperature_degc: Iterable[float],
        pressure_mpa: Iterable[float],
        *_unused: Iterable[float],
    ) -> None:
        """Go on with n readings, in C, as Watch.run. float64 buffers are used in place. Raises ValueError for unequal
        lengths."""
        times = column(time_s, "d")
        rest = [column(v, "d", len(times)) for v in (current_a, temperature_degc, pressure_mpa)]
        volts = column(voltage_v, "d", len(times) * len(self))
        given = dict(zip(COLUMNS, (times, volts, *rest), strict=True))
        places = {name: pointer(buffer, "d") for name, buffer in given.items()}
        lib.assb_baselines_run(self.c_baselines, ffi.new("assb_watch_columns *", places), len(times))

    def crossings(self, cell: int) -> list[tuple[float, ...]]:
        """In the order of SCORES: first times at which each threshold of `grid` was reached, inf: not yet."""
        crossings = self._cells[cell].crossings
        return [tuple(crossings[n].at_s) for n in range(len(SCORES))]

    def begin_crossings(self, from_s: float) -> None:
        """Forget which thresholds were reached; times count from `from_s` on."""
        for cell in range(len(self)):
            for n in range(len(SCORES)):
                crossings = self._cells[cell].crossings + n
                lib.assb_crossings_reset(crossings, crossings.low, crossings.ratio, from_s)

    @staticmethod
    def grid(score: str) -> list[float]:
        """Thresholds of a score's crossings."""
        low, high = SCORES[score]
        return [low * math.exp(k / (lib.ASSB_GRID - 1) * math.log(high / low)) for k in range(lib.ASSB_GRID)]
