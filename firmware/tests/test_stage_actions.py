"""What each stage of a short does: limit rows, press, alarm; and what remains after the contactor has opened."""

import pytest
from assb.control.alarm import _COLD_MS, Alarm
from assb.estimation import flat_layout
from assb.protocol import schema
from bench import Bench

DEFAULTS = {row[1]: row[5] for row in schema.PARAMETERS}
NONE, SUSPECT, SOFT_SHORT, HARD_SHORT = range(4)
WARM_CDEGC, COLD_CDEGC = DEFAULTS["cold_cdegc"] + 500, DEFAULTS["cold_cdegc"] - 500
TARGET_KPA, RECOVERY_KPA = DEFAULTS["pressure_target_kpa"], 4600


def at_stage(stage, **parameters):
    bench = Bench(**parameters).to_rest().run_leased(2000)
    fusion = bench.app.cells[0].shorts.fusion
    fusion.stage, fusion.quiet_s = stage, 0.0
    bench.app.signals.put(bench.app.signals.cell(0, "cell_stage"), stage, bench.clock.now_ms())
    return bench.run_leased(1000)


def target_kpa(bench):
    return bench.app.signals.value[bench.app.signals.pack("pressure_target_kpa")]


@pytest.mark.parametrize(
    ("stage", "rows", "outputs", "alarm"),
    [
        (NONE, set(), (1, 0, 1, 1), 0),
        (SUSPECT, {"short_suspected", "suspect_derates"}, (1, 0, 1, 1), 0),
        (SOFT_SHORT, {"short_suspected", "suspect_derates", "soft_short"}, (1, 0, 0, 1), 1),
        (HARD_SHORT, {"short_suspected", "suspect_derates", "soft_short", "hard_short"}, (0, 0, 0, 0), 1),
    ],
)
def test_every_stage_takes_more_away(stage, rows, outputs, alarm):
    bench = at_stage(stage)
    assert bench.tripped() == rows
    assert bench.board.outputs == outputs
    assert bench.board.alarm == alarm


def test_a_suspect_derates_the_currents_until_the_stage_has_fallen_for_a_while():
    bench = at_stage(NONE)
    limits = [bench.app.signals.value[bench.app.signals.pack("charge_limit_ma")]]
    bench = at_stage(SUSPECT)
    limits.append(bench.app.signals.value[bench.app.signals.pack("charge_limit_ma")])
    assert bench.state == "DERATE"
    bench.app.cells[0].shorts.fusion.quiet_s = flat_layout.DEFAULTS["stage_fall_s"] - 60.0
    bench.run_leased(62000)
    limits.append(bench.app.signals.value[bench.app.signals.pack("charge_limit_ma")])
    assert bench.tripped() == {"short_suspected"}  # which only logs, and waits for a clear
    assert limits[1] == limits[0] // 2
    assert limits[2] == pytest.approx(limits[0], rel=0.01)


def test_a_suspect_is_given_the_recovery_pressure_and_from_a_soft_short_on_the_press_holds():
    assert target_kpa(at_stage(SUSPECT)) == TARGET_KPA  # none is declared
    assert target_kpa(at_stage(NONE, pressure_recovery_kpa=RECOVERY_KPA)) == TARGET_KPA
    bench = at_stage(SUSPECT, pressure_recovery_kpa=RECOVERY_KPA)
    assert target_kpa(bench) == RECOVERY_KPA
    bench.run_leased(3000)
    assert bench.app.stack.pressure._setpoint_kpa == RECOVERY_KPA
    bench.app.cells[0].shorts.fusion.stage = SOFT_SHORT
    bench.run_leased(2000)
    assert target_kpa(bench) == RECOVERY_KPA  # where it stands


