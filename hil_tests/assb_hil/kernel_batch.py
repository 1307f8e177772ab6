"""A batch of estimator steps, C from end to end and without Python in what is timed: the kernel's, or the floor's."""

from array import array

from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import pointer

KERNEL, FLOOR = "run", "floor_run"


class Batch:
    """Steps one cell through `columns` (see kernel_drive.Drive) and writes `soc` and `soc_var`.

    precision: "f32" or "f64", the columns' own; function: KERNEL or FLOOR.
    """

    def __init__(self, flat: list[float], columns: list[array], precision: str, function: str) -> None:
        self.steps = len(columns[0])
        self.estimator = Estimator(flat, precision)
        code, prefix = columns[0].typecode, f"assb_est_{precision}_"
        self.soc, self.soc_var = (array(code, bytes(self.steps * columns[0].itemsize)) for _ in range(2))
        self._keep = [pointer(column, code) for column in columns]
        self._inputs = ffi.new(prefix + "columns *", self._keep)
        sinks = [pointer(values, code, writable=True) for values in (self.soc, self.soc_var)]
        self._outputs = sinks
        if function == KERNEL:
            self._outputs = [ffi.new(prefix + "results *", dict(zip(("soc", "soc_var"), sinks, strict=True)))]
        self._keep += sinks
        self._call = getattr(lib, prefix + function)

    def start(self, soc: float, soc_sigma: float) -> None:
        self.estimator.reset(soc, soc_sigma)

    def run(self, steps: int | None = None) -> None:
        """The first `steps` of the columns, or all."""
        count = self.steps if steps is None else steps
        self._call(self.estimator.c_params, self.estimator.c_state, self._inputs, *self._outputs, count)
