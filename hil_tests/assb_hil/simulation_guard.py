"""What stops a simulated run: the plant's window and a stated margin, and how a broken limit is said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from assb_kernels import BrokenLimit, Limits

from assb_hil.plant_file import PlantFile
from assb_hil.protocol_ratings import outside

# Steps end at the plant's window itself; a run is stopped when a unit is this far beyond it (A: where the relay of a
# lab's cycler would be set).
VOLTAGE_MARGIN_V = 0.05
HIDDEN_MARGIN_V = 0.5  # where no tap shows a unit its voltage drifts away from the mean, in the lab too (A)
PRESSURE_MARGIN_FRAC = 0.02  # of the highest pressure: an actuator with a deadband reaches the end of its window (A)
# The window of temperature is that of the room. A cell at work is warmer (A: the shipped ones by less than 3 K at what
# they admit), and a little colder while its reaction takes up heat (A).
SELF_HEATING_K = 5.0
SELF_COOLING_K = 1.0

UNITS = {"v": "V", "mpa": "MPa", "degc": "°C"}


def guard_limits(plant: PlantFile) -> Limits:
    """What stops a run: a little beyond the window that protocols work in."""
    limits = plant.limits.protocol()
    room_mpa = PRESSURE_MARGIN_FRAC * limits.pressure_max_mpa
    room_v = VOLTAGE_MARGIN_V if plant.taps else HIDDEN_MARGIN_V
    return replace(
        limits,
        voltage_min_v=limits.voltage_min_v - room_v,
        voltage_max_v=limits.voltage_max_v + room_v,
        pressure_min_mpa=max(limits.pressure_min_mpa - room_mpa, 0.0),
        pressure_max_mpa=limits.pressure_max_mpa + room_mpa,
        temperature_min_degc=limits.temperature_min_degc - SELF_COOLING_K,
        temperature_max_degc=limits.temperature_max_degc + SELF_HEATING_K,
    )


def limit_said(broken: BrokenLimit | None, plant: PlantFile, step_names: Sequence[str], done: int) -> str:
    """A broken limit, with the plant's own figure and the margin beside it. `done`: passes before this call."""
    if broken is None:
        return ""
    unit = UNITS[broken.name.rsplit("_", 1)[1]]
    own = getattr(plant.limits, broken.name)
    margin, sign = broken.limit - own, "+" if broken.limit >= own else "-"
    turn, position = divmod(broken.step, len(step_names))
    beyond = f"{broken.value:.6g} {unit} is beyond the limit {own:g} {sign} {abs(margin):.3g} {unit}"
    what = f"({broken.name} of the plant, and the margin of a run)"
    where = f"at {broken.time_s:.6g} s, in pass {done + turn + 1}, step {position} ({step_names[position]})"
    return f"{broken.whose} {broken.at}: {beyond} {what} {where}"


def check_start(request: Any) -> list[str]:
    """What a reader should know of the room and the pressure that a run starts with.

    Raises ConfigError where the run would be stopped at once. `request`: a Request.
    """
    notes: list[str] = []
    for name, option, unit in (("temperature_degc", "--temperature", "°C"), ("pressure_mpa", "--pressure", "MPa")):
        limits = request.plant.limits
        value = request.start(name, getattr(limits, name))
        kind = name.rsplit("_", 1)[0]
        ends = [f"{kind}_{end}_{name.rsplit('_', 1)[1]}" for end in ("min", "max")]
        guard = guard_limits(request.plant)
        window = tuple(getattr(limits, end) for end in ends)
        stops = tuple(getattr(guard, end) for end in ends) if request.limits else None
        given = getattr(request, name) is not None
        place = (option, "") if given else (request.protocol.path, f"start.{name}")
        notes += outside(place, value, window, stops, unit)
    return notes