def test_contact_that_is_lost_is_given_its_pressure_until_some_time_after_it_is_back():
    from assb import stack
    from assb.detection import ACTIVE

    assert 2 * schema.EVIDENCES.index("contact_loss") == stack._CONTACT_LOSS_AT
    assert stack._ACTIVE == ACTIVE
    bench = Bench(pressure_contact_kpa=5400).to_rest().run_leased(2000)
    place = bench.app.signals.cell(0, "evidence_states")
    bench.app.cells[0].step = lambda now_ms: None  # nothing else writes there
    bench.app._slots = bench.app._plan(10)
    bench.app.signals.put(place, ACTIVE << stack._CONTACT_LOSS_AT, bench.clock.now_ms())
    assert target_kpa(bench.run_leased(500)) == 5400
    bench.app.signals.put(place, (ACTIVE - 1) << stack._CONTACT_LOSS_AT | ACTIVE, bench.clock.now_ms())
    assert target_kpa(bench.run_leased(595000)) == 5400
    assert target_kpa(bench.run_leased(6000)) == TARGET_KPA


def test_charge_and_discharge_have_pressures_of_their_own_and_a_suspect_comes_first():
    bench = Bench(pressure_charge_kpa=4700, pressure_discharge_kpa=5300, pressure_recovery_kpa=RECOVERY_KPA).to_rest()
    for current_ua, wanted_kpa in ((0, TARGET_KPA), (200000, 4700), (-200000, 5300), (5000, TARGET_KPA)):
        bench.board.current_ua = current_ua
        assert target_kpa(bench.run_leased(500)) == wanted_kpa
    bench = at_stage(SUSPECT, pressure_charge_kpa=4700, pressure_recovery_kpa=RECOVERY_KPA)
    bench.board.current_ua = 200000
    assert target_kpa(bench.run_leased(500)) == RECOVERY_KPA


def test_below_its_derate_level_pressure_takes_the_current_in_proportion_and_a_row_stops_it():
    from bench import limit

    rows = {
        "pressure_low": limit("pressure_low", flags=7, warn=4700, derate=4500, trip=4000, reset=4600, recovery=0,
                              recovery_ms=500),
        "actuator_stall": limit("actuator_stall", flags=0),
    }  # fmt: skip
    bench = Bench(limits=rows).to_rest()
    limits = {}
    for pressure_kpa in (4600, 4450, 4250, 4050, 3990, 4700):
        bench.board.pressure_kpa = pressure_kpa
        bench.run_leased(3000)
        limits[pressure_kpa] = bench.app.signals.value[bench.app.signals.pack("charge_limit_ma")]
    whole = limits[4600]
    assert whole > limits[4450] > limits[4250] > limits[4050] > limits[3990] == 0
    assert limits[4250] == pytest.approx(whole * 0.5 * 0.5, rel=0.02)  # half of it at the level, half of the way left
    assert limits[4700] == whole


def test_a_hard_short_keeps_the_alarm_until_the_stack_was_cold_for_a_while():
    alarm = Alarm(DEFAULTS.__getitem__, 0)
    assert alarm.update(HARD_SHORT, COLD_CDEGC, 1, 0)
    assert alarm.on
    now_ms = 0
    for temperature_cdegc, known, seconds in ((WARM_CDEGC, 1, 600), (COLD_CDEGC, 0, 600), (COLD_CDEGC, 1, 59)):
        for _ in range(seconds):
            now_ms += 1000
            assert not alarm.update(NONE, temperature_cdegc, known, now_ms)
        assert alarm.on
    assert alarm.update(NONE, COLD_CDEGC, 1, now_ms + _COLD_MS)
    assert not alarm.on


def test_a_soft_short_sounds_the_alarm_as_long_as_it_stands():
    alarm = Alarm(DEFAULTS.__getitem__, 0)
    assert not alarm.update(SUSPECT, WARM_CDEGC, 1, 0)
    assert alarm.update(SOFT_SHORT, WARM_CDEGC, 1, 10)
    assert alarm.update(NONE, WARM_CDEGC, 1, 20)
    assert not alarm.on


def test_update_and_stop_leave_the_alarm_alone():
    bench = at_stage(SOFT_SHORT)
    bench.send("stop")
    bench.run(500)
    bench.app.safe()
    assert bench.board.outputs == (0, 0, 0, 0)
    assert bench.board.alarm == 1
