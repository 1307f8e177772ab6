"""`assb hil`: scenarios on a device under test."""

import contextlib
import json
from pathlib import Path

import click
from assb_host.errors import EXIT_FAILED

DUT_OPTION = click.option(
    "--dut",
    default="virtual",
    show_default=True,
    metavar="NAME",
    help="Device under test: virtual, serial, or pico-emulated.",
)
INJECT_OPTION = click.option(
    "--inject", is_flag=True, help="Of --dut serial: sensor values over the link, in lockstep; no cell needed."
)


@click.group()
def hil():
    """Run scenarios: a device under test against a simulated cell, judged by checks."""


@hil.command("list")
@DUT_OPTION
@INJECT_OPTION
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def list_scenarios(dut, inject, as_json):
    """The scenarios that come with the harness, and what keeps one from running on a device."""
    from assb_hil.scenario import load_scenario, scenario_names
    from assb_hil.session import features_of, lacks

    features = features_of(dut_name(dut, inject))
    rows = [load_scenario(name) for name in scenario_names()]
    reasons = [[f"{part} needs {', '.join(sorted(needs))}" for part, needs in lacks(row, features)] for row in rows]
    if as_json:
        fields = ("name", "title", "summary", "pack", "plant", "duration_s")
        found = zip(rows, reasons, strict=True)
        click.echo(
            json.dumps([{field: getattr(row, field) for field in fields} | {"lacks": why} for row, why in found])
        )
        return
    width = max(len(row.name) for row in rows)
    for row, why in zip(rows, reasons, strict=True):
        click.echo(f"{row.name:{width}}  {row.duration_s:5.0f} s  {row.title}")
        if why:
            click.echo(click.style(f"{'':{width}}  cannot run there: {why[0]}", fg="red"))


@hil.command("faults")
@DUT_OPTION
@INJECT_OPTION
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def list_faults(dut, inject, as_json):
    """Every fault that a scenario can inject: what it does, its keys, what it needs, which scenario shows it."""
    from assb_hil.fault_listing import fault_rows
    from assb_hil.session import features_of

    rows = fault_rows(features_of(dut_name(dut, inject)))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        print_fault(row)


def print_fault(row):
    """A fault as a paragraph: a table would be wider than a terminal."""
    from assb_hil.fault_listing import needs_text, parameter_text

    keys = " ".join(map(parameter_text, row["parameters"])) or "no keys"
    unsupported = "" if row["supported"] else click.style("  this device cannot have it", fg="red")
    click.echo(f"{click.style(row['name'], bold=True)}  {row['kind']}{unsupported}")
    click.echo(f"    {row['does']}")
    click.echo(f"    keys: {keys}; needs: {needs_text(row)}")
    click.echo(f"    shown by: {', '.join(row['scenarios']) or 'none'}")


@hil.command("soak")
@click.option("--hours", type=click.FloatRange(0.02, 10_000), default=24.0, show_default=True, help="Virtual time.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of load, faults and sensors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def soak(hours, seed, as_json):
    """A long run under a dynamic load with faults at random that a sound pack survives; exit code 0 only if it did."""
    from assb_hil.soak import as_dict, run_soak

    shown = 0

    def told(result):
        nonlocal shown
        for broken in result.broken[shown:]:
            click.echo(click.style("BROKEN ", fg="red", bold=True) + broken, err=True)
        shown = len(result.broken)
        count = sum(result.fault_counts.values())
        click.echo(
            f"{len(result.hour_sha256)} h in {result.wall_time_s:.0f} s ({result.speed_x:g}x): {count} faults, "
            f"{len(result.broken)} broken, heap low {result.heap_low_b} B, trace {result.hour_sha256[-1][:16]}",
            err=True,
        )  # fmt: skip

    result = run_soak(hours, seed, told)
    if as_json:
        click.echo(json.dumps(as_dict(result)))
    else:
        print_soak(result)
    return 0 if result.passed else EXIT_FAILED


def print_soak(result):
    """What held, what broke, and the figures behind it."""
    for name, count in result.fault_counts.items():
        click.echo(f"{count:5} {name}")
    for span in result.heap_spans:
        click.echo(
            f"heap over {span['hours']:g} h of one boot: {span['slope_b_per_h']:+g} B an hour, low water "
            f"{span['low_b']} B, {span['low_fell_b']} B below that after warm-up"
        )
    for broken in result.broken:
        click.echo(click.style("BROKEN ", fg="red", bold=True) + broken)
    verdict = click.style("PASSED", fg="green") if result.passed else click.style("FAILED", fg="red", bold=True)
    click.echo(
        f"{verdict} {result.hours:g} h, seed {result.seed}, in {result.wall_time_s:.0f} s ({result.speed_x:g}x): "
        f"{result.restarts} restarts, trips {result.trips}, worst late tick {result.late_worst_us} us, trace "
        f"{result.trace_sha256[:16]}"
    )


@hil.command("run")
@click.argument("scenario", metavar="NAME|NAME/CASE|FILE")
@DUT_OPTION
@click.option("--port", default="", metavar="PORT", help="Of --dut serial; by default the one board plugged in.")
@INJECT_OPTION
@click.option(
    "--flash", is_flag=True, help="Of --dut serial: put firmware and the scenario's configuration on it first."
)
@click.option(
    "--uf2",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of --dut pico-emulated: its MicroPython image; by default ASSB_PICO_UF2, else one that is downloaded.",
)
@click.option("--seed", type=click.IntRange(0), help="Of everything that is random; the scenario's own by default.")
@click.option("--kernel", default="none", metavar="FILE|DIR|none", help="Native estimator of the board.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write report, BDF table and raw frames here."
)
def run(scenario, dut, port, inject, flash, uf2, seed, kernel, as_json, out):
    """Run one scenario, or all cases of a file with cases; exit code 0 only if every check held.

    --dut serial runs it on the board at a port: with its own sensors what a scenario can do without a simulated rig
    (`assb hil list --dut serial` says which), with --inject all but power, flash and processor faults. --dut
    pico-emulated runs the MicroPython image of a Pico on an emulated RP2040: slow, and close to the real thing.
    """
    from assb_hil.scenario import load_scenarios
    from assb_hil.session import features_of

    dut = dut_name(dut, inject)
    features_of(dut)
    at_port = dut.startswith("serial")
    if not at_port and (port or flash):
        raise click.UsageError("--port and --flash belong to --dut serial")
    if dut != "pico-emulated" and uf2:
        raise click.UsageError("--uf2 belongs to --dut pico-emulated")
    scenarios = load_scenarios(scenario)
    results = []
    with opened_port(port) if at_port else contextlib.nullcontext("") as path:
        for loaded in scenarios:
            folder = out / loaded.name.rpartition("/")[2] if out and len(scenarios) > 1 else out
            if flash:
                put_on_board(loaded, dut, path, kernel)
            results.append(run_one(loaded, dut, seed, kernel, as_json, folder, path, uf2))
            if not as_json:
                print_result(results[-1])
    if as_json:
        rows = [result.as_dict() for result in results]
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows))
    return 0 if all(result.passed for result in results) else EXIT_FAILED


