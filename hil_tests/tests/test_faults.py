"""The catalogue of faults: whole, each shown by a scenario, refused where it can't be, and true to what it says."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from assb.protocol import image, schema
from assb_hil.commands.hil import hil
from assb_hil.fault_listing import fault_rows
from assb_hil.faults import FAULTS
from assb_hil.faults.board import PowerCut
from assb_hil.faults.cells import CapacityLost, ContactLost
from assb_hil.faults.configuration import ConfigDamaged, ConfigOtherSchema, ConfigUnsafeLimit, ConfigWrongBoard
from assb_hil.faults.mechanics import Creep, LimitSwitch, SpringBreaks, StackSlips
from assb_hil.faults.sensors import Device
from assb_hil.plant import Plant
from assb_hil.plant_file import load_plant
from assb_hil.scenario import load_scenario, load_scenarios, read_scenario
from assb_hil.session import UnsupportedError, demand_features
from assb_host.config import build_image, load_pack
from assb_host.config.errors import ConfigError
from click.testing import CliRunner

# What the harness promises, kind by kind
CATALOGUE = {
    "sensor": "sensor_offset sensor_gain sensor_drift sensor_noise sensor_stuck sensor_dropout sensor_lost bus_hang "
    "sensor_open sensor_swapped chip_brown_out",
    "cell": "hard_short soft_short growing_short contact_lost capacity_lost heating",
    "mechanics": "creep spring_breaks regulator_stalled stack_slips limit_switch pressure_step supply_lost "
    "press_runs_away heater_stuck "
    "contactor_welded contactor_stuck_open feedback_stuck load_shorted cycler_disobeys",
    "board": "power_lost power_cut board_reset board_hangs heap_filled gc_forced slow_tick clock_jump",
    "link": "link_bit_errors link_lost link_repeated link_reordered link_truncated link_flood link_unplugged "
    "second_host",
    "configuration": "config_wrong_board config_other_schema config_damaged config_unsafe_limit",
}
STEPPER_PLANT = "usi_nmc811"
IMAGE = build_image(load_pack("li_lpscl_nca"))


def test_the_catalogue_is_whole():
    told = {group: {cls.name for cls in FAULTS.values() if cls.group == group} for group in CATALOGUE}
    assert told == {group: set(names.split()) for group, names in CATALOGUE.items()}


def test_every_fault_is_shown_by_a_scenario():
    assert [row["name"] for row in fault_rows(frozenset()) if not row["scenarios"]] == []


def test_the_listing_tells_keys_needs_and_what_a_device_lacks():
    rows = {row["name"]: row for row in fault_rows(frozenset({"chip_models"}))}
    assert rows["soft_short"]["parameters"][0] == {"name": "rs_ohm", "unit": "ohm", "required": True}
    assert rows["sensor_lost"]["parameters"][0]["one_of"] == sorted(get_args(Device))
    assert rows["soft_short"]["supported"]
    assert not rows["power_cut"]["supported"]
    assert rows["limit_switch"]["press"] == ["stepper"]


def test_assb_hil_faults_prints_every_fault_and_its_scenarios():
    rows = json.loads(CliRunner().invoke(hil, ["faults", "--json"]).output)
    assert [row["name"] for row in rows] == list(FAULTS)
    text = CliRunner().invoke(hil, ["faults"]).output
    assert all(f"{name}  " in text for name in FAULTS)
    assert "faults_sensor/bus_hang" in text


def test_a_device_without_a_feature_refuses_before_anything_runs():
    bare = SimpleNamespace(name="bare", features=frozenset({"chip_models"}))
    scenario = replace(load_scenario("hard_short"), faults=(PowerCut(at_s=1.0, operation=1),))
    with pytest.raises(UnsupportedError, match="fault power_cut needs power, power_cut; device bare"):
        demand_features(scenario, bare)


CASE = """
title = "t"
pack = "li_lpscl_nca"
plant = "li_lpscl_nca"
duration_s = 10.0
start = { soc_frac = 0.5 }
[[fault]]
at_s = 2.0
FAULT
[[check]]
kind = "holds"
from_s = 5.0
"""


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ('name = "limit_switch"\nat_end = "closed"', ("pneumatic", "one of stepper")),
        ('name = "bus_hang"\nbus = 1', ("fault[0].bus", "one of 0")),
        ('name = "sensor_swapped"\nchannel = "voltage_v"\nwith_place = 1', ("fault[0].with_place", "one of 0")),
        ('name = "config_unsafe_limit"\nrow = "cell_overvoltge"\ntrip = 1', ("fault[0].row", "cell_overvoltage")),
        ('name = "soft_short"\nrs_ohm = 1.0\ncell = 1', ("fault[0].cell", "one of 0")),
    ],
)
def test_a_fault_that_the_bench_cannot_have_is_refused_with_its_place(fault, told):
    with pytest.raises(ConfigError) as caught:
        read_scenario(tomllib.loads(CASE.replace("FAULT", fault)), Path("case.toml"))
    assert all(words in str(caught.value) for words in told)


def test_a_file_with_cases_gives_them_by_name():
    names = [scenario.name for scenario in load_scenarios("faults_configuration")]
    assert names == [
        f"faults_configuration/{name}" for name in ("bad_crc", "other_schema", "unsafe_limit", "wrong_board")
    ]
    (one,) = load_scenarios("faults_configuration/wrong_board")
    assert (one.duration_s, load_scenario("faults_configuration/bad_crc").duration_s) == (17.0, 11.5)
    with pytest.raises(ConfigError, match="one of faults_configuration/bad_crc"):
        load_scenarios("faults_configuration/nonsense")
    with pytest.raises(ConfigError, match="the name of one case"):
        load_scenario("faults_configuration")


# Configurations: each refused for its own reason, or sound but of another board


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ConfigDamaged(at_s=0.0), "checksum is wrong"),
        (ConfigDamaged(at_s=0.0, byte=10**6), "checksum is wrong"),
        (ConfigOtherSchema(at_s=0.0), "made for schema"),
        (ConfigUnsafeLimit(at_s=0.0, trip=20_000_000), "cell_overvoltage: trip 20000000 is not 1000000..10000000"),
        (ConfigUnsafeLimit(at_s=0.0, row="overtemperature", trip=12_001), "overtemperature: trip 12001"),
    ],
)
def test_an_image_that_was_tampered_with_is_refused_for_what_is_wrong(fault, reason):
    with pytest.raises(image.ImageError, match=reason):
        image.decode(fault.changed(IMAGE))


def test_an_image_of_another_board_is_sound_and_has_other_addresses():
    ours, other = (image.decode(data) for data in (IMAGE, ConfigWrongBoard(at_s=0.0).changed(IMAGE)))
    assert [device[3] for device in other.devices] == [device[3] + 4 if device[3] else 0 for device in ours.devices]
    assert other.limits == ours.limits


def test_a_limit_at_the_envelope_is_still_taken():
    greatest = next(row for row in schema.LIMIT_ROWS if row[1] == "cell_overvoltage")[6]
    ConfigUnsafeLimit(at_s=0.0, trip=greatest)
    with pytest.raises(image.ImageError):
        image.decode(ConfigUnsafeLimit(at_s=0.0, trip=greatest + 1).changed(IMAGE))


# What happens in the plant


class Bench:
    """A plant at rest with time for faults that take some."""

    def __init__(self, name="li_lpscl_nca"):
        spec = load_plant(name)
        self.plant = Plant(spec, 1, (), (0.5, 25.0, spec.limits.pressure_mpa))
        self.plant.aims_mpa = [spec.limits.pressure_mpa] * len(self.plant.stacks)

    def every(self, now_us, period_us, call):
        at_us = now_us + period_us
        while call(at_us):
            at_us += period_us

    def run(self, seconds):
        self.plant.step_to(self.plant.now_us + round(seconds * 1e6))
        return self.plant.stacks[0].pressure_mpa


def test_lost_capacity_is_lost_at_the_same_soc():
    bench = Bench()
    (cell,) = bench.plant.cells
    soc, capacity_ah = cell.soc, cell.capacity_ah
    CapacityLost(at_s=0.0, lost_frac=0.25).apply(bench, 0)
    assert (cell.soc, cell.capacity_ah) == (soc, pytest.approx(0.75 * capacity_ah))
    bench.plant.pack.step(-0.3, 60.0, 25.0, 0.0, [0.0], [5.0])
    assert soc - cell.soc == pytest.approx(0.3 * 60 / 3600 / (0.75 * capacity_ah), rel=0.01)


def test_lost_contact_is_resistance():
    bench = Bench()
    (cell,) = bench.plant.cells
    before_ohm = cell.r0_ohm
    ContactLost(at_s=0.0, lost_frac=0.5).apply(bench, 0)
    bench.run(0.1)
    assert cell.r0_ohm > 1.2 * before_ohm


@pytest.mark.parametrize(
    "fault",
    [
        StackSlips(at_s=0.0, slip_um=20.0),
        Creep(at_s=0.0, creep_um=20.0, over_s=1.0),
        SpringBreaks(at_s=0.0, left_frac=0.5),
    ],
)
def test_a_stack_that_gives_way_loses_pressure_until_the_press_follows(fault):
    bench = Bench()
    before_mpa = bench.run(5.0)
    fault.apply(bench, bench.plant.now_us)
    assert bench.run(0.01) < before_mpa - 0.5
    assert bench.run(5.0) == pytest.approx(before_mpa, abs=0.15)


@pytest.mark.parametrize("end", ["closed", "open"])
def test_a_limit_switch_that_trips_too_early_stops_the_screw_that_way_alone(end):
    bench = Bench(STEPPER_PLANT)
    stack = bench.plant.stacks[0]
    bench.run(2.0)
    LimitSwitch(at_s=0.0, at_end=end).apply(bench, 0)
    gap_um, pressure_mpa = stack.gap_um, stack.pressure_mpa
    moved = []
    for aim_mpa in (1.2 * pressure_mpa, 0.8 * pressure_mpa):
        bench.plant.aims_mpa = [aim_mpa]
        bench.run(5.0)
        moved.append(stack.gap_um - gap_um)
    tighter_um, wider_um = moved
    assert (tighter_um < -0.5) == (end == "open")
    assert (wider_um > 0.5) == (end == "closed")
