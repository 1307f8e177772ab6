"""Faults that a sound pack survives, for the long run: how often each comes, how long it lasts, what it may cause."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from assb_hil.faults import Fault
from assb_hil.faults.board import BoardHangs, BoardReset, GarbageCollected, HeapFilled, PowerLost, SlowTick
from assb_hil.faults.cells import Heating
from assb_hil.faults.link import (
    LinkBitErrors,
    LinkFlood,
    LinkLost,
    LinkReordered,
    LinkRepeated,
    LinkTruncated,
    LinkUnplugged,
    SecondHost,
)
from assb_hil.faults.mechanics import FeedbackStuck, PressureStep, RegulatorStalled, StackSlips
from assb_hil.faults.sensors import BusHang, ChipBrownOut, SensorDropout, SensorLost, SensorNoise, SensorStuck

Made = Callable[[float, random.Random], Fault]
ALL_STALE = ("voltage_stale", "current_stale", "pressure_stale", "temperature_stale", "estimator_invalid")
RARE = 0.1  # a restart ends the stretch over which the heap is watched


@dataclass(frozen=True)
class SoakFault:
    """`fault(at_s, chance)` makes one. `rows` may trip, `restarts`: the board may, `holds_up`: ticks may be late."""

    name: str
    lasts_s: float
    fault: Made
    rows: tuple[str, ...] = ()
    restarts: bool = False
    holds_up: bool = False
    weight: float = 1.0


def _at(at_s: float, chance: random.Random) -> float:
    """Anywhere within the next second: no phase of a tick is left out."""
    return at_s + round(chance.random(), 6)


SOAK_FAULTS = (
    SoakFault("monitor lost for 30 ms", 1, lambda t, c: SensorLost(at_s=_at(t, c), device="ina228", for_s=0.03)),
    SoakFault("monitor lost", 2, lambda t, c: SensorLost(at_s=_at(t, c), device="ina228", for_s=0.5), ALL_STALE),
    SoakFault("load cell lost for 50 ms", 1, lambda t, c: SensorLost(at_s=_at(t, c), device="nau7802", for_s=0.05)),
    SoakFault("load cell lost", 2, lambda t, c: SensorLost(at_s=_at(t, c), device="nau7802", for_s=0.5), ALL_STALE),
    SoakFault("thermometer lost for 0.5 s", 2, lambda t, c: SensorLost(at_s=_at(t, c), device="tmp117", for_s=0.5)),
    SoakFault(
        "thermometer lost", 4, lambda t, c: SensorLost(at_s=_at(t, c), device="tmp117", for_s=2.5), ALL_STALE
    ),
    SoakFault("regulator's DAC lost", 3, lambda t, c: SensorLost(at_s=_at(t, c), device="mcp4725", for_s=2.0)),
    SoakFault("bus hangs for 30 ms", 1, lambda t, c: BusHang(at_s=_at(t, c), for_s=0.03), holds_up=True),
    SoakFault("bus hangs", 2, lambda t, c: BusHang(at_s=_at(t, c), for_s=0.5), ALL_STALE, holds_up=True),
    SoakFault("monitor browns out", 2, lambda t, c: ChipBrownOut(at_s=_at(t, c), device="ina228"), ALL_STALE),
    SoakFault("thermometer browns out", 2, lambda t, c: ChipBrownOut(at_s=_at(t, c), device="tmp117"), ALL_STALE),
    SoakFault("DAC browns out", 4, lambda t, c: ChipBrownOut(at_s=_at(t, c), device="mcp4725")),
    SoakFault(
        "load cell browns out", 30,
        lambda t, c: ChipBrownOut(at_s=_at(t, c), device="nau7802"), ALL_STALE, True, True, RARE,
    ),
    SoakFault(
        "voltage samples lost", 6,
        lambda t, c: SensorDropout(at_s=_at(t, c), channel="voltage_v", lost_frac=0.3, for_s=5.0),
    ),
    SoakFault(
        "noisy voltage", 6, lambda t, c: SensorNoise(at_s=_at(t, c), channel="voltage_v", rms=0.002, for_s=5.0)
    ),
    SoakFault("stuck pressure", 2, lambda t, c: SensorStuck(at_s=_at(t, c), channel="pressure_mpa", for_s=1.0)),
    SoakFault("valve overshoots", 6, lambda t, c: PressureStep(at_s=_at(t, c), offset_mpa=0.3, for_s=2.0)),
    SoakFault("valve sags", 6, lambda t, c: PressureStep(at_s=_at(t, c), offset_mpa=-0.3, for_s=5.0)),
    SoakFault("regulator stalls", 6, lambda t, c: RegulatorStalled(at_s=_at(t, c), for_s=5.0)),
    SoakFault("stack slips", 4, lambda t, c: StackSlips(at_s=_at(t, c), slip_um=4.0)),
    SoakFault("feedback bounces", 1, lambda t, c: FeedbackStuck(at_s=_at(t, c), level=0, for_s=0.05)),
    SoakFault(
        "room changes", 40, lambda t, c: Heating(at_s=_at(t, c), ambient_degc=c.uniform(20.0, 35.0), over_s=30.0)
    ),
    SoakFault("bit errors", 6, lambda t, c: LinkBitErrors(at_s=_at(t, c), error_frac=3e-4, for_s=5.0)),
    SoakFault("messages lost", 6, lambda t, c: LinkLost(at_s=_at(t, c), lost_frac=0.3, for_s=5.0)),
    SoakFault("messages repeated", 6, lambda t, c: LinkRepeated(at_s=_at(t, c), repeated_frac=0.3, for_s=5.0)),
    SoakFault("messages reordered", 6, lambda t, c: LinkReordered(at_s=_at(t, c), reordered_frac=0.3, for_s=5.0)),
    SoakFault("messages cut", 6, lambda t, c: LinkTruncated(at_s=_at(t, c), truncated_frac=0.3, for_s=5.0)),
    SoakFault("unplugged for 1.5 s", 3, lambda t, c: LinkUnplugged(at_s=_at(t, c), for_s=1.5)),
    SoakFault("unplugged", 9, lambda t, c: LinkUnplugged(at_s=_at(t, c), for_s=8.0)),
    SoakFault("flood", 6, lambda t, c: LinkFlood(at_s=_at(t, c), bytes_per_s=2500.0, for_s=3.0)),
    SoakFault("second host", 6, lambda t, c: SecondHost(at_s=_at(t, c), command="hello", every_s=0.3, for_s=5.0)),
    SoakFault(
        "second host, torn", 6,
        lambda t, c: SecondHost(at_s=_at(t, c), command="hello", every_s=0.3, torn=True, for_s=3.0),
    ),
    SoakFault("collections", 3, lambda t, c: GarbageCollected(at_s=_at(t, c), every_ms=70.0, count=20), holds_up=True),
    SoakFault("slow ticks", 3, lambda t, c: SlowTick(at_s=_at(t, c), stall_ms=20.0, count=10), holds_up=True),
    SoakFault(
        "very slow tick", 2,
        lambda t, c: SlowTick(at_s=_at(t, c), stall_ms=80.0), ("deadline_overrun", "voltage_stale"), holds_up=True,
    ),
    SoakFault("reset", 3, lambda t, c: BoardReset(at_s=t), (), True, True, RARE),
    SoakFault("power lost", 4, lambda t, c: PowerLost(at_s=t, for_s=1.0), (), True, True, RARE),
    SoakFault("hangs", 5, lambda t, c: BoardHangs(at_s=_at(t, c)), (), True, True, RARE),
    SoakFault("heap exhausted", 5, lambda t, c: HeapFilled(at_s=_at(t, c), filled_frac=1.0), (), True, True, RARE),
)  # fmt: skip