def dut_name(dut, inject):
    """As DUT_FEATURES has it."""
    if inject and dut != "serial":
        raise click.UsageError("--inject belongs to --dut serial")
    return f"{dut} --inject" if inject else dut


def opened_port(port):
    from assb_host.link.target import open_target

    return open_target(port)


def put_on_board(scenario, dut, port, kernel):
    """Firmware and the scenario's configuration, unless it can't run there anyway."""
    from assb_host.commands.flash import shown_progress
    from assb_host.flash import flasher
    from assb_host.flash.native_kernel import kernel_source
    from assb_host.flash.plan import plan_for

    from assb_hil.session import Offer, demand_features, features_of

    demand_features(scenario, Offer(dut, features_of(dut)))
    plan = plan_for(scenario.pack, kernel=kernel_source(kernel), changes=dict(scenario.pack_changes))
    with shown_progress() as progress:
        flasher.flash(port, plan, progress)


def run_one(scenario, dut, seed, kernel, quiet, out, port="", uf2=None):
    """The result of one scenario, its files written."""
    from assb_host.flash.native_kernel import kernel_source

    from assb_hil.out_folder import make_folder
    from assb_hil.session import run_scenario

    if out:
        make_folder(out)
    with live_progress(scenario, quiet=quiet) as progress:
        result = run_scenario(scenario, dut, seed, progress, kernel_source(kernel), port, uf2)
    if out:
        from assb_hil.results import write_results

        write_results(result, scenario, out)
    return result


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


@hil.command("reactions")
@click.option("--pack", help="Rows of this pack, on the plant of its name; otherwise all, each on a pack that has it.")
@click.option("--row", "rows", multiple=True, metavar="ROW", help="Only this row; may be given several times.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, each with a seed.")
@click.option("--worst", is_flag=True, help="Slowest costs, a heap that is nine tenths full, a collection just then.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def reactions(pack, rows, repeats, worst, as_json):
    """How fast each limit row acts, beside its fault-time budget and what the pack allows; exit code 0 if all hold."""
    from assb_hil.reactions import as_dict, measurable, measure

    found = []
    for reaction in measure(measurable(pack, rows), pack, range(1, repeats + 1), worst):
        found.append(reaction)
        if not as_json:
            print_reaction(reaction)
    if as_json:
        click.echo(json.dumps([as_dict(reaction) for reaction in found]))
    return 0 if all(reaction.passed for reaction in found) else EXIT_FAILED


def print_reaction(reaction):
    """One row of the table."""
    mark = click.style("held  ", fg="green") if reaction.passed else click.style("BROKEN", fg="red", bold=True)
    acted = "did not act" if reaction.acted_ms is None else f"{reaction.acted_ms:9.1f} ms"
    click.echo(
        f"{mark} {reaction.row:26} {reaction.act:12} {acted} of {reaction.budget_ms:9.1f} ms budget, "
        f"{reaction.allowed_ms:7} ms allowed: {reaction.stimulus}"
    )
