"""A finished run as files: report.html, the BDF table with its meta, the raw frames, and the result as JSON."""

from pathlib import Path
from typing import Any

from assb import VERSION
from assb.protocol import schema
from assb_host.report import Check, Event, Recording, Series, render_page, write_bdf

from assb_hil.out_folder import make_folder, writing
from assb_hil.scenario import Scenario
from assb_hil.session import Result

# Events that fill the table without telling much
ROUTINE = ("sent_lease",)
SERIES = (
    "voltage_v", "current_a", "soc_frac", "soc_sigma_frac", "temperature_degc", "pressure_mpa", "pressure_target_mpa",
    "pressure_command_mpa", "charge_limit_a", "leak_a", "leak_sigma_a", "short_ohm", "dip_score", "leak_score", "stage",
    "state", "innovation_v", "r0_ohm", "ambient_degc", "true_voltage_v", "true_current_a", "true_soc_frac",
    "true_temperature_degc", "true_pressure_mpa", "true_leak_a",
)  # fmt: skip


def recording_of(result: Result, scenario: Scenario) -> Recording:
    """What a report shows of a run."""
    recorder = result.recorder
    if recorder is None:
        raise ValueError("this result came without its recorder")
    pack = result.pack
    return Recording(
        title=scenario.title,
        summary=scenario.summary,
        meta=provenance(result),
        series={name: Series(*xy) for name, xy in recorder.series.items() if name.partition("[")[0] in SERIES},
        windows={
            "pressure_mpa": (
                1e-3 * pack.parameters["pressure_min_kpa"],
                1e-3 * pack.parameters["pressure_max_kpa"],
            )
        },
        state_names=schema.STATES,
        stage_names=schema.STAGES,
        events=[_event(event) for event in collapsed(result.events) if event["name"] not in ROUTINE],
        checks=[Check(c.name, c.passed, c.value, c.limit, c.unit) for c in result.checks],
    )


def collapsed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An event that its source repeats unchanged, nothing else having happened there, is shown once with its count."""
    shown: list[dict[str, Any]] = []
    newest: dict[str, dict[str, Any]] = {}
    for event in events:
        before = newest.get(event["source"])
        if before is not None and fields_of(before) == fields_of(event):
            before["times"] = before.get("times", 1) + 1
            continue
        newest[event["source"]] = dict(event)
        shown.append(newest[event["source"]])
    return shown


def fields_of(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("t_s", "times")}


def _event(event: dict[str, Any]) -> Event:
    fields = (f"{key} {value}" for key, value in event.items() if key not in ("t_s", "source", "name") and value != "")
    return Event(event["t_s"], event["source"], event["name"], ", ".join(fields).replace("_", " "))


def provenance(result: Result) -> dict[str, str]:
    """Versions, seeds and hashes, as text."""
    hello = result.recorder.hello if result.recorder else {}
    version = [hello.get(f"version_{part}", "?") for part in ("major", "minor", "patch")]
    counters = result.counters
    return {
        "host version": ".".join(str(part) for part in VERSION),
        "firmware version": ".".join(str(part) for part in version),
        "board / pack / cell": " / ".join(str(hello.get(key, "?")) for key in ("board", "pack", "cell")),
        "device under test": result.dut,
        "scenario": result.scenario,
        "seed": str(result.seed),
        "schema id": f"{hello.get('schema_id', 0):08x}",
        "config CRC": f"{hello.get('config_crc', 0):08x}",
        "trace SHA-256": result.trace_sha256,
        "simulated": f"{result.sim_time_s:g} s in {result.wall_time_s:g} s of wall time ({result.speed_x:g}x)",
        "resets": f"{counters.get('watchdog_resets', 0)} by the watchdog, {counters.get('hard_resets', 0)} others",
    }


def write_results(result: Result, scenario: Scenario, folder: Path) -> dict[str, Path]:
    """Writes report.html, cell0.bdf.csv with its .meta.json, frames.bin, result.json and a table of every freeze frame;
    returns where.

    Raises AssbError where that can't be.
    """
    make_folder(folder)
    with writing(folder):
        return _written(result, scenario, folder)


def _written(result: Result, scenario: Scenario, folder: Path) -> dict[str, Path]:
    recording = recording_of(result, scenario)
    paths = {
        "report": folder / "report.html",
        "frames": folder / "frames.bin",
        "result": folder / "result.json",
    }
    paths["report"].write_text(render_page(recording), encoding="utf-8")
    if recording.has("voltage_v", "current_a"):  # a board that never spoke has no data to tabulate
        for cell in range(recording.cells):
            name = f"table of cell {cell}" if cell else "table"
            paths[name] = write_bdf(recording.of_cell(cell), folder / f"cell{cell}.bdf.csv")
    for capture in result.recorder.captures if result.recorder else ():
        paths[f"freeze frame {capture.number}"] = path = folder / f"capture{capture.name}.csv"
        path.write_text(capture.csv(), encoding="utf-8")
    paths["frames"].write_bytes(bytes(result.recorder.frame_bytes) if result.recorder else b"")
    paths["result"].write_text(result.to_json() + "\n", encoding="utf-8")
    return paths
