"""The rig without a board: timeline, chips, faults and truth, on virtual time alone."""

import pytest
from assb.protocol.image import decode
from assb_hil.faults.cells import GrowingShort, HardShort, Heating, SoftShort
from assb_hil.faults.mechanics import ContactorWelded, PressureStep, RegulatorStalled, SupplyLost
from assb_hil.faults.sensors import SensorDropout, SensorLost, SensorOffset, SensorStuck
from assb_hil.loads import ConstantCurrent
from assb_hil.plant_file import load_plant
from assb_hil.rig import Rig
from assb_hil.wiring import plant_for
from assb_host.config import ConfigError, build_image, load_pack

CONFIG = decode(build_image(load_pack("li_lpscl_nca")))
INA228, TMP117, MCP4725 = (0, 0x40), (0, 0x48), (0, 0x60)
CONTINUOUS_4_AVERAGES = b"\x01\xf9\x21"  # ADC_CONFIG: all channels, 540 us, 540 us, 50 us; 4 averages
VBUS = b"\x05"


def bench(*loads, soc_frac=0.5, seed=1):
    rig = Rig(CONFIG, load_plant("li_lpscl_nca"), seed, (soc_frac, 25.0, 5.0), loads)
    rig.i2c(*INA228, CONTINUOUS_4_AVERAGES, 0)
    rig.begin(0)
    return rig


def connected(*loads, **start):
    """Contactor closed, cycler enabled: what the board would do."""
    rig = bench(*loads, **start)
    rig.pin_write(rig.wiring.drive_pin, 1)
    rig.pin_write(rig.wiring.charge_pin, 1)
    rig.pin_write(rig.wiring.discharge_pin, 1)
    rig.every(0, 100_000, lambda at_us: rig.plant.cycler.set_limits(at_us, 1.0, 1.0) is None)
    return rig


def bus_v(rig):
    return (int.from_bytes(rig.i2c(*INA228, VBUS, 3), "big") >> 4) * 195.3125e-6


def test_the_monitor_reads_the_cell():
    rig = bench()
    rig.advance(100_000)
    assert bus_v(rig) == pytest.approx(rig.plant.cells[0].voltage_v, abs=0.002)


def test_what_peek_promises_is_what_a_read_gives_until_then():
    rig = connected(ConstantCurrent(at_s=0.05, current_a=0.5))
    kept = 0
    for now_us in range(1000, 200_000, 700):
        rig.advance(now_us)
        seen = rig.peek(*INA228, VBUS, 3)
        if seen and seen[1] > now_us + 700:
            rig.advance(now_us + 699)
            assert rig.i2c(*INA228, VBUS, 3) == seen[0]
            kept += 1
    assert kept > 50


def test_the_contact_follows_its_coil_late_and_is_seen_at_the_feedback_pin():
    rig = bench()
    rig.advance(100_000)
    rig.pin_write(rig.wiring.drive_pin, 1)
    operate_us = rig.plant.contactor.operate_us
    rig.advance(100_000 + operate_us - 1)
    assert rig.pin_read(rig.wiring.feedback_pin) == 0
    assert rig.pin_peek(rig.wiring.feedback_pin) == (0, 100_000 + operate_us)
    rig.advance(100_000 + operate_us)
    assert rig.pin_read(rig.wiring.feedback_pin) == 1
    assert [event["t_s"] for event in rig.recorder.events_named("contact_moved")] == [(100_000 + operate_us) / 1e6]


def test_a_reset_drops_coil_and_enables():
    rig = connected()
    rig.advance(100_000)
    assert rig.plant.contactor.closed
    rig.on_reset()
    rig.advance(200_000)
    assert not rig.plant.contactor.closed
    assert not rig.plant.cycler.charge_enabled


def test_a_welded_contact_stays_closed():
    rig = connected()
    rig.advance(100_000)
    rig.inject(ContactorWelded(at_s=0.0))
    rig.on_reset()
    rig.advance(200_000)
    assert rig.plant.contactor.closed


def test_a_lost_sensor_does_not_acknowledge_and_comes_back():
    rig = bench()
    rig.schedule(50_000, lambda at_us: rig.inject(SensorLost(at_s=0.0, device="tmp117", for_s=0.1), at_us))
    assert TMP117 in rig.acks()
    rig.advance(60_000)
    assert TMP117 not in rig.acks()
    assert rig.i2c(*TMP117, b"\x00", 2) is None
    assert rig.peek(*TMP117, b"\x00", 2) is None
    rig.advance(151_000)
    assert TMP117 in rig.acks()


def test_a_fault_of_a_device_that_is_not_there_is_an_error():
    rig = bench()
    rig.wiring.kinds.pop("tmp117")
    with pytest.raises(ValueError, match="this board has no tmp117; it has ina228"):
        rig.inject(SensorLost(at_s=0.0, device="tmp117"))


