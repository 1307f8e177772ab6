"""Plant, format and bench files: what ships is right; what is damaged is named by file and key, never a traceback."""

import re
from math import inf
from pathlib import Path

import pytest
from assb_hil.plant_file import FOLDERS, find, load_plant, plant_names, shipped_names
from assb_host.config.cell import load_cell
from assb_host.config.errors import ConfigError
from assb_host.config.locate import find as find_config
from assb_host.config.locate import shipped_names as shipped_cells
from hypothesis import given, settings
from hypothesis import strategies as st

FORMATS, BENCHES = shipped_names("format"), shipped_names("bench")
FILES = [(kind, name) for kind in FOLDERS for name in shipped_names(kind)]
PLANT = "li_lpscl_nca"
# What the air supply, the motor or nothing at all lets a bench press to
REACH_MPA = {"fixed_gap": inf, "pneumatic": 9, "spring_pneumatic": 90, "spring_stepper": 120, "stiff_stepper": 400}


def text_of(kind: str, name: str) -> str:
    return find(kind, name).read_text(encoding="utf-8")


def load(kind: str, path: Path):
    """A plant that is made of the file at `path`."""
    if kind == "plant":
        return load_plant(str(path))
    return load_plant(PLANT, **{kind: str(path)})


@pytest.mark.parametrize("name", plant_names())
def test_a_plant_stands_at_rest_in_every_format_on_every_bench_that_reaches_its_pressure(name):
    wanted_mpa = load_plant(name).limits.pressure_mpa
    for format_name in FORMATS:
        for bench_name in (bench_name for bench_name in BENCHES if REACH_MPA[bench_name] >= wanted_mpa):
            plant = load_plant(name, format=format_name, bench=bench_name)
            pack = plant.pack(seed=1)
            assert pack.step(0.0, 1.0, plant.limits.temperature_degc) == 0
            assert all(cell.capacity_ah > 0 for cell in pack.cells)
            assert len(plant.sensors) == 4


@pytest.mark.parametrize("name", plant_names())
def test_a_bench_that_does_not_reach_the_pressure_of_a_plant_is_refused_and_others_are_named(name):
    wanted_mpa = load_plant(name).limits.pressure_mpa
    able = [bench_name for bench_name in BENCHES if REACH_MPA[bench_name] >= wanted_mpa]
    for bench_name in set(BENCHES) - set(able):
        with pytest.raises(ConfigError) as caught:
            load_plant(name, bench=bench_name)
        said = str(caught.value)
        assert caught.value.key == "bench"
        assert f"{bench_name}, which reaches {REACH_MPA[bench_name]:g} MPa" in said
        assert f"{wanted_mpa:g} MPa" in said and ", ".join(able) in said


