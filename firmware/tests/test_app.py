"""The whole firmware on the bench: boot, arming, lease, faults, commands. The same App runs on every device."""

import re
import struct
from pathlib import Path

import pytest
from assb.protocol import schema
from bench import LEVELS, Bench, BenchBoard, BenchClock, limit
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

PACK_AT = schema.index_of(schema.PACK_SIGNALS)


def test_the_places_in_app_and_stack_are_those_of_the_table():
    from assb import app, stack

    for module, least in ((app, 25), (stack, 12)):
        places = {name: value for name, value in vars(module).items() if name[1:].lower() in PACK_AT}
        assert len(places) >= least
        assert places == {"_" + name.upper(): PACK_AT[name] for name in PACK_AT if "_" + name.upper() in places}


@pytest.mark.parametrize(
    "module",
    [
        "app",
        "board",
        "capture",
        "short_watch",
        "start",
        "telemetry",
        "console_commands",
        "watch_rests",
        "control.protection",
        "control.supervisor",
    ],
)
def test_the_ids_that_firmware_modules_write_down_are_those_of_the_schema(module):
    source = (Path(schema.__file__).parents[1] / (module.replace(".", "/") + ".py")).read_text()
    ids = re.findall(
        r"^_(?:MESSAGE_)?((?:EV_)?[A-Z_]+) = const\((\d+)\)",
        source.split("# Ids of the wire")[1].split("\n\n")[0],
        re.M,
    )
    assert ids
    assert {name: int(value) for name, value in ids} == {name: getattr(schema, name) for name, _ in ids}


def test_it_boots_safe_and_does_nothing_by_itself():
    bench = Bench().run(20000)
    assert bench.state == "SAFE"
    assert {outputs for outputs in bench.board.history} == {(0, 0, 0, 0)}


@pytest.mark.parametrize("channel", ["voltage", "current", "pressure", "temperature"])
def test_a_channel_that_never_answers_ends_in_lockout_not_in_safe(channel):
    bench = Bench()
    bench.board.dead.add(channel)
    bench.run(8000)
    assert bench.state == "LOCKOUT"
    assert "self_test_failed" in bench.tripped()


def test_arming_presses_first_and_connects_after_the_window_is_held():
    bench = Bench()
    bench.board.pressure_kpa = 0
    bench.run(500)
    bench.send("arm")
    bench.run(1000)
    assert bench.state == "ARMED"
    assert bench.board.held_kpa > 0
    bench.board.pressure_kpa = 5000
    bench.run_leased(40000)
    assert bench.state == "REST"
    assert bench.board.outputs == (1, 0, 1, 1)


def test_a_lease_that_lapses_stops():
    bench = Bench().to_rest()
    bench.run(6000)
    assert bench.state == "SAFE"
    assert bench.board.outputs == (0, 0, 0, 0)


def test_a_renewed_lease_holds():
    assert Bench().to_rest().run_leased(30000).state == "REST"


@pytest.mark.parametrize(("current_ua", "state"), [(300000, "CHARGE"), (-300000, "DISCHARGE"), (1000, "REST")])
def test_the_state_follows_the_current(current_ua, state):
    bench = Bench().to_rest()
    bench.board.current_ua = current_ua
    assert bench.run(100).state == state


