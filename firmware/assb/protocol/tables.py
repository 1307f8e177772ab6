"""The one table of what crosses the wire or lies in a config image: signals, messages, parameters, limit rows, events, commands.

The firmware packs frames from it, the host decodes and prints from it, TOML files are validated against it, and the
reference page in docs/ is generated from it. Units are in the names (`_uv _ua _ma _uohm _kpa _cdegc _ppm _ms _us _uah`);
+ current charges. Every value fits 30 bits, so that no board makes a long integer. An id is never used twice, even
after its row is gone, and rows are only appended.

The tables are text, a row a line, because as tuples they would take a fifth of a board's heap for names that it reads once
at start. `schema.py` spreads them into tuples for the host; `schema_text.py` has the prose for people. No board loads those.
"""

import binascii

TYPE_CHECKING = False  # pyright takes it for True; no board has the typing module
if TYPE_CHECKING:
    from typing import Any

PROTOCOL_VERSION = 1
INT30_MAX = (1 << 30) - 1
INT30_MIN = -(1 << 30)

# Supervisor states, internal-short stages, evidences, state of one (learning: its own normal), what bounds a cell's current
# (none: nothing is known of it yet), what a tripped row does to the outputs (mildest first; derate: to the current limits), recovery of a tripped row (by itself after recovery_ms, by `clear`, not before a reset)
STATES = "BOOT SELFTEST SAFE ARMED PRECHARGE REST CHARGE DISCHARGE DERATE FAULT LOCKOUT MAINTENANCE"
STAGES = "none suspect soft_short hard_short"
EVIDENCES = "dips noise missing_charge rest_decay cv_tail efficiency resistance_drop stall swelling pressure_fall plating heat contact_loss"
EVIDENCE_STATES = "unavailable learning normal active"
LEARNING_GAPS = "learned no_chance too_slow unsteady leaking ocv_flat one_anchor short_span outlier"
BOUNDS = "none voltage soc current temperature pressure plating stripping"
ACTIONS = "log no_charge no_discharge stop open lockout derate"
RECOVERIES = "auto manual reset"
RESET_CAUSES = "unknown power_on hard watchdog deep_sleep soft"
UNUSED_REASONS = "none absent other_layout damaged other_identity"  # why a record on flash was not used
CHECKS = "files configuration golden_vector sensors plausibility"  # of the self-test that the host asks for
LOCKOUT_CAUSES = "none contactor hard_short"  # that outlast a restart
STORAGE_PLACES = "learned_state event_log parameters freeze_frame lockout note"

# id name code: codes are struct's, little-endian; the blackboard has them in this order
PACK_SIGNALS = """\
1 state B
2 stage B
3 contactor_closed B
4 contactor_command B
5 charge_enabled B
6 discharge_enabled B
7 charge_limit_ma i
8 discharge_limit_ma i
9 current_ua i
10 pack_voltage_uv i
11 temperature_cdegc h
12 pressure_kpa i
13 pressure_target_kpa i
14 pressure_command_kpa i
15 warn_bits I
16 derate_bits I
17 trip_bits I
18 contactor_mismatch B
19 lease_age_ms I
20 self_test_failed B
21 late_us I
22 fast_tick_count I
23 fast_worst_us I
24 slice_worst_us I
25 late_worst_us I
26 gc_worst_us I
27 heap_free_b I
28 heap_low_b I
29 bus_error_count I
30 frame_drop_count I
31 rx_error_count I
32 command_count I
33 alarm B
40 warn_bits_2 I
41 derate_bits_2 I
42 trip_bits_2 I
43 current_10s_ua i
44 current_jump_ua i
45 current_still_ms I
46 pressure_rate_kpa_s i
47 pressure_jump_kpa i
48 pressure_still_ms I
49 pressure_disagreement_kpa i
50 press_stalled B
51 temperature_jump_cdegc i
52 temperature_still_ms I
53 cell_spread_uv i
54 pack_mismatch_uv i
55 forbidden_ua i
56 lease_lapsed B
57 bleed_bits H
58 press_mismatch_kpa i
59 outside_window_ms I
60 heater_permille H
61 heater_cdegc h
62 heater_unanswered_ms I
63 temperature_low_cdegc h
64 watch_rest B
"""

