"""Limit rows in the whole firmware: what each does to the outputs, and what the quantities are that they judge."""

import pytest
from assb.control import supervisor as sv
from assb.control.protection import _TRIPPED, ACTION_MASKS, NO_CHARGE, NO_DISCHARGE
from assb.protocol import schema
from bench import LEVELS, UNAVAILABLE, Bench, limit

AT = schema.index_of(schema.LIMIT_ROWS)
ROWS = [row[1] for row in schema.LIMIT_ROWS]
FITTED = [name for name in ROWS if name not in UNAVAILABLE]
FAST_MS = 10


def row_of(name):
    return schema.LIMIT_ROWS[AT[name]]


def test_the_places_in_quantities_are_those_of_the_table():
    from assb import quantities

    at = schema.index_of(schema.PACK_SIGNALS)
    places = {name: value for name, value in vars(quantities).items() if name[1:].lower() in at}
    assert len(places) == 11
    assert places == {name: at[name[1:].lower()] for name in places}
    cells = schema.index_of(schema.CELL_SIGNALS)
    for of in (at, cells):  # they are put in pairs
        for name in of:
            if "_jump_" in name:
                assert of[name] + 1 == of[name[: name.index("_jump_")] + "_still_ms"]


def hold(bench, name):
    """Trip the row as its interpreter does, and keep it there."""
    protection = bench.app.protection
    for at in range(protection.count):
        if protection.row_at[at] == AT[name]:
            protection.level[at] = _TRIPPED
            protection.recovery[at] = 2
            return
    raise AssertionError(name + " is not watched")


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("state", [sv.SAFE, sv.ARMED, sv.PRECHARGE, sv.REST, sv._CHARGE, sv._DISCHARGE, sv._DERATE])
def test_a_tripped_row_takes_what_its_action_says_in_every_state_and_gives_nothing(name, state):
    """With permission (a closed state) and without: on the very tick on which it trips."""
    bench = Bench(2).run(500)
    app = bench.app
    app.supervisor.state, app.supervisor.since_ms = state, bench.clock.ms
    app.stack.pressed = True
    app.derating.cells_charge_ma = app.derating.cells_discharge_ma = 1000
    app.derating.charge = app.derating.discharge = 1  # and have long been able to
    app.fast(bench.clock.ms, 0)
    before = bench.board.outputs
    hold(bench, name)
    app.fast(bench.clock.ms + FAST_MS, 0)
    main, precharge, charge, discharge = bench.board.outputs
    mask = ACTION_MASKS[row_of(name)[7]]
    assert all(now <= then for now, then in zip(bench.board.outputs, before, strict=True)) or state in (
        sv.ARMED,
        sv.PRECHARGE,
    )  # which go on, to a contactor that closes, where the row lets them
    if mask & NO_CHARGE:
        assert charge == 0
    if mask & NO_DISCHARGE:
        assert discharge == 0
    if row_of(name)[7] in ("open", "lockout"):
        assert (main, precharge, charge, discharge) == (0, 0, 0, 0)
        assert bench.state == ("FAULT" if row_of(name)[7] == "open" else "LOCKOUT")
    elif state in sv.CLOSED_STATES:
        assert main == 1
        assert charge == (0 if mask & NO_CHARGE else 1)
        assert discharge == (0 if mask & NO_DISCHARGE else 1)
        assert bool(app.signals.value[app.signals.pack("charge_limit_ma")] < 600) == (
            row_of(name)[7] == "derate" or charge == 0
        )


@pytest.mark.parametrize("name", FITTED)
def test_the_quantity_of_every_row_is_there_in_a_running_pack(name):
    bench = Bench(2).to_rest()
    signals = bench.app.signals
    _, _, scope, signal = row_of(name)[:4]
    places = [signals.pack(signal)] if scope == "pack" else [signals.cell(cell, signal) for cell in range(2)]
    assert all(signals.valid[place] for place in places)
    assert all(signals.age_ms(place, bench.clock.ms) <= 1100 for place in places)


def test_no_row_is_blind_in_any_state_while_the_sensors_live():
    bench = Bench(2).to_rest().run_leased(10000)
    assert bench.tripped() == set()
    bench.send("stop")
    assert bench.run(10000).tripped() == set()


CHANNELS = {
    "voltage_stale": "voltage",
    "current_stale": "current",
    "pressure_stale": "pressure",
    "temperature_stale": "temperature",
}


