"""A hard short is called in the fast tick; a load, however it steps, is none."""

import pytest
from assb import short_watch
from assb.detection import ACTIVE, NORMAL, UNAVAILABLE
from assb.detection.collapse import _FRESH_MS, Collapse
from assb.estimation import parameters, twin
from assb.protocol import schema
from assb_host.link.units import evidence_states
from bench import Bench, estimator_floats
from hypothesis import given, settings
from hypothesis import strategies as st

DEFAULTS = {row[1]: row[5] for row in schema.PARAMETERS}
FAST_MS, SLOW_MS = DEFAULTS["fast_period_ms"], DEFAULTS["slow_period_ms"]
DROP_UV, DEBOUNCE_MS = DEFAULTS["hard_short_drop_uv"], DEFAULTS["hard_short_debounce_ms"]
SLOW_TICKS = SLOW_MS // FAST_MS


def expecting(voltage_uv=3_700_000, current_ua=0, resistance_ohm=0.1):
    found = Collapse(DEFAULTS.__getitem__)
    found.expect(voltage_uv, current_ua, resistance_ohm, 0)
    return found


def called_at_ms(found, voltage_uv, current_ua=0, from_ms=0, until_ms=200):
    """Time of the sample in which the short is called, None if it is not."""
    for now_ms in range(from_ms, until_ms, FAST_MS):
        if found.update(voltage_uv, current_ua, now_ms):
            return now_ms
    return None


@pytest.mark.parametrize("beyond_uv", [1, 1_000_000])
def test_a_drop_that_lasts_is_called_once_and_just_after_its_debounce(beyond_uv):
    found = expecting(current_ua=1024)
    assert called_at_ms(found, 3_700_000 - DROP_UV - beyond_uv, current_ua=2048, from_ms=30) == 30 + DEBOUNCE_MS
    assert found.state == ACTIVE
    assert called_at_ms(found, 1_000_000, from_ms=200, until_ms=400) is None


def test_a_drop_at_the_threshold_or_shorter_than_its_debounce_is_none():
    assert called_at_ms(expecting(), 3_700_000 - DROP_UV) is None
    found = expecting()
    for now_ms in range(0, 500, FAST_MS):
        low = now_ms % (DEBOUNCE_MS + FAST_MS) < DEBOUNCE_MS
        assert not found.update(1_000_000 if low else 3_700_000, 0, now_ms)
    assert found.state == NORMAL


def test_a_drop_is_unavailable_before_the_estimator_runs_and_when_it_has_stopped():
    found = Collapse(DEFAULTS.__getitem__)
    assert called_at_ms(found, 0) is None
    assert found.state == UNAVAILABLE
    found = expecting()
    assert called_at_ms(found, 0, from_ms=_FRESH_MS + 1, until_ms=2 * _FRESH_MS) is None
    assert found.state == UNAVAILABLE


def test_more_discharge_is_allowed_its_drop_and_less_is_not_asked_for():
    resistance_ohm, step_ua = 0.2, 2_000_000
    load_uv = int(resistance_ohm * step_ua)
    assert called_at_ms(expecting(resistance_ohm=resistance_ohm), 3_600_000 - DROP_UV - load_uv, -step_ua) is None
    assert called_at_ms(expecting(resistance_ohm=resistance_ohm), 3_600_000 - DROP_UV - load_uv, step_ua) is not None
    assert called_at_ms(expecting(resistance_ohm=resistance_ohm), 3_600_000 - DROP_UV - load_uv) is not None


@pytest.mark.parametrize("current_ua", [-(1 << 30), (1 << 30) - 1])
@pytest.mark.parametrize("resistance_ohm", [1e-6, 1000.0])
def test_no_number_on_the_way_leaves_30_bits(current_ua, resistance_ohm):
    found = expecting(current_ua=(1 << 30) - 1, resistance_ohm=resistance_ohm)
    steps = min(found._current_steps - (current_ua >> 10) + 1, found._steps_most)
    drawn = min(-(current_ua >> 10), found._steps_most)
    assert max(steps, 0) * found._per_step_uv + max(drawn, 0) * found._per_contact_uv + DROP_UV < 1 << 30
    found.update(3_700_000, current_ua, 0)


def test_a_contact_that_is_lost_on_discharge_is_no_hard_short():
    resistance_ohm, current_ua = 0.1, -1_500_000
    found = expecting(current_ua=current_ua, resistance_ohm=resistance_ohm)
    lost_uv = int(-2 * resistance_ohm * current_ua)
    assert called_at_ms(found, 3_700_000 - DROP_UV - lost_uv, current_ua) is None
    assert called_at_ms(found, 3_700_000 - DROP_UV - lost_uv - 200_000, current_ua) is not None
    resting = expecting(resistance_ohm=resistance_ohm)
    assert called_at_ms(resting, 3_700_000 - DROP_UV - lost_uv) is not None


