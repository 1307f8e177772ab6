"""Pressure regulation against a stack with a slow regulator, swelling and stiction."""

import pytest
from assb.control.stack_pressure import _BLEED, _LET_GO, StackPressure
from assb.drivers.screw_press import ScrewPress
from assb.protocol import schema
from hypothesis import given, settings
from hypothesis import strategies as st

DEFAULTS = {row[1]: row[5] for row in schema.PARAMETERS}
STEP_MS = 100


def regulator(**changes):
    values = {**DEFAULTS, **changes}
    return StackPressure(values.__getitem__)


class Press:
    """Regulator with a lag, cylinder with stiction, a stack that swells: enough to close the loop."""

    def __init__(self, pressure_kpa=0.0, lag_s=1.0, stiction_kpa=20.0, limit_kpa=8000):
        self.drive_kpa = self.pressure_kpa = pressure_kpa
        self.lag_s, self.stiction_kpa, self.limit_kpa = lag_s, stiction_kpa, limit_kpa

    def step(self, command_kpa, swelling_kpa_s=0.0):
        applied = min(command_kpa, self.limit_kpa)
        self.drive_kpa += (applied - self.drive_kpa) * min(1.0, STEP_MS / 1000 / self.lag_s)
        self.pressure_kpa += swelling_kpa_s * STEP_MS / 1000
        low, high = self.drive_kpa - self.stiction_kpa, self.drive_kpa + self.stiction_kpa
        self.pressure_kpa = min(max(self.pressure_kpa, low), high)
        return applied


def run(loop, press, seconds, swelling_kpa_s=0.0, current_ma=0, applied=None):
    trace = []
    applied = loop.command_kpa if applied is None else applied
    for _ in range(int(seconds * 1000 / STEP_MS)):
        applied = press.step(loop.regulate(int(press.pressure_kpa), current_ma, None, applied, STEP_MS), swelling_kpa_s)
        trace.append(press.pressure_kpa)
    return trace


def test_it_ramps_to_the_target_no_faster_than_its_rate_and_settles_without_overshoot():
    loop, press = regulator(), Press()
    loop.start(0, 0)
    trace = run(loop, press, 60)
    rate = max(after - before for before, after in zip(trace, trace[10:], strict=False))
    assert rate <= DEFAULTS["pressure_rate_max_kpa_s"] * 1.3
    assert max(trace) < DEFAULTS["pressure_target_kpa"] + 100
    assert abs(trace[-1] - DEFAULTS["pressure_target_kpa"]) <= 25


def test_swelling_is_held_inside_a_few_kpa():
    loop, press = regulator(), Press(5000.0)
    loop.start(5000, 5000)
    run(loop, press, 20)
    trace = run(loop, press, 120, swelling_kpa_s=6.5)
    assert max(abs(p - 5000) for p in trace[200:]) < 30


def test_feed_forward_leads_swelling_by_the_regulators_lag():
    with_it = regulator(swelling_nm_per_mah=10000, stack_stiffness_kpa_per_um=100)
    without = regulator(swelling_nm_per_mah=10000, stack_stiffness_kpa_per_um=100, pressure_feed_forward_ppm=0)
    for loop in (with_it, without):
        loop.start(5000, 5000)
    swelling_kpa_s = 10000 * 100 * 18 / 3.6e6
    lead_s = DEFAULTS["pressure_lead_ms"] / 1000
    difference = without.regulate(5000, 18, None, 5000, STEP_MS) - with_it.regulate(5000, 18, None, 5000, STEP_MS)
    assert difference == pytest.approx(swelling_kpa_s * lead_s, abs=1)


def test_an_actuator_at_its_end_does_not_wind_the_integral_up():
    loop, press = regulator(), Press(3000.0, limit_kpa=4000)
    loop.start(3000, 3000)
    run(loop, press, 300)
    press.limit_kpa = 8000
    trace = run(loop, press, 60, applied=4000)
    assert max(trace) < DEFAULTS["pressure_target_kpa"] + 150
    assert abs(trace[-1] - DEFAULTS["pressure_target_kpa"]) <= 30


def test_it_starts_without_a_bump():
    loop = regulator()
    loop.start(4400, 4460)
    assert abs(loop.regulate(4400, 0, None, 4460, STEP_MS) - 4460) <= 30


