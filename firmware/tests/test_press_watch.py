"""A press that does not give what it is asked for: told from play, lag, swelling, heat and creep of a stack."""

import pytest
from assb.control.press_watch import PressWatch
from assb.protocol import schema

DEFAULTS = {row[1]: row[5] for row in schema.PARAMETERS}
SCREW = {"pressure_by_position": 1, "stack_stiffness_kpa_per_um": 200, "swelling_nm_per_mah": 3600,
         "expansion_nm_per_k": 500}  # fmt: skip
STEP_MS = 100


def watch(pressure_kpa=5000, applied_kpa=5000, **changes):
    made = PressWatch({**DEFAULTS, **changes}.__getitem__)
    made.start(pressure_kpa, applied_kpa)
    return made


def follow(made, seconds, pressure, applied, current_ma=0, cdegc=None, ramps=False):
    """Mismatches, a slow tick each; `pressure`, `applied` and `cdegc` are functions of the time in s."""
    seen = []
    for step in range(1, round(seconds * 1000 / STEP_MS) + 1):
        t_s = step * STEP_MS / 1000
        degc = None if cdegc is None else cdegc(t_s)
        seen.append(made.update(round(pressure(t_s)), round(applied(t_s)), current_ma, degc, ramps, STEP_MS))
    return seen


def test_an_air_press_that_follows_its_ramp_with_its_lag_matches():
    lag_s = DEFAULTS["pressure_lead_ms"] / 1000
    seen = follow(watch(), 30, lambda t: 5000 + 200 * (t - lag_s) if t > 5 * lag_s else 5000 + 200 * max(t - lag_s, 0),
                  lambda t: 5000 + 200 * t)  # fmt: skip
    assert max(map(abs, seen[100:])) <= 25


@pytest.mark.parametrize(("pressure_kpa", "wanted"), [(5700, 700), (4300, -700), (5000, 0)])
def test_an_air_press_is_told_by_how_much_and_which_way(pressure_kpa, wanted):
    assert follow(watch(), 1, lambda t: pressure_kpa, lambda t: 5000)[-1] == wanted


def test_a_load_cell_that_drifts_on_an_air_press_shows_as_the_regulator_follows_it():
    seen = follow(watch(), 20, lambda t: 5000, lambda t: 5000 - 50 * t)  # held in place while its reading drifts up
    assert seen[-1] == pytest.approx(50 * (20 - DEFAULTS["pressure_lead_ms"] / 1000), abs=10)


def test_a_screw_that_gives_way_to_swelling_and_heat_matches():
    swells_kpa_s = 3600 * 200 * 1000 / 3.6e6
    heats_kpa_s = 500 * 200 * 1 / 1e5
    seen = follow(watch(**SCREW), 300, lambda t: 5000, lambda t: 5000 - (swells_kpa_s + heats_kpa_s) * t,
                  current_ma=1000, cdegc=lambda t: 2500 + round(t))  # fmt: skip
    assert max(map(abs, seen)) <= 60  # the first degree has nothing before it to compare with


def test_a_screw_that_slips_is_told_and_a_creep_is_not():
    slips = follow(watch(**SCREW), 5, lambda t: 5000 if t < 2 else 4200, lambda t: 5000)
    assert min(slips) == pytest.approx(-800, abs=5)
    creeps = follow(watch(**SCREW), 3600, lambda t: 5000, lambda t: 5000 + 0.5 * t)  # taken up by the screw: 1.8 MPa
    assert max(map(abs, creeps)) <= 31  # the rate times a minute


def test_a_screw_that_turns_by_itself_is_told():
    seen = follow(watch(**SCREW), 10, lambda t: 5000 + 150 * t, lambda t: 5000)
    assert seen[-1] == pytest.approx(1500, rel=0.1)


def test_nothing_is_said_of_a_screw_while_its_setpoint_ramps():
    ramping = follow(watch(**SCREW), 20, lambda t: 5000 + 140 * t, lambda t: 5000 + 200 * t, ramps=True)
    assert set(ramping) == {0}


def test_what_is_beyond_any_press_stays_within_the_wire():
    assert follow(watch(), 1, lambda t: 500_000_000, lambda t: 0)[-1] == 400000


HEATS_KPA_PER_CDEGC, SWELLS_KPA_S_PER_MA = 1, 0.2  # of SCREW: 500 nm/K, 1 mAh/(3600 mA s), 200 kPa/um


@pytest.mark.parametrize("changes", [{}, SCREW], ids=["air", "screw"])
def test_a_watch_that_was_not_started_stands_at_nothing_and_finds_nothing(changes):
    made = PressWatch((DEFAULTS | changes).__getitem__)
    assert made.update(0, 0, 0, None, False, STEP_MS) == 0
    assert made.count_outside(False, STEP_MS) == STEP_MS


def test_a_regulator_is_expected_where_its_first_order_lag_has_it():
    made = watch(0, 0, pressure_lead_ms=1000)
    seen = [made.update(0, 100000, 0, None, False, 100) for _ in range(5)]
    assert seen == [-round(100000 * (1 - 0.9**k)) for k in range(1, 6)]
    made = watch(0, 0, pressure_lead_ms=100)
    assert made.update(0, 100000, 0, None, False, 200) == -100000  # a lag shorter than its step has passed


def test_each_thing_that_a_screw_gives_way_to_is_taken_off_with_its_own_sign():
    for change in ({"current_ma": 5000}, {"cdegc": 3500}, {"applied_kpa": 6000}, {"pressure_kpa": 6000}):
        made = watch(**SCREW)
        now = {"pressure_kpa": 5000, "applied_kpa": 5000, "current_ma": 0, "cdegc": 2500, "ramps": False, "dt_ms": 1000}
        assert made.update(**now) == 0
        (name, value), wanted_kpa = *change.items(), 1000 if "pressure_kpa" in change else -1000
        assert value * SWELLS_KPA_S_PER_MA == 1000 or abs(value - now[name]) * HEATS_KPA_PER_CDEGC == 1000
        assert made.update(**now | change) == wanted_kpa, name


def test_heat_that_came_while_the_temperature_was_not_known_is_taken_off_when_it_is_known_again():
    made = watch(**SCREW)
    for cdegc, seen_kpa in ((2500, 0), (None, 0), (3500, -1000)):
        assert made.update(5000, 5000, 0, cdegc, False, 1) == seen_kpa


def test_a_slip_is_forgotten_with_a_time_constant_of_a_minute():
    made = watch(0, 0, **SCREW)
    seen = [made.update(100000, 0, 0, None, False, STEP_MS) for _ in range(601)]
    assert seen[0] == 100000
    assert seen[600] == round(100000 * (1 - 0.1 / 60) ** 600)


def test_the_time_outside_the_window_is_summed_up_to_what_the_wire_takes_and_begins_anew_inside():
    made = watch()
    assert [made.count_outside(inside, 100) for inside in (0, 0, 1, 0)] == [100, 200, 0, 100]
    made.start(5000, 5000)
    assert made.count_outside(False, 99_999_999) == 99_999_999
    assert [made.count_outside(False, 1) for _ in range(3)] == [100_000_000] * 3
