"""`assb bench`: how fast things go on this machine."""

import json
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import perf_counter

import click
from assb_host.errors import AssbError

BENCH_SCENARIO = "us06_drive"


# name → module with <name>_table(progress=…), lines(table) and plot(table, axes)
TABLES = {
    "pressure": "assb_hil.pressure_table",
    "stripping": "assb_hil.stripping_table",
    "stress": "assb_hil.stress_table",
}


class BoardSilentError(AssbError):
    """There is nothing to measure."""


@click.group()
def bench():
    """Measure speed on this machine."""


@bench.command("hil")
@click.option("--seconds", type=click.FloatRange(10.0, 135.0), default=100.0, show_default=True, help="Virtual time.")
@click.option("--kernel", default="none", metavar="FILE|DIR|none", help="Native estimator of the board.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_hil(seconds, kernel, as_json):
    """Cell time per wall time of the whole loop, and where the wall time goes."""
    from assb_host.flash.native_kernel import kernel_source

    from assb_hil.scenario import load_scenario
    from assb_hil.session import open_session

    scenario = replace(load_scenario(BENCH_SCENARIO), duration_s=seconds)
    with open_session(scenario, kernel=kernel_source(kernel)) as session:
        plant = Stopwatch(session.rig.plant, "step_to")
        host = Stopwatch(session.rig, "hear")
        result = session.run()
    figures = {"speed_x": result.speed_x, **wall_shares(result, plant.spent_s, host.spent_s)}
    if not session.recorder.hello_count:
        raise BoardSilentError("the board did not start", session.dut.name, "; ".join(result.console[:4]))
    if as_json:
        click.echo(json.dumps({"hil": figures}))
        return
    click.echo(f"{result.speed_x:.1f} s of cell time per second: {result.sim_time_s:g} s in {result.wall_time_s:.2f} s")
    for name, share in figures["wall_share"].items():
        click.echo(f"  {name:9} {share:6.1%}")


@bench.command("kernel")
@click.option("--repeats", type=click.IntRange(1), default=1000, show_default=True, help="Rounds; the fastest counts.")
@click.option("--no-peers", is_flag=True, help="Without numpy and filterpy.")
@click.option("--instructions", is_flag=True, help="Count instructions as well, where valgrind is: a minute or so.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_kernel(repeats, no_peers, instructions, as_json):
    """Speed of the estimator, beside a bare filter and others' (docs/performance.md says what each figure means)."""
    from assb_hil.kernel_bench import lines, measure_kernel

    with progress_bars() as progress:
        figures = measure_kernel(repeats, peers=not no_peers, instructions=instructions, progress=progress)
    click.echo(json.dumps({"kernel": figures}) if as_json else "\n".join(lines(figures)))


@bench.command("plant")
@click.option("--table", "name", type=click.Choice(list(TABLES)), help="A published table instead of the speed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the table's plot and JSON.")
def bench_plant(name, as_json, out):
    """Speed of the simulated cell, or what it says where others have measured."""
    if name:
        print_table(name, as_json, out)
    elif out:
        raise click.UsageError("--out goes with --table: the speed has no plot")
    else:
        print_speed(as_json)


@bench.command("pressure")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only these; may be given again.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--cycles", type=click.IntRange(1, 100), default=1, show_default=True, help="Cycles that are judged.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the plot and the JSON.")
def bench_pressure(profiles, seed, cycles, as_json, out):
    """How well the regulator holds each profile on three simulated presses, beside a stack left alone."""
    from assb_hil.out_folder import make_folder, writing
    from assb_hil.press_bench import PROFILES, lines, plot, press_table

    unknown = [name for name in profiles if name not in PROFILES]
    if unknown:
        raise click.UsageError(f"--profile {unknown[0]}: one of {', '.join(PROFILES)}")
    if out:
        make_folder(out)
    with progress_bar("pressure") as progress:
        table = press_table(profiles or PROFILES, seed, cycles, progress=progress)
    figures = {key: value for key, value in table.items() if key != "traces"}
    if out:
        with writing(out):
            (out / "pressure.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
            plot(table, out / "pressure.png")
    click.echo(json.dumps(figures) if as_json else "\n".join(lines(table)))


@bench.command("regulator")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_regulator(as_json):
    """What the pressure regulator costs a slow tick of the firmware: time and bytes, on the MicroPython VM."""
    from assb_hil.regulator_bench import lines, measure_regulator

    figures = measure_regulator()
    click.echo(json.dumps({"regulator": figures}) if as_json else "\n".join(lines(figures)))


@bench.command("pico")
@click.option("--uf2", type=click.Path(dir_okay=False, path_type=Path), help="MicroPython image, as in `assb hil run`.")
@click.option("--scenario", "name", default="short_day/cycle", show_default=True, help="What it does meanwhile.")
@click.option(
    "--seconds", type=click.FloatRange(2.0), default=6.0, show_default=True, help="Of the board, once booted."
)
@click.option("--kernel", default="none", metavar="FILE|DIR|none", help="Native estimator of the board.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_pico(uf2, name, seconds, kernel, as_json):
    """What the firmware's work costs a Raspberry Pi Pico, on an emulated one: a board file's `[cost]`. Minutes."""
    from dataclasses import asdict

    from assb_host.flash.native_kernel import kernel_source

    from assb_hil.dut.pico import find_image
    from assb_hil.pico_bench import lines, measure
    from assb_hil.scenario import load_scenario

    times = measure(load_scenario(name), find_image(uf2), seconds, kernel=kernel_source(kernel))
    click.echo(json.dumps({"pico": asdict(times)}) if as_json else "\n".join(lines(times)))


def print_speed(as_json):
    from assb_hil.plant_bench import measure_plant

    figures = measure_plant()
    if as_json:
        click.echo(json.dumps({"plant": figures}))
        return
    click.echo(f"full plant step {figures['step_ns']:.1f} ns, {figures['ratio']:.2f} times the floor of this run")
    click.echo(f"  (floor {figures['floor_ns']:.1f} ns: two RC pairs, hysteresis, one temperature, R0(T, P), pressure)")
    click.echo(f"  (median of pairs: {figures['ratio_median']:.2f} times)")
    click.echo(f"  bridged {figures['bridged_ns']:.1f} ns, discharged at 1C {figures['one_way_ns']:.1f} ns")
    click.echo(f"one hour at 0.1 s: {figures['hour_ms']:.2f} ms a cell")
    click.echo(f"  {figures['published_pybamm_thevenin_x']:.0f}x the published figure of PyBaMM Thevenin (0.98 s)")
    if "measured_pybamm_thevenin_x" in figures:
        click.echo(
            f"  {figures['measured_pybamm_thevenin_x']:.0f}x PyBaMM Thevenin here"
            f" ({figures['measured_pybamm_thevenin_ms']:.0f} ms)"
        )


def print_table(name, as_json, out):
    from assb_hil.out_folder import make_folder, writing

    module = import_module(TABLES[name])
    if out:
        make_folder(out)
    with progress_bar(f"{name} table") as progress:
        table = getattr(module, f"{name}_table")(progress=progress)
    if out:
        with writing(out):
            (out / f"{name}_table.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
            save_plot(lambda axes: module.plot(table, axes), out / f"{name}_table.png")
    click.echo(json.dumps(table) if as_json else "\n".join(module.lines(table)))


@contextmanager
def progress_bar(what):
    """Yields a function that takes the share done; drawn on stderr, and only in a terminal."""
    with progress_bars() as progress:
        yield lambda share: progress(what, share)


@contextmanager
def progress_bars():
    """Yields a function that takes what is being done, and its share done: a bar for each, as they come up."""
    from rich.console import Console
    from rich.progress import Progress

    console, tasks = Console(stderr=True), {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def progress(what, share):
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=share)

        yield progress


def save_plot(draw, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    draw(figure.subplots())
    figure.savefig(path, dpi=110, metadata={"Software": None})


class Stopwatch:
    """Adds up the wall time that one method of one object takes."""

    def __init__(self, target, method):
        self.spent_s = 0.0
        self._inner = getattr(target, method)
        setattr(target, method, self._timed)

    def _timed(self, *arguments):
        started_s = perf_counter()
        try:
            return self._inner(*arguments)
        finally:
            self.spent_s += perf_counter() - started_s


def wall_shares(result, plant_s, host_s):
    """Wall time by where it went: the VM computing, sockets and lockstep, chips, plant, decoding and recording."""
    counters = result.counters
    seconds = {
        "firmware": counters["wall_firmware_s"],
        "link": counters["wall_link_s"] - host_s,
        "chips": counters["wall_world_s"] - plant_s,
        "plant": plant_s,
        "host": host_s,
    }
    total_s = result.wall_time_s
    seconds["rest"] = total_s - sum(seconds.values())
    return {
        "sim_time_s": result.sim_time_s,
        "wall_time_s": result.wall_time_s,
        "wall_s": {name: round(value, 3) for name, value in seconds.items()},
        "wall_share": {name: round(value / total_s, 4) for name, value in seconds.items()},
    }
