"""[ocv] of board_configs/cells, and the factor in [rc]: from runs of the simulated cells, as a lab would see them.

python host_tools/checks/cell_ocv.py [NAME …] [--write]

Says how far each table lies from the simulated cell; with --write it first puts what it fits into the file. The
runs are those of one drawn unit through the bench's sensors, with their errors, so that what the firmware believes is
as wrong as a lab would be. The OCV at SOC 0 and 1 stays as the file has it: it defines SOC.
"""

import re
import sys
from pathlib import Path

import numpy as np
from assb_hil.lab_runs import lab_logs
from assb_hil.plant_file import PlantFile, load_plant
from assb_host.cell_fit.hysteresis_fit import SlowOcv, fit_slow_runs
from assb_host.cell_fit.load_factor import KNOTS, load_factor
from assb_host.cell_fit.ocv_run import runs_of
from assb_host.config.cell import Cell, load_cell
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.config.locate import find, shipped_names
from assb_host.config.resample import over_temperature, over_temperature_and_pressure, rising_curve
from assb_host.config.toml_writer import value_text

RATE_C = 0.02  # faster ones leave more of what the resistances at both ends of SOC do, which no profile has
PULSES_TO = [0.0, 0.025, *(k / 20 for k in range(1, 20)), 0.975, 1.0]  # as long as can be, and all as long
SEED = 1  # of the unit and of the sensors
KNOTS_WITHIN_V = 1e-4  # of the fitted curve, between the table's points
KNOTS_EVERY = 3  # of SOC_AXIS at least
JUDGED = (SOC_AXIS >= 0.05) & (SOC_AXIS <= 0.97)  # beyond, an OCV is so steep that a shift of SOC is all of it
COMMAND = "python host_tools/checks/cell_ocv.py"
FACTOR_SOURCE = "; A: the factor fitted to pulses by the command of [ocv]"


def fitted(plant: PlantFile, cell: Cell) -> tuple[SlowOcv, np.ndarray]:
    """OCV and hysteresis, and the factor of the RC pairs at KNOTS."""
    limits, ocv = plant.limits, cell.ocv
    slow_log, pulse_log = lab_logs(plant, RATE_C, PULSES_TO, SEED)
    warmer_v = ocv.entropy_v_per_k * (limits.temperature_degc - ocv.temperature_degc)
    ends_v = (ocv.voltage_v[0] + warmer_v, ocv.voltage_v[-1] + warmer_v)
    ohm = resistance_ohm(cell, limits.temperature_degc, limits.pressure_mpa)
    slow = fit_slow_runs(runs_of([slow_log]), ends_v, ohm)
    return slow, load_factor(pulse_log, slow.empty_soc, slow.capacity_ah, cell)


def resistance_ohm(cell: Cell, degc: float, mpa: float) -> float:
    """All of it, as the profile has it."""
    r0, rc = cell.r0, cell.rc
    ohmic = over_temperature_and_pressure(r0.temperature_degc, r0.pressure_mpa, r0.ohm, [degc], [mpa])[0, 0]
    pairs = [over_temperature(rc.temperature_degc, ohm, [degc])[0] for ohm in (rc.r1_ohm, rc.r2_ohm)]
    return float(ohmic + sum(pairs))


def knots(curve_v: np.ndarray) -> np.ndarray:
    """Positions on SOC_AXIS through which the monotone cubic follows the curve: even ones, and more where it bends."""
    last = len(SOC_AXIS) - 1
    chosen = {*range(0, last, KNOTS_EVERY), last}
    while True:
        at = np.array(sorted(chosen))
        off_v = np.abs(rising_curve(SOC_AXIS[at], curve_v[at], SOC_AXIS) - curve_v)
        if off_v.max() <= KNOTS_WITHIN_V:
            return at
        chosen.add(int(off_v.argmax()))


def ocv_values(cell: Cell, degc: float, fit: SlowOcv) -> dict[str, object]:
    at = knots(fit.ocv_v)
    return {
        "temperature_degc": float(degc),
        "soc": [round(float(soc), 7) for soc in SOC_AXIS[at]],
        "voltage_v": [round(float(volts), 5) for volts in fit.ocv_v[at]],
        "hysteresis_v": round(fit.hysteresis_v, 5),
        "hysteresis_rate": round(fit.hysteresis_rate, 1),
        "source": (
            f"A: fitted to a simulated charge and discharge at C/{1 / RATE_C:g} of one unit with sensor errors, "
            f"`{COMMAND} {cell.name} --write`"
        ),
    }


def rc_values(cell: Cell, factor: np.ndarray) -> dict[str, object]:
    return {
        "soc": [float(soc) for soc in KNOTS],
        "factor": [round(float(value), 3) for value in factor],
        "source": cell.rc.source.partition(FACTOR_SOURCE)[0] + FACTOR_SOURCE,
    }


def written(text: str, table: str, values: dict[str, object]) -> str:
    """The text with these values in a table, in place of its own or after its other keys; raises ValueError for a text
    without that table."""
    section = re.compile(rf"^\[{table}\]\n(?:.+\n)+", re.MULTILINE)
    found = section.search(text)
    if found is None:
        raise ValueError(f"a cell file without a table [{table}]; give one with its key `source`")
    lines = found[0]
    for key, value in values.items():
        line = f"{key} = {value_text(value, len(key))}\n"
        own = re.compile(rf"^{key} = .*\n(?:[ \]].*\n)*", re.MULTILINE)
        lines, count = own.subn(lambda _, line=line: line, lines)
        lines = lines if count else lines + line
    return text[: found.start()] + lines + text[found.end() :]


def write(path: Path, plant: PlantFile, cell: Cell) -> None:
    slow, factor = fitted(plant, cell)
    text = path.read_text(encoding="utf-8")
    text = written(text, "ocv", ocv_values(cell, plant.limits.temperature_degc, slow))
    path.write_text(written(text, "rc", rc_values(cell, factor)), encoding="utf-8")


def errors(plant: PlantFile, cell: Cell) -> tuple[float, float, float]:
    """Of the table against the simulated cell, in V: rms, largest, and rms of the slope per unit of SOC."""
    view, degc = plant.pack(seed=0).cells[0], cell.ocv.temperature_degc
    true_v = plant.units * np.array([view.ocv_at_v(soc, degc) for soc in SOC_AXIS.tolist()])
    off_v = rising_curve(cell.ocv.soc, cell.ocv.voltage_v, SOC_AXIS) - true_v
    slope_off_v = np.diff(off_v[JUDGED]) / SOC_AXIS[1]
    rms_v, slope_rms_v = (float(np.sqrt(np.mean(values**2))) for values in (off_v[JUDGED], slope_off_v))
    return rms_v, float(np.abs(off_v[JUDGED]).max()), slope_rms_v


def main(arguments: list[str]) -> int:
    wanted = [name for name in arguments if name != "--write"] or shipped_names("cell")
    for name in wanted:
        path, plant = find("cell", name), load_plant(name)
        if "--write" in arguments:
            write(path, plant, load_cell(path))
        cell = load_cell(path)
        rms_v, most_v, slope_v = errors(plant, cell)
        print(
            f"{name:13} {len(cell.ocv.soc):3} points, {1e3 * rms_v:.2f} mV rms, {1e3 * most_v:.2f} mV at most, "
            f"slope {slope_v:.4f} V rms; hysteresis {1e3 * cell.ocv.hysteresis_v:.2f} mV"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