@pytest.mark.parametrize("name", [name for name in FITTED if row_of(name)[9] in CHANNELS])
def test_when_the_sensor_of_a_row_is_lost_its_stale_row_opens_the_pack(name):
    bench = Bench(2).to_rest()
    stale = row_of(name)[9]
    bench.board.dead.add(CHANNELS[stale])
    bench.run(LEVELS[stale][2] + 200)
    assert stale in bench.tripped()
    assert name not in bench.tripped()
    assert bench.state == "FAULT"


def test_an_estimator_that_falls_silent_blocks_the_charge():
    bench = Bench().to_rest()
    bench.app.cells[0].ekf.step = lambda *sample: 0
    bench.app.cells[0]._put = lambda *values: None
    bench.run_leased(3000)
    assert bench.tripped() == {"estimator_invalid"}
    assert bench.board.outputs == (1, 0, 0, 1)


# ---- rows that judge what the firmware works out ----


def until_tripped(bench, name, limit_ms=20000):
    start_ms = bench.clock.ms
    while name not in bench.tripped():
        if (bench.clock.ms - start_ms) % 1000 == 0:
            bench.send("lease")
        bench.run(1)
        assert bench.clock.ms - start_ms < limit_ms
    return bench.clock.ms - start_ms


def with_level(name, cell_count=1, **changes):
    """A bench whose row `name` has other values than the bench's own."""
    from bench import limit

    bench_limit = {
        **dict(zip(("warn", "derate", "trip", "reset", "debounce_ms"), LEVELS[name], strict=True)),
        **changes,
    }
    values = {key: value for key, value in bench_limit.items() if value is not None}
    return Bench(cell_count, limits={name: limit(name, **values)})


@pytest.mark.parametrize(("current_ua", "blocked_by"), [(300000, NO_CHARGE), (-300000, NO_DISCHARGE)])
def test_a_current_that_flows_although_it_is_forbidden_opens_after_its_time(current_ua, blocked_by):
    bench = Bench().to_rest()
    bench.board.current_ua = current_ua
    bench.run_leased(500)
    assert bench.state in ("CHARGE", "DISCHARGE")
    hold(bench, "charge_overtemperature" if blocked_by == NO_CHARGE else "discharge_overtemperature")
    assert abs(until_tripped(bench, "forbidden_current") - 200) <= 2 * FAST_MS + 1
    assert bench.run(FAST_MS).state == "FAULT"
    assert bench.board.outputs == (0, 0, 0, 0)


def test_a_current_in_the_direction_that_is_allowed_is_not_forbidden():
    bench = Bench().to_rest()
    bench.board.current_ua = -300000
    hold(bench, "charge_overtemperature")
    bench.run_leased(3000)
    assert bench.tripped() == {"charge_overtemperature"}
    assert bench.board.outputs == (1, 0, 0, 1)


def test_a_current_through_an_open_contactor_locks_out_without_any_feedback():
    bench = Bench().to_rest()
    bench.board.current_ua = 100000
    bench.send("stop")
    bench.run(150)
    assert bench.state == "SAFE"
    until_tripped(bench, "weld_current", 200)
    assert bench.run(FAST_MS).state == "LOCKOUT"


def test_the_current_of_a_precharge_is_no_weld():
    bench = Bench(precharge_ms=2000).run(500)
    bench.send("arm")
    bench.run(2500)
    assert bench.state == "PRECHARGE"
    bench.board.current_ua = -200000
    bench.run(1000)
    assert bench.state == "PRECHARGE"
    assert bench.tripped() == set()


def test_the_mean_of_ten_seconds_trips_where_the_fast_row_is_content():
    bench = Bench().to_rest()
    bench.board.current_ua = 850000
    took_ms = until_tripped(bench, "charge_overcurrent_10s", 60000)
    assert took_ms == pytest.approx(28300, rel=0.02)  # 10 s * ln(850 / (850 - 800)) and the debounce
    assert "charge_overcurrent" not in bench.tripped()


def test_the_rate_of_pressure_is_the_slope_of_a_ramp():
    bench = Bench().to_rest()
    for tick in range(800):
        bench.board.pressure_kpa = 4600 + tick
        bench.app.fast(bench.clock.ms, 0)
        bench.clock.ms += FAST_MS
    assert bench.app.signals.value[bench.app.signals.pack("pressure_rate_kpa_s")] == pytest.approx(100, abs=1)


def test_cells_that_drift_apart_trip_the_spread():
    bench = Bench(3).to_rest()
    bench.board.voltages_uv = [3600000, 3301000, 3500000]
    bench.run_leased(1000)
    assert "cell_spread" not in bench.tripped()
    bench.board.voltages_uv = [3600000, 3300000, 3500000]
    until_tripped(bench, "cell_spread")
    assert bench.board.outputs == (1, 0, 0, 1)