CELL_SIGNALS = """\
101 voltage_uv i
102 soc_ppm i
103 soc_sigma_ppm i
104 leak_ua i
105 leak_sigma_ua i
106 r0_uohm i
107 innovation_uv i
108 innovation_sigma_uv i
109 cell_stage B
110 short_mohm i
111 confidence_ppm i
112 dip_count H
113 estimator_status b
114 dip_state B
115 dip_score_milli i
116 leak_state B
117 leak_score_milli i
118 charge_2s_ma i
119 charge_10s_ma i
120 charge_30s_ma i
121 charge_10s_mw i
122 charge_bound B
123 discharge_2s_ma i
124 discharge_10s_ma i
125 discharge_30s_ma i
126 discharge_10s_mw i
127 discharge_bound B
130 soh_capacity_ppm i
131 soh_capacity_sigma_ppm i
132 capacity_pairs H
133 capacity_missing B
134 soh_resistance_ppm i
135 soh_resistance_sigma_ppm i
136 resistance_steps H
137 resistance_missing B
140 evidence_states I
141 carried_bits I
142 short_low_mohm i
143 short_high_mohm i
144 noise_score_milli h
145 rest_decay_score_milli h
146 cv_tail_score_milli h
147 efficiency_score_milli h
148 resistance_drop_score_milli h
149 stall_score_milli h
150 heat_score_milli h
151 contact_loss_score_milli h
160 voltage_jump_uv i
161 voltage_still_ms I
"""

# id name scope period-parameter fields. The fields of a pack or cell message are signals; a cell message starts with the
# cell's index (u8). A fixed message spells its fields as name:code; 16s is text padded with zeros, *s text to the end, *i
# integers of 4 bytes to the end.
MESSAGES = """\
1 HELLO fixed - protocol_version:B,schema_id:I,version_major:B,version_minor:B,version_patch:B,slot:B,reset_cause:B,boot_count:H,config_crc:I,config_status:b,estimator:B,state:B,cell_count:B,board:16s,pack:16s,cell:16s
2 SCHEMA fixed - index:B,count:B,text:*s
3 PACK pack pack_period_ms state,stage,contactor_closed,contactor_command,current_ua,pack_voltage_uv,temperature_cdegc,pressure_kpa,pressure_target_kpa,pressure_command_kpa,warn_bits,derate_bits,trip_bits,alarm
4 CELL cell cell_period_ms voltage_uv,soc_ppm,soc_sigma_ppm,leak_ua,leak_sigma_ua,r0_uohm,innovation_uv,innovation_sigma_uv,estimator_status
5 EVIDENCE cell evidence_period_ms cell_stage,short_mohm,confidence_ppm,dip_state,dip_score_milli,dip_count,leak_state,leak_score_milli,evidence_states,carried_bits,short_low_mohm,short_high_mohm
6 HEALTH pack health_period_ms fast_tick_count,fast_worst_us,slice_worst_us,late_worst_us,gc_worst_us,heap_free_b,heap_low_b,bus_error_count,frame_drop_count,rx_error_count,command_count,lease_age_ms
7 CYCLER pack cycler_period_ms charge_enabled,discharge_enabled,charge_limit_ma,discharge_limit_ma,watch_rest
8 EVENT fixed - event:B,number:H,a:i,b:i
9 POWER cell power_period_ms charge_2s_ma,charge_10s_ma,charge_30s_ma,charge_10s_mw,charge_bound,discharge_2s_ma,discharge_10s_ma,discharge_30s_ma,discharge_10s_mw,discharge_bound
10 SOH cell soh_period_ms soh_capacity_ppm,soh_capacity_sigma_ppm,capacity_pairs,capacity_missing,soh_resistance_ppm,soh_resistance_sigma_ppm,resistance_steps,resistance_missing
11 SCORES cell evidence_period_ms noise_score_milli,rest_decay_score_milli,cv_tail_score_milli,efficiency_score_milli,resistance_drop_score_milli,stall_score_milli,heat_score_milli,contact_loss_score_milli
12 CAPTURE fixed - number:H,cell:B,stage:B,rows:H,trigger_row:H,row:H,width:B,values:*i
13 LOG fixed - number:I,boot:H,values:*i
14 FRAME fixed - place:B,boot:H,number:H,cell:B,stage:B,rows:H,trigger_row:H,row:H,width:B,values:*i
15 CRASH fixed - boot:H,text:*s
20 ROWS pack pack_period_ms warn_bits_2,derate_bits_2,trip_bits_2,current_10s_ua,pressure_rate_kpa_s,press_stalled,pressure_disagreement_kpa,cell_spread_uv,pack_mismatch_uv,forbidden_ua,lease_lapsed,bleed_bits,temperature_low_cdegc
21 PRESS pack pack_period_ms press_mismatch_kpa,outside_window_ms
22 INPUTS fixed - cell:B,number:B,count:H,collapsed_bits:H,flags:B,dt_ms:i,voltage_uv:i,current_ua:i,temperature_cdegc:h,pressure_kpa:i,pressure_command_kpa:i,left_uv:i,lost_uv:i,estimator_status:b,digest:I
23 SNAPSHOT fixed - cell:B,number:B,kind:B,size:H,at:H,values:*i
24 HEATER pack health_period_ms heater_permille,heater_cdegc,heater_unanswered_ms
"""

