"""The heater's law on a plate of one thermal mass, and what switches it off."""

import pytest
from assb.control.heating import Heating
from assb.drivers.heater import Heater
from assb.protocol import schema
from bench import Bench, limit
from hypothesis import given, settings
from hypothesis import strategies as st

STEP_MS = 100
VALUES = {row[1]: row[5] for row in schema.PARAMETERS} | {
    "heater_target_cdegc": 6000,
    "heater_max_cdegc": 6600,
    "heater_max_permille": 800,
    "heater_kp_ppm_per_k": 100_000,
    "heater_ki_ppm_per_k_s": 8000,
}


class Plate:
    """24 J/K in a room of 25 degC, 0.66 W/K to it, a heater of 80 W."""

    def __init__(self, degc=25.0, room_degc=25.0):
        self.degc, self.room_degc = degc, room_degc

    def step(self, permille, watts=80.0):
        self.degc += (watts * permille / 1000 - 0.66 * (self.degc - self.room_degc)) / 24.0 * STEP_MS / 1000

    @property
    def cdegc(self):
        return round(100 * self.degc)


def run(heating, plate, seconds, **more):
    trace = []
    for _ in range(seconds * 1000 // STEP_MS):
        plate.step(heating.update(plate.cdegc, True, STEP_MS), **more)
        trace.append(plate.degc)
    return trace


def test_it_heats_up_without_passing_its_target_by_a_kelvin_and_holds_it():
    heating, plate = Heating(VALUES.__getitem__), Plate()
    trace = run(heating, plate, 200)
    assert max(trace) < 61.0
    assert all(abs(degc - 60.0) < 0.1 for degc in trace[-300:])
    plate.room_degc = 5.0
    assert min(run(heating, plate, 200)) > 57.0
    assert plate.degc == pytest.approx(60.0, abs=0.1)


def test_a_heater_that_was_too_weak_is_not_wound_up():
    heating, plate = Heating(VALUES.__getitem__), Plate(room_degc=-40.0)
    run(heating, plate, 600, watts=40.0)
    assert plate.degc < 20.0
    plate.room_degc = 40.0
    assert max(run(heating, plate, 300)) < 61.0


@pytest.mark.parametrize(
    ("cdegc", "allowed", "changes"),
    [(None, True, {}), (5000, False, {}), (6600, True, {}), (5000, True, {"heater_target_cdegc": 0})],
)
def test_it_is_off_without_a_temperature_where_it_is_not_allowed_and_from_its_largest_temperature_on(
    cdegc, allowed, changes
):
    heating = Heating((VALUES | changes).__getitem__)
    if not changes:
        assert heating.update(5000, True, STEP_MS) == 800
    assert heating.update(cdegc, allowed, STEP_MS) == 0
    assert not heating.on


def test_a_target_is_cut_to_the_largest_temperature():
    heating = Heating((VALUES | {"heater_target_cdegc": 9000}).__getitem__)
    assert heating.target_cdegc == 6600


def test_full_power_that_warms_nothing_is_counted_and_a_kelvin_ends_it():
    heating = Heating(VALUES.__getitem__)
    for _ in range(100):
        heating.update(2500, True, STEP_MS)
    assert heating.unanswered_ms == 10_000
    heating.update(2599, True, STEP_MS)
    assert heating.unanswered_ms == 10_100
    heating.update(2600, True, STEP_MS)
    assert heating.unanswered_ms == STEP_MS
    heating.update(6000, True, STEP_MS)
    assert heating.unanswered_ms == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-4000, 12000)), st.booleans(), st.integers(0, 2000))))
def test_no_sequence_of_temperatures_asks_for_more_than_the_largest_power(steps):
    heating = Heating(VALUES.__getitem__)
    for cdegc, allowed, dt_ms in steps:
        permille = heating.update(cdegc, allowed, dt_ms)
        assert 0 <= permille <= 800
        assert permille == 0 or (allowed and cdegc is not None and cdegc < 6600)
        assert heating.unanswered_ms <= sum(step[2] for step in steps)


class Output:
    level = None

    def value(self, level):
        self.level = level

    duty_u16 = value


def test_the_driver_is_off_when_made_and_opens_both_switches():
    pwm, enable = Output(), Output()
    heater = Heater(pwm, enable)
    assert (pwm.level, enable.level) == (0, 0)
    heater.set(500, True)
    assert (pwm.level, enable.level) == (32767, 1)
    heater.set(500, False)
    assert (pwm.level, enable.level) == (0, 0)
    Heater(pwm).set(1000, True)
    assert pwm.level == 65535


def heated():
    """At rest, pressed and connected, in a rig of 25 degC that is to have 60."""
    bench = Bench(heater_target_cdegc=6000, heater_max_cdegc=6600, heater_max_permille=800, heater_kp_ppm_per_k=100_000)
    assert bench.board.heater == (0, False)
    bench.to_rest()
    assert bench.board.heater == (800, True)
    return bench


def test_it_heats_only_while_the_press_regulates_and_the_temperature_is_known():
    bench = heated()
    bench.send("stop")
    bench.run_leased(200)
    assert (bench.state, bench.board.heater) == ("SAFE", (0, False))
    bench = heated()
    bench.board.dead.add("temperature")
    bench.run_leased(200)
    assert (bench.state, bench.board.heater) == ("REST", (0, False))


@pytest.mark.parametrize(
    ("attribute", "value", "state"),
    [("temperature_cdegc", 7100, "FAULT"), ("pressure_kpa", 9000, "FAULT"), ("welded", True, "LOCKOUT")],
)
def test_every_state_that_opens_has_the_heater_off(attribute, value, state):
    bench = heated()
    setattr(bench.board, attribute, value)
    bench.run_leased(300)
    if attribute == "welded":
        bench.send("stop")
    bench.run_leased(1000)
    assert (bench.state, bench.board.heater) == (state, (0, False))


def test_an_update_and_the_way_to_the_prompt_switch_it_off():
    bench = heated()
    bench.app.safe()
    assert bench.board.heater == (0, False)
    bench.send("stop")
    bench.run(200)
    bench.send("update")
    bench.run(500)
    assert (bench.state, bench.board.heater) == ("MAINTENANCE", (0, False))


def test_a_rig_that_gets_no_warmer_at_full_power_opens():
    bench = Bench(
        heater_target_cdegc=6000, heater_max_cdegc=6600, heater_max_permille=800,
        limits={"heater_unanswered": limit("heater_unanswered", trip=20000)},
    )  # fmt: skip
    bench.to_rest()
    bench.run_leased(16000)
    assert bench.state == "REST"
    bench.run_leased(4000)
    assert bench.state == "FAULT"
    assert "heater_unanswered" in bench.tripped()
    assert bench.board.heater == (0, False)
