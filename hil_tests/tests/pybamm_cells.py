"""The two cells of the reference traces: which files the fit sees, and their 1C discharge made by PyBaMM here."""

from pathlib import Path

import numpy as np
from trace_fit import Known, Trace, load_trace

# name → (scale to about 5 Ah, model and options of PyBaMM, files of C/20, the discharge last, and cold pulses)
CELLS = {
    "Xu2019": (1309.0, "DFN", {"working electrode": "positive"}, ("C20d_25C",), None),
    "Chen2020": (1.0, "SPMe", {"thermal": "lumped"}, ("C20c_25C", "C20d_25C"), "HPPC_5C"),
}
KELVIN = 273.15
ONE_C_A = 5.0


def trace(folder: Path, name: str, what: str) -> Trace:
    return load_trace(folder / f"{name}_{what}.npz")


def known(folder: Path, name: str) -> Known:
    _, _, _, slow, cold = CELLS[name]
    return Known(
        slow=[trace(folder, name, what) for what in slow],
        pulses=trace(folder, name, "HPPC_25C"),
        cold_pulses=trace(folder, name, cold) if cold else None,
    )


def discharge_1c(name: str, capacity_ah: float) -> Trace:
    """From full to the lower cut-off of its parameter set, one row a second. Needs PyBaMM (ImportError)."""
    import pybamm

    scale, model_name, options, _, _ = CELLS[name]
    values = pybamm.ParameterValues(name)
    values["Current function [A]"] = ONE_C_A / scale
    model = getattr(pybamm.lithium_ion, model_name)(options)
    end_s = 3600 * 1.1
    solution = pybamm.Simulation(model, parameter_values=values).solve([0, end_s], initial_soc=1.0)
    time_s = np.arange(0.0, np.floor(solution.t[-1]))
    voltage_v = solution["Voltage [V]"](time_s)
    is_lumped = "thermal" in options
    kelvin = solution["X-averaged cell temperature [K]"](time_s) if is_lumped else np.full(len(time_s), 25 + KELVIN)
    soc = 1 - ONE_C_A * time_s / 3600 / capacity_ah
    return Trace(time_s, np.full(len(time_s), -ONE_C_A), voltage_v, kelvin - KELVIN, soc, capacity_ah)
