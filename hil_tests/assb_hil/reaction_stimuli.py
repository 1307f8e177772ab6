"""What drives each limit row's quantity through its level, and what else must stand back so that the row is timed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from assb_hil.faults import Fault
from assb_hil.faults.board import SlowTick
from assb_hil.faults.cells import GrowingShort, HardShort
from assb_hil.faults.mechanics import FeedbackStuck, RegulatorStalled
from assb_hil.faults.sensors import Device, Quantity, SensorLost, SensorOffset
from assb_hil.loads import ConstantCurrent, Load

CHARGE = (ConstantCurrent(at_s=8.5, current_a=0.1),)
DISCHARGE = (ConstantCurrent(at_s=8.5, current_a=-0.1),)
# The detector of collapses looks at the same voltage and current, and would be as fast
NO_COLLAPSE = {"detection.hard_short_drop_v": 5.0}
LATER = {"trip_ms": 2000, "reset_ms": 1000, "allowed_ms": 2500}
KNOWN_FOR_DAYS = {"detection.charge_settle_s": 20.0, "detection.charge_new": 0.0}


@dataclass(frozen=True, eq=False)
class Stimulus:
    """`faults(at_s)` strike at `at_s` and a random part of a slow tick, after which the run goes on for `lasts_s`."""

    words: str
    faults: Callable[[float], tuple[Fault, ...]]
    at_s: float = 9.5
    lasts_s: float = 1.0
    loads: tuple[Load, ...] = CHARGE
    soc_frac: float = 0.5
    pack_changes: dict[str, float] = field(default_factory=dict)


def offset(channel: Quantity, by: float, words: str, lasts_s: float = 1.0, **more: Any) -> Stimulus:
    """A step at the input of the chip."""
    return Stimulus(words, lambda t: (SensorOffset(at_s=t, channel=channel, offset=by),), lasts_s=lasts_s, **more)


def lost(device: Device, words: str, lasts_s: float, **more: Any) -> Stimulus:
    return Stimulus(words, lambda t: (SensorLost(at_s=t, device=device),), lasts_s=lasts_s, **more)


def later(*rows: str) -> dict[str, float]:
    """These stale rows trip so late that they are not in the way."""
    return {f"limits.{row}.{key}": value for row in rows for key, value in LATER.items()}


def _filament(at_s: float) -> tuple[Fault, ...]:
    growth = GrowingShort(at_s=at_s, rs_from_ohm=100.0, rs_to_ohm=10.0, over_s=60.0)
    return (replace(growth, flicker_ohm=5.0, flicker_every_s=8.0, flicker_s=0.6),)


FILAMENT = Stimulus(
    "a filament grows; from the call of the stage", _filament, at_s=45.0, lasts_s=110.0,
    loads=(ConstantCurrent(at_s=8.0, current_a=0.2),), soc_frac=0.45, pack_changes=KNOWN_FOR_DAYS,
)  # fmt: skip
# Rows on what a detector calls: when it does is the detectors' affair, the clock starts with the stage
CALLED = {"short_suspected": "suspect", "suspect_derates": "suspect", "soft_short": "soft_short"}
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
    "voltage_stale": lost("ina228", "the monitor is lost", 1.0, pack_changes=later("current_stale")),
    "current_stale": lost("ina228", "the monitor is lost", 1.0, pack_changes=later("voltage_stale")),
    "pressure_stale": lost("nau7802", "the bridge converter is lost", 1.0),
    "temperature_stale": lost("tmp117", "the thermometer is lost", 2.5),
    **dict.fromkeys(CALLED, FILAMENT),
    "hard_short": Stimulus("a bridge of 0.35 ohm", lambda t: (HardShort(at_s=t, rs_ohm=0.35),)),
    "contactor_mismatch": Stimulus("the mirror contact says open", lambda t: (FeedbackStuck(at_s=t, level=0),)),
    "estimator_invalid": offset(
        "temperature_degc", -75.0, "-50 degC at the thermometer", 2.5,
        pack_changes={
            "limits.charge_undertemperature.debounce_ms": 4000, "limits.charge_undertemperature.allowed_ms": 5000,
        },
    ),
    "deadline_overrun": Stimulus("60 ms without the processor", lambda t: (SlowTick(at_s=t, stall_ms=60.0),)),
}  # fmt: skip
