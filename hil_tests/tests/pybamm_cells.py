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
NMC_CAPACITY_AH = 5.1533  # of its reference traces


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


def nmc_udds_cold(cycle: Path, target: Path, start_soc: float = 0.95, degc: float = 5.0) -> float:
    """UDDS over and over on the NMC cell from 95 % down to 9 %, peaks of 2C, written as a table of rows a second.

    Returns the SOC at the start. Needs PyBaMM (ImportError).
    """
    import pybamm

    name, peak_a, end_soc = "Chen2020", 2 * ONE_C_A, 0.09
    data = np.genfromtxt(cycle, delimiter=",", comments="#")
    once_a = np.interp(np.arange(0.0, data[-1, 0]), data[:, 0], data[:, 1])
    once_a *= peak_a / np.abs(once_a).max()
    seconds = int((start_soc - end_soc) * ONE_C_A * 3600 / once_a.mean())
    current_a, time_s = np.resize(once_a, seconds), np.arange(float(seconds))
    values = pybamm.ParameterValues(name)
    for key in ("Ambient", "Initial"):
        values[f"{key} temperature [K]"] = degc + KELVIN
    values["Current function [A]"] = pybamm.Interpolant(time_s, current_a, pybamm.t)
    values["Upper voltage cut-off [V]"] = 4.6  # cold returns go above 4.2 V
    negative, positive = pybamm.lithium_ion.get_initial_stoichiometries(start_soc, pybamm.ParameterValues(name))
    for side, share in (("negative", negative), ("positive", positive)):
        most = values[f"Maximum concentration in {side} electrode [mol.m-3]"]
        values[f"Initial concentration in {side} electrode [mol.m-3]"] = share * most
    model = pybamm.lithium_ion.SPMe({"thermal": "lumped"})
    solution = pybamm.Simulation(model, parameter_values=values).solve([0, time_s[-1]], t_interp=time_s)
    kelvin = solution["X-averaged cell temperature [K]"](time_s)
    moved_ah = np.concatenate(([0.0], np.cumsum(0.5 * (current_a[1:] + current_a[:-1])))) / 3600
    soc = start_soc - moved_ah / NMC_CAPACITY_AH
    table = np.stack([time_s, solution["Voltage [V]"](time_s), -current_a, kelvin - KELVIN, soc], axis=1)
    head = "time_s,voltage_v,current_a,temperature_degc,soc"
    np.savetxt(target, table, delimiter=",", header=head, comments="", fmt="%.7g")
    return start_soc
