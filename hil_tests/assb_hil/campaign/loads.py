"""What a lab does with a pack for hours: rows of loads, each drawn for the plant. + charges.

Rates and times are assumptions after usual cell tests; currents stay within the plant's limits, voltages within its
window. A trial begins somewhere within the cycle, at a SOC drawn from the row's range, after a short rest in which the
firmware takes the voltage for the OCV.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from assb_kernels import Phase

from assb_hil.campaign.scene import Scene

FIRST_REST_S = 120.0
HOLD_MOST_S = 200.0 * 3600.0  # a phase that ends by its voltage takes no longer
VOLTAGE_REACHED = 0.999  # of the current: the ceiling or floor has begun to take from it
DRIVE_S = 1800
SOC_LEAST = 0.05


@dataclass(frozen=True)
class LoadRow:
    """`rest_h`: its shortest long rest; `soc`: where its cycle may begin."""

    name: str
    phases: Callable[[Scene, random.Random], list[Phase]]
    soc: tuple[float, float]
    rest_h: float


def rest_mostly(scene: Scene, luck: random.Random) -> list[Phase]:
    """Rests of 4.5 to 8 h, between them small parts of a discharge or a charge."""
    phases = []
    for current_a in (-scene.discharge_a, scene.charge_a) * 2:
        moved_ah = luck.uniform(0.03, 0.08) * scene.capacity_ah
        asked_a = luck.uniform(0.3, 1.0) * current_a
        phases += [Phase(luck.uniform(4.5, 8.0) * 3600.0), Phase(3600.0 * moved_ah / abs(asked_a), asked_a)]
    return phases


def cccv(scene: Scene, luck: random.Random) -> list[Phase]:
    """Full cycles: charge, hold to a tenth of the current, rest, discharge, rest."""
    charge_a = luck.uniform(0.4, 1.0) * scene.charge_a
    discharge_a = -luck.uniform(0.4, 1.0) * scene.discharge_a
    rest = Phase(luck.uniform(0.3, 1.0) * 3600.0)
    return [
        Phase(HOLD_MOST_S, charge_a, until_a=0.1 * charge_a),
        rest,
        Phase(HOLD_MOST_S, discharge_a, until_a=VOLTAGE_REACHED * -discharge_a),
        rest,
    ]


def cc(scene: Scene, luck: random.Random) -> list[Phase]:
    """Full cycles without any rest."""
    charge_a = luck.uniform(0.4, 1.0) * scene.charge_a
    discharge_a = -luck.uniform(0.4, 1.0) * scene.discharge_a
    return [
        Phase(HOLD_MOST_S, current_a, until_a=VOLTAGE_REACHED * abs(current_a)) for current_a in (charge_a, discharge_a)
    ]


def pulses(scene: Scene, luck: random.Random) -> list[Phase]:
    """As in GITT: pulses of a few percent of SOC and rests, up and then down again."""
    count = luck.randint(5, 10)
    moved_ah = luck.uniform(0.03, 0.05) * scene.capacity_ah
    rest = Phase(luck.uniform(10.0, 40.0) * 60.0)
    up, down = (luck.uniform(0.5, 1.0) * limit_a for limit_a in (scene.charge_a, scene.discharge_a))
    return [
        phase
        for current_a in [up] * count + [-down] * count
        for phase in (Phase(3600.0 * moved_ah / abs(current_a), current_a), rest)
    ]


def drive(scene: Scene, luck: random.Random) -> list[Phase]:
    """Trips of a vehicle, then a charge that brings back what they took, and a rest."""
    column = drive_column(scene, luck)
    taken_ah = -sum(column) / 3600.0
    charge_a = luck.uniform(0.5, 1.0) * scene.charge_a
    rest = Phase(luck.uniform(0.1, 0.7) * 3600.0)
    trips = luck.randint(1, 3)
    return [
        *[Phase(float(DRIVE_S), drive_a=column), replace(rest, until_s=300.0)] * trips,
        Phase(3600.0 * trips * taken_ah / charge_a, charge_a),
        rest,
    ]


def storage(scene: Scene, luck: random.Random) -> list[Phase]:
    """Rests of 10 to 20 h, and once between them a short use that is made up for."""
    discharge_a = luck.uniform(0.5, 1.0) * scene.discharge_a
    use_s = luck.uniform(5.0, 15.0) * 60.0
    charge_a = luck.uniform(0.5, 1.0) * scene.charge_a
    return [
        Phase(luck.uniform(10.0, 20.0) * 3600.0),
        Phase(use_s, -discharge_a),
        Phase(1800.0),
        Phase(use_s * discharge_a / charge_a, charge_a),
    ]


def drive_column(scene: Scene, luck: random.Random) -> list[float]:
    """DRIVE_S currents of 1 s: pulling away, cruising, braking, standing; it takes charge on the whole."""
    column: list[float] = []
    while len(column) < DRIVE_S:
        column += [-luck.uniform(0.5, 1.0) * scene.discharge_a] * luck.randint(5, 15)
        column += [-luck.uniform(0.05, 0.4) * scene.discharge_a] * luck.randint(10, 60)
        column += [luck.uniform(0.1, 0.8) * scene.charge_a] * luck.randint(3, 10)
        column += [0.0] * luck.randint(5, 30)
    return column[:DRIVE_S]


LOADS = {
    row.name: row
    for row in (
        LoadRow("rest_mostly", rest_mostly, (0.15, 0.9), rest_h=4.5),
        LoadRow("cccv", cccv, (0.1, 0.9), rest_h=0.3),
        LoadRow("cc", cc, (0.1, 0.9), rest_h=0.0),
        LoadRow("pulses", pulses, (0.1, 0.5), rest_h=0.2),
        LoadRow("drive", drive, (0.5, 0.9), rest_h=0.1),
        LoadRow("storage", storage, (0.15, 0.95), rest_h=10.0),
    )
}


@dataclass(frozen=True)
class Play:
    """A load as a trial plays it: from SOC `soc` on all phases, then again those from number loop_from on."""

    phases: list[Phase]
    loop_from: int
    soc: float


def play_of(scene: Scene) -> Play:
    """A first rest, what is left of the phase that the trial begins in, then whole cycles from there on. The SOC of the
    row is that at the begin of the cycle."""
    luck, limits = scene.luck("load"), scene.plant.limits
    high_v, low_v = limits.voltage_max_v, limits.voltage_min_v
    row = LOADS[scene.spec.load]
    cycle = [replace(phase, ceiling_v=high_v, floor_v=low_v) for phase in row.phases(scene, luck)]
    begin, left = luck.randrange(len(cycle)), luck.random()
    first = replace(cycle[begin], until_s=left * cycle[begin].until_s)
    passed_ah = sum(map(moved_ah, cycle[:begin])) + (1.0 - left) * moved_ah(cycle[begin])
    soc = luck.uniform(*row.soc) + passed_ah / scene.capacity_ah
    turned = cycle[begin + 1 :] + cycle[: begin + 1]
    rest = Phase(FIRST_REST_S, ceiling_v=high_v, floor_v=low_v)
    return Play([rest, first, *turned], 2, min(max(soc, SOC_LEAST), 1.0 - SOC_LEAST))


def moved_ah(phase: Phase) -> float:
    """By a phase that ends by its time; one that ends by its voltage may begin anywhere."""
    if phase.until_a >= 0.0:
        return 0.0
    column = [phase.current_a] if phase.drive_a is None else list(phase.drive_a)
    return sum(column) / len(column) * phase.until_s / 3600.0