# id name meaning-of-a meaning-of-b
EVENTS = """\
1 boot reset_cause boot_count
2 state_changed from_state to_state
3 limit_warned row value
4 limit_derated row value
5 limit_tripped row value
6 limit_cleared row value
7 stage_changed cell stage
8 dip_seen cell depth_uv
9 armed lease_ms -
10 lease_lapsed lease_ms -
11 stopped - -
12 faults_cleared trip_bits trip_bits_2
13 contactor_commanded closed -
14 contactor_moved closed -
15 parameter_set parameter value
16 marked number -
17 self_test_failed code -
18 bus_error device -
19 alert_tripped device flags
30 learned_state_restored cell deviation_ppm
31 learned_state_rejected cell deviation_ppm
32 learned_state_unused reason -
33 storage_failed code store
34 stage_carried cell carried_bits
35 alarm_switched on -
50 parameters_restored count -
51 parameters_unused reason -
52 log_cut file bytes
53 frame_stored place number
54 crashed boot_count -
55 check_failed check code
56 self_tested failed_checks -
60 limit_blind row age_ms
61 locked_out cause -
62 interrupted - -
63 press_homed - -
64 bus_freed bus clocks
65 press_not_homed - -
80 injection_begun lease_ms -
81 injection_lapsed lease_ms -
90 watch_rest_begun worked_s score_milli
91 watch_rest_ended rested_s score_milli
"""