def test_at_rest_it_holds_and_after_a_fault_it_bleeds_only_where_the_rig_says_so():
    hold, bleed = regulator(), regulator(pressure_safe_state=_BLEED)
    assert hold.rest(5200, 5200, STEP_MS, True) == 5200
    assert bleed.rest(5200, 5200, STEP_MS, False) == 5200
    for measured_kpa in (5200, 0):  # 0: no measurement
        command = 5200
        for _ in range(200):
            command = bleed.rest(command, measured_kpa, STEP_MS, True)
        assert command == DEFAULTS["pressure_min_kpa"]


def test_a_rig_that_lets_go_after_a_fault_lets_go_at_its_rate_measured_or_not_and_only_then():
    step_kpa = DEFAULTS["pressure_rate_max_kpa_s"] * STEP_MS // 1000
    air, screw = regulator(pressure_safe_state=_LET_GO), regulator(**SCREW, pressure_safe_state=_LET_GO)
    for measured_kpa in (5200, 0):
        assert air.rest(5200, measured_kpa, STEP_MS, True) == 5200 - step_kpa
        assert air.rest(step_kpa // 2, measured_kpa, STEP_MS, True) == 0
        assert screw.rest(-300, measured_kpa, STEP_MS, True) == -300 - step_kpa  # down to its limit switch
        assert air.rest(5200, measured_kpa, STEP_MS, False) == 5200
        assert screw.rest(-300, measured_kpa, STEP_MS, False) == -300


def test_pressure_above_the_window_comes_down_whatever_the_safe_state():
    hold = regulator()
    step_kpa = DEFAULTS["pressure_rate_max_kpa_s"] * STEP_MS // 1000
    assert hold.rest(6900, DEFAULTS["pressure_max_kpa"], STEP_MS, True) == 6900
    assert hold.rest(6900, DEFAULTS["pressure_max_kpa"] + 1, STEP_MS, True) == 6900 - step_kpa


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1000, 20000), st.integers(-100000, 100000), st.integers(0, 8000)), max_size=50),
    st.integers(1, 1000),
)
def test_no_input_drives_the_command_out_of_its_range(samples, dt_ms):
    loop = regulator(swelling_nm_per_mah=1000)
    loop.start(0, 0)
    for pressure_kpa, current_ma, applied_kpa in samples:
        command = loop.regulate(pressure_kpa, current_ma, None, applied_kpa, dt_ms)
        assert isinstance(command, int)
        assert 0 <= command <= DEFAULTS["pressure_command_max_kpa"]


class Screw:
    """A stack on a screw with backlash: the position moves the pressure once the slack is taken up."""

    def __init__(self, play_kpa=400.0, step_kpa=20.0, pressure_kpa=5000.0):
        self.play_kpa, self.step_kpa = play_kpa, step_kpa
        self.grown_kpa, self.position_kpa = 0.0, pressure_kpa  # closed last: the slack lies on the opening side
        self.pressing_kpa = pressure_kpa
        self.moves = 0

    @property
    def pressure_kpa(self):
        return max(0.0, self.pressing_kpa + self.grown_kpa)

    def step(self, command_kpa, swelling_kpa_s=0.0):
        steps = round((command_kpa - self.position_kpa) / self.step_kpa)
        if abs(command_kpa - self.position_kpa) > 0.52 * self.step_kpa:
            self.position_kpa += steps * self.step_kpa
            self.moves += 1
        low, high = self.position_kpa, self.position_kpa + self.play_kpa
        self.pressing_kpa = min(max(self.pressing_kpa, low), high)
        self.grown_kpa += swelling_kpa_s * STEP_MS / 1000
        return round(self.position_kpa)


SCREW = {
    "pressure_by_position": 1,
    "pressure_quantum_kpa": 20,
    "pressure_play_kpa": 380,
    "pressure_deadband_kpa": 3,
    "pressure_ki_ppm_s": 800000,
    "swelling_nm_per_mah": 10000,
    "stack_stiffness_kpa_per_um": 190,
}
GROWS_KPA_S_PER_MA = 10000 * 200 / 3.6e6


def on_screw(loop, screw, seconds, current_ma):
    trace = []
    applied = round(screw.position_kpa)
    for _ in range(int(seconds * 1000 / STEP_MS)):
        applied = screw.step(
            loop.regulate(round(screw.pressure_kpa), current_ma, None, applied, STEP_MS),
            GROWS_KPA_S_PER_MA * current_ma,
        )
        trace.append(screw.pressure_kpa - 5000)
    return trace


