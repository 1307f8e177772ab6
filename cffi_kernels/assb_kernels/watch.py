"""Estimators and short detectors of a pack over columns of readings, as the firmware runs them; see assb_watch.h."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer
from assb_kernels.estimator import GROUP_SIZE, group_of
from assb_kernels.status import demand_ok

STAGES = ("none", "suspect", "soft_short", "hard_short")
EVIDENCES = (
    "dips", "noise", "missing_charge", "rest_decay", "cv_tail", "efficiency", "resistance_drop", "stall", "swelling",
    "pressure_fall", "plating", "heat", "contact_loss",
)  # fmt: skip
EVIDENCE_STATES = ("unavailable", "learning", "normal", "active")
CHANGES_AT_ONCE = 4096
COLLAPSE_V = 0.5  # below the model (assumption; firmware: hard_short_drop_uv)
COLLAPSE_HOLD_S = 0.02
INITIAL_SOC_SIGMA = 0.1


@dataclass(frozen=True)
class Change:
    """A stage that changed. `evidence`: names of those that carry it; resistances in ohm, 0: no short is seen."""

    time_s: float
    cell: int
    stage: int
    evidence: tuple[str, ...]
    confidence: float
    rs_ohm: float
    rs_low_ohm: float
    rs_high_ohm: float


class Watch:
    """A pack of cells in series; one flat layout (see Estimator) per cell.

    rows_per_step: readings that a slow tick takes the mean of: 1 for readings of 0.1 s, 10 for those of 0.01 s.
    Raises ValueError for parameters of the wrong count or that make no sense.
    """

    def __init__(
        self,
        flats: Sequence[Sequence[float]],
        rows_per_step: int = 1,
        initial_soc_sigma: float = INITIAL_SOC_SIGMA,
        collapse_v: float = COLLAPSE_V,
        collapse_hold_s: float = COLLAPSE_HOLD_S,
    ) -> None:
        cells = len(flats)
        if not 1 <= cells <= lib.ASSB_PACK_MOST or rows_per_step < 1:
            raise ValueError(f"{cells} cells and {rows_per_step} readings per step: at least one of each")
        groups = {group: [group_of(flat, group) for flat in flats] for group in GROUP_SIZE}
        self._arrays = {group: _structs(group, rows) for group, rows in groups.items() if group != "power_params"}
        for k in range(cells):
            demand_ok(lib.assb_est_f64_check(self._arrays["params"] + k), f"estimator parameters of cell {k}")
            status = lib.assb_est_f64_learning_check(self._arrays["learning_params"] + k)
            demand_ok(status, f"learning parameters of cell {k}")
            status = lib.assb_est_f64_detection_check(self._arrays["detection_params"] + k)
            demand_ok(status, f"detection parameters of cell {k}")
        for name in ("state", "learning", "detection"):
            self._arrays[name] = ffi.new(f"assb_est_f64_{name}[]", cells)
        self._arrays["cell"] = ffi.new("assb_watch_cell[]", cells)
        self._arrays["change"] = ffi.new("assb_watch_change[]", CHANGES_AT_ONCE)
        self.c_watch = ffi.new(
            "assb_watch *",
            {
                "cells": cells,
                "rows_per_step": rows_per_step,
                "initial_soc_sigma": initial_soc_sigma,
                "collapse_v": collapse_v,
                "collapse_hold_s": collapse_hold_s,
                "change_capacity": CHANGES_AT_ONCE,
                **self._arrays,
            },
        )
        lib.assb_watch_reset(self.c_watch)

    def __len__(self) -> int:
        return self.c_watch.cells

    def restart(self) -> None:
        """After a gap in the readings: estimators start anew with the next one; what was learned stays."""
        lib.assb_watch_restart(self.c_watch)

    def run(
        self,
        time_s: Iterable[float],
        voltage_v: Iterable[float],
        current_a: float | Iterable[float],
        temperature_degc: float | Iterable[float],
        pressure_mpa: float | Iterable[float] = math.nan,
        gap_um: float | Iterable[float] = math.nan,
        aim_mpa: float | Iterable[float] = math.nan,
    ) -> list[Change]:
        """Go on with n readings, in C; returns the stages that changed. float64 buffers are used in place.

        time_s rises; voltage_v has a value per cell for each reading, row by row. NaN: no reading of it. A voltage that
        is missing or implausible changes no verdict: charge is counted on. The very first reading only sets the clock.
        Raises ValueError for unequal lengths or a time that does not rise.
        """
        times = column(time_s, "d")
        count = len(times)
        volts = column(voltage_v, "d", count * len(self))
        rest = [column(v, "d", count) for v in (current_a, temperature_degc, pressure_mpa, gap_um, aim_mpa)]
        columns = ffi.new("assb_watch_columns *", [pointer(buffer, "d") for buffer in (times, volts, *rest)])
        lib.assb_watch_run(self.c_watch, columns, count)
        return self._take_changes()

    def _take_changes(self) -> list[Change]:
        watch = self.c_watch
        if watch.changes_lost:
            raise RuntimeError(f"{watch.changes_lost} changes of stage had no room: run fewer readings at once")
        taken = [_change(watch.change[k]) for k in range(watch.changes)]
        watch.changes = 0
        return taken

    def crossings(self, cell: int, score: str) -> list[float]:
        """First times at which `score` (softness, suspicion: 1 is its stage) reached each threshold of `grid`."""
        return list(getattr(self.c_watch.cell[cell], score).at_s)

    def begin_crossings(self, from_s: float) -> None:
        """Forget which thresholds were reached; times count from `from_s` on."""
        for k in range(len(self)):
            for score in ("softness", "suspicion"):
                crossings = ffi.addressof(self.c_watch.cell[k], score)
                lib.assb_crossings_reset(crossings, crossings.low, crossings.ratio, from_s)

    @property
    def grid(self) -> list[float]:
        """Thresholds of `crossings`."""
        crossings = self.c_watch.cell[0].softness
        return [crossings.low * crossings.ratio**k for k in range(lib.ASSB_GRID)]

    def refused(self, cell: int) -> int:
        """Readings that the estimator did not take."""
        return int(self.c_watch.cell[cell].refused + self.c_watch.cell[cell].blind)

    def evidence(self, cell: int) -> Mapping[str, tuple[str, float]]:
        """{name: (state, score)} of each evidence at the moment; a score of 1 is its threshold."""
        detection = self.c_watch.detection[cell]
        return {
            name: (EVIDENCE_STATES[int(detection.state[k])], detection.score[k]) for k, name in enumerate(EVIDENCES)
        }

    def detection(self, cell: int) -> Any:
        """The detectors' state, a C struct (assb_detection.h), as it is now."""
        return self.c_watch.detection[cell]

    def state(self, cell: int) -> Any:
        """The estimator's state, a C struct (assb_estimator_state.h), as it is now."""
        return self.c_watch.state[cell]


def _structs(group: str, rows: Sequence[Sequence[float]]) -> Any:
    structs = ffi.new(f"assb_est_f64_{group}[]", len(rows))
    flat = [value for row in rows for value in row]
    ffi.cast("double *", structs)[0 : len(flat)] = flat
    return structs


def _change(change: Any) -> Change:
    bits = int(change.evidence_bits)
    return Change(
        change.time_s,
        change.cell,
        int(change.stage),
        tuple(name for k, name in enumerate(EVIDENCES) if bits >> k & 1),
        1.0 / (1.0 + math.exp(-change.likelihood)),
        change.rs_ohm,
        change.rs_low_ohm,
        change.rs_high_ohm,
    )