def test_a_stuck_channel_hides_a_collapse():
    rig = bench()
    rig.advance(100_000)
    before_v = bus_v(rig)
    rig.inject(SensorStuck(at_s=0.0, channel="voltage_v"))
    rig.inject(HardShort(at_s=0.0))
    rig.advance(200_000)
    assert bus_v(rig) == pytest.approx(before_v, abs=2 * 195.3125e-6)  # one of the readings that were averaged before
    assert rig.plant.cells[0].voltage_v < 1.0


def test_a_hard_short_crosses_the_register_within_one_conversion_cycle():
    rig = bench()
    rig.schedule(100_000, lambda at_us: rig.inject(HardShort(at_s=0.0), at_us))
    rig.advance(200_000)
    (crossed,) = rig.recorder.events_named("register_crossed")
    assert crossed["row"] == "cell_undervoltage"
    assert 0.1 < crossed["t_s"] <= 0.1 + 2 * 4 * 1130e-6


def test_a_growing_short_ends_at_its_resistance_and_flickers_by_its_seed():
    def bridges(seed):
        rig = bench(seed=seed)
        fault = GrowingShort(
            at_s=0.0,
            rs_from_ohm=100.0,
            rs_to_ohm=10.0,
            over_s=2.0,
            flicker_ohm=1.0,
            flicker_every_s=0.3,
            flicker_s=0.05,
        )
        rig.inject(fault)
        seen = []
        for now_us in range(0, 3_000_000, 10_000):
            rig.advance(now_us)
            seen.append(rig.plant.short_s[0] > 0.5)
        assert rig.plant.short_s[0] == pytest.approx(0.1)
        return seen

    assert bridges(1) == bridges(1)
    assert any(bridges(1))
    assert bridges(1) != bridges(2)


def test_heating_warms_the_room_and_then_the_cell():
    rig = bench()
    rig.inject(Heating(at_s=0.0, ambient_degc=80.0, over_s=1.0))
    rig.advance(20_000_000)
    assert rig.plant.ambient_degc == 80.0
    assert 30.0 < rig.plant.cells[0].surface_degc < 80.0


def test_a_valve_that_is_off_moves_the_stack():
    rig = bench()
    rig.advance(1_000_000)
    before_mpa = rig.plant.cells[0].pressure_mpa
    rig.inject(PressureStep(at_s=0.0, offset_mpa=0.5))
    rig.advance(5_000_000)
    assert rig.plant.cells[0].pressure_mpa == pytest.approx(before_mpa + 0.5, abs=0.08)


def test_how_often_the_board_looks_does_not_change_the_world():
    """Truth rows are the same whether time comes in small or in large steps."""
    hashes = set()
    for step_us in (1700, 50_000):
        rig = connected(ConstantCurrent(at_s=0.1, current_a=0.5))
        now_us = 0
        while now_us < 1_000_000:
            now_us = min(now_us + step_us, 1_000_000)
            rig.advance(now_us)
        hashes.add(rig.recorder.sha256)
    assert len(hashes) == 1


def rig_of(pack, plant, *loads, changes=None, seed=1):
    """Any pack on any plant, every monitor converting, contactor closed and cycler enabled."""
    loaded = load_pack(pack)
    rig = Rig(decode(build_image(loaded)), plant_for(loaded, plant, changes), seed, (0.5, 25.0, 5.0), loads)
    for place in rig._chips:
        if place[1] in (0x40, 0x41):
            rig.i2c(*place, CONTINUOUS_4_AVERAGES, 0)
    rig.begin(0)
    for pin in (rig.wiring.drive_pin, rig.wiring.charge_pin, rig.wiring.discharge_pin):
        rig.pin_write(pin, 1)
    rig.every(0, 100_000, lambda at_us: rig.plant.cycler.set_limits(at_us, 5.0, 5.0) is None)
    return rig


def last(rig, name):
    return rig.recorder.series[name][1][-1]


def seen_v(rig, address):
    return (int.from_bytes(rig.i2c(0, address, VBUS, 3), "big") >> 4) * 195.3125e-6


def test_each_of_two_cells_has_its_monitor_and_its_truth():
    rig = rig_of("li_lpscl_nca_2s", "li_lpscl_nca", ConstantCurrent(at_s=0.1, current_a=0.3))
    rig.inject(SoftShort(at_s=0.0, rs_ohm=2.0, cell=1))
    rig.advance(2_000_000)
    assert seen_v(rig, 0x40) == pytest.approx(last(rig, "true_voltage_v"), abs=0.002)
    assert seen_v(rig, 0x41) == pytest.approx(last(rig, "true_voltage_v[1]"), abs=0.002)
    assert last(rig, "true_voltage_v") - last(rig, "true_voltage_v[1]") > 0.1
    assert (last(rig, "true_leak_a"), last(rig, "true_short_s[1]")) == (0.0, 0.5)
    assert last(rig, "true_leak_a[1]") == pytest.approx(0.5 * last(rig, "true_voltage_v[1]"), rel=0.01)


def test_two_cells_of_one_seed_are_not_alike_and_another_seed_draws_others():
    capacities = [
        [c.capacity_ah for c in rig_of("li_lpscl_nca_2s", "li_lpscl_nca", seed=k).plant.cells] for k in (1, 2)
    ]
    assert len({*capacities[0], *capacities[1]}) == 4


