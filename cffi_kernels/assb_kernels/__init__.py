"""C kernels behind cffi: the fast estimator and the simulated cells in their stacks."""

from assb_kernels.cell import AgeingParams, CellParams, FilamentParams, VoidParams, ocv_table
from assb_kernels.cycler import Cycler, CyclerParams
from assb_kernels.estimator import PARAMETER_LAYOUT, PARAMETER_SIZE, Estimator
from assb_kernels.estimator_cells import CellEstimators
from assb_kernels.learning import LEARNED, LEARNED_SIZE, MISSING_TEXT, Learning
from assb_kernels.pack import Pack, TruthEvent
from assb_kernels.power import Power, PowerLimit
from assb_kernels.protocol import BrokenLimit, Limits, ProtocolResult, ProtocolStep, run_protocol
from assb_kernels.sensor import Sensor, SensorParams
from assb_kernels.stack import ActuatorParams, Stack, StackParams
from assb_kernels.status import STATUS_TEXT
from assb_kernels.trial import Change, Phase, Trial, TrialColumns, TrialSensors

__all__ = [
    "LEARNED",
    "LEARNED_SIZE",
    "MISSING_TEXT",
    "PARAMETER_LAYOUT",
    "PARAMETER_SIZE",
    "STATUS_TEXT",
    "ActuatorParams",
    "AgeingParams",
    "BrokenLimit",
    "CellEstimators",
    "CellParams",
    "Change",
    "Cycler",
    "CyclerParams",
    "Estimator",
    "FilamentParams",
    "Learning",
    "Limits",
    "Pack",
    "Phase",
    "Power",
    "PowerLimit",
    "ProtocolResult",
    "ProtocolStep",
    "Sensor",
    "SensorParams",
    "Stack",
    "StackParams",
    "Trial",
    "TrialColumns",
    "TrialSensors",
    "TruthEvent",
    "VoidParams",
    "ocv_table",
    "run_protocol",
]
