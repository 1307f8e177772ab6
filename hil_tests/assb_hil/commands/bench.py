"""`assb bench`: how fast things go on this machine."""

import json
from dataclasses import replace
from time import perf_counter

import click
from assb_host.errors import AssbError

BENCH_SCENARIO = "us06_drive"


class BoardSilentError(AssbError):
    """There is nothing to measure."""


@click.group()
def bench():
    """Measure speed on this machine."""


@bench.command("hil")
@click.option("--seconds", type=click.FloatRange(10.0, 135.0), default=100.0, show_default=True, help="Virtual time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_hil(seconds, as_json):
    """Cell time per wall time of the whole loop, and where the wall time goes."""
    from assb_hil.scenario import load_scenario
    from assb_hil.session import open_session

    scenario = replace(load_scenario(BENCH_SCENARIO), duration_s=seconds)
    with open_session(scenario) as session:
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