FAULTS = {
    "cell_overvoltage": lambda board: setattr(board, "voltages_uv", [4310000]),
    "cell_undervoltage": lambda board: setattr(board, "voltages_uv", [2400000]),
    "charge_overcurrent": lambda board: setattr(board, "current_ua", 950000),
    "discharge_overcurrent": lambda board: setattr(board, "current_ua", -950000),
    "overtemperature": lambda board: setattr(board, "temperature_cdegc", 7100),
    "pressure_high": lambda board: setattr(board, "pressure_kpa", 6100),
    "voltage_stale": lambda board: board.dead.add("voltage"),
    "current_stale": lambda board: board.dead.add("current"),
    "pressure_stale": lambda board: board.dead.add("pressure"),
    "temperature_stale": lambda board: board.dead.add("temperature"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_opens_and_stays_open(name):
    bench = Bench().to_rest()
    FAULTS[name](bench.board)
    bench.run_leased(1000)
    assert bench.state in ("FAULT", "LOCKOUT")  # a voltage that collapses is a hard short too
    assert name in bench.tripped()
    assert bench.board.outputs == (0, 0, 0, 0)
    assert bench.run_leased(20000).state in ("FAULT", "LOCKOUT")


def test_pressure_that_is_lost_while_connected_stops_both_directions():
    bench = Bench().to_rest()
    bench.board.pressure_kpa = 3000
    bench.run_leased(1000)
    assert bench.tripped() == {"pressure_low"}
    assert bench.board.outputs == (1, 0, 0, 0)


def test_the_open_command_follows_within_debounce_and_one_fast_tick():
    bench = Bench().to_rest()
    bench.board.history.clear()
    start_ms = bench.clock.ms
    bench.board.voltages_uv = [1000000]
    while bench.board.outputs[0]:
        bench.run(1)
    debounce_ms, fast_ms = limit("cell_undervoltage")[8], 10
    assert bench.clock.ms - start_ms <= debounce_ms + fast_ms + 1


def test_a_fault_is_cleared_only_deliberately_and_only_when_it_is_gone():
    bench = Bench().to_rest()
    bench.board.voltages_uv = [4310000]
    bench.run_leased(1000)
    bench.send("clear")
    bench.run(100)
    assert bench.state == "FAULT"
    bench.board.voltages_uv = [4000000]
    bench.run_leased(1000)
    assert bench.state == "FAULT"
    bench.send("clear")
    assert bench.run(100).state == "SAFE"


def test_a_welded_contactor_locks_out():
    bench = Bench().to_rest()
    bench.board.welded = True
    bench.send("stop")
    bench.run(1000)
    assert bench.state == "LOCKOUT"
    assert "contactor_mismatch" in bench.tripped()


def test_a_soft_short_stops_the_charge_but_not_the_discharge():
    bench = Bench().to_rest()
    fusion = bench.app.cells[0].shorts.fusion
    fusion.stage = 2
    fusion.quiet_s = 0.0
    bench.run(200)
    assert bench.board.outputs == (1, 0, 0, 1)
    assert "soft_short" in bench.tripped()


def replies(bench):
    """A frame may hold a "!" as well."""
    lines = bytes(bench.console.wire).decode("latin1").split("\r\n")
    return [line for line in lines if "!ok " in line or "!err " in line]


def last_reply(bench):
    text = replies(bench)[-1]
    return text[max(text.rfind("!ok "), text.rfind("!err ")) :]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("arm", "not_a_command"),
        ("!arm", "crc_needed"),
        ("!fly id=3", "unknown_command"),
        ("!get id=4 name=nothing", "unknown_parameter"),
        ("!get", "missing_key"),
        ("!get name=lease_ms colour=red", "unknown_key"),
        ("!arm id=1 *0000", "bad_crc"),
        ("!set name=pressure_target_kpa value=5000", "crc_needed"),
        ("!" + "a" * 200, "too_long"),
        ("!get name", "bad_word"),
        ("!\x11!", "bad_word"),
        ("!get name=a name=b", "repeated_key"),
    ],
)
def test_bad_input_is_answered_with_a_reason_and_changes_nothing(line, reason):
    bench = Bench().run(1000)
    before = (bench.state, list(bench.app.settings._value), bench.board.outputs)
    bench.console.lines.append(line)
    bench.run(50)
    assert "reason=" + reason in last_reply(bench)
    assert (bench.state, list(bench.app.settings._value), bench.board.outputs) == before
    assert bench.app.commands.error_count == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("pressure_target_kpa", 5600, "outside_window"),
        ("pressure_target_kpa", -1, "out_of_range"),
        ("charge_current_max_ma", 100, "config_image_only"),
        ("no_such", 1, "unknown_parameter"),
        ("lease_ms", 2000, "config_image_only"),
    ],
)
def test_a_parameter_out_of_its_place_or_range_is_refused(name, value, reason):
    bench = Bench().run(1000)
    bench.send("set", id=9, name=name, value=value)
    bench.run(50)
    assert "!err set id=9 reason=" + reason in last_reply(bench)


def test_trip_levels_are_no_parameters():
    names = {row[1] for row in schema.PARAMETERS}
    assert not names & {row[1] for row in schema.LIMIT_ROWS}


def test_set_echoes_the_applied_value_and_takes_effect():
    bench = Bench().run(1000)
    bench.send("set", id=2, name="pressure_target_kpa", value=4800)
    bench.run(50)
    assert "!ok set id=2 name=pressure_target_kpa value=4800" in last_reply(bench)
    assert bench.app.stack.pressure.target_kpa == 4800


