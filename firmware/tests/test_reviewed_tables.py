"""The tables that decide what is safe, written a second time: who changes one of them changes it here too, on purpose.

No behaviour could tell a wrong bound of the envelope, or a wrong action, from a right one; a second pair of eyes can.
"""

import pytest
from assb.control import protection as limits
from assb.control import supervisor as sv
from assb.control.supervisor import (
    ARM,
    ARMED,
    CHARGING,
    CLEARED,
    CLOSED,
    DERATED,
    DISCHARGING,
    FAULT,
    LOCK,
    LOCKOUT,
    OPEN,
    PRECHARGE,
    PRESSED,
    READY,
    SAFE,
    SELFTEST,
    STOP,
    UPDATE,
)  # fmt: skip
from assb.protocol import schema, tables

# id name scope signal kind least-trip greatest-trip action judged missing debounce-most sides
LIMIT_ROWS = """\
1 cell_overvoltage cell voltage_uv high 1000000 10000000 open always voltage_stale 1000 charge
2 cell_undervoltage cell voltage_uv low 500000 9000000 open always voltage_stale 1000 discharge
3 charge_overcurrent pack current_ua high 1000 1073741823 open always current_stale 1000 charge
4 discharge_overcurrent pack current_ua low -1073741824 -1000 open always current_stale 1000 discharge
5 overtemperature pack temperature_cdegc high 0 12000 open always temperature_stale 10000 both
6 charge_undertemperature pack temperature_low_cdegc low -4000 8000 no_charge always temperature_stale 60000 charge
7 pressure_high pack pressure_kpa high 10 400000 open always pressure_stale 10000 both
8 pressure_low pack pressure_kpa low 0 400000 stop connected pressure_stale 60000 both
9 voltage_stale cell voltage_uv stale 20 2000 open always self 1000 both
10 current_stale pack current_ua stale 20 2000 open always self 1000 both
11 pressure_stale pack pressure_kpa stale 20 5000 open always self 1000 both
12 temperature_stale pack temperature_cdegc stale 100 10000 open always self 1000 both
13 short_suspected cell cell_stage high 1 3 log always estimator_invalid 60000 both
14 soft_short cell cell_stage high 2 2 no_charge always estimator_invalid 10000 both
15 hard_short cell cell_stage high 3 3 lockout always estimator_invalid 1000 both
16 contactor_mismatch pack contactor_mismatch high 1 1 lockout always self 5000 both
17 estimator_invalid cell estimator_status low -127 -1 no_charge always self 10000 both
18 deadline_overrun pack late_us high 1000 10000000 open always self 1000 both
19 self_test_failed pack self_test_failed high 1 1 lockout always self 1000 both
20 suspect_derates cell cell_stage high 1 1 derate always estimator_invalid 60000 both
21 pack_overvoltage pack pack_voltage_uv high 1000000 160000000 open always voltage_stale 1000 charge
22 pack_undervoltage pack pack_voltage_uv low 500000 144000000 open always voltage_stale 1000 discharge
23 charge_overcurrent_10s pack current_10s_ua high 1000 1073741823 open always current_stale 10000 charge
24 discharge_overcurrent_10s pack current_10s_ua low -1073741824 -1000 open always current_stale 10000 discharge
25 charge_overtemperature pack temperature_cdegc high 0 12000 no_charge always temperature_stale 60000 charge
26 discharge_overtemperature pack temperature_cdegc high 0 12000 no_discharge always temperature_stale 60000 discharge
27 discharge_undertemperature pack temperature_low_cdegc low -4000 8000 no_discharge always temperature_stale 60000 discharge
28 cell_spread pack cell_spread_uv high 1000 5000000 no_charge always voltage_stale 60000 charge
29 pack_mismatch pack pack_mismatch_uv high 1000 10000000 open always self 10000 both
30 open_wire cell voltage_uv low 1000 2000000 open always voltage_stale 1000 both
31 voltage_jump cell voltage_jump_uv high 10000 10000000 open always voltage_stale 0 both
32 voltage_stuck cell voltage_still_ms high 100 3600000 open always voltage_stale 0 both
33 current_jump pack current_jump_ua high 1000 1073741823 open always current_stale 0 both
34 current_stuck pack current_still_ms high 100 3600000 open always current_stale 0 both
35 temperature_jump pack temperature_jump_cdegc high 10 12000 open always temperature_stale 0 both
36 temperature_stuck pack temperature_still_ms high 1000 36000000 open always temperature_stale 0 both
37 pressure_jump pack pressure_jump_kpa high 10 400000 open always pressure_stale 0 both
38 pressure_stuck pack pressure_still_ms high 100 3600000 open always pressure_stale 0 both
39 pressure_rate pack pressure_rate_kpa_s high 1 262000 stop connected pressure_stale 10000 both
40 pressure_disagreement pack pressure_disagreement_kpa high 10 400000 open always self 10000 both
41 actuator_stall pack press_stalled high 1 1 stop connected pressure_stale 60000 both
42 forbidden_current pack forbidden_ua high 1000 1073741823 open connected current_stale 10000 both
43 weld_current pack forbidden_ua high 1000 1073741823 lockout open current_stale 10000 both
44 lease_lapsed pack lease_lapsed high 1 1 log always self 1000 both
45 press_runaway pack press_mismatch_kpa high 10 400000 open connected pressure_stale 60000 both
46 press_gives_way pack press_mismatch_kpa low -400000 -10 stop connected pressure_stale 60000 both
47 window_unreached pack outside_window_ms high 1000 3600000 stop connected pressure_stale 60000 both
48 heater_overtemperature pack heater_cdegc high 0 12000 open always temperature_stale 10000 both
49 heater_unanswered pack heater_unanswered_ms high 1000 3600000 open always temperature_stale 60000 both
"""
BOOT, REST, CHARGE, DISCHARGE, DERATE, MAINTENANCE = 0, 5, 6, 7, 8, 11
RUNNING = {REST, CHARGE, DISCHARGE, DERATE}
ACTIVE = RUNNING | {ARMED, PRECHARGE}
TIMEOUT, BLOCKED, RETRY, PAUSE, COLD = 4096, 8192, 32768, 65536, 131072
# from any of, needs all of, blocked by any of, to; the first that matches wins
SUPERVISOR = (
    ({BOOT, SELFTEST, SAFE, FAULT} | ACTIVE, LOCK, 0, LOCKOUT),
    ({SELFTEST, SAFE} | ACTIVE, OPEN, 0, FAULT),
    ({BOOT, SELFTEST, SAFE, FAULT, LOCKOUT} | ACTIVE, UPDATE, 0, MAINTENANCE),
    (ACTIVE, STOP, 0, SAFE),
    ({BOOT}, 0, 0, SELFTEST),
    ({SELFTEST}, READY, 0, SAFE),
    ({SELFTEST}, TIMEOUT, READY, LOCKOUT),
    ({SAFE}, ARM, STOP + OPEN + LOCK + BLOCKED, ARMED),
    ({ARMED, PRECHARGE}, BLOCKED, 0, SAFE),
    ({PRECHARGE}, COLD, 0, SAFE),
    ({ARMED}, PRESSED, PAUSE + COLD, PRECHARGE),
    ({ARMED}, TIMEOUT, PRESSED, SAFE),
    ({PRECHARGE}, 0, PRESSED, SAFE),
    ({PRECHARGE}, CLOSED, 0, REST),
    ({PRECHARGE}, TIMEOUT + RETRY, CLOSED, ARMED),
    ({PRECHARGE}, TIMEOUT, CLOSED, FAULT),
    ({REST, CHARGE, DISCHARGE}, DERATED, 0, DERATE),
    ({DERATE}, 0, DERATED, REST),
    ({REST, DISCHARGE}, CHARGING, DERATED, CHARGE),
    ({REST, CHARGE}, DISCHARGING, DERATED, DISCHARGE),
    ({CHARGE, DISCHARGE}, 0, CHARGING + DISCHARGING, REST),
    ({FAULT}, CLEARED, OPEN + LOCK, SAFE),
)
# main contactor, precharge path, charge, discharge, pressure regulation
OUTPUTS = {
    "BOOT": (0, 0, 0, 0, 0), "SELFTEST": (0, 0, 0, 0, 0), "SAFE": (0, 0, 0, 0, 0), "ARMED": (0, 0, 0, 0, 1),
    "PRECHARGE": (0, 1, 0, 0, 1), "REST": (1, 0, 1, 1, 1), "CHARGE": (1, 0, 1, 1, 1), "DISCHARGE": (1, 0, 1, 1, 1),
    "DERATE": (1, 0, 1, 1, 1), "FAULT": (0, 0, 0, 0, 0), "LOCKOUT": (0, 0, 0, 0, 0), "MAINTENANCE": (0, 0, 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("row", LIMIT_ROWS.splitlines())
def test_a_limit_row_is_the_reviewed_one(row):
    assert row in tables.LIMIT_ROWS.splitlines()


def test_no_limit_row_is_without_review():
    assert tables.LIMIT_ROWS == LIMIT_ROWS


def test_what_each_action_forbids_is_the_reviewed_mask():
    no_charge, no_discharge, opens, locks, derates = 1, 2, 4, 8, 16
    stop = no_charge + no_discharge
    assert {
        "log": 0, "no_charge": no_charge, "no_discharge": no_discharge, "stop": stop, "open": stop + opens,
        "lockout": stop + opens + locks, "derate": derates,
    } == limits.ACTION_MASKS  # fmt: skip
    assert set(limits.ACTION_MASKS) == set(tables.ACTIONS.split())


def test_levels_and_recoveries_are_the_numbers_of_the_wire():
    recoveries = dict(
        zip(("auto", "manual", "reset"), (limits._AUTO, limits._MANUAL, limits._UNTIL_RESET), strict=True)
    )
    assert recoveries == {name: at for at, name in enumerate(tables.RECOVERIES.split())}
    assert (limits._CLEAR, limits._WARNED, limits.DERATED, limits._TRIPPED) == (0, 1, 2, 3)


def test_the_supervisors_rows_are_the_reviewed_ones():
    assert tuple((sum(1 << state for state in states), *rest) for states, *rest in SUPERVISOR) == sv.ROWS


def test_what_each_state_allows_is_the_reviewed_table():
    assert dict(zip(schema.STATES, sv.OUTPUTS, strict=True)) == OUTPUTS


def test_every_condition_has_a_bit_of_its_own():
    names = ("READY", "ARM", "STOP", "OPEN", "LOCK", "PRESSED", "CLOSED", "CHARGING", "DISCHARGING", "DERATED", "UPDATE",
             "CLEARED", "_TIMEOUT", "_BLOCKED", "SETTLED", "_RETRY", "_PAUSE", "COLD")  # fmt: skip
    assert [getattr(sv, name) for name in names] == [1 << bit for bit in range(len(names))]