def fast_ticks(bench, *voltages_uv):
    for voltage_uv in voltages_uv:
        bench.board.voltages_uv = [voltage_uv]
        bench.app.fast(bench.clock.ms, 0)
        bench.clock.ms += FAST_MS


@pytest.mark.parametrize(
    ("voltages_uv", "jumps"),
    [
        ((3600000, 2000000, 3600000, 3600000), False),  # one disturbed sample
        ((3600000, 2000000, 2000000), True),
        ((3600000, 2100000, 2100000), True),
        ((3600000, 2100001, 2100001), False),
        ((3600000, 5200000, 5100000), True),
        ((3600000, 3000000, 2400000, 1800000), False),  # each step is one that it can take
    ],
)
def test_a_jump_is_one_that_the_next_sample_confirms(voltages_uv, jumps):
    bench = with_level("voltage_jump", trip=1500000).to_rest()
    fast_ticks(bench, *[voltages_uv[0]] * 200)
    assert "voltage_jump" not in bench.tripped()
    fast_ticks(bench, *voltages_uv)
    assert ("voltage_jump" in bench.tripped()) == jumps


@pytest.mark.parametrize(
    ("name", "move"),
    [
        ("voltage_stuck", lambda board, at: setattr(board, "voltages_uv", [3600000 + at])),
        ("current_stuck", lambda board, at: setattr(board, "current_ua", at)),
        ("pressure_stuck", lambda board, at: setattr(board, "pressure_kpa", 5000 + at)),
        ("temperature_stuck", lambda board, at: setattr(board, "temperature_cdegc", 2500 + at)),
    ],
)
def test_a_channel_whose_code_never_changes_opens_and_one_count_now_and_then_is_life(name, move):
    bench = with_level(name, trip=5000)
    bench.run(500)
    bench.send("arm")
    for at in range(12):
        move(bench.board, at % 2)
        bench.run_leased(1000)
    assert bench.tripped() == set()
    assert bench.state == "REST"
    assert until_tripped(bench, name) == pytest.approx(5000, abs=1100)
    assert bench.run(FAST_MS).state == "FAULT"


def test_a_press_that_does_not_follow_its_command_stops_both_currents():
    bench = Bench().to_rest()
    bench.board.pressure_kpa = 4400  # the regulator asks for more and more
    until_tripped(bench, "actuator_stall", 60000)
    assert bench.board.outputs == (1, 0, 0, 0)


def test_a_pack_that_was_stopped_while_its_press_was_low_can_be_armed_again():
    bench = with_level("pressure_low", recovery=0, recovery_ms=1000).to_rest()
    bench.board.pressure_kpa = 3900
    until_tripped(bench, "pressure_low")
    bench.send("stop")
    bench.run(1100)
    assert (bench.state, bench.tripped()) == ("SAFE", set())
    bench.board.pressure_kpa = 5000
    assert bench.to_rest().tripped() == set()


def test_a_lease_that_lapses_is_told_by_its_row_until_somebody_arms_again():
    bench = Bench(lease_lapse_stops=0).to_rest()
    bench.run(6000)
    assert bench.tripped() == {"lease_lapsed"}
    assert bench.state == "REST"
    bench.send("stop")
    bench.run(100)
    bench.send("arm")
    assert bench.run(2000).tripped() == set()


@pytest.mark.parametrize("name", ["charge_overtemperature", "discharge_undertemperature"])
def test_too_hot_or_too_cold_takes_one_direction_alone(name):
    bench = Bench().to_rest()
    bench.board.temperature_cdegc = LEVELS[name][2]
    bench.run_leased(1000)
    assert name in bench.tripped()
    if name == "charge_overtemperature":
        assert bench.board.outputs == (1, 0, 0, 1)
    else:
        assert bench.board.outputs == (1, 0, 0, 0)  # colder than a charge may be, too


def test_a_cold_place_does_not_hide_behind_a_warm_one():
    bench = Bench(2).to_rest()
    bench.board.coldest_cdegc = LEVELS["charge_undertemperature"][2]
    bench.run_leased(1000)
    assert bench.tripped() == {"charge_undertemperature"}
    assert bench.board.outputs == (1, 0, 0, 1)
    bench.board.coldest_cdegc = LEVELS["discharge_undertemperature"][2]
    bench.run_leased(1000)
    assert bench.board.outputs == (1, 0, 0, 0)


MADE_OF = {
    "voltage": ("voltage_jump", "voltage_stuck", "cell_spread"),
    "current": ("charge_overcurrent_10s", "current_jump", "current_stuck", "weld_current"),
    "pressure": ("pressure_rate", "pressure_jump", "pressure_stuck"),
    "temperature": ("temperature_jump", "temperature_stuck", "heater_overtemperature", "heater_unanswered"),
}