def test_update_turns_the_outputs_off_before_it_asks_for_the_reset():
    bench = Bench().to_rest()
    bench.send("update")
    while not bench.app.reset_wanted:
        bench.app.step(bench.clock.now_ms())
        bench.clock.ms += 1
    assert bench.board.outputs == (0, 0, 0, 0)
    assert bench.app.record.updates == 1


def test_firmware_on_trial_confirms_itself_once_and_tries_again_now_and_then_where_flash_does_not_take_it():
    bench = Bench()
    bench.app.record.slot, bench.app.record.full = 3, True
    bench.run(35_000)
    assert (bench.app.record.slot, bench.app.record.confirmations) == (3, 4)
    bench.app.record.full = False
    bench.run(30_000)
    assert (bench.app.record.slot, bench.app.record.confirmations) == (1, 5)


HEATED = {"heater_target_cdegc": 6000, "heater_max_cdegc": 6600, "heater_max_permille": 800}


@pytest.mark.parametrize("slot", range(10))
@pytest.mark.parametrize("command", ["reset", "update"])
def test_nothing_is_switched_on_or_moved_again_once_a_reset_is_asked_for(command, slot):
    """In whichever slice the command comes: a heated board that balances and whose press has to follow."""
    balanced = {"balance_start_uv": 5000, "balance_stop_uv": 1000, "balance_rest_ms": 1000}
    bench = Bench(2, **balanced, **HEATED).to_rest()
    bench.board.temperature_cdegc, bench.board.voltages_uv = 1000, [3600000, 3650000]
    bench.board.pressure_kpa = 4850
    bench.run_leased(1000)
    for _ in range(slot):
        bench.clock.ms = bench.app.step(bench.clock.now_ms())
    assert bench.board.bleeding and bench.board.heater[1]
    bench.send(command)
    moves = []
    for name in ("off", "heat", "bleed", "command_kpa"):
        move = getattr(bench.board, name)
        setattr(bench.board, name, lambda *values, name=name, move=move: moves.append(name) or move(*values))
    bench.app.step(bench.clock.now_ms())
    assert bench.app.reset_wanted
    assert moves == ["off"]
    assert (bench.board.outputs, bench.board.heater, bench.board.bleeding) == ((0, 0, 0, 0), (0, False), 0)


def test_an_update_that_flash_does_not_take_is_refused_with_the_outputs_off():
    bench = Bench().to_rest()
    bench.app.record.full = True
    bench.send("update")
    bench.run(100)
    assert "!err update" in last_reply(bench) and "not_written" in last_reply(bench)
    assert (bench.state, bench.board.outputs) == ("MAINTENANCE", (0, 0, 0, 0))
    assert not bench.app.reset_wanted


def test_a_blocked_console_drops_frames_and_counts_them_and_the_loop_goes_on():
    bench = Bench().run(1000)
    bench.console.blocked = True
    bench.run(5000)
    assert bench.app.telemetry.drop_count > 50
    assert bench.state == "SAFE"


def test_sixteen_cells_run_and_any_one_of_them_opens():
    bench = Bench(16).to_rest()
    bench.board.voltages_uv[15] = 4310000
    bench.run(100)
    assert bench.state == "FAULT"


def test_the_watchdog_is_fed_once_per_slow_period():
    bench = Bench().run(10000)
    assert 95 <= bench.watchdog.feeds <= 101


def test_it_runs_across_the_wrap_of_the_ticks():
    bench = Bench(now_ms=(1 << 30) - 2500)
    bench.to_rest()
    assert bench.clock.ms > 1 << 30
    assert bench.run_leased(5000).state == "REST"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=150), max_size=20))
def test_garbage_on_the_line_never_moves_it_out_of_safe(lines):
    bench = Bench().run(600)
    bench.console.lines += [line.decode("latin1") for line in lines]
    bench.run(500)
    assert bench.state == "SAFE"
    assert bench.board.outputs == (0, 0, 0, 0)


@pytest.mark.parametrize("order", [("arm", "stop"), ("stop", "arm", "stop")])
def test_a_stop_behind_an_arm_in_one_breath_wins(order):
    bench = Bench().run(600)
    for name in order:
        bench.send(name)
    bench.run(10000)
    assert bench.state == "SAFE"
    assert {outputs[0] for outputs in bench.board.history} == {0}


