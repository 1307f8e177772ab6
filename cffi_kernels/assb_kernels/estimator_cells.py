"""The fast estimator for many cells of one kind: single precision, several cells to an instruction."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, outputs, pointer
from assb_kernels.estimator import Estimator

LANES: int = lib.ASSB_LANES
RESULTS = tuple(name for name, _field in ffi.typeof("assb_est_cells_results").fields)
INPUTS = ("voltage_v", "current_a", "temperature_degc", "pressure_mpa")


class CellEstimators:
    """`count` cells with the same parameters (see Estimator); each has the bytes of an Estimator("f32") of its own.

    `wide` False forgoes the widest instructions of this machine; the results are the same.
    Raises ValueError for a count below 1, and as Estimator does.
    """

    def __init__(self, parameters: Sequence[float], count: int, *, wide: bool = True) -> None:
        if count < 1:
            raise ValueError(f"estimators for {count} cells; needs at least one")
        self.count, self.wide = count, wide
        self._one = Estimator(parameters, "f32")
        self._blocks = ffi.new("assb_est_cells_block[]", -(-count // LANES))
        self.reset([0.5] * count, [1.0] * count)

    def reset(self, soc: Sequence[float], soc_sigma: Sequence[float]) -> None:
        """As Estimator.reset, a value for each cell; raises ValueError and changes nothing for one out of range."""
        if len(soc) != self.count or len(soc_sigma) != self.count:
            raise ValueError(f"{len(soc)} SOC and {len(soc_sigma)} sigmas for {self.count} cells")
        fresh = []
        for z, sigma in zip(soc, soc_sigma, strict=True):
            self._one.reset(z, sigma)
            fresh.append(self._one.state_bytes())
        padded = fresh + fresh[-1:] * (-self.count % LANES)
        for k, state in enumerate(padded):
            self._put(k, state)

    def run(
        self,
        voltage_v: Any,
        current_a: Any,
        temperature_degc: Any,
        pressure_mpa: Any,
        dt_s: Iterable[float],
        results: Iterable[str] = ("soc", "soc_var", "leak_a", "leak_var", "status"),
    ) -> "dict[str, array[Any]]":
        """Step all cells through as many rows as dt_s has. Inputs have a value for each cell in a row, cell by cell,
        and are contiguous; float32 buffers are used in place. One number stands for all of them.

        Returns the named columns (see RESULTS) in the same shape, flat; a refused sample repeats its cell's state and
        has its status. Raises ValueError for unequal lengths or an unknown result.
        """
        steps = column(dt_s, "f")
        rows = len(steps)
        given = [
            column(values, "f", rows * self.count) for values in (voltage_v, current_a, temperature_degc, pressure_mpa)
        ]
        keep = {name: pointer(buffer, "f") for name, buffer in zip(INPUTS, given, strict=True)}
        columns = ffi.new("assb_est_cells_columns *", {**keep, "dt_s": pointer(steps, "f")})
        out = outputs(results, RESULTS, "f", rows * self.count)
        held = {name: pointer(values, values.typecode, writable=True) for name, values in out.items()}
        sinks = ffi.new("assb_est_cells_results *", held)
        lib.assb_est_cells_run(self._one.c_params, self._blocks, self.count, columns, sinks, rows, self.wide)
        return out

    def state_bytes(self, cell: int) -> bytes:
        """Of one cell, as Estimator.state_bytes."""
        lib.assb_est_cells_get(self._blocks, range(self.count)[cell], self._one.c_state)
        return self._one.state_bytes()

    def _put(self, place: int, state: bytes) -> None:
        self._one.restore(state)
        lib.assb_est_cells_put(self._blocks, place, self._one.c_state)
