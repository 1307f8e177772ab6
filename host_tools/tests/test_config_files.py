"""Board, pack and cell files: what ships is right; what is wrong is named by file, key, value and what is allowed."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from assb.protocol import image, schema
from assb_host.cli import run
from assb_host.config import ConfigError, build_image, fault_time_budget_ms, load_pack, shipped_names
from assb_host.config.board import load_board
from assb_host.config.budget import debounced_ms, slow_period_load_ms
from assb_host.config.locate import find, shipped_folder
from assb_host.config.parameter_keys import ELSEWHERE, ROWS
from assb_host.errors import EXIT_CONFIG

PACK = "li_lpscl_nca"
SLOW_TICKS = {  # which an RP2040 keeps
    "timing.fast_period_ms": 25, "timing.slow_period_ms": 250, "limits.deadline_overrun.allowed_ms": 180,
    "limits.cell_overvoltage.allowed_ms": 190, "limits.cell_undervoltage.allowed_ms": 190,
    "limits.charge_overcurrent.allowed_ms": 210, "limits.discharge_overcurrent.allowed_ms": 210,
    "limits.open_wire.allowed_ms": 190,
    "limits.charge_overcurrent_10s.allowed_ms": 220, "limits.discharge_overcurrent_10s.allowed_ms": 220,
}  # fmt: skip


def text_of(kind: str, name: str) -> str:
    return (shipped_folder(kind) / f"{name}.toml").read_text(encoding="utf-8")


def changed(tmp_path: Path, kind: str, name: str, old: str, new: str) -> Path:
    """A copy of a shipped file in which `old` stands once and is `new`."""
    text = text_of(kind, name)
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", shipped_names("pack"))
def test_every_shipped_pack_builds_an_image_that_the_board_takes(name):
    pack = load_pack(name)
    config = image.decode(build_image(pack))
    assert config.names == (pack.board.name, pack.name, pack.cell.name)
    assert config.parameters == pack.parameters


@pytest.mark.parametrize("board", shipped_names("board"))
def test_every_shipped_board_carries_the_reference_pack(board):
    if board == "virtual-bq":  # whose voltages are new every 60 ms
        assert load_pack("li_lpscl_nca_3s").board.name == board
        return
    slow = SLOW_TICKS if board == "pico" else {}
    cells = 2 if board.endswith("-2s") else 1
    shunt_ohm = 0.04 if board == "virtual-cheap" else 0.05  # an INA226 shows 81.92 mV
    changes = slow | {"cells_in_series": cells, "shunt_ohm": shunt_ohm}
    if board == "virtual-checked":
        changes["limits.pressure_disagreement.enabled"] = True  # its second load cell
    assert load_pack(PACK, board=board, changes=changes).board.name == board


def test_the_virtual_board_is_the_pico_2_but_for_its_interpreter_and_flash():
    pico, pico2, virtual = (load_board(find("board", name)) for name in ("pico", "pico2", "virtual-pico"))
    assert virtual.memory.flash_bytes == pico.memory.flash_bytes
    assert virtual.memory.heap_bytes == pico2.memory.heap_bytes > pico.memory.heap_bytes
    for field in ("cost", "i2c", "ina228", "nau7802", "tmp117", "mcp4725", "contactor", "enable_lines"):
        assert getattr(virtual, field) == getattr(pico2, field)


def test_ticks_that_a_board_cannot_keep_are_refused():
    most = SLOW_TICKS | {"timing.fast_period_ms": 12, "timing.slow_period_ms": 192}
    assert slow_period_load_ms(load_pack(PACK, changes=most)) < 192
    with pytest.raises(ConfigError, match=r"fast_period_ms: got 12; .* board pico .* 192 ms takes it 3\d\d ms"):
        load_pack(PACK, board="pico", changes=most)
    slow = load_pack(PACK, board="pico", changes=SLOW_TICKS)
    assert 150 < slow_period_load_ms(slow) < 250


def test_every_parameter_of_the_schema_has_one_key():
    names = [row[0] for row in ROWS] + list(ELSEWHERE)
    assert sorted(names) == sorted(row[1] for row in schema.PARAMETERS)


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ("trip_v = 4.35", "trip_v = 10.35", "limits.cell_overvoltage.trip_v", "1 .. 10"),
        ("trip_v = 4.35", "trip_mv = 4350", "limits.cell_overvoltage.trip_mv", "trip_v"),
        ("trip_v = 4.35", 'trip_v = "4.35"', "limits.cell_overvoltage.trip_v", "a number"),
        ("trip_v = 4.35", "", "limits.cell_overvoltage.trip_v", "1 .. 10"),
        ("trip_v = 4.35", "trip_v = 4.31", "limits.cell_overvoltage", "warn <= derate <= trip"),
        ("trip_v = 4.35", "trip_v = nan", "limits.cell_overvoltage.trip_v", "1 .. 10"),
        ("trip_v = 4.35", "trip_v = 4.45", "limits.cell_overvoltage.trip_v", "up to 4.4, the limit of cell"),
        ("reset_v = 4.25", "reset_v = 4.36", "limits.cell_overvoltage", "reset < trip"),
        ("trip_a = 0.9", "trip_a = 3.2", "limits.charge_overcurrent.trip_a", "what 0.05 ohm can show"),
        ("trip_a = 0.9", "trip_a = 0.5\nreset_a_ = 1", "limits.charge_overcurrent.reset_a_", "reset_a"),
        ("target_mpa = 5.0", "target_mpa = 5.6", "pressure.target_mpa", "max_mpa"),
        ("max_mpa = 5.5", "max_mpa = 7.5", "limits.pressure_high.trip_mpa", "more than pressure.max_mpa"),
        ("min_mpa = 4.5", "min_mpa = 2.5", "limits.pressure_low.trip_mpa", "less than pressure.min_mpa"),
        ("slow_period_ms = 100", "slow_period_ms = 105", "timing.slow_period_ms", "a multiple"),
        ("slow_period_ms = 100", "slow_period_ms = 170", "timing.slow_period_ms", "at most 16 times"),
        ("watchdog_ms = 2000", "watchdog_ms = 50", "timing.watchdog_ms", "0 (no watchdog), or at least 1000"),
        ("watchdog_ms = 2000", "watchdog_ms = 999", "timing.watchdog_ms", "0 (no watchdog), or at least 1000"),
        ("fast_period_ms = 10", "fast_period_ms = 10.5", "timing.fast_period_ms", "a whole number"),
        ("cells_in_series = 1", "cells_in_series = 2", "cells_in_series", "one monitor for each cell"),
        ("cells_in_series = 1", "cells_in_series = true", "cells_in_series", "a whole number, 1 .. 16"),
        ("cells_in_series = 1", "cells_in_series = 17", "cells_in_series", "a whole number, 1 .. 16"),
        ('lease_lapse = "stop"', 'lease_lapse = "ignore"', "supervision.lease_lapse", "one of continue, stop"),
        ('board = "virtual-pico"', 'board = "virtual-pic"', "board", "virtual-pico"),
        ('cell = "li_lpscl_nca"', 'cell = "no/such.toml"', "cell", "a file that exists"),
        ("charge_max_a = 0.6", "charge_max_a = 0.8", "current.charge_max_a", "the limit of cell"),
        ('shunt_source = "A: 4C', 'shunt_source = "4C', "shunt_source", "text in quotes"),
        ("shunt_ohm = 0.05", "shunt_ohm = 5e-6", "shunt_ohm", "1e-05 .. 1"),
    ],
)
def test_a_wrong_value_is_named_with_file_key_value_and_what_is_allowed(tmp_path, old, new, key, allowed):
    path = changed(tmp_path, "pack", PACK, old, new)
    with pytest.raises(ConfigError) as caught:
        load_pack(path)
    error = caught.value
    assert (error.file, error.key) == (str(path), key)
    assert allowed in error.allowed
    assert str(error).startswith(f"{path}: {key}: ")


def test_a_watchdog_may_be_off_or_as_short_as_a_second_and_four_slow_periods():
    slow = {"timing.fast_period_ms": 20, "timing.slow_period_ms": 320, "limits.temperature_stale.trip_ms": 2000}
    for changes in ({"timing.watchdog_ms": 0}, {"timing.watchdog_ms": 1000}):
        load_pack(PACK, changes=changes)
    with pytest.raises(ConfigError, match=r"watchdog_ms: got 1279; .* 1280"):
        load_pack(PACK, changes={**slow, "timing.watchdog_ms": 1279})


@pytest.mark.parametrize(
    ("least_v", "changes"),
    [
        (2.4, {}),  # its undervoltage trips at 2.4 V, the cell ends at 2.5 V
        (2.5, {"limits.cell_undervoltage.trip_v": 2.55, "limits.cell_undervoltage.derate_v": 2.57}),
    ],
)
def test_a_hard_short_that_the_cell_could_not_make_is_refused(least_v, changes):
    key = "detection.hard_short_drop_v"
    assert load_pack(PACK, changes=changes | {key: least_v / 2}).parameters["hard_short_drop_uv"] == 500_000 * least_v
    with pytest.raises(ConfigError, match=rf"hard_short_drop_v: got .*up to {least_v / 2:g}, half"):
        load_pack(PACK, changes=changes | {key: least_v / 2 + 0.001})


def test_a_stack_is_cold_below_what_resets_its_overtemperature():
    load_pack(PACK, changes={"detection.cold_degc": 49.9})
    with pytest.raises(ConfigError, match=r"cold_degc: got 50.0; .*reset_degc \(50\)"):
        load_pack(PACK, changes={"detection.cold_degc": 50.0})


def test_a_freeze_frame_that_would_fill_the_heap_is_refused():
    load_pack(PACK, board="pyboard", changes={"detection.capture_before_s": 2.9})
    with pytest.raises(ConfigError, match=r"capture_before_s: got 3.0; .*6250 B.* 6400 B"):
        load_pack(PACK, board="pyboard", changes={"detection.capture_before_s": 3.0})


def without_table(text: str, name: str) -> str:
    return re.sub(rf"\[{re.escape(name)}\]\n(?:(?!\[).*\n)*", "", text)


@pytest.mark.parametrize("row", [row[1] for row in schema.LIMIT_ROWS])
def test_a_pack_that_says_nothing_of_a_limit_row_is_refused(tmp_path, row):
    path = tmp_path / f"{PACK}.toml"
    path.write_text(without_table(text_of("pack", PACK), f"limits.{row}"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_pack(path)
    assert caught.value.key == f"limits.{row}"


@pytest.mark.parametrize("row", image.PRESS_ROWS)
def test_a_board_that_drives_a_press_measures_its_pressure_and_watches_it(row, tmp_path):
    with pytest.raises(ConfigError, match=rf"limits.{row}.enabled: got False; .*drives a press"):
        load_pack(PACK, changes={f"limits.{row}.enabled": False})
    board = tmp_path / "blind.toml"
    text = without_table(text_of("board", "pico"), "[nau7802]").replace('name = "pico"', 'name = "blind"')
    board.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"board: got 'blind'; .*with a nau7802"):
        load_pack(PACK, board=str(board))


@pytest.mark.parametrize("row", image.ALWAYS_ENABLED)
def test_a_row_that_protects_the_cell_has_no_switch(row):
    with pytest.raises(ConfigError, match="enabled"):
        load_pack(PACK, changes={f"limits.{row}.enabled": False})


def test_an_optional_row_may_be_off():
    pack = load_pack(PACK, changes={"limits.pressure_low.enabled": False})
    rows = {
        row[1]: values for row, values in zip(schema.LIMIT_ROWS, image.decode(build_image(pack)).limits, strict=True)
    }
    assert not rows["pressure_low"][1] & image.ROW_ENABLED
    assert rows["pressure_high"][1] & image.ROW_ENABLED


def test_levels_reach_the_image_in_wire_units():
    rows = image.decode(build_image(load_pack(PACK))).limits
    position = schema.index_of(schema.LIMIT_ROWS)
    assert rows[position["cell_overvoltage"]][4:8] == (4300000, 4320000, 4350000, 4250000)
    assert rows[position["discharge_overcurrent"]][6] == -1800000
    assert rows[position["overtemperature"]][6] == 7000
    assert rows[position["deadline_overrun"]][6] == 50000


def test_what_the_board_refuses_to_read_is_a_missing_file_or_bad_toml(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        load_pack(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = \n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1"):
        load_pack(broken)
    with pytest.raises(ConfigError, match=PACK):
        load_pack("li_lpscl_nc")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("trip_v = 4.35", "trip_v = 10.35", "the unit is in the key: volts"),
        ("zero_counts = 0", "zero_counts = 0.5", "zero_counts: got 0.5"),
        ("rate_max_mpa_s = 0.2", "rate_max_mpa_s = -1", "rate_max_mpa_s: got -1"),
        ('lease_lapse = "stop"', 'lease_lapse = "ignore"', "When the host stops renewing its lease"),
        (
            "cells_in_series = 1",
            "cells_in_series = 17",
            "a BQ76952 is for 3 to 16, as far as the board's heap holds them",
        ),
        ('name = "li_lpscl_nca"', 'name = "Li LPSCl"', "1 to 15 small letters, digits"),
        ('shunt_source = "A: 4C', 'shunt_source = "4C', "starts with a mark and a colon"),
    ],
)
def test_the_hint_names_a_unit_only_where_the_key_ends_in_one(tmp_path, old, new, says):
    with pytest.raises(ConfigError) as caught:
        load_pack(changed(tmp_path, "pack", PACK, old, new))
    assert says in str(caught.value)
    assert ("the unit is in the key" in str(caught.value)) == ("the unit" in says)


def test_a_folder_and_a_config_image_in_place_of_a_pack_are_called_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packs").mkdir()
    (tmp_path / "config.bin").write_bytes(build_image(load_pack(PACK)))
    for name in ("packs", "packs/", str(tmp_path)):
        with pytest.raises(ConfigError, match=r"the folder .*; name a file in it"):
            load_pack(name)
    for name in ("config.bin", "./config.bin"):
        with pytest.raises(ConfigError, match=r"a config image.*the pack file that it was built from"):
            load_pack(name)


def test_a_pack_at_a_path_names_its_own_board_and_cell_files(tmp_path):
    pack = changed(tmp_path, "pack", PACK, 'board = "virtual-pico"', 'board = "./bench.toml"')
    (tmp_path / "bench.toml").write_text(
        'name = "bench"\ndescription = "ours"\nbased_on = "pico2"\n\n[contactor]\ndrive_pin = 20\n', encoding="utf-8"
    )
    board = load_pack(pack).board
    assert (board.name, board.contactor.drive_pin, board.contactor.feedback_pin) == ("bench", 20, None)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("charge_pin = 12", "charge_pin = 11", "enable_lines.charge_pin"),
        ("range_mv = 163", "alert_pin = 6", "ina228[0].alert_pin"),
        ("range_mv = 163", "polarity = 0", "ina228[0].polarity"),
        ("address = 0x48", "address = 0x40", "tmp117[0].address"),
        ("conversion_us = 540", "conversion_us = 541", "ina228[0].conversion_us"),
        ("heap_bytes = 245888", "heap_bytes = 1", "memory.heap_bytes"),
        ("gc_us = 27900", "gc_us = -1", "cost.gc_us"),
    ],
)
def test_a_wrong_board_is_named(tmp_path, old, new, key):
    board = changed(tmp_path, "board", "pico", old, new)
    with pytest.raises(ConfigError) as caught:
        load_pack(PACK, board=str(board))
    assert caught.value.key == key


NTC = '[[ntc]]\nadc_pin = {}\nplace = 1\nr25_ohm = 10000\nbeta_k = 3435\npullup_ohm = 10000\nsource = "A: ours"\n'
BUS = "[[i2c]]\nbus = {}\nsda_pin = {}\nscl_pin = {}\nfrequency_hz = 400000\n"


@pytest.mark.parametrize(
    ("base", "table", "key", "allowed"),
    [
        ("pico2", NTC.format(15), "ntc[0].adc_pin", "a pin of the converter: 26, 27, 28"),
        ("pico2", NTC.format(29), "ntc[0].adc_pin", "26, 27, 28"),
        ("pico2", "[alarm]\npin = 77\n", "alarm.pin", "a pin that the board leaves free: 0, 1, 2"),
        ("pico2", "[alarm]\npin = 23\n", "alarm.pin", "21, 22, 26, 27, 28"),
        ("pico2", BUS.format(0, 6, 7), "i2c[0].sda_pin", "a pin for SDA of bus 0: 0, 4, 8, 12, 16, 20, 28"),
        ("pico2", BUS.format(0, 4, 7), "i2c[0].scl_pin", "a pin for SCL of bus 0: 1, 5, 9, 13, 17, 21"),
        ("virtual-checked", BUS.format(0, 4, 5) + BUS.format(1, 8, 9), "i2c[1].sda_pin", "bus 1: 2, 6, 10"),
        ("pico2", "[bleed]\npins = [16, 24]\n", "bleed.pins[1]", "free"),
        ("esp32s3", "[alarm]\npin = 46\n", "alarm.pin", "free"),
        ("esp32s3", BUS.format(0, 8, 33), "i2c[0].scl_pin", "free"),
        ("pyboard", "[alarm]\npin = 19\n", "alarm.pin", "free"),
        ("pyboard", BUS.format(1, 27, 26), "i2c[0].sda_pin", "bus 1: 23"),
        ("pyboard", NTC.format(24), "ntc[0].adc_pin", "converter"),
    ],
)
def test_a_pin_that_the_chip_does_not_have_or_the_board_needs_is_named(tmp_path, base, table, key, allowed):
    path = tmp_path / "ours.toml"
    path.write_text(f'name = "ours"\ndescription = "ours"\nbased_on = "{base}"\n\n{table}', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_pack(PACK, board=str(path))
    assert (caught.value.key, allowed in str(caught.value)) == (key, True), str(caught.value)


def test_any_free_pin_of_an_esp32_makes_a_bus(tmp_path):
    path = tmp_path / "ours.toml"
    bus = BUS.format(0, 17, 18)
    path.write_text(f'name = "ours"\ndescription = "ours"\nbased_on = "esp32s3"\n\n{bus}', encoding="utf-8")
    assert load_pack(PACK, board=str(path)).board.i2c[0].sda_pin == 17


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ("inputs = [1, 2, 16]", "inputs = [1, 2]", "bq76952.inputs", "3"),
        ("inputs = [1, 2, 16]", "inputs = [1, 16, 2]", "bq76952.inputs", "rising"),
        ("inputs = [1, 2, 16]", "inputs = [1, 2, 17]", "bq76952.inputs[2]", "16"),
        ("ina228 = []", "", "bq76952", "absent beside other monitors"),
        ("ts2_place = 1", "ts4_place = 1", "bq76952.ts4_place", "ts1_place"),
        ("ts2_place = 1", "ts2_place = 2", "place", "none twice"),
        ("input = 2", "input = 0", "ads1115_ntc[0].input", "ads1115_pressure[0]"),
        ("range_mv = 4096", "range_mv = 2048", "board.ads1115_ntc[0].range_mv", "at least supply_mv"),
        ("input = 2", "input = 2\nminus_input = 3", "ads1115_ntc[0].minus_input", "keys converter"),
        ("input = 0", "input = 0\nminus_input = 1", None, None),
        ("input = 0", "input = 2\nminus_input = 1", "ads1115_pressure[0].minus_input", "a pair"),
        ("converter = 0\ninput = 2", "converter = 1\ninput = 2", "ads1115_ntc[0].converter", "below 1"),
        (
            "nau7802 = []",
            "hx711 = [{ place = 1, dout_pin = 18, sck_pin = 19 }]\nnau7802 = []",
            "ads1115_pressure",
            "scale",
        ),
        ("adc_pin = 26", "adc_pin = 4", "ntc[0].adc_pin", "i2c[0].sda_pin"),
        ("address = 0x48", "address = 0x08", "bq76952.address", "ads1115[0]"),
        ("[[ads1115]]\n", "[bleed]\npins = [16, 17, 18]\n\n[[ads1115]]\n", "bleed.pins", "bleeds by itself"),
    ],
)
def test_a_wrong_board_of_other_chips_is_named(tmp_path, old, new, key, allowed):
    board = changed(tmp_path, "board", "virtual-bq", old, new)
    if key is None:
        assert load_pack("li_lpscl_nca_3s", board=str(board))
        return
    with pytest.raises(ConfigError) as caught:
        load_pack("li_lpscl_nca_3s", board=str(board))
    assert caught.value.key.startswith(key)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(("shunt_ohm", "full_scale_a"), [(0.1, 2.0), (0.05, 3.2767), (0.01, 20.0), (0.001, 200.0)])
def test_a_stack_monitor_shows_200_mv_or_what_its_16_bits_hold(shunt_ohm, full_scale_a):
    board = load_pack("li_lpscl_nca_3s").board
    assert board.shunt_full_scale_a(shunt_ohm) == pytest.approx(full_scale_a)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("voltage_v = [\n", "voltage_v = [\n    9.9,", "ocv.voltage_v[1]"),
        (
            "[ocv]\ntemperature_degc = 25.0\nsoc = [\n    0.0,",
            "[ocv]\ntemperature_degc = 25.0\nsoc = [\n    0.005,",
            "ocv.soc",
        ),
        ("[0.2318, 0.1741,", "[0.1741,", "r0.ohm[2]"),
        ("[0.2318, 0.1741,", "[0.2318, -0.1,", "r0.ohm[2][1]"),
        ("max_v = 4.3\n", "max_v = 4.5\n", "voltage"),
        ("capacity_ah = 0.6", "capacity_mah = 600", "capacity_mah"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, old, new, key):
    cell = changed(tmp_path, "cell", PACK, old, new)
    with pytest.raises(ConfigError) as caught:
        load_pack(PACK, cell=str(cell))
    assert caught.value.key == key


def test_a_longer_debounce_lengthens_the_budget_and_beyond_what_is_allowed_it_is_refused():
    row = "cell_overvoltage"
    before = fault_time_budget_ms(load_pack(PACK), row)
    after = fault_time_budget_ms(load_pack(PACK, changes={f"limits.{row}.debounce_ms": 45}), row)
    assert after == pytest.approx(before + 24.5)  # from 30, to the sixth tick of 10 after a collection of 5.5
    with pytest.raises(ConfigError, match="fault-time budget"):
        load_pack(PACK, changes={f"limits.{row}.debounce_ms": 200})


def test_a_long_collection_comes_before_a_debounce_or_after_it_but_not_both():
    """A Pico's: late by 40.2 ms and a slice of 23.2 ms, 20 ms end with the fourth tick of 25 ms, in time."""
    pack = load_pack(PACK, board="pico", changes=SLOW_TICKS)
    assert debounced_ms(pack, 20) == pytest.approx(100 - pack.cost.gc_worst_us / 1000)


