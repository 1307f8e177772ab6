"""What a fit found, in figures and in lines for people."""

import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.config.cell import Cell


def log_facts(fit: CellFit) -> list[dict[str, object]]:
    """One entry per pulse log: rows used, temperature, where it began, and what is left unexplained."""
    facts = []
    parts = zip(fit.pulses.traces, fit.pulses.misfit_v, fit.pulses.kept, fit.start_soc, strict=True)
    for trace, off_v, kept, start in parts:
        facts.append(
            {
                "file": str(trace.log.path),
                "rows": len(trace.log),
                "rows_dropped": trace.log.dropped,
                "temperature_degc": round(float(np.median(trace.temperature_degc)), 2),
                "soc_start": round(float(start), 4),
                "residual_rms_mv": round(1e3 * float(np.sqrt(np.mean(off_v[kept] ** 2))), 3),
                "residual_max_mv": round(1e3 * float(np.abs(off_v[kept]).max()), 3),
            }
        )
    return facts


def summary(fit: CellFit, cell: Cell) -> dict[str, object]:
    circuit = fit.pulses.circuit
    return {
        "name": cell.name,
        "capacity_ah": cell.capacity_ah,
        "hysteresis_v": cell.ocv.hysteresis_v,
        "temperature_degc": [float(t) for t in circuit.temperature_degc],
        "r0_ohm": [float(x) for x in circuit.r0_ohm],
        "r1_ohm": [float(x) for x in circuit.r1_ohm],
        "r2_ohm": [float(x) for x in circuit.r2_ohm],
        "tau_s": list(circuit.tau_s),
        "ocv_runs": [
            {"file": str(run.trace.log.path), "charges": run.is_charge, "moved_ah": round(run.moved_ah, 4)}
            for run in fit.runs
        ],
        "pulses": log_facts(fit),
        "notes": fit.notes,
    }


def summary_lines(facts: dict) -> list[str]:
    lines = [f"{facts['profile']}: {facts['capacity_ah']:.4g} Ah, plot {facts['plot']}"]
    rows = zip(facts["temperature_degc"], facts["r0_ohm"], facts["r1_ohm"], facts["r2_ohm"], strict=True)
    for degc, *ohm in rows:
        r0, r1, r2 = (f"{1e3 * value:.3g}" for value in ohm)
        lines.append(f"  {degc:5.1f} degC: R0 {r0} mΩ, R1 {r1} mΩ, R2 {r2} mΩ")
    for log in facts["pulses"]:
        dropped = f", {log['rows_dropped']} rows dropped" if log["rows_dropped"] else ""
        lines.append(
            f"  {log['file']}: from SOC {log['soc_start']:.3f}, residual {log['residual_rms_mv']:.1f} mV rms{dropped}"
        )
    return lines + [f"  note: {note}" for note in facts["notes"]]


def head_text(fit: CellFit) -> str:
    """The comment at the top of a profile."""
    runs = " ".join(f"--ocv {name}" for name in dict.fromkeys(run.trace.log.path.name for run in fit.runs))
    pulses = " ".join(f"--pulses {trace.log.path.name}" for trace in fit.pulses.traces)
    lines = [f"Made by `assb cell fit {runs} {pulses}`. Marks of sources: docs/config.md."]
    for log in log_facts(fit):
        name = str(log["file"]).replace("\\", "/").rpartition("/")[2]
        lines.append(f"{name}: {log['residual_rms_mv']} mV rms left, {log['residual_max_mv']} mV at most")
    return "\n".join(lines + fit.notes)