# id name settable(1: while running, 2: with nothing connected, 0: config image only) lowest highest default
PARAMETERS = """\
1 fast_period_ms 0 5 100 10
2 slow_period_ms 0 50 1000 100
3 cells_in_series 0 1 16 1
4 capacity_uah 0 1000 1073741823 600000
5 shunt_uohm 0 10 1000000 20000
6 charge_current_max_ma 0 0 100000 600
7 discharge_current_max_ma 0 0 100000 600
8 derate_ppm 0 0 1000000 500000
9 pressure_target_kpa 1 0 262000 5000
10 pressure_min_kpa 0 0 262000 4500
11 pressure_max_kpa 0 0 262000 5500
12 pressure_rate_max_kpa_s 0 1 10000 200
13 pressure_command_max_kpa 0 1 262000 8000
14 pressure_kp_ppm 1 0 10000000 300000
15 pressure_ki_ppm_s 1 0 10000000 150000
16 pressure_feed_forward_ppm 1 0 10000000 1000000
17 pressure_deadband_kpa 1 0 1000 5
18 pressure_safe_state 0 0 2 0
19 swelling_nm_per_mah 0 -10000000 10000000 0
20 stack_stiffness_kpa_per_um 0 0 100000 50
21 lease_ms 0 1000 3600000 5000
22 lease_lapse_stops 0 0 1 1
23 precharge_ms 0 0 60000 0
24 press_timeout_ms 0 1000 3600000 120000
25 contactor_timeout_ms 0 10 5000 200
26 rest_current_ma 0 1 10000 10
27 pack_period_ms 1 0 60000 100
28 cell_period_ms 1 0 60000 100
29 evidence_period_ms 1 0 60000 500
30 health_period_ms 1 0 60000 1000
31 cycler_period_ms 1 10 1000 100
40 current_gain_error_ppm 0 0 100000 2000
43 hard_short_drop_uv 0 10000 4500000 500000
44 watchdog_ms 0 0 8388 2000
45 load_cell_kpa_per_count_ppb 0 1 1073741823 1500000
46 load_cell_zero_counts 0 -8388608 8388607 0
47 regulator_full_scale_kpa 0 1 262000 10000
48 soc_initial_sigma_ppm 0 1000 500000 100000
49 pressure_lead_ms 0 0 60000 2000
50 self_test_timeout_ms 0 100 60000 5000
51 press_hold_ms 0 0 600000 2000
52 power_period_ms 1 0 60000 1000
53 soh_period_ms 1 0 600000 10000
60 learned_save_ms 0 10000 3600000 300000
61 learned_change_ppm 0 100 100000 5000
62 learned_off_sigma_ppm 0 0 500000 20000
63 learned_reject_milli 0 1000 100000 4000
70 hard_short_debounce_ms 0 0 500 20
71 capture_before_ms 0 0 10000 2000
72 capture_after_ms 0 0 10000 1000
73 units_per_cell 0 1 16 1
74 pressure_recovery_kpa 0 0 262000 0
75 cold_cdegc 0 -4000 12000 4500
80 blind_ms 0 1500 10000 2000
81 precharge_current_ma 0 0 100000 0
82 precharge_timeout_ms 0 0 60000 0
83 precharge_retries 0 0 5 0
84 precharge_pause_ms 0 0 60000 1000
90 pressure_play_kpa 1 0 262000 0
91 pressure_quantum_kpa 0 0 262000 0
92 pressure_by_position 0 0 1 0
93 expansion_nm_per_k 0 -100000 100000 0
100 balance_start_uv 0 0 1000000 0
101 balance_stop_uv 0 0 1000000 0
102 balance_least_uv 0 0 10000000 0
103 balance_rest_ms 0 1000 36000000 600000
104 balance_longest_ms 0 1000 36000000 3600000
105 balance_hot_cdegc 0 -4000 8000 4500
106 bleed_ohm 0 1 100000 100
110 check_cell_zero_counts 0 -8388608 8388607 0
111 pressure_charge_kpa 0 0 262000 0
112 pressure_discharge_kpa 0 0 262000 0
113 pressure_contact_kpa 0 0 262000 0
114 press_nm_per_step 0 1 1000000 1000
120 load_cell_zero_shift_counts 2 -200000 200000 0
121 load_cell_span_ppm 2 -55000 55000 0
122 current_offset_ua 2 -10000000 10000000 0
123 current_gain_ppm 2 -50000 50000 0
124 voltage_gain_ppm 2 -10000 10000 0
125 temperature_offset_cdegc 2 -500 500 0
126 calibrated_day 2 0 100000 0
130 heater_target_cdegc 1 0 12000 0
131 heater_max_cdegc 0 0 12000 0
132 heater_max_permille 0 0 1000 0
133 heater_kp_ppm_per_k 1 0 1000000 100000
134 heater_ki_ppm_per_k_s 1 0 1000000 2000
160 dry_rig 0 0 1 0
170 watch_rest_every_s 0 0 86400 0
171 watch_rest_s 0 60 7200 900
172 watch_rest_most_s 0 60 14400 3600
"""