def test_without_a_lead_between_them_one_monitor_sees_both_units():
    rig = rig_of("bipolar_2s", "bipolar_2s", ConstantCurrent(at_s=0.1, current_a=0.05))
    rig.advance(2_000_000)
    units_v = [last(rig, "true_unit_voltage_v"), last(rig, "true_unit_voltage_v[1]")]
    assert last(rig, "true_voltage_v") == pytest.approx(sum(units_v), abs=1e-12)
    assert seen_v(rig, 0x40) == pytest.approx(sum(units_v), abs=0.004)
    assert 7.0 < sum(units_v) < 8.5


def test_a_pack_of_two_cells_is_no_bipolar_package():
    with pytest.raises(ConfigError, match="cells_in_series: got 2; allowed 1: plant bipolar_2s has no lead"):
        plant_for(load_pack("li_lpscl_nca_2s"), "bipolar_2s")


def test_a_filament_of_the_plant_is_told_by_the_plant_when_it_bridges():
    fast = {"filament.growth_per_s": 0.5, "filament.bridge_per_s": 50.0}
    rig = rig_of("li_lpscl_nca", "li_lpscl_nca", ConstantCurrent(at_s=0.1, current_a=0.5), changes=fast)
    rig.advance(6_000_000)
    (bridge, *_) = rig.recorder.events_named("bridge", "plant")
    assert bridge["cell"] == 0
    assert 0.1 < bridge["t_s"] < 6.0
    times_s, shorts_s = rig.recorder.window("true_short_s", 0.0, 6.0)
    first_s = next(t_s for t_s, short_s in zip(times_s, shorts_s, strict=True) if short_s > 0.0)
    assert 0.0 <= first_s - bridge["t_s"] <= 0.1
    assert last(rig, "true_filament_frac") > 0.5
    quiet = rig_of("li_lpscl_nca", "li_lpscl_nca", ConstantCurrent(at_s=0.1, current_a=0.5))
    quiet.advance(6_000_000)
    assert not quiet.recorder.events_named("bridge")


def test_a_changed_figure_that_the_plant_lacks_is_refused():
    for key in ("filament.growht_per_s", "filaments.growth_per_s", "description.value"):
        with pytest.raises(ConfigError, match=key):
            plant_for(load_pack("li_lpscl_nca"), "li_lpscl_nca", {key: 1.0})


def test_a_stalled_regulator_holds_the_stack_and_a_lost_supply_lets_it_go():
    for fault, moved in ((None, 1.0), (RegulatorStalled(at_s=0.0), 0.0), (SupplyLost(at_s=0.0, supply_mpa=3.0), -2.0)):
        rig = bench()
        rig.advance(1_000_000)
        before_mpa = rig.plant.cells[0].pressure_mpa
        if fault is not None:
            rig.inject(fault)
        rig.i2c(*MCP4725, bytes([0x09, 0x9A]), 0)  # 6 MPa
        rig.advance(8_000_000)
        assert rig.plant.cells[0].pressure_mpa - before_mpa == pytest.approx(moved, abs=0.1)


def test_faults_of_a_sensor_reach_its_chip():
    rig = bench()
    rig.advance(100_000)
    before_v = bus_v(rig)
    rig.inject(SensorOffset(at_s=0.0, channel="voltage_v", offset=0.1))
    rig.advance(200_000)
    assert bus_v(rig) == pytest.approx(before_v + 0.1, abs=0.001)
    rig.inject(SensorDropout(at_s=0.0, channel="voltage_v", lost_frac=1.0))
    rig.inject(SensorOffset(at_s=0.0, channel="voltage_v", offset=-0.5))
    rig.advance(300_000)
    assert bus_v(rig) == pytest.approx(before_v + 0.1, abs=0.001)


def test_a_bleed_switch_takes_charge_from_its_cell_alone():
    pack = load_pack("li_lpscl_nca_2s")
    config = decode(build_image(pack))
    rig = Rig(config, plant_for(pack, "li_lpscl_nca"), seed=1, start=(0.9, 25.0, 5.0))
    pins = {cell: pin for pin, cell in rig.wiring.bleed_pins.items()}
    assert set(pins) == {0, 1}
    before = [cell.soc for cell in rig.plant.cells]
    volts = rig.plant.voltage_v(1)
    rig.pin_write(pins[1], 1)
    rig.advance(360_000_000)
    taken_ah = (before[1] - rig.plant.cells[1].soc) * pack.cell.capacity_ah
    assert taken_ah == pytest.approx(0.1 * volts / pack.parameters["bleed_ohm"], rel=0.05)
    assert rig.plant.cells[0].soc == pytest.approx(before[0], abs=1e-5)
    rig.on_reset()
    left = rig.plant.cells[1].soc
    rig.advance(720_000_000)
    assert rig.plant.cells[1].soc == pytest.approx(left, abs=1e-4)
