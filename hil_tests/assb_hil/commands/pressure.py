"""`assb pressure`: a step test of a press, and what bounds the error with which it holds."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click
from assb_host.commands.arm import RENEWALS_PER_LEASE
from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import AssbError

from assb_hil.commands.bench import progress_bar

# of press_rigs.RIGS, which costs too much to import for a line of help (a test compares)
RIG_NAMES = ("spring_pneumatic", "spring_stepper", "stiff_stepper")
STEP_SHARE = 0.8  # of the way from the target to the nearer end of the window
STEP_MOST_MPA = 0.4


class PressError(AssbError):
    """The press, or what is known of it, does not do for this."""


@click.group()
def pressure():
    """Stack pressure: test a press by steps, and see what bounds its error. docs/pressure.md."""


def rig_options(command):
    """The options that say which press."""
    for option in (
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for plot and JSON."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of a simulated rig."),
        click.option("--rig", type=click.Choice(RIG_NAMES), default=RIG_NAMES[0], show_default=True),
        click.option("--profile", metavar="NAME", help="A simulated rig with this profile, instead of a board."),
        target_options,
    ):
        command = option(command)
    return command


@pressure.command()
@rig_options
@click.option(
    "--step-mpa", type=click.FloatRange(0.01, 20.0), help="Above and below the target; by the window if not said."
)
def tune(profile, rig, seed, step_mpa, as_json, out, port, dut):
    """Step the target up and down; print stiffness, play, lag and the `[pressure]` keys that follow.

    A board is armed for it, with its cycler off and its stack in place, and stopped at the end.
    """
    from assb_hil.press_report import growth_kpa_s, plot_press
    from assb_hil.press_step_test import on_rig
    from assb_hil.press_tuning import expected_errors, find_press, settings

    prepare(out)
    with progress_bar("step test") as progress:
        if profile:
            pressed = made_rig(profile, rig, seed)
            p, what, current_a = pressed.parameters, f"{profile} on {rig} (simulated)", rated_a(pressed)
            trace = on_rig(pressed, chosen_step_kpa(p, step_mpa, what), progress)
        else:
            p, what, current_a, trace = stepped_board(port, dut, step_mpa, progress)
    screw = p["pressure_by_position"]
    try:
        press = find_press(trace, float(p["stack_stiffness_kpa_per_um"]) if screw else None)
    except ValueError as error:
        raise PressError(str(error), what, "take a larger --step-mpa, inside the window") from None
    grows_kpa_s = growth_kpa_s(p, current_a) * (press.gain if screw else 1.0)
    errors = expected_errors(
        p["pressure_quantum_kpa"], press.noise_kpa, press.lag_s, press.play_kpa, grows_kpa_s, not screw
    )
    keys = settings(press, p["pressure_quantum_kpa"])
    found = {"what": what, "press": asdict(press), "pressure": keys, "expected": errors.as_dict()}
    if out:
        keep(out, "tune", found, lambda path: plot_press(trace, press, what, path))
    click.echo(json.dumps(found) if as_json else "\n".join(tune_lines(found)))


@pressure.command()
@rig_options
@click.option("--seconds", type=click.FloatRange(20.0), default=120.0, show_default=True, help="How long to listen.")
def report(profile, rig, seed, seconds, as_json, out, port, dut):
    """Say how well the pressure is held, and whether the actuator's quantum, the sensor's noise or the loop bounds it.

    A board is only listened to: it has to be armed and pressed. The error is that about its target as it ramps.
    """
    from assb_hil.press_report import of_board, of_rig, plot_report

    prepare(out)
    with progress_bar("pressure") as progress:
        if profile:
            found = of_rig(made_rig(profile, rig, seed), progress)
        else:
            with opened_link(port, dut, "assb pressure report") as link:
                found = said(of_board, link, seconds, progress)
    if out:
        keep(out, "report", found.as_dict(), lambda path: plot_report(found, path))
    click.echo(json.dumps(found.as_dict()) if as_json else "\n".join(found.lines()))


@pressure.command()
@target_options
@click.option("--seconds", type=click.FloatRange(1.0), default=600.0, show_default=True, help="How long to wait.")
def home(seconds, port, dut):
    """Open a screw press to its limit switch, from where its travel counts. Relieves the stack altogether.

    It ends after the whole travel of the board file, by `stop`, and when this command ends or its cable is pulled.

    Only with nothing connected: the board refuses it but in SAFE or MAINTENANCE with its contactor open.
    """
    with opened_link(port, dut, "assb pressure home", lends=False) as link:
        home_screw(link, seconds)
    click.echo("homed: the open limit switch is position 0")


def home_screw(link, seconds: float) -> None:
    """Raises LinkError for a board that refuses, or is not there in time; PressError when homing ended without the
    switch. Whatever ends the wait, Ctrl-C as well, ends the homing; so does the board when its lease lapses."""
    from assb.protocol import schema

    ends = {schema.EV_PRESS_HOMED, schema.EV_PRESS_NOT_HOMED}
    link.keep_lease(int(link.request("home")["lease_ms"]) / 1000.0 / RENEWALS_PER_LEASE)
    try:
        end = link.wait_for(
            lambda item: getattr(item, "type", None) == schema.EVENT and item.fields["event"] in ends,
            seconds,
            "the open limit switch",
        )
    except BaseException:
        with suppress(AssbError):  # what ended the wait tells more
            link.request("stop")
        raise
    finally:
        link.drop_lease()
    if end.fields["event"] == schema.EV_PRESS_NOT_HOMED:
        raise PressError("homing ended without the open limit switch", link.console.name, "see the switch and its wire")


def said(call, *arguments):
    """What is wrong with what was measured, as an error of the house."""
    try:
        return call(*arguments)
    except ValueError as error:
        raise PressError(str(error)) from None


def prepare(out):
    """Where results go is tried before anything long."""
    from assb_hil.out_folder import make_folder

    if out:
        make_folder(out)


def keep(out: Path, name: str, figures: dict, draw) -> None:
    from assb_hil.out_folder import writing

    with writing(out):
        (out / f"pressure_{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        draw(out / f"pressure_{name}.png")


def made_rig(profile: str, rig: str, seed: int):
    from assb_hil.press_bench import PROFILES, START_SOC
    from assb_hil.press_rigs import RIGS, PressedPack

    if profile not in PROFILES:
        raise click.UsageError(f"--profile {profile}: one of {', '.join(PROFILES)}")
    return PressedPack(profile, RIGS[RIG_NAMES.index(rig)], soc=START_SOC, seed=seed)


def rated_a(pressed) -> float:
    return pressed.plant.limits.charge_max_c * pressed.plant.cell.capacity_ah


def chosen_step_kpa(p: dict[str, int], step_mpa: float | None, what: str) -> int:
    """Raises PressError for a step that leaves the window."""
    target_kpa = p["pressure_target_kpa"]
    room_kpa = min(target_kpa - p["pressure_min_kpa"], p["pressure_max_kpa"] - target_kpa)
    if step_mpa is None:
        return round(min(STEP_SHARE * room_kpa, 1000.0 * STEP_MOST_MPA))
    if round(1000.0 * step_mpa) > room_kpa:
        raise PressError(
            f"--step-mpa {step_mpa:g} leaves the window",
            what,
            f"take at most {room_kpa / 1000.0:g}, what it has room for",
        )
    return round(1000.0 * step_mpa)


def stepped_board(port: str, dut: str, step_mpa: float | None, progress):
    """(parameters, name, largest charge current in A, trace) of the board that the options name."""
    from assb_hil.press_step_test import image_target_kpa, on_board, parameter, wait_until_pressed

    names = (
        "pressure_target_kpa", "pressure_min_kpa", "pressure_max_kpa", "pressure_by_position", "pressure_quantum_kpa",
        "stack_stiffness_kpa_per_um", "swelling_nm_per_mah", "charge_current_max_ma", "press_timeout_ms",
    )  # fmt: skip
    with opened_link(port, dut, "assb pressure tune", lends=False) as link:
        image_target_kpa(link)
        p = {name: parameter(link, name) for name in names}
        step_kpa = chosen_step_kpa(p, step_mpa, link.console.name)
        lease_s = int(link.request("arm")["lease_ms"]) / 1000.0
        try:
            link.keep_lease(lease_s / RENEWALS_PER_LEASE)
            wait_until_pressed(link, p["press_timeout_ms"] / 1000.0)
            trace = on_board(link, step_kpa, progress)
        except BaseException:
            link.drop_lease()
            with suppress(AssbError):  # what ended the test tells more, and the lease lapses
                link.request("stop")
            raise
        link.drop_lease()
        link.request("stop")
        return p, link.console.name, p["charge_current_max_ma"] / 1000.0, trace


def tune_lines(found: dict) -> list[str]:
    press, keys, errors = found["press"], found["pressure"], found["expected"]
    stiffness = press["stiffness_kpa_per_um"]
    tells = f"{stiffness / 1000.0:.4g} MPa/um" if stiffness else "not to be told by pressure steps of air"
    out = [
        f"{found['what']}: play {press['play_kpa']:.0f} kPa, lag {press['lag_s']:.2f} s",
        f"  noise {press['noise_kpa']:.1f} kPa rms, stiffness {tells}",
        f"  the model leaves {press['residual_kpa']:.1f} kPa rms",
        "[pressure]",
    ]
    out += [f"{key} = {value:g}" for key, value in keys.items()]
    return [*out, f"expected error {errors['rms_kpa']:.1f} kPa rms; the limit is the {errors['bound']}"]


def study_options(command):
    for option in (
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for plot and JSON."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="Cells."),
    ):
        command = option(command)
    return command


@pressure.command("fast-charge")
@study_options
@click.option("--charges", type=click.IntRange(1), default=10, show_default=True, help="In a row, a discharge between.")
def fast_charge(seeds, charges, as_json, out):
    """Charges asked for at 4C, with the firmware's limits and without: how long they take, how many cells short."""
    from assb_hil import fast_charge_study

    study(fast_charge_study, out, as_json, lambda progress: fast_charge_study.fast_charge_study(
        seeds, charges, progress=progress
    ))  # fmt: skip


@pressure.command()
@study_options
def life(seeds, as_json, out):
    """Time to the first short of a Li-metal cell under one load: regulated, in a fixed gap, on springs."""
    from assb_hil import press_life_study

    study(press_life_study, out, as_json, lambda progress: press_life_study.press_life_study(seeds, progress=progress))


def study(module, out, as_json, run) -> None:
    """Runs one and prints it; `module` has its lines and its plot."""
    prepare(out)
    with progress_bar("study") as progress:
        found = run(progress)
    if out:
        keep(out, found["study"], found, lambda path: module.plot(found, path))
    click.echo(json.dumps(found) if as_json else "\n".join(module.lines(found)))
