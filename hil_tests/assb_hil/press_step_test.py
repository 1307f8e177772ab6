"""The step test itself: on a simulated rig, or on a board over its link. Both give a Trace of a regulated staircase."""

import numpy as np
from assb.protocol import schema
from assb_host.errors import AssbError, LinkError
from assb_host.link.decoder import Frame
from assb_host.link.link import Link

from assb_hil.press_rigs import PressedPack
from assb_hil.press_tuning import TICK_S, Progress, Trace, staircase

SETTLE_S = 60.0
HOLD_S = 20.0
FRAME_DEADLINE_S = 5.0
PRESSED = tuple(schema.STATES.index(name) for name in ("REST", "CHARGE", "DISCHARGE", "DERATE"))
OFF = tuple(schema.STATES.index(name) for name in ("SAFE", "FAULT", "LOCKOUT", "MAINTENANCE"))


def on_rig(pressed: PressedPack, step_kpa: float, progress: Progress = lambda share: None) -> Trace:
    """Regulated about its target by +-`step_kpa`, no current, an even room."""
    regulator, actuator = pressed.regulator, pressed.actuator
    if not (regulator and actuator):
        raise ValueError("a rig that is not regulated has no step test")
    ambient_degc, centre_kpa = pressed.plant.limits.temperature_degc, float(regulator.target_kpa)
    rate_kpa_s = pressed.parameters["pressure_rate_max_kpa_s"]
    while not regulator.inside(round(pressed.pressure_kpa), True):
        pressed.step(0.0, ambient_degc)
    for _ in range(round(SETTLE_S / TICK_S)):
        pressed.step(0.0, ambient_degc)
    command, pressure = [], []
    targets = list(staircase(centre_kpa - step_kpa, centre_kpa + step_kpa, rate_kpa_s, HOLD_S))
    for k, target_kpa in enumerate(targets):
        regulator.aim_kpa = round(target_kpa)
        pressed.step(0.0, ambient_degc)
        command.append(actuator.commanded_kpa)
        pressure.append(pressed.measured_kpa)
        progress((k + 1) / len(targets))
    return Trace(TICK_S, np.array(command, dtype=float), np.array(pressure, dtype=float))


def on_board(link: Link, step_kpa: int, progress: Progress = lambda share: None) -> Trace:
    """The board is armed, pressed and connected (its cycler should be off); its target, that of its image, is put back
    at the end. Raises LinkError when it falls silent or leaves operation, and names the target that it was left with if
    the link did not last for that."""
    rate_kpa_s, centre_kpa = parameter(link, "pressure_rate_max_kpa_s"), image_target_kpa(link)
    asked = centre_kpa
    rows: list[tuple[float, float, float]] = []
    try:
        targets = list(staircase(centre_kpa - step_kpa, centre_kpa + step_kpa, rate_kpa_s, HOLD_S))
        for k, target_kpa in enumerate(targets):
            if round(target_kpa) != asked:
                asked = round(target_kpa)
                link.request("set", name="pressure_target_kpa", value=asked)
            rows.append(next_row(link))
            progress((k + 1) / len(targets))
    except BaseException as error:
        put_back(link, asked, centre_kpa, error)
        raise
    put_back(link, asked, centre_kpa)
    t_s, command, pressure = np.array(rows).T
    even_s = np.arange(t_s[0], t_s[-1], TICK_S)
    return Trace(TICK_S, np.interp(even_s, t_s, command), np.interp(even_s, t_s, pressure))


def put_back(link: Link, asked_kpa: int, centre_kpa: int, first: BaseException | None = None) -> None:
    """A target that is set outlives the link and the power. Raises LinkError if it stayed; `first`: why the test
    ended."""
    try:
        link.request("set", name="pressure_target_kpa", value=centre_kpa)
    except AssbError as error:
        why = first.seen if isinstance(first, AssbError) else error.seen
        raise LinkError(
            f"{why}; the board may be left with a target of {asked_kpa} kPa", link.console.name, remedy_for(centre_kpa)
        ) from first


def remedy_for(target_kpa: int) -> str:
    return f"put it right with `assb params set pressure_target_kpa={target_kpa}`"


def image_target_kpa(link: Link) -> int:
    """Raises LinkError where another target was set since: one that a test left behind is no centre for the next."""
    reply = link.request("get", name="pressure_target_kpa")
    value_kpa, image_kpa = int(reply["value"]), int(reply["image"])
    if value_kpa != image_kpa:
        raise LinkError(
            f"its target is {value_kpa} kPa, not the {image_kpa} kPa of its image: set by hand, or left by a step test",
            link.console.name, remedy_for(image_kpa),
        )  # fmt: skip
    return image_kpa


def parameter(link: Link, name: str) -> int:
    return int(link.request("get", name=name)["value"])


def wait_until_pressed(link: Link, deadline_s: float) -> None:
    """Raises LinkError for a board that gives up, or takes longer."""
    end_s = link.console.now_s() + deadline_s
    state = None
    while link.console.now_s() < end_s:
        state = pack_frame(link).fields["state"]
        if state in PRESSED:
            return
        if state in OFF and link.console.now_s() > end_s - deadline_s + 2.0:
            break
    raise LinkError(
        f"the board is in {schema.STATES[state or 0]}, not pressed and connected", link.console.name,
        "see `assb monitor` for what tripped",
    )  # fmt: skip


def next_row(link: Link) -> tuple[float, float, float]:
    """(time s, command kPa, pressure kPa) of the next PACK frame."""
    frame = pack_frame(link)
    if frame.fields["state"] not in PRESSED:
        left = schema.STATES[frame.fields["state"]]
        raise LinkError(f"the board went to {left} in the middle of the test", link.console.name, "see `assb events`")
    return frame.t_ms / 1000.0, frame.fields["pressure_command_kpa"], frame.fields["pressure_kpa"]


def pack_frame(link: Link) -> Frame:
    frame = link.wait_for(
        lambda item: isinstance(item, Frame) and item.type == schema.PACK, FRAME_DEADLINE_S, "PACK message"
    )
    assert isinstance(frame, Frame)
    return frame
