"""What each stage of a short does: limit rows, press, alarm; and what remains after the contactor has opened."""

import pytest
from assb.control.alarm import _COLD_MS, Alarm
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
    assert bench.app.pressure._setpoint_kpa == RECOVERY_KPA
    bench.app.cells[0].shorts.fusion.stage = SOFT_SHORT
    bench.run_leased(2000)
    assert target_kpa(bench) == RECOVERY_KPA  # where it stands


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