def test_ticks_that_were_missed_make_the_next_one_late_and_open():
    bench = Bench().to_rest()
    bench.clock.ms += 200
    bench.run(20)
    assert bench.state in ("FAULT", "LOCKOUT")
    assert "deadline_overrun" in bench.tripped()
    assert bench.app.signals.value[bench.app.signals.pack("late_worst_us")] > 150000


def test_the_watchdog_is_not_fed_in_a_period_that_missed_its_deadline():
    bench = Bench().run(1000)
    feeds = bench.watchdog.feeds
    for _ in range(20):
        bench.clock.ms += 200
        bench.run(80)  # in every round there is such a tick
    assert bench.watchdog.feeds <= feeds + 1


def test_pressure_lost_in_precharge_does_not_connect():
    bench = Bench(precharge_ms=5000).run(600)
    bench.send("arm")
    bench.run(3000)
    assert bench.state == "PRECHARGE"
    bench.board.pressure_kpa = 0
    bench.run(1000)
    assert bench.state == "SAFE"
    assert {outputs[0] for outputs in bench.board.history} == {0}


@pytest.mark.parametrize("state", ["ARMED", "PRECHARGE"])
def test_a_pack_whose_currents_are_both_forbidden_on_the_way_does_not_connect(state):
    bench = Bench(precharge_ms=1000).run(500)
    bench.send("arm")
    while bench.state != state:
        bench.run(10)
    bench.board.temperature_cdegc = 6600  # too hot for a charge and for a discharge, not yet to open
    bench.run_leased(250)
    assert bench.state == "SAFE"
    assert bench.run(5000).board.outputs == (0, 0, 0, 0)
    assert not any(main for main, *_ in bench.board.history)


def test_a_glitch_of_the_feedback_does_not_skip_the_precharge():
    bench = Bench(precharge_ms=5000).run(600)
    bench.send("arm")
    bench.run(3000)
    bench.board.welded = True
    bench.run(20)
    bench.board.welded = False
    bench.run(500)
    assert bench.state == "PRECHARGE"
    assert bench.board.outputs == (0, 1, 0, 0)


def test_after_a_soft_short_the_pack_may_be_armed_for_discharge():
    bench = Bench().to_rest()
    fusion = bench.app.cells[0].shorts.fusion
    fusion.stage = 2
    fusion.quiet_s = 0.0
    bench.run(200)
    bench.send("stop")
    bench.run(100)
    bench.send("arm")
    bench.run(4000)
    assert bench.state == "DERATE"  # the suspect derates what is left
    assert bench.board.outputs == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("pressure_kp_ppm", 500_000, lambda app: app.stack.pressure._kp * 1e6),
        ("pressure_deadband_kpa", 7, lambda app: app.stack.pressure._deadband_kpa),
        ("cell_period_ms", 200, lambda app: next(p for p in app.telemetry.plans if p.type == schema.CELL).period_ms),
    ],
)
def test_a_parameter_that_may_be_set_takes_effect(name, value, where):
    bench = Bench().run(600)
    bench.send("set", name=name, value=value)
    bench.run(50)
    assert where(bench.app) == value


def test_a_self_test_that_failed_is_one_event():
    bench = Bench()
    bench.board.dead.add("pressure")
    bench.run(8000)
    numbers = [frame[0] for frame in events(bench)]
    assert numbers.count(schema.EV_SELF_TEST) == 1


class SlowTest:
    """A self-test each part of which takes two ticks; `states`: in which the board was."""

    def __init__(self, bench):
        self.bench, self.states = bench, []

    def step(self):
        self.states.append(self.bench.state)
        self.bench.clock.ms += 20
        return len(self.states) == 20


def test_a_self_test_waits_while_the_pack_is_pressed_precharged_or_connected():
    bench = Bench(precharge_ms=2000).run(500)
    bench.app.self_test = test = SlowTest(bench)
    bench.send("arm")
    bench.run_leased(6000)
    assert (bench.state, set(test.states)) == ("REST", {"SAFE"})
    bench.send("stop")
    bench.run(2000)
    assert set(test.states) == {"SAFE"}
    assert len(test.states) == 20
    assert bench.app.self_test is None