@pytest.mark.parametrize(("channel", "name"), [(channel, name) for channel in MADE_OF for name in MADE_OF[channel]])
def test_a_row_on_what_is_made_of_a_lost_channel_waits_and_does_not_clear(channel, name):
    """It recovers by itself once its channel is back, and not on what stood before."""
    from bench import limit

    limits = {
        name: limit(name, recovery=0, recovery_ms=0, reset=LEVELS[name][2] - 1),
        row_of(name)[9]: limit(row_of(name)[9], flags=0),  # so that nothing else keeps the channel from coming back
    }
    bench = Bench(2, limits=limits, blind_ms=10000)
    bench = bench.to_rest() if row_of(name)[8] == "connected" else bench.run(500)
    protection = bench.app.protection
    at = next(at for at in range(protection.count) if protection.row_at[at] == AT[name])
    bench.board.dead.add(channel)
    bench.run_leased(200)
    protection.level[at] = _TRIPPED
    bench.run_leased(1000)
    assert bench.tripped() == {name}
    assert not bench.app.signals.valid[protection.index[at]]
    bench.board.dead.clear()
    bench.run_leased(1000)
    assert name not in bench.tripped()


def cold_bench(target_cdegc=6000, **levels):
    """Heated, in a room where neither charge nor discharge is allowed."""
    from bench import limit

    name = "discharge_undertemperature"
    heater = {"heater_target_cdegc": target_cdegc, "heater_max_cdegc": 6600, "heater_max_permille": 500}
    bench = Bench(limits={name: limit(name, **levels)}, **heater)
    bench.board.temperature_cdegc = -2500
    return bench.run(2000)


def test_a_heated_rig_that_is_too_cold_for_any_current_is_pressed_heated_and_connected_once_it_is_warm():
    from assb import stack
    from assb.protocol import tables

    assert 1 << tables.position(tables.LIMIT_ROWS, "discharge_undertemperature") == stack._COLD_BIT
    bench = cold_bench(recovery=0, recovery_ms=1000)
    assert bench.tripped() == {"charge_undertemperature", "discharge_undertemperature"}
    bench.send("arm")
    bench.run_leased(30000)
    assert bench.state == "ARMED"
    assert bench.board.outputs == (0, 0, 0, 0)
    assert bench.board.heater[0] > 0
    bench.board.temperature_cdegc = -1000
    bench.run_leased(5000)
    assert (bench.state, bench.board.outputs) == ("REST", (1, 0, 0, 1))
    bench.board.temperature_cdegc = -2500  # connected it stays
    bench.run_leased(5000)
    assert (bench.state, bench.board.outputs) == ("REST", (1, 0, 0, 0))


def test_a_rig_that_would_not_be_warmed_or_is_not_only_cold_is_not_armed():
    unheated = cold_bench(target_cdegc=0)
    unheated.send("arm")
    assert unheated.run(1000).state == "SAFE"
    bench = cold_bench()
    bench.send("arm")
    assert bench.run(1000).state == "ARMED"
    bench.board.temperature_cdegc = 6600
    bench.run_leased(2000)
    bench.board.temperature_cdegc = -2500  # discharge_overtemperature stays until it is cleared
    assert bench.run(2000).state == "SAFE"
    bench.send("arm")
    assert bench.run(1000).state == "SAFE"


def test_the_limits_of_current_fall_while_a_cell_nears_its_trip_level_and_never_rise_on_the_way():
    bench = Bench().to_rest()
    seen = []
    for voltage_uv in range(4150000, 4299000, 1000):
        bench.board.voltages_uv = [voltage_uv]
        bench.run_leased(200)
        seen.append(bench.app.signals.value[bench.app.signals.pack("charge_limit_ma")])
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 600
    assert 0 < seen[-1] <= 6
    assert bench.app.signals.value[bench.app.signals.pack("discharge_limit_ma")] == 600


@pytest.mark.parametrize(("name", "by_kpa", "outputs"), [
    ("press_runaway", 900, (0, 0, 0, 0)), ("press_gives_way", -900, (1, 0, 0, 0)),
])  # fmt: skip
def test_a_press_that_gives_more_or_less_than_it_is_asked_for_trips_its_row(name, by_kpa, outputs):
    bench = with_level(name, trip=700 if by_kpa > 0 else -700, debounce_ms=1000)
    bench.run(500)
    bench.send("arm")
    bench.board.pressure_kpa = bench.board.held_kpa = 5000
    bench.run_leased(6000)
    assert (bench.state, bench.tripped()) == ("REST", set())
    bench.board.command_kpa = lambda kpa: None  # it holds, and the pressure goes
    bench.board.held_kpa = 5000 - by_kpa
    took_ms = until_tripped(bench, name, 20000)
    assert 1000 <= took_ms <= 6000  # its lag and the debounce
    bench.run(2 * FAST_MS)
    assert bench.board.outputs == outputs