class LoadedCell:
    """A cell whose resistances are `worse` than believed, its estimator and its detector, at the firmware's rates."""

    R0_OHM, R1_OHM, TAU_S = 0.2, 0.05, 5.0

    def __init__(self, worse):
        flat = estimator_floats(
            r0_ohm=[self.R0_OHM] * (parameters.TEMPERATURE_POINTS * parameters.PRESSURE_POINTS),
            r1_ohm=[self.R1_OHM] * parameters.TEMPERATURE_POINTS,
            tau1_s=self.TAU_S,
        )
        self.ekf = twin.Ekf(flat)
        self.ekf.reset(0.5, 0.01)
        self.collapse = Collapse(DEFAULTS.__getitem__)
        self.worse = worse
        self.v1_v = 0.0
        self.tick = 0
        self.sums = [0.0, 0.0]
        self.called = False

    def run(self, current_a, ticks, short_ohm=None):
        for _ in range(ticks):
            self._tick(current_a, short_ohm)

    def _tick(self, current_a, short_ohm):
        self.v1_v += (self.R1_OHM * self.worse * current_a - self.v1_v) * FAST_MS / 1000 / self.TAU_S
        voltage_v = 3.6 + self.v1_v + self.R0_OHM * self.worse * current_a
        if short_ohm is not None:
            voltage_v *= short_ohm / (short_ohm + self.R0_OHM)
        self.called |= self.collapse.update(int(voltage_v * 1e6), int(current_a * 1e6), self.tick * FAST_MS)
        self.sums = [self.sums[0] + voltage_v, self.sums[1] + current_a]
        self.tick += 1
        if self.tick % SLOW_TICKS == 0:
            self._slow_step(self.sums[0] / SLOW_TICKS, self.sums[1] / SLOW_TICKS)
            self.sums = [0.0, 0.0]

    def _slow_step(self, voltage_v, current_a):
        if self.ekf.step(voltage_v, current_a, 25.0, 5.0, SLOW_MS / 1000) == 0:
            expected_uv = int((voltage_v - self.ekf.innovation_v) * 1e6)
            ohm = self.ekf.r0_ohm + self.R1_OHM
            self.collapse.expect(expected_uv, int(current_a * 1e6), ohm, self.tick * FAST_MS)


LOADS = st.lists(st.tuples(st.floats(-1.2, 1.2), st.integers(1, 40)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(loads=LOADS, worse=st.floats(0.75, 1.25))
def test_no_load_within_the_cyclers_limits_trips_it_however_it_steps(loads, worse):
    cell = LoadedCell(worse)
    cell.run(0.0, 3 * SLOW_TICKS)
    for current_a, ticks in loads:
        cell.run(current_a, ticks)
        assert not cell.called


@settings(max_examples=60, deadline=None)
@given(loads=LOADS, short_frac=st.floats(0.001, 0.3))
def test_after_any_load_a_short_below_the_cells_resistance_is_called_within_debounce_and_a_tick(loads, short_frac):
    cell = LoadedCell(1.0)
    cell.run(0.0, 3 * SLOW_TICKS)
    for current_a, ticks in loads:
        cell.run(current_a, ticks)
    cell.run(loads[-1][0], DEBOUNCE_MS // FAST_MS + 1, short_ohm=short_frac * cell.R0_OHM)
    assert cell.called


@pytest.mark.parametrize("voltage_uv", [2_900_000, 0])
def test_the_open_command_follows_within_one_fast_tick_and_the_debounce(voltage_uv):
    """2.9 V is above the undervoltage row's trip; at 0 V the estimator has nothing to say any more."""
    bench = Bench().to_rest()
    bench.run(37)
    bench.board.voltages_uv = [voltage_uv]
    start_ms = bench.clock.ms
    while bench.board.outputs[0]:
        bench.run(1)
    assert bench.clock.ms - start_ms <= FAST_MS + DEBOUNCE_MS + 1
    assert bench.state == "LOCKOUT"
    assert "hard_short" in bench.tripped()
    bench.run(2000)
    assert bench.app.signals.value[bench.app.signals.cell(0, "cell_stage")] == schema.STAGES.index("hard_short")
    assert bench.app.signals.value[bench.app.signals.cell(0, "confidence_ppm")] == 1_000_000


def test_the_places_in_short_watch_are_those_of_the_tables():
    cell_at, evidence_at = schema.index_of(schema.CELL_SIGNALS), schema.EVIDENCES.index
    first = cell_at["cell_stage"]
    for name, place in (("short_mohm", short_watch._SHORT_MOHM), ("confidence_ppm", short_watch._CONFIDENCE_PPM),
                        ("dip_count", short_watch._DIP_COUNT), ("dip_state", short_watch._DIP_STATE),
                        ("dip_score_milli", short_watch._DIP_STATE + 1), ("leak_state", short_watch._LEAK_STATE),
                        ("leak_score_milli", short_watch._LEAK_STATE + 1)):  # fmt: skip
        assert cell_at[name] == first + place
    first = cell_at["evidence_states"]
    assert cell_at["carried_bits"] == first + short_watch._CARRIED_BITS
    assert cell_at["short_low_mohm"] == first + short_watch._SHORT_LOW_MOHM
    assert cell_at["short_high_mohm"] == first + short_watch._SHORT_LOW_MOHM + 1
    for place, evidence in enumerate(short_watch.SCORES):
        assert cell_at[schema.EVIDENCES[evidence] + "_score_milli"] == first + short_watch._SCORES + place
    assert evidence_at("dips") == short_watch._DIPS
    assert evidence_at("missing_charge") == short_watch._MISSING_CHARGE


def test_states_and_scores_of_every_evidence_come_to_the_host():
    bench = Bench().to_rest()
    cell = bench.app.cells[0].shorts.detector.cell
    bench.run(1000)
    value = bench.app.signals.value[bench.app.signals.cell(0, "evidence_states")]
    assert evidence_states(value) == {
        name: schema.EVIDENCE_STATES[cell.state[at]] for at, name in enumerate(schema.EVIDENCES)
    }
    assert evidence_states(value)["swelling"] == "unavailable"  # no rig measures its gap yet
    assert evidence_states(value)["rest_decay"] == "learning"


def test_a_short_in_one_unit_of_a_bipolar_cell_is_told_as_that_units():
    ohms = []
    for units in (1, 2):
        bench = Bench(units_per_cell=units).to_rest()
        bench.app.cells[0].shorts.fusion.shorted(80.0)
        bench.app.cells[0].shorts._publish(bench.clock.now_ms())
        ohms.append(bench.app.signals.value[bench.app.signals.cell(0, "short_mohm")])
    assert ohms == [80000, 20000]
