"""C kernels behind cffi: the fast estimator and the simulated cell."""

from assb_kernels.cell import Cell, CellParams, ocv_table
from assb_kernels.estimator import PARAMETER_LAYOUT, PARAMETER_SIZE, Estimator
from assb_kernels.status import STATUS_TEXT

__all__ = ["PARAMETER_LAYOUT", "PARAMETER_SIZE", "STATUS_TEXT", "Cell", "CellParams", "Estimator", "ocv_table"]
