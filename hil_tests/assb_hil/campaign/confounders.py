"""What looks like a short and is none: rows of confounders, each drawn for the plant; a trial has one to three of them.

Sizes are assumptions unless a source is named: as large as a lab's daily troubles, some beyond what datasheets allow.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from assb_kernels import AgeingParams, Change

from assb_hil.campaign.belief import believed_pack
from assb_hil.campaign.scene import Scene, log_uniform

Changes = list[Change]
SOON_S = 600.0  # nothing happens before: estimators find the SOC
ROOM_HELD_K = 2.0  # kept between the room and the plant's own limits
HELD_FRAC = 0.05  # kept between a set point of the press and a level that trips
DRIFT_SIGMAS = (0.5, 3.0)  # of what the bench's sensors are drawn from: within their datasheet and up to three times it


@dataclass(frozen=True)
class ConfounderRow:
    """`changes` of a trial; `ageing`: what it makes of the cells' ageing, if anything."""

    name: str
    changes: Callable[[Scene, random.Random], Changes]
    ageing: Callable[[AgeingParams, random.Random], AgeingParams] | None = None


def nothing(_scene: Scene, _luck: random.Random) -> Changes:
    return []


def moments(scene: Scene, luck: random.Random, count: int) -> list[float]:
    """Times spread over the trial."""
    return sorted(luck.uniform(SOON_S, scene.duration_s) for _ in range(count))


def on_all_stacks(scene: Scene, change: Change) -> Changes:
    return [replace(change, at=stack) for stack in range(scene.plant.stack_count)]


def pressure_window_mpa(scene: Scene) -> tuple[float, float]:
    """The plant's own, and within the levels at which the firmware would open the contactor."""
    limits, rows = scene.plant.limits, believed_pack(scene.spec.profile).limits
    low_mpa, high_mpa = rows["pressure_low"].trip / 1000.0, rows["pressure_high"].trip / 1000.0
    return max(limits.pressure_min_mpa, (1.0 + HELD_FRAC) * low_mpa), min(
        limits.pressure_max_mpa, (1.0 - HELD_FRAC) * high_mpa
    )


def pressure_steps(scene: Scene, luck: random.Random) -> Changes:
    """Other set points of the press, at once or within a minute."""
    low_mpa, high_mpa = pressure_window_mpa(scene)
    out = []
    for time_s in moments(scene, luck, luck.randint(3, 8)):
        aim_mpa = luck.uniform(low_mpa, high_mpa)
        out += on_all_stacks(
            scene, Change(time_s, "aim_mpa", aim_mpa, ramp_s=luck.choice((0.0, luck.uniform(1.0, 60.0))))
        )
    return out


def actuator_moves(scene: Scene, luck: random.Random) -> Changes:
    """A controller that hunts: moves of up to 4 % every one to five minutes, for hours."""
    usual_mpa, out = scene.plant.limits.pressure_mpa, []
    time_s = luck.uniform(SOON_S, 0.7 * scene.duration_s)
    end_s = time_s + luck.uniform(0.5, 4.0) * 3600.0
    while time_s < end_s:
        aim_mpa = usual_mpa * (1.0 + luck.uniform(-0.04, 0.04))
        out += on_all_stacks(scene, Change(time_s, "aim_mpa", aim_mpa))
        time_s += luck.uniform(60.0, 300.0)
    return [*out, *on_all_stacks(scene, Change(end_s, "aim_mpa", usual_mpa))]


def heating(scene: Scene, luck: random.Random) -> Changes:
    """The room goes 10 to 15 K up or down, at once (a chamber's door) or within an hour, and back hours later."""
    limits = scene.plant.limits
    low, high = limits.temperature_min_degc + ROOM_HELD_K, limits.temperature_max_degc - ROOM_HELD_K
    out, time_s = [], luck.uniform(SOON_S, 0.5 * scene.duration_s)
    while time_s < scene.duration_s:
        away_k = luck.choice((-1.0, 1.0)) * luck.uniform(10.0, 15.0)
        for degc in (min(max(limits.temperature_degc + away_k, low), high), limits.temperature_degc):
            ramp_s = luck.choice((0.0, luck.uniform(300.0, 3600.0)))
            out.append(Change(time_s, "ambient_degc", degc, ramp_s=ramp_s))
            time_s += ramp_s + luck.uniform(0.5, 3.0) * 3600.0
    return out


def contact_loss(scene: Scene, luck: random.Random) -> Changes:
    """A cell loses contact, so that R0 becomes 1.3 to 4 times: suddenly or within hours; at times it comes back."""
    _, contact_frac = scene.contact_ohm_frac()
    theta_max = scene.cell.voids.theta_max
    factor = luck.uniform(1.3, 4.0)
    theta = min(1.0 - contact_frac / (contact_frac + factor - 1.0), theta_max)
    cell = luck.randrange(scene.plant.units)
    time_s = luck.uniform(SOON_S, 0.8 * scene.duration_s)
    ramp_s = luck.choice((luck.uniform(0.1, 2.0), luck.uniform(0.3, 3.0) * 3600.0))
    out = [Change(time_s, "theta", theta, at=cell, ramp_s=ramp_s)]
    if luck.random() < 0.5:
        back_s = time_s + ramp_s + luck.uniform(0.5, 4.0) * 3600.0
        out.append(Change(back_s, "theta", 0.0, at=cell, ramp_s=luck.choice((1.0, luck.uniform(300.0, 3600.0)))))
    return out