def test_a_screw_follows_swelling_to_its_step_and_crosses_its_play_when_the_load_turns():
    loop, screw = regulator(**SCREW), Screw()
    loop.start(5000, 5000)
    for _ in range(4):
        charged = on_screw(loop, screw, 600, 30)
        discharged = on_screw(loop, screw, 600, -30)
    assert max(map(abs, charged[300:] + discharged[300:])) <= 20
    assert max(map(abs, charged + discharged)) <= 60  # unregulated: 10 000; a play that is not crossed ahead: below
    assert loop.reversals == pytest.approx(8, abs=2)
    assert loop.play_kpa == pytest.approx(400, rel=0.1)


def test_a_play_that_is_not_known_costs_its_width_at_each_turn():
    loop, screw = regulator(**{**SCREW, "pressure_play_kpa": 0}), Screw()
    loop.start(5000, 5000)
    on_screw(loop, screw, 600, 30)
    assert max(map(abs, on_screw(loop, screw, 600, -30))) > 100


@pytest.mark.parametrize("believed_kpa", [200, 300, 400, 500, 600])
def test_no_play_that_is_believed_makes_it_hunt(believed_kpa):
    loop, screw = regulator(**{**SCREW, "pressure_play_kpa": believed_kpa}), Screw()
    loop.start(5000, 5000)
    on_screw(loop, screw, 1200, 30)
    turns, moves = loop.reversals, screw.moves
    on_screw(loop, screw, 3600, 0)
    assert loop.reversals - turns <= 10
    assert screw.moves - moves <= 60


def test_turns_that_follow_each_other_soon_widen_the_deadband_and_it_narrows_again():
    loop = regulator(**SCREW)
    loop.start(5000, 5000)
    pushed_kpa, applied = 25, 5000
    for k in range(4000):
        pushed_kpa = -pushed_kpa if k % 200 == 0 else pushed_kpa  # a stack that is shaken
        applied = loop.regulate(5000 + pushed_kpa, 0, None, applied, STEP_MS)
    shaken = loop.reversals
    assert shaken <= 10  # of twenty changes of sign
    assert loop._wide_kpa == pytest.approx(30, abs=11)
    for _ in range(60 * 60 * 10):
        applied = loop.regulate(5000, 0, None, applied, STEP_MS)
    assert loop._wide_kpa < 3


def test_a_screw_closes_no_further_at_the_largest_pressure():
    loop = regulator(**SCREW, pressure_command_max_kpa=5200)
    loop.start(5200, 4000)
    loop.aim_kpa = loop.target_kpa = 5400
    commands = [loop.regulate(5200, 0, None, 4000, STEP_MS) for _ in range(100)]
    assert max(commands) <= 4000
    loop.regulate(5100, 0, None, 4000, STEP_MS)
    assert loop.regulate(5100, 0, None, 4000, STEP_MS) > 4000


def test_a_screw_follows_the_stacks_expansion():
    warm = regulator(**SCREW, expansion_nm_per_k=100)
    cold = regulator(**SCREW, expansion_nm_per_k=100)
    for loop in (warm, cold):
        loop.start(5000, 5000)
        loop.regulate(5000, 0, 2500, 5000, STEP_MS)
    unknown = warm.regulate(5000, 0, None, 5000, STEP_MS)
    assert unknown == cold.regulate(5000, 0, 2500, 5000, STEP_MS)
    given = warm.regulate(5000, 0, 2400, 5000, STEP_MS) - cold.regulate(5000, 0, 2500, 5000, STEP_MS)
    assert given == pytest.approx(100 * 1 * 190 / 1000, abs=1)


def test_a_screw_in_fault_bleeds_only_by_a_pressure_that_it_sees():
    bleed = regulator(**SCREW, pressure_safe_state=_BLEED)
    step_kpa = DEFAULTS["pressure_rate_max_kpa_s"] * STEP_MS // 1000
    assert bleed.rest(-300, 5200, STEP_MS, True) == -300 - step_kpa
    assert bleed.rest(-300, DEFAULTS["pressure_min_kpa"], STEP_MS, True) == -300
    assert bleed.rest(-300, 0, STEP_MS, True) == -300
    assert bleed.rest(-300, 5200, STEP_MS, False) == -300
    assert bleed.rest(-300, DEFAULTS["pressure_max_kpa"] + 1, STEP_MS, False) == -300 - step_kpa