def test_benches_share_contactor_cycler_and_sensors_of_the_one_that_they_are_based_on(tmp_path):
    base = load_plant(PLANT, bench="fixed_gap").bench
    for bench_name in set(BENCHES) - {"fixed_gap"}:
        assert load_plant(PLANT, bench=bench_name).bench.cycler == base.cycler
        assert "[cycler]" not in text_of("bench", bench_name)
    path = tmp_path / "third.toml"
    for base_name, wanted in (("pneumatic", "not based on another"), ("pneumatics", "fixed_gap")):
        path.write_text(f'description = "ours"\nbased_on = "{base_name}"\n', encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_plant(PLANT, bench=str(path))
        assert caught.value.key == "based_on" and wanted in str(caught.value)


def test_units_of_a_pack_differ_by_their_seed_and_stand_in_their_stacks():
    plant = load_plant(PLANT, units=4, stacks=2)
    first, again, other = (plant.cells(seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({cell.capacity_ah for cell in first}) == 4
    assert all(abs(cell.capacity_ah / plant.cell.capacity_ah - 1) < 0.05 for cell in first)
    pack = plant.pack(0.5, seed=1, pressure_mpa=[4.0, 6.0])
    assert [round(cell.pressure_mpa) for cell in pack.cells] == [4, 4, 6, 6]
    assert len({cell.soc for cell in pack.cells}) == 4
    with pytest.raises(ConfigError, match=r"pack\.stacks"):
        load_plant(PLANT, units=2, stacks=3)


def test_a_figure_that_a_row_of_facts_gives_stands_in_its_plant():
    for name, key, value in (
        ("samsung_agc", "cell.areal_capacity_mah_cm2", 6.8),
        ("samsung_agc", "limits.pressure_mpa", 2.0),
        ("samsung_agc", "limits.temperature_degc", 60.0),
        ("samsung_agc", "limits.charge_max_c", 0.5),
        ("usi_nmc811", "cell.areal_capacity_mah_cm2", 11.0),
        ("usi_nmc811", "limits.pressure_mpa", 50.0),
        ("nanosi_scnmc", "cell.areal_capacity_mah_cm2", 1.45),
        ("hcsi_nmc811", "cell.areal_capacity_mah_cm2", 5.86),
        ("hcsi_nmc811", "limits.charge_max_c", 1.0),
        ("halide_ncm85", "cell.areal_capacity_mah_cm2", 1.325),
        ("halide_ncm85", "cell.se_conductivity_ms_per_cm", 2.0),
        ("halide_ncm85", "limits.pressure_mpa", 250.0),
        ("lis", "cell.areal_capacity_mah_cm2", 6.8),
        ("lis", "limits.charge_max_c", 0.33),
        ("lis", "limits.pressure_max_mpa", 75.0),
        ("graphite_nmc", "limits.voltage_max_v", 4.2),
        ("lto_nmc", "limits.voltage_min_v", 1.5),
    ):
        table, _, figure = key.partition(".")
        found = getattr(getattr(load_plant(name).tables, table), figure)
        assert found.value == value and found.source[0] in "RVK"
    assert load_plant("samsung_agc").cell.capacity_ah == pytest.approx(0.6, rel=0.005)
    liin = load_plant("liin_tis2")
    rate = liin.limits.charge_max_c * liin.tables.cell.areal_capacity_mah_cm2.value
    assert rate == pytest.approx(2.44, rel=0.001)


def test_what_was_calculated_or_assumed_is_not_called_confirmed():
    """Swelling per charge and stiffness stand in no text: they follow from molar volumes and from geometry."""
    nmc811 = {"usi_nmc811", "hcsi_nmc811", "bipolar_2s"}  # the one oxide whose swelling was calculated
    for name in plant_names():
        tables = load_plant(name).tables
        for key in ("anode_um_per_mah_cm2", "cathode_um_per_mah_cm2"):
            assert getattr(tables.cell, key).source[0] in "CA", (name, key)
        if tables.cell.cathode_um_per_mah_cm2.value == -0.6:
            assert tables.cell.cathode_um_per_mah_cm2.source[0] == ("C" if name in nmc811 else "A"), name
        if name in shipped_cells("cell"):
            assert load_cell(find_config("cell", name)).swelling.source[0] in "CA", name
    for name in BENCHES:
        assert load_plant(PLANT, bench=name).bench.stack.stiffness_mpa_per_um.source[0] in "CA", name


@pytest.mark.parametrize("name", plant_names())
def test_a_thick_separator_expands_a_layer_as_much_as_it_adds_to_it(name):
    sheet, pellet = (load_plant(name, format=format_name) for format_name in ("sheet", "pellet"))
    electrodes_um = sheet.tables.cell.electrodes_um.value
    expected = [electrodes_um + plant.format.se_um.value for plant in (sheet, pellet)]
    per_layer = [plant.cell.expansion_um_per_k / plant.cell.layers for plant in (sheet, pellet)]
    assert per_layer[1] / per_layer[0] == pytest.approx(expected[1] / expected[0])
    assert per_layer[1] > 2.5 * per_layer[0]
    assert per_layer[0] == pytest.approx(15e-6 * expected[0], rel=0.4)  # solids of this kind: some 10 to 20 ppm/K


@pytest.mark.parametrize("name", plant_names())
def test_no_more_height_creeps_away_than_lithium_metal_stands_in_the_stack(name):
    """Ten years at the top of the window."""
    plant = load_plant(name, format="sheet", bench="stiff_stepper", units=3, stacks=2)
    lithium_um = plant.tables.creep.lithium_um.value
    if plant.tables.cell.anode_um_per_mah_cm2.value == 4.85:  # lithium metal, and no alloy
        lithium_um += 4.85 * plant.tables.cell.areal_capacity_mah_cm2.value
    pack = plant.pack(1.0, pressure_mpa=plant.limits.pressure_max_mpa)
    pack.run([0.0] * 3650, 86400.0, ambient_degc=25.0)
    for stack, units in zip(pack.stacks, (2, 1), strict=True):
        layers_um = lithium_um * plant.cell.layers * units
        assert stack.creep_um <= 0.1 * layers_um
        assert (stack.creep_um > 0) == (plant.tables.creep.creep_um_per_s.value > 0)
    for table in (plant.tables.creep.creep_um_per_s, plant.tables.creep.flows_frac):
        assert table.value == 0 or lithium_um > 0


def test_a_layer_of_the_anode_free_cell_is_as_thick_as_its_energy_per_litre_says():
    """6.8 mAh/cm2 (K) at about 3.8 V (K) in 900 Wh/L (R) are 287 um with all that lies around the layers."""
    plant = load_plant("samsung_agc", format="sheet")
    wh_per_cm2 = plant.tables.cell.areal_capacity_mah_cm2.value / 1000 * 3.8
    implied_um = 1e4 * wh_per_cm2 / (900 / 1000)
    layer_um = plant.tables.cell.electrodes_um.value + plant.format.se_um.value
    assert implied_um == pytest.approx(287, abs=1)
    assert 0.7 * implied_um < layer_um < 1.05 * implied_um


@pytest.mark.parametrize(
    ("old", "new", "key", "wanted"),
    [
        (
            'hysteresis_v = { value = 0.004, source = "A: small for NCA" }',
            "hysteresis_v = 0.004",
            "cell.hysteresis_v",
            "",
        ),
        ("hysteresis_v = { value = 0.004", 'hysteresis_v = { value = "0.004"', "cell.hysteresis_v.value", "number"),
        ("hysteresis_v = { value = 0.004", "hysteresis_v = { value = nan", "cell.hysteresis_v.value", "number"),
        ('source = "A: small for NCA"', 'source = "M: measured"', "cell.hysteresis_v.source", "marks"),
        ("hysteresis_v = {", "hysteresiz_v = {", "cell.hysteresiz_v", "hysteresis_v"),
        ("soc = [0.0, 0.01", "soc = [0.0, 0.0", "ocv.soc[1]", "more than"),
        ("ocv_v = [2.82", "ocv_v = [3.82", "ocv.ocv_v[1]", "more than"),
        ("ocv_v = [2.82", "ocv_v = [2.42", "ocv.ocv_v", "inside limits"),
        ("soc = [0.0, 0.3, 0.5", "soc = [0.1, 0.3, 0.5", "swelling.soc", "from 0 to 1"),
        ("anode_frac = [0.0, 0.3", "anode_frac = [0.2, 0.3", "swelling.anode_frac", "0 at SOC 0"),
        (
            "anode_um_per_mah_cm2 = { value = 4.85",
            "anode_um_per_mah_cm2 = { value = -4.85",
            "cell.anode_um_per_mah_cm2",
            "0 or",
        ),
        (
            "cathode_um_per_mah_cm2 = { value = -0.6",
            "cathode_um_per_mah_cm2 = { value = 0.6",
            "cell.cathode_um_per_mah_cm2",
            "0",
        ),
        (
            'pressure_mpa = { value = 5.0, source = "R, V: the',
            'pressure_mpa = { value = 8.0, source = "R, V: the',
            "limits.pressure_max_mpa",
            "pressure_mpa",
        ),
        (
            'charge_max_c = { value = 0.16, source = "V',
            'charge_max_c = { value = 0.2, source = "V',
            "limits.charge_max_c",
            "0.539 mA/cm2",
        ),
        (
            "discharge_max_c = { value = 0.16",
            "discharge_max_c = { value = 0.2",
            "limits.discharge_max_c",
            "0.528 mA/cm2",
        ),
        ("stacks = { value = 1,", "stacks = { value = 2,", "pack.stacks", "at most"),
        ('format = "sheet"', 'format = "sheets"', "format", "pellet, sheet"),
        ('bench = "pneumatic"', 'bench = "pneumatics"', "bench", "fixed_gap"),
        ('lithium_of = "li_li_symmetric"', 'lithium_of = "li"', "plant", "li_li_symmetric"),
    ],
)
def test_a_wrong_figure_is_named_with_its_key_and_what_is_wanted(tmp_path, old, new, key, wanted):
    text = text_of("plant", PLANT)
    assert text.count(old) == 1
    path = tmp_path / "case.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_plant(str(path))
    assert (caught.value.file, caught.value.key) == (str(path), key)
    assert wanted in caught.value.allowed


def test_a_bench_has_one_thing_that_moves_its_gap(tmp_path):
    stepper = re.search(r"\[stepper\].*", text_of("bench", "stiff_stepper"), re.DOTALL)
    path = tmp_path / "both.toml"
    path.write_text(text_of("bench", "pneumatic") + "\n" + stepper.group(), encoding="utf-8")
    with pytest.raises(ConfigError, match="either"):
        load_plant(PLANT, bench=str(path))


JUNK = st.sampled_from(
    """
    "x" | "" | true | nan | inf | -inf | -1 | 0 | 1 | 1e-300 | 1e300 | 1e999 | 123456789012345678901234567890 | []
    [[]] | {} | [1, 2, 3] | ["a"] | 1979-05-27 | { value = 1 } | { value = 2, source = "A" }
    { value = [], source = "A" }
    """.replace("\n", "|").split("|")
)


@st.composite
def damaged(draw) -> tuple[str, str]:
    """(kind, text) of a shipped file in which a value or a line was changed, or whose end is missing."""
    kind, name = draw(st.sampled_from(FILES))
    lines = text_of(kind, name).splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    way = draw(st.sampled_from(["value", "inner", "item", "drop", "cut", "noise"]))
    line = lines[at]
    if way == "value" and "=" in line:
        lines[at] = line.partition("=")[0] + "= " + draw(JUNK)
    elif way == "inner":
        lines[at] = (
            re.sub(r"value = (\[.*?\]|[^,]*)", lambda _: "value = " + junk, line) if (junk := draw(JUNK)) else line
        )
    elif way == "item":
        lines[at] = re.sub(r"\d+\.\d+", lambda _: junk, line, count=1) if (junk := draw(JUNK)) else line
    elif way == "drop":
        del lines[at]
    elif way == "cut":
        lines = lines[:at]
    else:
        lines[at] = line + draw(st.text(max_size=8))
    return kind, "\n".join(lines)


@given(damaged())
@settings(max_examples=400, deadline=None)
def test_a_damaged_file_is_taken_or_refused_in_words(tmp_path_factory, case):
    kind, text = case
    path = tmp_path_factory.mktemp("damaged") / "case.toml"
    path.write_text(text, encoding="utf-8")
    try:
        plant = load(kind, path)
    except ConfigError as error:
        assert str(path) in str(error) or "plants" in str(error)
        return
    plant.pack(seed=1)
    assert plant.cycler and plant.sensors and plant.limits.protocol()
