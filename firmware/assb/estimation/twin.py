"""The kernel in plain Python, for boards without a native module; kernel.py has the same names over that."""

from assb.detection.detector import Detector, Pack
from assb.estimation.ekf import Ekf
from assb.estimation.learning import Learning
from assb.estimation.power import Power

__all__ = ("Detector", "Ekf", "Learning", "Pack", "Power")
