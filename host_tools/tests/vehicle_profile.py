"""Makes data/vehicle_nmc.toml, the profile of a vehicle's cell, from the recording of the vehicle itself.

python host_tools/tests/vehicle_profile.py PATH/car2_processed.zip

The recording (Nie et al., Energy 323 (2025) 135754) has the pack's own SOC in whole per cent and a point every 30 s:
OCV comes from the ends of rests, capacity from the charge counted against that SOC, R0 from what the voltage does
between neighbouring rows. The profile is as coarse as that.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from assb_host.cell_fit.log_reader import read_lines
from assb_host.config.cell import Cell
from assb_host.config.toml_reader import convert
from assb_host.config.toml_writer import toml_text

OUT = Path(__file__).with_name("data") / "vehicle_nmc.toml"
REST_A, REST_S = 3.0, 300.0
ROW_S, PARKED_S = 40.0, 600.0
SOC_NODES = np.array([12, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100]) / 100
EMPTY_V = ([0.0, 0.05], [2.9, 3.15])  # below what was driven: assumption
SOURCE = "M: car2 of Nie et al., Energy 323 (2025) 135754 (BatICM/unsupervised-battery-faults, MIT)"


def columns(path: Path) -> dict[str, np.ndarray]:
    names, *rows = (line.split(",") for line in read_lines(path))
    moments = np.array([row[0] for row in rows], "datetime64[s]").astype(float)
    table = {name: np.array([float(row[k]) for row in rows]) for k, name in enumerate(names) if k}
    volts = np.stack([table[name] for name in names if name.startswith("V_")], axis=1)
    sound = (volts > 2.0).all(axis=1) & np.append(True, np.diff(moments) > 0)
    return {
        "time_s": moments[sound],
        "voltage_v": np.median(volts[sound], axis=1),
        "current_a": -table["BMSBatteryCurrent"][sound],
        "soc": table["vehBMSPackSOC"][sound] / 100,
    }


def rest_ends(log: dict[str, np.ndarray]) -> np.ndarray:
    """Last rows of rests that lasted; a gap before a quiet row counts as rest."""
    step_s = np.diff(log["time_s"], prepend=log["time_s"][0])
    quiet = np.abs(log["current_a"]) < REST_A
    rested_s = np.zeros(len(quiet))
    for k in range(1, len(quiet)):
        joined = quiet[k - 1] or step_s[k] > PARKED_S
        rested_s[k] = step_s[k] + (rested_s[k - 1] if step_s[k] <= PARKED_S else 0.0) if quiet[k] and joined else 0.0
    long = rested_s >= REST_S
    ends = np.append(~long[1:] | (step_s[1:] > PARKED_S), True)
    return np.flatnonzero(long & ends)


def ocv_v(log: dict[str, np.ndarray]) -> np.ndarray:
    """At SOC_NODES: straight lines between them through all rests, made to rise by 5 mV from node to node at least."""
    rests = rest_ends(log)
    soc, volts = log["soc"][rests], log["voltage_v"][rests]
    hats = np.stack([np.interp(soc, SOC_NODES, row) for row in np.eye(len(SOC_NODES))], axis=1)
    nodes, weight = np.zeros(len(SOC_NODES)), np.ones(len(soc))
    for _ in range(6):  # towards least absolute deviations: a rest that was none must not bend the curve
        nodes = np.linalg.lstsq(hats * weight[:, None], volts * weight, rcond=None)[0]
        weight = 1 / np.sqrt(np.maximum(np.abs(volts - hats @ nodes), 2e-3))
    return rising(nodes)


def rising(nodes: np.ndarray) -> np.ndarray:
    """The nearest that rises: neighbours that do not are pooled (isotonic regression), then parted by 5 mV."""
    pools: list[list[float]] = []
    for value in nodes:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (low, n), (high, m) = pools[-2:]
            pools[-2:] = [[(low * n + high * m) / (n + m), n + m]]
    level = np.concatenate([[value + 0.005 * (k - (n - 1) / 2) for k in range(int(n))] for value, n in pools])
    return np.maximum.accumulate(level + 1e-4 * np.arange(len(level)))


def capacity_ah(log: dict[str, np.ndarray]) -> float:
    """Charge over SOC, summed over all stretches without a gap: each is too short and too coarse alone."""
    step_s = np.diff(log["time_s"])
    breaks = [0, *(1 + np.flatnonzero(step_s > ROW_S)).tolist(), len(log["time_s"])]
    parts = [(a, b) for a, b in pairwise(breaks) if log["soc"][a] - log["soc"][b - 1] > 0.02]
    middle_a = 0.5 * (log["current_a"][1:] + log["current_a"][:-1])
    moved = sum(float(middle_a[a : b - 1] @ step_s[a : b - 1]) for a, b in parts) / 3600
    return moved / sum(float(log["soc"][b - 1] - log["soc"][a]) for a, b in parts)


def r0_ohm(log: dict[str, np.ndarray]) -> float:
    """From row to row, 30 s: R0 with most of the charge transfer."""
    near = np.diff(log["time_s"]) <= ROW_S
    change_a, change_v = np.diff(log["current_a"])[near], np.diff(log["voltage_v"])[near]
    return float(change_a @ change_v / (change_a @ change_a))


def profile(log: dict[str, np.ndarray]) -> dict:
    found_v = ocv_v(log)
    ohm = float(f"{r0_ohm(log):.3g}")
    assumed = "A: of no account for a comparison of cells"
    return {
        "name": "vehicle_nmc",
        "description": "cell of a vehicle's pack of 88, as its own recording shows it",
        "chemistry": "graphite | liquid | NMC",
        "capacity_ah": float(f"{capacity_ah(log):.3g}"),
        "capacity_source": f"{SOURCE}: charge over the vehicle's SOC, within some 10 %",
        "geometry": {"layers": 60, "layer_area_cm2": 600.0, "source": assumed},
        "voltage": {
            "min_v": 2.8, "max_v": 4.2, "abs_min_v": 2.0, "abs_max_v": 4.5, "source": "A: usual of the chemistry",
        },
        "current": {
            "charge_max_a": 120.0, "discharge_max_a": 240.0, "charge_c": 1.0, "discharge_c": 2.0,
            "source": "M: 122 A at most were driven, 72 A charged; A: the rest",
        },
        "pressure": {"min_mpa": 0.1, "target_mpa": 0.3, "max_mpa": 1.0, "source": assumed},
        "temperature": {"charge_min_degc": 0.0, "max_degc": 55.0, "source": "A: usual of the chemistry"},
        "swelling": {"anode_um_per_mah_cm2": 1.6, "cathode_um_per_mah_cm2": -0.6, "source": assumed},
        "ocv": {
            "temperature_degc": 25.0,
            "soc": [*EMPTY_V[0], *SOC_NODES.tolist()],
            "voltage_v": [*EMPTY_V[1], *(round(float(v), 4) for v in found_v)],
            "source": f"{SOURCE}: ends of rests over the vehicle's SOC, 12 to 100 %; A: below",
        },
        "r0": {
            "temperature_degc": [25.0], "pressure_mpa": [0.3], "ohm": [[ohm]],
            "source": f"{SOURCE}: voltage over current from row to row, 30 s",
        },
        "rc": {
            "tau1_s": 30.0, "tau2_s": 600.0, "temperature_degc": [25.0], "r1_ohm": [0.3 * ohm], "r2_ohm": [0.5 * ohm],
            "source": "A: shares of R0",
        },
    }  # fmt: skip


def main() -> None:
    made = convert(profile(columns(Path(sys.argv[1]))), Cell, OUT)
    OUT.parent.mkdir(exist_ok=True)
    head = "Made by `python host_tools/tests/vehicle_profile.py car2_processed.zip`. Marks of sources: docs/config.md."
    OUT.write_text(toml_text(made, head), encoding="utf-8")


if __name__ == "__main__":
    main()
