"""The kernel in plain Python, for boards without a native module; kernel.py has the same names over that."""

from assb.estimation.ekf import Ekf
from assb.estimation.learning import Learning
from assb.estimation.power import Power

__all__ = ("Ekf", "Learning", "Power")