def test_a_window_that_is_not_reached_stops_both_currents_after_its_time_and_not_before():
    from bench import limit

    rows = {
        "window_unreached": limit("window_unreached", trip=20000),
        "actuator_stall": limit("actuator_stall", flags=0),
    }
    bench = Bench(limits=rows).to_rest()
    bench.board.pressure_kpa = 4450  # just outside
    bench.run_leased(18000)
    assert bench.board.outputs == (1, 0, 1, 1)
    until_tripped(bench, "window_unreached", 3000)
    assert bench.board.outputs == (1, 0, 0, 0)


def test_the_press_is_pushed_no_further_while_its_row_says_that_it_gives_way():
    from assb import stack
    from assb.protocol import tables

    assert 1 << (tables.position(tables.LIMIT_ROWS, "press_gives_way") - 30) == stack._GIVES_WAY_BIT_2
    bench = with_level("press_gives_way", trip=-700, debounce_ms=1000).to_rest()
    bench.board.pressure_kpa = bench.board.held_kpa = 5000
    bench.run_leased(10000)
    bench.board.pressure_kpa = 4150
    until_tripped(bench, "press_gives_way", 20000)
    bench.run_leased(200)
    held_kpa = bench.board.held_kpa
    bench.run_leased(20000)
    assert bench.board.held_kpa <= held_kpa


WRONG = ("pressure_stale", "pressure_jump", "pressure_stuck", "pressure_disagreement")


def test_the_rows_that_say_that_the_load_cell_is_wrong_are_those_of_the_table():
    from assb import stack

    bits = stack._STALE_BIT | stack._WRONG_BITS_2 << 30
    assert bits == sum(1 << AT[name] for name in WRONG)


@pytest.mark.parametrize(
    ("changes", "falls_kpa"), [({}, 0), ({"pressure_safe_state": 1}, 500), ({"pressure_by_position": 1}, 0)]
)
@pytest.mark.parametrize("name", [name for name in WRONG if name in FITTED])
def test_a_load_cell_that_is_known_to_be_wrong_moves_no_press(name, changes, falls_kpa):
    bench = Bench(**changes).to_rest()
    hold(bench, name)
    bench.run(20)
    held_kpa = bench.board.held_kpa
    bench.board.pressure_kpa = 5600  # says what would be above the window
    bench.run(10000)
    assert bench.state == "FAULT"
    assert bench.board.held_kpa == held_kpa - falls_kpa  # air bleeds by its command


def test_a_rig_that_only_monitors_connects_inside_its_window_and_its_rows_still_act():
    bench = Bench()
    bench.board.regulates = False
    bench.board.pressure_kpa = 4200  # between the row's trip and the window
    bench.run(500)
    bench.send("arm")
    bench.run_leased(4000)
    assert bench.state == "ARMED"
    bench.board.pressure_kpa = 4700
    bench.run_leased(3500)
    assert bench.state == "REST"
    bench.board.pressure_kpa = 3900
    bench.run_leased(1000)
    assert "pressure_low" in bench.tripped()
    assert bench.board.outputs == (1, 0, 0, 0)
    bench.board.pressure_kpa = 6100
    bench.run_leased(1000)
    assert bench.state == "FAULT"
    assert bench.board.outputs == (0, 0, 0, 0)


def lost(board, channel):
    board.dead.add(channel)


def silent(board, channel):
    """Its converter has nothing new, for ever."""
    put = board._put
    board._put = lambda index, name, *more: None if name == channel else put(index, name, *more)


@pytest.mark.parametrize("fault", [lost, silent])
@pytest.mark.parametrize("channel", ["voltage", "current", "pressure", "temperature"])
def test_a_channel_that_is_away_until_ticks_wrap_is_not_taken_for_a_fresh_one(channel, fault):
    """Ticks count 12.4 days; then its age begins anew."""
    name = channel + "_stale"
    bench = Bench(limits={name: limit(name, recovery=0, recovery_ms=100)}).run(500)
    sound = bench.board._put
    fault(bench.board, channel)
    bench.run(3000)
    bench.clock.ms += (1 << 30) - 4000
    for _ in range(20):
        bench.run(100)
        assert name in bench.tripped()
    bench.board._put = sound
    bench.board.dead.clear()
    bench.run(1000)
    assert name not in bench.tripped()