def events(bench):
    """(event, number, a, b) of every EVENT frame on the bench's console."""
    found = []
    for chunk in bytes(bench.console.wire).split(b"\0"):
        try:
            raw = cobs.decode(chunk)
        except cobs.DecodeError:
            continue
        if raw and raw[0] == schema.EVENT:
            found.append(struct.unpack_from("<BHii", raw, 8))
    return found


def test_a_press_is_homed_with_nothing_connected_and_in_safe_or_maintenance_alone():
    bench = Bench().to_rest()
    bench.send("home", id=1)
    bench.run(50)
    assert "reason=not_safe" in last_reply(bench)
    bench.send("stop")
    bench.run(200)
    bench.board.welded = True
    bench.send("home", id=2)
    bench.run(20)
    assert "reason=not_" in last_reply(bench)  # open, or locked out by then
    assert not bench.board.homed
    bench = Bench().run(500)
    bench.send("home", id=3)
    bench.run(50)
    assert "!ok home id=3" in last_reply(bench)
    assert bench.board.homed


def homing():
    bench = Bench().run(500)
    bench.send("home", id=3)
    return bench.run(200)


def test_homing_goes_on_in_safe_whatever_is_commanded_and_ends_by_stop_by_arm_and_by_a_fault():
    bench = homing()
    bench.board.pressure_kpa = 5600  # above the window: comes down, and homing does that already
    assert bench.run(500).board.homing
    bench.send("stop")
    assert not bench.run(50).board.homing
    bench = homing()
    bench.send("arm")
    assert not bench.run(200).board.homing
    bench = homing()
    bench.board.dead.add("temperature")
    bench.run(3000)
    assert bench.state == "FAULT"
    assert not bench.board.homing


def test_homing_goes_on_while_its_host_renews_the_lease():
    bench = homing()
    assert "lease_ms=5000" in last_reply(bench)
    assert bench.run(4700).board.homing
    assert bench.run_leased(20000).board.homing
    assert bench.run(3900).board.homing
    assert not bench.run(400).board.homing
    bench.send("lease")
    bench.run(50)
    assert "!err lease reason=no_lease" in last_reply(bench)


@pytest.mark.parametrize(
    "end",
    [lambda bench: bench.send("stop"), lambda bench: bench.board.dead.add("pressure")],
    ids=("stop", "fault"),
)
@pytest.mark.parametrize("crosses", [False, True])
def test_a_press_that_is_on_its_way_stands_where_regulation_ends(end, crosses):
    bench = Bench(pressure_by_position=1, pressure_play_kpa=400 if crosses else 0).to_rest()
    board = bench.board
    board.slew_kpa = 1
    bench.send("set", name="pressure_target_kpa", value=4800)
    while abs(board.wanted_kpa - board.held_kpa) < (200 if crosses else 20):
        bench.run(10)
    end(bench)
    bench.run(170)  # the limit of the row, and a slow tick
    assert bench.state in ("SAFE", "FAULT")
    stands_kpa = board.held_kpa
    assert stands_kpa == board.wanted_kpa > 4800
    assert bench.run(5000).board.held_kpa == stands_kpa


def test_a_screw_that_homing_opened_closes_until_it_is_at_its_stack_and_only_then():
    bench = Bench(pressure_by_position=1).run(500)
    board = bench.board
    board.pressure_kpa, board.held_kpa = 0, -1000
    bench.send("home")
    bench.run(200)
    bench.send("arm")
    bench.run_leased(20000)
    assert board.held_kpa == pytest.approx(3000, abs=50)
    board.pressure_kpa = 600
    bench.run_leased(2000)
    assert 600 < bench.app.stack.pressure._setpoint_kpa < 1200
    board.pressure_kpa = 0  # its wire broke
    stands_kpa = board.held_kpa
    for command in ("stop", "arm"):
        bench.send(command)
        bench.run_leased(2000)
    assert bench.run_leased(20000).board.held_kpa < stands_kpa + 1000


def test_a_press_that_does_not_take_its_command_is_not_regulated_from_a_pressure_that_is_gone():
    bench = Bench()
    bench.board.pressure_kpa = 100
    bench.run(500)
    bench.board.silent = True
    bench.send("arm")
    bench.run_leased(1000)
    assert bench.state == "ARMED"
    assert bench.board.held_kpa == 5000
    bench.board.silent = False
    bench.run_leased(1000)
    assert bench.board.held_kpa == pytest.approx(4800, abs=20)  # at the ramp's rate, as pressure may stand after all
    held_kpa = []
    for _ in range(30):
        held_kpa.append(bench.run_leased(1000).board.held_kpa)
    assert min(held_kpa) < 300
    assert bench.state == "ARMED"


