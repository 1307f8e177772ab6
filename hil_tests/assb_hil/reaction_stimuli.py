"""What drives each limit row's quantity through its level, and what else must stand back so that the row is timed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from assb_hil.faults import Fault
from assb_hil.faults.board import SlowTick
from assb_hil.faults.cells import GrowingShort, HardShort
from assb_hil.faults.link import LinkUnplugged
from assb_hil.faults.mechanics import ContactorWelded, CyclerDisobeys, FeedbackStuck, RegulatorStalled
from assb_hil.faults.sensors import Device, Quantity, SensorLost, SensorOffset, SensorOpen, SensorStuck
from assb_hil.loads import ConstantCurrent, Load

CHARGE = (ConstantCurrent(at_s=8.5, current_a=0.1),)
DISCHARGE = (ConstantCurrent(at_s=8.5, current_a=-0.1),)
# Pressed and connected after 7 s
QUICK = {
    "pressure.rate_max_mpa_s": 4.0, "pressure.hold_s": 0.2,
    "limits.pressure_rate.warn_mpa_s": 100.0, "limits.pressure_rate.trip_mpa_s": 200.0,
}  # fmt: skip
# A step at a sensor is a jump as well, and these rows need no debounce: they stand back unless they are the ones
ASIDE = {
    "limits.voltage_jump.trip_v": 9.0, "limits.current_jump.trip_a": 900.0, "limits.temperature_jump.trip_degc": 110.0,
    "limits.pressure_jump.trip_mpa": 300.0,
}  # fmt: skip
# The detector of collapses looks at the same voltage and current, and would be as fast: it waits as long as it may, and
# for the largest drop that this cell allows
NO_COLLAPSE = {
    "detection.hard_short_drop_v": 1.2, "detection.hard_short_debounce_ms": 500,
    "limits.hard_short.debounce_ms": 1000, "limits.hard_short.allowed_ms": 2500,
}  # fmt: skip
KNOWN_FOR_DAYS = {"detection.charge_settle_s": 20.0}
MEAN_S = 10.0  # time constant of current_10s_ua
TWO_CELLS: dict[str, Any] = {"pack": "li_lpscl_nca_2s", "plant": "li_lpscl_nca"}
THREE_CELLS: dict[str, Any] = {"pack": "li_lpscl_nca_3s", "plant": "li_lpscl_nca"}
HEATED: dict[str, Any] = {"pack": "samsung_agc_hot", "plant": "samsung_agc"}

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """`faults(at_s)` strike at `at_s` and a random part of a slow tick, after which the run goes on for `lasts_s`. The
    level is passed `delay_s` after that. `quick`: pressed faster than the pack says."""

    words: str
    faults: Callable[[float], tuple[Fault, ...]]
    at_s: float = 9.5
    lasts_s: float = 1.0
    delay_s: float = 0.0
    loads: tuple[Load, ...] = CHARGE
    soc_frac: float = 0.5
    quick: bool = True
    pack_changes: dict[str, Any] = field(default_factory=dict)
    commands: tuple[tuple[float, str], ...] = ()  # (after the fault in s, command)
    pack: str = "li_lpscl_nca"  # that has such rows
    plant: str = ""  # of another name than the pack


def offset(channel: Quantity, by: float, words: str, lasts_s: float = 1.0, **more: Any) -> Stimulus:
    """A step at the input of the chip."""
    return Stimulus(words, lambda t: (SensorOffset(at_s=t, channel=channel, offset=by),), lasts_s=lasts_s, **more)


def stuck(channel: Quantity, words: str, lasts_s: float, **more: Any) -> Stimulus:
    return Stimulus(words, lambda t: (SensorStuck(at_s=t, channel=channel),), lasts_s=lasts_s, **more)


def lost(device: Device, words: str, lasts_s: float, **more: Any) -> Stimulus:
    return Stimulus(words, lambda t: (SensorLost(at_s=t, device=device),), lasts_s=lasts_s, **more)


def later(row: str, debounce_ms: int) -> dict[str, float]:
    """Another row that would act first does so later."""
    return {f"limits.{row}.debounce_ms": debounce_ms, f"limits.{row}.allowed_ms": 10 * debounce_ms}


def stale_later(*rows: str) -> dict[str, float]:
    return {
        f"limits.{row}.{key}": value
        for row in rows
        for key, value in (("trip_ms", 900), ("reset_ms", 500), ("allowed_ms", 1500))
    }


def undervoltages_later(*rows: str) -> dict[str, float]:
    return NO_COLLAPSE | {key: value for row in rows for key, value in later(row, 400).items()}


def _filament(at_s: float) -> tuple[Fault, ...]:
    growth = GrowingShort(at_s=at_s, rs_from_ohm=100.0, rs_to_ohm=10.0, over_s=60.0)
    return (replace(growth, flicker_ohm=5.0, flicker_every_s=8.0, flicker_s=0.6),)


def _mean(by_a: float, level_a: float, row: str) -> Stimulus:
    """A step of current from rest; its mean over 10 s passes the level a known time later."""
    return offset(
        "current_a", by_a, f"{by_a:+g} A at the shunt; from its mean passing", 9.0,
        delay_s=MEAN_S * -math.log(1.0 - level_a / by_a), loads=(),
        pack_changes=NO_COLLAPSE | {f"limits.{row}.trip_a": math.copysign(3.1, by_a)},
    )  # fmt: skip


FILAMENT = Stimulus(
    "a filament grows; from the call of the stage", _filament, at_s=45.0, lasts_s=80.0,
    loads=(ConstantCurrent(at_s=8.0, current_a=0.2),), soc_frac=0.45,
    # what lithium stands, 0.1 A, would hide half of 0.6 A
    pack_changes=KNOWN_FOR_DAYS | {"current.charge_max_a": 0.12},
)  # fmt: skip
# Rows whose quantity is made by the board: the clock starts with that event of the rig or of the board
BEGINS: dict[str, Event] = {
    "short_suspected": ("stage_changed", {"stage": "suspect"}),
    "suspect_derates": ("stage_changed", {"stage": "suspect"}),
    "soft_short": ("stage_changed", {"stage": "soft_short"}),
    "forbidden_current": ("enable_switched", {"line": "charge_enabled", "level": 0}),
    "weld_current": ("coil_switched", {"closed": 0}),
    "lease_lapsed": ("lease_lapsed", {}),
    "self_test_failed": ("self_test_failed", {}),
}
# Or with the last message in which that signal was still 0
BEGINS_AFTER = {"actuator_stall": "press_stalled"}
# Rows that find the contactor told to open already: they lock out
LOCKS = ("weld_current", "self_test_failed")

STIMULI: dict[str, Stimulus] = {
    "cell_overvoltage": offset("voltage_v", 1.0, "+1 V at the monitor's input"),
    "cell_undervoltage": offset("voltage_v", -2.0, "-2 V at the monitor's input", pack_changes=NO_COLLAPSE),
    "charge_overcurrent": offset("current_a", 1.5, "+1.5 A at the shunt", pack_changes=NO_COLLAPSE),
    "discharge_overcurrent": offset("current_a", -2.5, "-2.5 A at the shunt", pack_changes=NO_COLLAPSE),
    "overtemperature": offset("temperature_degc", 60.0, "+60 K at the thermometer", 1.5),
    "charge_undertemperature": offset("temperature_degc", -30.0, "-30 K at the thermometer", 3.0),
    "pressure_high": offset("pressure_mpa", 3.0, "+3 MPa at the load cell"),
    "pressure_low": Stimulus(
        "-4 MPa at the load cell, the press stands",
        lambda t: (SensorOffset(at_s=t, channel="pressure_mpa", offset=-4.0), RegulatorStalled(at_s=t)),
        lasts_s=2.0,
    ),
    "voltage_stale": lost("ina228", "the monitor is lost", 1.0, pack_changes=stale_later("current_stale")),
    "current_stale": lost("ina228", "the monitor is lost", 1.0, pack_changes=stale_later("voltage_stale")),
    "pressure_stale": lost("nau7802", "the bridge converter is lost", 1.0),
    "temperature_stale": lost("tmp117", "the thermometer is lost", 2.5),
    **dict.fromkeys(("short_suspected", "suspect_derates", "soft_short"), FILAMENT),
    "hard_short": Stimulus("a bridge of 0.35 ohm", lambda t: (HardShort(at_s=t, rs_ohm=0.35),)),
    "contactor_mismatch": Stimulus("the mirror contact says open", lambda t: (FeedbackStuck(at_s=t, level=0),)),
    "estimator_invalid": offset(
        "temperature_degc", -75.0, "-50 degC at the thermometer", 2.5,
        pack_changes=later("charge_undertemperature", 4000) | later("discharge_undertemperature", 4000),
    ),
    "deadline_overrun": Stimulus("60 ms without the processor", lambda t: (SlowTick(at_s=t, stall_ms=60.0),)),
    "self_test_failed": Stimulus(
        "no bridge converter at power-on", lambda t: (SensorLost(at_s=0.0, device="nau7802"),), at_s=0.0, lasts_s=9.0
    ),
    "charge_overcurrent_10s": _mean(3.0, 0.66, "charge_overcurrent"),
    "discharge_overcurrent_10s": _mean(-3.0, -1.32, "discharge_overcurrent"),
    "charge_overtemperature": offset("temperature_degc", 38.0, "+38 K at the thermometer", 3.0),
    "discharge_overtemperature": offset("temperature_degc", 43.0, "+43 K at the thermometer", 3.0, loads=DISCHARGE),
    "discharge_undertemperature": offset("temperature_degc", -35.0, "-35 K at the thermometer", 3.0, loads=DISCHARGE),
    "open_wire": Stimulus(
        "the voltage lead is off", lambda t: (SensorOpen(at_s=t, channel="voltage_v"),),
        pack_changes=NO_COLLAPSE | later("cell_undervoltage", 400),
    ),
    # A result of the monitor is an average: one that is half before the step halves the jump
    "voltage_jump": offset("voltage_v", -3.2, "-3.2 V at the monitor's input", pack_changes=NO_COLLAPSE),
    "current_jump": offset(
        "current_a", 3.0, "+3 A at the shunt, with the level at 1.4 A in place of 2.7 A",
        pack_changes=NO_COLLAPSE | {
            "limits.current_jump.trip_a": 1.4, "limits.current_jump.reset_a": 0.7,
            "current.discharge_max_a": 0.6,  # a jump must be further than from one limit to the other
        },
    ),
    "temperature_jump": offset("temperature_degc", 8.0, "+8 K at the thermometer"),
    "pressure_jump": offset("pressure_mpa", 1.6, "+1.6 MPa at the load cell"),
    "voltage_stuck": stuck("voltage_v", "the monitor gives one voltage code for ever", 32.0),
    "current_stuck": stuck("current_a", "the monitor gives one current code for ever", 4.0),
    "temperature_stuck": stuck(
        "temperature_degc", "the thermometer gives one code for ever, for 5 s in place of 600 s", 7.0,
        pack_changes={"limits.temperature_stuck.trip_s": 5.0},
    ),
    "pressure_stuck": stuck("pressure_mpa", "the bridge converter gives one code for ever", 4.0),
    "pressure_rate": offset("pressure_mpa", 1.4, "+1.4 MPa at the load cell", at_s=33.0, quick=False),
    "actuator_stall": Stimulus(
        "-1.8 MPa at the load cell, the press stands; from the stall being called",
        lambda t: (SensorOffset(at_s=t, channel="pressure_mpa", offset=-1.8), RegulatorStalled(at_s=t)),
        lasts_s=8.0, pack_changes=later("press_gives_way", 9000),
    ),
    "press_runaway": offset("pressure_mpa", 0.9, "+0.9 MPa at the load cell", 5.0, at_s=33.0, quick=False),
    "press_gives_way": offset(
        "pressure_mpa", -0.9, "-0.9 MPa at the load cell", 5.0, at_s=33.0, quick=False,
        pack_changes=later("actuator_stall", 9000),
    ),
    "window_unreached": Stimulus(
        "-0.8 MPa at the load cell, the press stands, for 5 s in place of 60 s",
        lambda t: (SensorOffset(at_s=t, channel="pressure_mpa", offset=-0.8), RegulatorStalled(at_s=t)),
        lasts_s=7.0,
        pack_changes=later("actuator_stall", 9000) | later("press_gives_way", 9000)
        | {"limits.window_unreached.trip_s": 5.0, "limits.window_unreached.warn_s": 2.0},
    ),
    "forbidden_current": Stimulus(
        "the cycler charges on in the cold; from the charge being forbidden",
        lambda t: (SensorOffset(at_s=t, channel="temperature_degc", offset=-30.0), CyclerDisobeys(at_s=t)),
        lasts_s=3.0,
    ),
    "weld_current": Stimulus(
        "the contact is welded, the cycler charges on; from the command to open",
        lambda t: (ContactorWelded(at_s=t), CyclerDisobeys(at_s=t)), lasts_s=2.0, commands=((0.3, "stop"),),
        pack_changes=later("contactor_mismatch", 900),
    ),
    "lease_lapsed": Stimulus(
        "unplugged; from the lapse", lambda t: (LinkUnplugged(at_s=t, way="to_board"),), lasts_s=7.0
    ),
    "pack_overvoltage": offset(
        "voltage_v", 1.5, "+1.5 V at the first of two cells", pack_changes=later("cell_overvoltage", 400), **TWO_CELLS
    ),
    "pack_undervoltage": offset(
        "voltage_v", -3.0, "-3 V at the first of two cells",
        pack_changes=undervoltages_later("cell_undervoltage", "open_wire"), **TWO_CELLS,
    ),
    "cell_spread": offset("voltage_v", 0.4, "+0.4 V at the first of two cells", 2.5, **TWO_CELLS),
    "pack_mismatch": offset(
        "voltage_v", 0.45, "+0.45 V at the first of three cells, and not at their sum", 2.0, at_s=10.5,
        commands=((-8.0, "arm"),),  # this board finds itself sound later than others
        **THREE_CELLS,
    ),
    "pressure_disagreement": Stimulus(
        "+1.5 MPa at the load cell that only checks",
        lambda t: (SensorOffset(at_s=t, channel="pressure_mpa", offset=1.5, place=1),), at_s=10.5, lasts_s=2.0,
        commands=((-8.0, "arm"),),  # this board finds itself sound later than others
        pack_changes={"board": "virtual-checked", "limits.pressure_disagreement.enabled": True},
    ),
    "heater_overtemperature": offset(
        "temperature_degc", 12.0, "+12 K at the thermometer of a press at 60 degC", 2.5, at_s=35.0, **HEATED
    ),
    "heater_unanswered": stuck(
        "temperature_degc", "the thermometer stands while the press is heated, for 5 s in place of 20 s", 7.0,
        pack_changes={"limits.heater_unanswered.trip_s": 5.0}, **HEATED,
    ),
}  # fmt: skip