# id name scope signal kind least-trip greatest-trip action judged missing longest-debounce-ms derates
# Trip levels and debounce are the envelope: no config image may pass it. Row n has bit n of the *_bits signals, from 30 on
# bit n - 30 of the *_bits_2. Levels, debounce and recovery come from the config image. Kind stale compares the signal's age
# in ms. Judged: a row rests while the contactor is commanded open (`connected`: a stack that is not pressed yet has no
# pressure) or closed (`open`). Missing: the row that trips when this one's quantity is not there; `self` (or a row that
# is switched off): this row does, after blind_ms. Derates: which limit of current its derate level takes from.
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
KINDS = "high low stale"

# name crc-needed keys
COMMANDS = """\
help 0 -
hello 0 -
schema 0 -
get 0 name
stop 0 -
arm 1 lease_ms
lease 1 -
clear 1 -
set 1 name,value
mark 1 number
capture 0 -
update 1 -
reset 1 -
sync 0 -
events 0 since
frames 0 place
crash 0 -
selftest 1 -
stream 1 full
home 1 -
note 1 text
inject 1 config,lease_ms,t_ms
sense 1 t,v,i,p,q,c,k,a
"""


def rows(table):
    """The rows of one table as lists of words, numbers as int; a line at a time, so that a search leaves little garbage."""
    at = 0
    while at < len(table):
        end = table.find("\n", at)
        yield _words(table, at, end)
        at = end + 1


def _words(table, at, end):
    return [_number(word) for word in table[at:end].split(" ")]


def _number(word) -> "Any":
    return int(word) if word.lstrip("-").isdigit() else word


def positions(table, column=1):
    """{name: position} of a whole table: for modules that look up many names once, and let go of it."""
    return {row[column]: at for at, row in enumerate(rows(table))}


def position(table, name):
    """Position of the row whose second word is `name`; raises KeyError. Searches the text: makes next to no garbage."""
    return table.count("\n", 0, _start(table, name))


def row(table, name):
    """The row whose second word is `name`; raises KeyError. Spreads no other: that would take a Pico 6 ms."""
    at = _start(table, name)
    return _words(table, at, table.find("\n", at))


def _start(table, name):
    """Where that row begins in the text."""
    at = table.find(" " + name + " ")
    while at >= 0:
        first = table.rfind("\n", 0, at) + 1
        if " " not in table[first:at]:
            return first
        at = table.find(" " + name + " ", at + 1)
    raise KeyError(name)


def count(table):
    return table.count("\n")


def schema_id():
    """30-bit hash of the tables: a host with another id asks the board for its SCHEMA messages or refuses."""
    crc = PROTOCOL_VERSION
    for table in (
        PACK_SIGNALS,
        CELL_SIGNALS,
        MESSAGES,
        EVENTS,
        PARAMETERS,
        LIMIT_ROWS,
        COMMANDS,
        STATES,
        STAGES,
        EVIDENCES,
        BOUNDS,
        LEARNING_GAPS,
    ):
        crc = binascii.crc32(table.encode(), crc)
    return crc & INT30_MAX


def signal_code(name):
    """Wire code of a signal; raises KeyError."""
    try:
        return row(PACK_SIGNALS, name)[2]
    except KeyError:
        return row(CELL_SIGNALS, name)[2]


def message_text(row):
    """One message's layout as a SCHEMA frame carries it: `id name field:code field:code …`."""
    fields = row[4].split(",")
    if row[2] != "fixed":
        fields = [name + ":" + signal_code(name) for name in fields]
    if row[2] == "cell":
        fields.insert(0, "cell:B")
    return "%d %s %s" % (row[0], row[1], " ".join(fields))