@pytest.mark.parametrize("screw", [False, True])
def test_a_press_that_yields_is_pushed_no_further_and_may_still_come_down(screw):
    loop = regulator(**(SCREW if screw else {}))
    loop.start(5000, 5000)
    loop.yields = True
    for _ in range(300):
        assert loop.regulate(4300, 0, None, loop.command_kpa, STEP_MS) <= 5000
    for _ in range(300):
        loop.regulate(5700, 0, None, loop.command_kpa, STEP_MS)
    assert loop.command_kpa < 4900
    down_kpa, loop.yields = loop.command_kpa, False
    for _ in range(100):
        loop.regulate(4300, 0, None, loop.command_kpa, STEP_MS)
    assert loop.command_kpa > down_kpa + 50


class Rounded:
    """Pulses of a screw: whole steps, no faster than it turns, within its switches."""

    def __init__(self, most_per_tick=7, least=-4000, greatest=400):
        self.position, self.most, self.least, self.greatest = 0, most_per_tick, least, greatest

    def move_to(self, position):
        position = min(max(position, self.least), self.greatest)
        self.position += min(max(position - self.position, -self.most), self.most)


STORM = st.lists(
    st.tuples(
        st.integers(-200, 12000),  # what the load cell says, whatever the press does
        st.integers(-100_000, 100_000),  # mA
        st.one_of(st.none(), st.integers(-4000, 12000)),  # cdegC
        st.integers(0, 3),  # stage of a short
        st.sampled_from(("regulates", "regulates", "regulates", "jams", "rests", "faults", "blind", "yields")),
    ),
    min_size=1, max_size=120,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(STORM, st.booleans(), st.integers(0, 2))
def test_no_storm_of_loads_temperatures_and_faults_moves_the_press_past_its_slew_force_and_travel(storm, screw, safe):
    changes = SCREW | {"pressure_command_max_kpa": 5200} if screw else {"pressure_play_kpa": 60}
    loop = regulator(**changes, pressure_safe_state=safe, expansion_nm_per_k=300)
    pulses = Rounded()
    press = ScrewPress(pulses, 20.0, 5000)
    asked_kpa, held_kpa, most_kpa = 5000, 5000, 2 * DEFAULTS["pressure_rate_max_kpa_s"] * STEP_MS / 1000
    loop.start(5000, 5000)
    for pressure_kpa, current_ma, cdegc, stage, what in storm:
        loop.respond(stage)
        loop.yields = what == "yields"
        crossed_kpa, closed_at = loop._offset_kpa, pulses.position
        if what in ("rests", "faults", "blind"):
            seen_kpa = 0 if what == "blind" else pressure_kpa
            command = loop.rest(held_kpa, seen_kpa, STEP_MS, what != "rests")
            assert command <= held_kpa  # never closes
            loop.start(pressure_kpa, command)
            crossed_kpa = 0.0
        else:
            command = loop.regulate(pressure_kpa, current_ma, cdegc, held_kpa, STEP_MS)
        crossed_kpa = loop._offset_kpa - crossed_kpa
        rounded_kpa = 1 + (20 if screw else 0)
        least_kpa, greatest_kpa = sorted((asked_kpa, held_kpa))  # a press that is slow is still on its way
        assert least_kpa + min(crossed_kpa, 0.0) - most_kpa - rounded_kpa <= command
        assert command <= greatest_kpa + max(crossed_kpa, 0.0) + most_kpa + rounded_kpa
        assert abs(crossed_kpa) <= 2.0 * 1.5 * 380
        if loop.yields:
            assert command <= held_kpa
        asked_kpa = command
        if what != "jams":
            if screw:
                press.command_kpa(command)
                held_kpa = press.commanded_kpa
                if pressure_kpa >= changes["pressure_command_max_kpa"]:
                    assert pulses.position <= closed_at
                assert pulses.least <= pulses.position <= pulses.greatest
            else:
                held_kpa = command
                assert 0 <= command <= DEFAULTS["pressure_command_max_kpa"]


@pytest.mark.parametrize("screw", [False, True])
def test_an_actuator_at_the_end_of_its_travel_is_told_as_stalled_and_one_that_is_slow_is_not(screw):
    loop = regulator(**(SCREW if screw else {}))
    loop.start(4700, 5000)
    held_kpa = 5000
    for _ in range(400):  # slow: a tenth of what it is asked for at most
        command = loop.regulate(4700, 0, None, held_kpa, STEP_MS)
        held_kpa += max(min(command - held_kpa, 4), -4)
        if held_kpa > 5060:
            break
        assert not loop.ended
    ended = [loop.ended for _ in range(100) if loop.regulate(4700, 0, None, held_kpa, STEP_MS) is not None]
    assert ended[-1]
    assert not any(ended[:40])
