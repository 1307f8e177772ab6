"""`assb hil`: scenarios on a device under test."""

import json
from pathlib import Path

import click
from assb_host.errors import EXIT_FAILED


@click.group()
def hil():
    """Run scenarios: a device under test against a simulated cell, judged by checks."""


@hil.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def list_scenarios(as_json):
    """The scenarios that come with the harness."""
    from assb_hil.scenario import load_scenario, scenario_names

    rows = [load_scenario(name) for name in scenario_names()]
    if as_json:
        fields = ("name", "title", "summary", "pack", "plant", "duration_s")
        click.echo(json.dumps([{field: getattr(row, field) for field in fields} for row in rows]))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        click.echo(f"{row.name:{width}}  {row.duration_s:5.0f} s  {row.title}")


@hil.command("run")
@click.argument("scenario", metavar="NAME|FILE")
@click.option("--dut", default="virtual", show_default=True, help="Device under test.")
@click.option("--seed", type=click.IntRange(0), help="Of everything that is random; the scenario's own by default.")
@click.option("--kernel", default="none", metavar="FILE|DIR|none", help="Native estimator of the board.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write report, BDF table and raw frames here."
)
def run(scenario, dut, seed, kernel, as_json, out):
    """Run one scenario; exit code 0 only if every check held."""
    from assb_host.flash.native_kernel import kernel_source

    from assb_hil.out_folder import make_folder
    from assb_hil.scenario import load_scenario
    from assb_hil.session import run_scenario

    loaded = load_scenario(scenario)
    if out:
        make_folder(out)
    with live_progress(loaded, quiet=as_json) as progress:
        result = run_scenario(loaded, dut, seed, progress, kernel_source(kernel))
    if out:
        from assb_hil.results import write_results

        write_results(result, loaded, out)
    if as_json:
        click.echo(result.to_json())
    else:
        print_result(result)
    return 0 if result.passed else EXIT_FAILED


@hil.command("hammer")
@click.option("--lines", default=1_000_000, show_default=True, type=click.IntRange(1), help="Lines, and frames.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
def hammer(lines, seed):
    """Random and damaged lines into the running firmware, damaged frames into the decoder; exit code 0 only if nothing
    but refusals came of it."""
    from assb_hil.hammer import Hammer, false_frames
    from assb_hil.pytest_plugin import bench_scenario
    from assb_hil.session import open_session

    with open_session(bench_scenario(None)) as session:
        session.start()
        raw = bytearray()
        session.dut.add_tap(lambda _now_us, data: raw.extend(data) if len(raw) < 100_000 else None)
        struck = Hammer(session, seed)
        outcome = struck.run(lines)
        click.echo(
            f"{outcome.lines} lines in {outcome.sim_time_s:.0f} s of the board's time, {outcome.taken} read by it, "
            f"{outcome.withheld} withheld as they had a right CRC; {outcome.recoveries} recoveries within one command"
        )
        outcome.violations["it can't be armed any more"] += not struck.arms()
    believed, damaged = false_frames(bytes(raw), lines, seed)
    click.echo(f"{damaged} damaged frames: {believed} believed, {damaged / 65536:.1f} to be expected of a CRC-16")
    for text, count in (+outcome.violations).items():
        click.echo(f"BROKEN  {count} times: {text}")
    # 5 sigma of a Poisson count above what chance lets through
    chance = damaged / 65536 + 5 * (damaged / 65536) ** 0.5 + 1
    return 0 if not +outcome.violations and outcome.taken > 0 and believed <= chance else EXIT_FAILED


def live_progress(scenario, quiet):
    """Context that yields a progress callback: a live panel in a terminal, otherwise nothing."""
    from contextlib import nullcontext

    from assb_hil.live import LiveRun, on_terminal

    return LiveRun(scenario) if not quiet and on_terminal() else nullcontext()


def print_result(result):
    """The verdicts, one line each."""
    for check in result.checks:
        mark = click.style("held  ", fg="green") if check.passed else click.style("BROKEN", fg="red", bold=True)
        click.echo(f"{mark} {check.name}: {shown(check.value)}, limit {shown(check.limit)} {check.unit}".rstrip())
    verdict = click.style("PASSED", fg="green") if result.passed else click.style("FAILED", fg="red", bold=True)
    click.echo(
        f"{verdict} {result.scenario} on {result.dut}, seed {result.seed}: {result.sim_time_s:g} s in "
        f"{result.wall_time_s:.1f} s ({result.speed_x:g}x), trace {result.trace_sha256[:16]}"
    )
    if not result.passed:
        for line in result.console[:8]:
            click.echo(f"  console: {line}")


def shown(value):
    """A number as a reader wants it."""
    return "–" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
