"""`assb estimate`: the estimator over a recording."""

import json
from pathlib import Path

import click

from assb_host.commands.log_options import FiniteRange, log_options

A_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--cell", "cell_name", metavar="CELL", required=True, help="Profile: a shipped name or a TOML file.")
@click.option("--log", "log_file", type=A_FILE, required=True, help="CSV, gzipped or not; as for `assb cell fit`.")
@click.option("--soc0", type=FiniteRange(0, 1), help="SOC that the filter starts with; by default by the voltage.")
@click.option("--soc-start", type=FiniteRange(0, 1), help="True SOC at the start: the count goes on from there.")
@click.option("--sensor-noise-mv", type=FiniteRange(0, 1000), default=0.0, help="White noise put on the voltage.")
@click.option("--current-gain", type=FiniteRange(-0.5, 0.5), default=0.0, help="Put on the current: 0.002 is +0.2 %.")
@click.option("--current-offset-ma", type=FiniteRange(-1e5, 1e5), default=0.0, help="Put on the current, mA.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the noise.")
@click.option("--precision", type=click.Choice(["f32", "f64"]), default="f32", show_default=True, help="Of the kernel.")
@log_options
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for estimate.csv and .png.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def estimate(cell_name, log_file, soc0, soc_start, reader, out, as_json, precision, **errors):
    """Run the estimator over a recording: SOC, its uncertainty, R0 and leak as CSV and plot.

    Where the log has a soc column, or net_charge_ah and --soc-start says where it began, the estimate is scored.
    """
    from assb_host.cell_fit import estimate as estimation
    from assb_host.config.cell import load_cell
    from assb_host.config.locate import find

    cell, log = load_cell(find("cell", cell_name)), reader(log_file)
    sensors = estimation.Sensors(
        noise_v=errors["sensor_noise_mv"] / 1000,
        gain_frac=errors["current_gain"],
        offset_a=errors["current_offset_ma"] / 1000,
        seed=errors["seed"],
    )
    run = estimation.estimate(cell, log, soc0=soc0, soc_start=soc_start, sensors=sensors, precision=precision)
    check_any_taken(run)
    facts = {
        "cell": cell.name,
        "log": str(log_file),
        "rows": len(log),
        "rows_dropped": log.dropped,
        "rows_refused": int((run.columns["status"] != 0).sum()),
        "gaps": run.gaps,
        **estimation.scores(run),
        "soc_end": float(run.soc[-1]),
        "soc_sigma_end": float(run.sigma[-1]),
        "r0_ohm_end": float(run.columns["r0_ohm"][-1]),
        "r0_sigma_ohm_end": float(run.r0_sigma_ohm[-1]),
        "soh_capacity_end": float(run.columns["capacity_scale"][-1]),
        "soh_capacity_sigma_end": float(run.columns["capacity_sigma"][-1]),
        "soh_resistance_end": float(1.0 / run.columns["resistance_scale"][-1]),
        "leak_a_end": float(run.columns["leak_a"][-1]),
    }
    facts |= written(run, out, cell.name) if out else {}
    click.echo(json.dumps(facts) if as_json else "\n".join(lines_of(facts)))


def check_any_taken(run) -> None:
    """Raises ConfigError when the kernel refused every row: there is then no estimate, only where it started."""
    from assb_kernels import STATUS_TEXT

    from assb_host.config.errors import ConfigError

    status = run.columns["status"].astype(int)
    if (status != 0).all():
        kinds = ", ".join(f"{STATUS_TEXT[kind]} in {int((status == kind).sum())}" for kind in sorted(set(status)))
        allowed = "rows that the estimator takes"
        raise ConfigError(
            run.log.path, "", f"{len(status)} rows, all refused: {kinds}", allowed, "is it this cell's log?"
        )


def written(run, out: Path, name: str) -> dict[str, str]:
    """Writes table and picture; their paths."""
    from assb_host.cell_fit.estimate_files import write_csv, write_plot
    from assb_host.errors import AssbError

    table, picture = out / "estimate.csv", out / "estimate.png"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_csv(run, table)
        write_plot(run, picture, f"{name}, {run.log.path.name}")
    except OSError as error:
        raise AssbError(f"can't write to {out}: {error.strerror}", remedy="choose another --out") from None
    return {"table": str(table), "plot": str(picture)}


def lines_of(facts: dict) -> list[str]:
    lines = [
        f"{facts['log']}: {facts['rows']} rows, SOC at the end {100 * facts['soc_end']:.2f} ± "
        f"{100 * facts['soc_sigma_end']:.2f} %"
    ]
    for count, what in (("rows_dropped", "rows dropped"), ("rows_refused", "rows refused"), ("gaps", "gaps")):
        if facts[count]:
            lines.append(f"  {facts[count]} {what}")
    if facts["soc_rmse_frac"] is None:
        lines.append("  not scored: a soc column is needed, or net_charge_ah and --soc-start")
    else:
        settle = "never" if facts["settle_s"] is None else f"after {facts['settle_s']:.0f} s"
        lines.append(
            f"  SOC error {100 * facts['soc_rmse_frac']:.3f} % rms, {100 * facts['soc_max_error_frac']:.2f} % at most, "
            f"within 2 % {settle}"
        )
        lines.append(
            f"  inside 1 sigma {100 * facts['inside_1sigma_frac']:.0f} %, "
            f"inside 3 sigma {100 * facts['inside_3sigma_frac']:.1f} %"
        )
    return lines + [f"  {facts[key]}" for key in ("table", "plot") if key in facts]
