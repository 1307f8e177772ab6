"""The fixtures give a live bench, and what they check afterwards can fail."""

import pytest
from assb_hil.faults import SensorLost
from assb_hil.pytest_plugin import demand_health


def test_the_board_finds_its_sensors_and_says_hello(rig, dut):
    dut.run_until(rig.origin_us + 3_000_000)
    assert rig.recorder.hello["cell"] == "li_lpscl_nca"
    voltage_v = rig.recorder.series["voltage_v"][1][-1]
    assert voltage_v == pytest.approx(rig.plant.voltage_v(0), abs=0.005)


@pytest.mark.bench(trips=("voltage_stale", "current_stale"), events=("bus_error",))
def test_a_fault_can_be_injected_by_hand(rig, dut):
    dut.run_until(rig.origin_us + 2_000_000)
    rig.inject(SensorLost(at_s=0.0, device="ina228"))
    dut.run_until(rig.origin_us + 3_000_000)
    assert rig.recorder.events_named("limit_tripped")


def test_an_unexpected_trip_fails_the_test_that_caused_it(hil_session):
    rig, dut = hil_session.rig, hil_session.dut
    dut.run_until(rig.origin_us + 2_000_000)
    rig.inject(SensorLost(at_s=0.0, device="ina228"))
    dut.run_until(rig.origin_us + 3_000_000)
    with pytest.raises(pytest.fail.Exception, match="no unexpected trip: current_stale, voltage_stale"):
        demand_health(hil_session)
    rig.recorder.events[:] = rig.recorder.events_named("boot")  # the fixture judges the rest again
