"""`assb demo`: the whole product once, from an empty virtual board to a judged run with its report."""

import tempfile
from dataclasses import replace
from pathlib import Path

import click
from assb_host.errors import EXIT_FAILED

DEMO_SCENARIO = "demo"


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="out/demo", show_default=True,
              help="Folder for report.html, the BDF table and the raw frames.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Of everything that is random.")
def demo(out, seed):
    """Boot and flash a virtual board, charge a solid-state cell under pressure, and watch a short being caught.

    Everything is simulated but the firmware, which runs on a real MicroPython. Exit code 0 only if every check held.
    """
    from assb_hil.commands.hil import print_result
    from assb_hil.out_folder import make_folder
    from assb_hil.results import write_results
    from assb_hil.scenario import load_scenario

    make_folder(out)
    scenario = load_scenario(DEMO_SCENARIO)
    with tempfile.TemporaryDirectory(prefix="assb-demo-") as folder:
        image = Path(folder) / "flash.bin"
        flash_board(scenario, image)
        result = play(scenario, image, seed)
    print_result(result)
    paths = write_results(result, scenario, out)
    click.echo("".join(f"\n{what:8} {path}" for what, path in paths.items()).lstrip("\n"))
    return 0 if result.passed else EXIT_FAILED


def flash_board(scenario, image):
    """An empty board boots; firmware and configuration go on it over its serial port, as on a real one."""
    from assb_host.commands.flash import shown_progress, summary
    from assb_host.flash.flasher import flash
    from assb_host.flash.plan import plan_for

    from assb_hil.session import open_session

    click.echo("1  flash an empty virtual board over its serial port")
    with shown_progress() as progress:
        progress("compile", 0, 0, "")
        plan = plan_for(scenario.pack, changes=dict(scenario.pack_changes))
        with open_session(replace(scenario, faults=()), flash=image) as session:
            session.dut.power_on()
            with session.dut.background(float("inf")):
                done = flash(session.dut.console_port, plan, progress)
    click.echo("   " + summary(done).replace("\n", "\n   "))


def play(scenario, image, seed):
    """The same flash image on the bench: power on, arm, charge, and what then happens."""
    from assb_hil.live import LiveRun, PlainRun, on_terminal
    from assb_hil.session import open_session

    click.echo(f"2  {scenario.title}: {scenario.duration_s:.0f} s of cell time")
    with open_session(scenario, seed=seed, flash=image) as session:
        show = LiveRun(scenario) if on_terminal() else PlainRun(lambda line: click.echo("   " + line))
        with show as progress:
            return session.run(progress)