def sensor_drift(scene: Scene, luck: random.Random) -> Changes:
    """One quantity's offset and gain wander off within hours: DRIFT_SIGMAS of what the bench's sensors differ by."""
    channel = luck.choice(("voltage_v", "current_a", "temperature_degc", "pressure_mpa"))
    spec = scene.plant.sensors[channel]
    counts = {"voltage_v": scene.leads, "pressure_mpa": scene.plant.stack_count}
    time_s = luck.uniform(SOON_S, 0.6 * scene.duration_s)
    place = {
        "channel": channel,
        "at": luck.randrange(counts.get(channel, 1)),
        "ramp_s": luck.uniform(1.0, 8.0) * 3600.0,
    }

    def drawn(sigma: float) -> float:
        return luck.choice((-1.0, 1.0)) * luck.uniform(*DRIFT_SIGMAS) * sigma

    return [
        Change(time_s, "offset", drawn(spec.offset_sigma), **place),
        Change(time_s, "gain", 1.0 + 1e-6 * drawn(spec.gain_sigma_ppm), **place),
    ]


def ripple(scene: Scene, luck: random.Random) -> Changes:
    """A charger or inverter whose ripple of 0.5 to 5 % of 1C comes through, for minutes to hours at a time."""
    out = []
    for time_s in moments(scene, luck, luck.randint(1, 5)):
        rms_a = log_uniform(luck, 0.005, 0.05) * scene.capacity_ah
        out += [
            Change(time_s, "ripple_a", rms_a),
            Change(time_s + log_uniform(luck, 120.0, 4.0 * 3600.0), "ripple_a", 0.0),
        ]
    return out


def connector(scene: Scene, luck: random.Random) -> Changes:
    """A loose sense wire: for up to two hours a voltage jumps by 5 to 100 mV, either way, for 0.1 to 2 s at a time."""
    lead = luck.randrange(scene.leads)
    begin_s = luck.uniform(SOON_S, 0.8 * scene.duration_s)
    end_s = begin_s + luck.uniform(0.2, 2.0) * 3600.0
    out, time_s, pause_s = [], begin_s, log_uniform(luck, 20.0, 600.0)
    while time_s < end_s:
        jump_v = luck.choice((-1.0, 1.0)) * log_uniform(luck, 0.005, 0.1)
        lasts_s = log_uniform(luck, 0.1, 2.0)
        for at_s, offset_v in ((time_s, jump_v), (time_s + lasts_s, 0.0)):
            out.append(Change(at_s, "offset", offset_v, at=lead, channel="voltage_v"))
        time_s += lasts_s + luck.expovariate(1.0 / pause_s)
    return out


def dropout(scene: Scene, luck: random.Random) -> Changes:
    """A bus in trouble: 1 to 30 % of the readings of one quantity repeat the one before, for minutes to hours."""
    channel = luck.choice(("voltage_v", "current_a", "pressure_mpa"))
    at = luck.randrange(scene.leads) if channel == "voltage_v" else 0
    out = []
    for time_s in moments(scene, luck, luck.randint(1, 4)):
        end_s = time_s + log_uniform(luck, 60.0, 3.0 * 3600.0)
        for at_s, share in ((time_s, log_uniform(luck, 0.01, 0.3)), (end_s, 0.0)):
            out.append(Change(at_s, "dropout", share, at=at, channel=channel))
    return out


def fast_fade(ageing: AgeingParams, luck: random.Random) -> AgeingParams:
    """0.1 to 0.5 % of capacity a cycle, 20 % after 40 to 200 of them, and calendar loss up to three times."""
    return replace(
        ageing,
        cycle_frac_per_rt_cycle=log_uniform(luck, 0.001, 0.005),
        cycle_exponent=1.0,
        calendar_frac_per_rt_day=luck.uniform(1.0, 3.0) * ageing.calendar_frac_per_rt_day,
        resistance_per_loss=max(ageing.resistance_per_loss, 2.0),
    )


CONFOUNDERS = {
    row.name: row
    for row in (
        ConfounderRow("plain", nothing),
        ConfounderRow("pressure_steps", pressure_steps),
        ConfounderRow("actuator_moves", actuator_moves),
        ConfounderRow("heating", heating),
        ConfounderRow("contact_loss", contact_loss),
        ConfounderRow("sensor_drift", sensor_drift),
        ConfounderRow("ripple", ripple),
        ConfounderRow("connector", connector),
        ConfounderRow("dropout", dropout),
        ConfounderRow("ageing", nothing, fast_fade),
    )
}


def confounding(scene: Scene) -> Changes:
    """All changes that the trial's confounders make."""
    rows = [CONFOUNDERS[name] for name in scene.spec.confounders]
    return [change for row in rows for change in row.changes(scene, scene.luck(row.name))]


def aged(scene: Scene, ageing: AgeingParams) -> AgeingParams:
    """The cells' ageing as the trial's confounders make it."""
    for row in (CONFOUNDERS[name] for name in scene.spec.confounders):
        if row.ageing is not None:
            ageing = row.ageing(ageing, scene.luck(row.name))
    return ageing