def test_a_channel_is_not_stale_before_two_of_its_own_periods():
    with pytest.raises(ConfigError, match="two periods"):
        load_pack(PACK, changes={"limits.pressure_stale.trip_ms": 24, "limits.pressure_stale.reset_ms": 10})


def test_show_tells_which_rows_act_on_lost_data_by_themselves_and_when(capsys):
    assert run(["config", "show", "li_lpscl_nca_3s", "--json"]) == 0
    limits = json.loads(capsys.readouterr().out)["limits"]
    lost_ms = {
        row["row"]: row["lost_data_budget_ms"] for row in limits if row["enabled"] and row["lost_data_budget_ms"]
    }
    assert list(lost_ms) == ["pack_mismatch"]
    assert 2000 < lost_ms["pack_mismatch"] < 2100
    assert run(["config", "show", "li_lpscl_nca_3s"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "pack_mismatch" in line and "1000" in line][1:]
    assert f"{lost_ms['pack_mismatch']:.1f}" in line


def test_the_commands_check_show_and_build(tmp_path, capsys):
    output = tmp_path / "config.bin"
    assert run(["config", "build", PACK, "-o", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image_bytes"] == output.stat().st_size
    assert run(["config", "show", PACK, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [row["row"] for row in facts["limits"]] == [row[1] for row in schema.LIMIT_ROWS]
    assert all(row["budget_ms"] <= row["allowed_ms"] for row in facts["limits"])
    assert run(["config", "show", PACK]) == 0
    assert "cell_overvoltage" in capsys.readouterr().out
    assert run(["config", "check", str(changed(tmp_path, "pack", PACK, "trip_v = 4.35", "trip_v = 9"))]) == EXIT_CONFIG
    assert "limits.cell_overvoltage.trip_v" in capsys.readouterr().err


def test_shipped_files_are_named_after_themselves():
    for kind in ("board", "pack", "cell"):
        for name in shipped_names(kind):
            assert tomllib.loads(text_of(kind, name))["name"] == name


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [("place = 0", "place = 0", "0, or 0 and 1"), ("place = 1", "", "0, or 0 and 1"), ("place = 0", "place = 1", "")],
)
def test_load_cells_are_the_first_and_perhaps_a_second_that_checks(tmp_path, first, second, says):
    text = text_of("board", "virtual-hx711").replace('"virtual-hx711"', '"two"')
    text = text.replace("place = 0", first)
    if second:
        text += f"\n[[hx711]]\n{second}\ndout_pin = 20\nsck_pin = 21\n"
    path = tmp_path / "two.toml"
    path.write_text(text, encoding="utf-8")
    if says:
        with pytest.raises(ConfigError, match=says):
            load_board(path)
        return
    board = load_board(path)
    assert [chip.dout_pin for chip in board.bridges] == [18, 20]
    assert load_pack("li_lpscl_nca", board=str(path), changes={"limits.pressure_disagreement.enabled": True})


def test_a_pin_of_an_hx711_is_taken(tmp_path):
    text = text_of("board", "virtual-hx711").replace('"virtual-hx711"', '"taken"')
    path = tmp_path / "taken.toml"
    path.write_text(text.replace("sck_pin = 19", "sck_pin = 10"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"contactor\.drive_pin"):
        load_board(path)


def test_a_screw_makes_the_press_one_of_position_with_the_step_that_it_has():
    pack = load_pack("liin_tis2", board="virtual-screw")
    assert pack.parameters["pressure_by_position"] == 1
    assert pack.parameters["press_nm_per_step"] == 1000
    assert pack.parameters["pressure_quantum_kpa"] == 10  # 0.01 MPa/um times 1 um
    config = image.decode(build_image(pack))
    (motor,) = config.devices_of("stepper")
    assert (motor[4], motor[5]) == ((20, 21, 22, -1), (100, 1000, 6000, 6000))
    assert config.devices_of("limit_switches")[0][4][:2] == (26, 27)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pressure.stiffness_mpa_per_um": 0.0}, r"stiffness_mpa_per_um: got 0.0; .*0\.0005"),
        ({"pressure.stiffness_mpa_per_um": 0.0004}, r"stiffness_mpa_per_um: got 0.0004; .*0\.0005"),
        ({"timing.fast_period_ms": 20}, r"fast_period_ms: got 20; .*at most 10 with board virtual-screw"),
    ],
)
def test_a_screw_that_would_stop_its_board_from_starting_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        load_pack("liin_tis2", board="virtual-screw", changes=changes)
    load_pack("liin_tis2", board="virtual-screw", changes={"pressure.stiffness_mpa_per_um": 0.0006})


def test_two_load_cells_share_a_scale_and_are_compared(tmp_path):
    compared = {"limits.pressure_disagreement.enabled": True}
    load_pack("li_lpscl_nca", board="virtual-checked", changes=compared)
    with pytest.raises(ConfigError, match=r"pressure_disagreement.enabled: got False; .*has two load cells"):
        load_pack("li_lpscl_nca", board="virtual-checked")
    text = text_of("board", "virtual-checked").replace('"virtual-checked"', '"unequal"')
    path = tmp_path / "unequal.toml"
    path.write_text(text.replace("gain = 128", "gain = 64", 1))
    with pytest.raises(ConfigError, match=r"gain: got .\[64, 128\] of the load cells.*share a scale"):
        load_board(path)


def test_a_board_has_one_press(tmp_path):
    text = text_of("board", "virtual-screw").replace("mcp4725 = []\n", "").replace('"virtual-screw"', '"both"')
    path = tmp_path / "both.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="there is one press"):
        load_board(path)