def test_a_press_is_not_taken_for_pressed_on_the_way_to_where_it_starts():
    bench = Bench(pressure_min_kpa=2000, press_hold_ms=1000).to_rest()
    bench.send("stop")
    bench.run(200)
    bench.board.pressure_kpa = 3000  # inside the window, and the target was reached before
    bench.send("arm")
    bench.run_leased(8000)
    assert bench.board.held_kpa < 4000
    assert bench.state == "ARMED"


ASKS = (
    ("home", {}),
    ("set", {"name": "current_offset_ua", "value": 25000}),
    ("inject", {"lease_ms": 60000}),
)


def asked(bench, name, pairs):
    more = {"config": bench.app.config.crc} if name == "inject" else {}
    bench.send(name, **pairs, **more)
    bench.run(20)
    return last_reply(bench)


@pytest.mark.parametrize(("name", "pairs"), ASKS)
def test_what_wants_nothing_connected_asks_the_sensors_too(name, pairs):
    off = {row: limit(row, flags=0) for row in ("current_stale", "contactor_mismatch")}
    bench = Bench(limits=off).run(500)
    bench.board.welded = True
    assert "reason=not_open" in asked(bench, name, pairs)
    bench.board.welded, bench.board.current_ua = False, -300000
    assert "reason=current_flows detail=-300000_ua" in asked(bench, name, pairs)
    bench.board.dead.add("current")
    assert "reason=not_known detail=current" in asked(bench, name, pairs)
    bench.board.dead.clear()
    bench.board.current_ua = 10000 if name != "set" else LEVELS["weld_current"][2]  # which a zero error may look like
    assert f"!ok {name}" in asked(bench, name, pairs)


def test_a_welded_board_takes_no_correction_but_the_images_own():
    bench = Bench().to_rest()
    bench.board.welded, bench.board.current_ua = True, -300000
    bench.send("stop")
    bench.run(1500)
    assert bench.state == "LOCKOUT"
    for name in ("current_offset_ua", "current_gain_ppm", "load_cell_span_ppm"):
        assert "!err set" in asked(bench, "set", {"name": name, "value": 5000})
        assert bench.app.settings(name) == 0
        assert "!ok set" in asked(bench, "set", {"name": name, "value": 0})


def test_a_board_that_was_never_ready_is_injected_and_one_in_fault_lockout_or_alarm_is_not():
    bench = Bench()
    bench.board.dead |= {"voltage", "current", "pressure", "temperature"}  # a bare board
    assert "!ok inject" in asked(bench, "inject", {"lease_ms": 60000})
    bench = Bench()
    bench.board.dead |= {"voltage", "current", "pressure", "temperature"}
    bench.run(8000)
    assert bench.state == "LOCKOUT"
    assert "!ok inject" in asked(bench, "inject", {"lease_ms": 60000})
    for what, value, state in (
        ("temperature_cdegc", 7100, "FAULT"), ("voltages_uv", [1000000], "LOCKOUT"), ("temperature_cdegc", 2500, "SAFE")
    ):  # fmt: skip
        bench = Bench().to_rest()
        setattr(bench.board, what, value)
        bench.send("stop")
        bench.run(500 if state != "FAULT" else 1000)
        if state == "SAFE":
            bench.app.alarm._shorted = True
            bench.run(100)
        assert bench.state == state
        assert "reason=not_safe" in asked(bench, "inject", {"lease_ms": 60000})
        assert bench.app.injection is None


def test_a_start_that_takes_long_makes_no_tick_late(monkeypatch):
    attach = BenchBoard.attach

    def attach_slowly(board, *places):
        attach(board, *places)
        board.clock.ms += 1500

    def sharing(clock, now_ms=0):
        clock.ms = now_ms
        BenchBoard.clock = clock

    monkeypatch.setattr(BenchBoard, "clock", None, raising=False)
    monkeypatch.setattr(BenchClock, "__init__", sharing)
    monkeypatch.setattr(BenchBoard, "attach", attach_slowly)
    bench = Bench().run(200)
    assert bench.app.signals.value[bench.app.signals.pack("late_worst_us")] == 0
