"""The cycler of the bench plays its loads against a pack, and obeys the board late but surely."""

import pytest
from assb_hil.cycler import Cycler
from assb_hil.loads import ConstantCurrent, ConstantCurrentVoltage, Drive, Pulse, Rest
from assb_kernels import CellParams, CyclerParams, Pack, Stack

PARAMS = CyclerParams(
    enable_delay_s=0.005, limit_delay_s=0.04, limit_timeout_s=2.0, slew_a_per_s=20.0, current_max_a=5.0
)
STEP_S = 0.01
START_S = 0.1  # by then lines and limits have reached the cycler


class Bench:
    """A cycler on a small cell whose OCV rises from 3 to 4.2 V."""

    def __init__(self, *loads, charge_a=1.0, discharge_a=2.0, soc=0.5):
        cell = CellParams(
            capacity_ah=0.02, ocv_v=[3.0 + 1.2 * k / 128 for k in range(129)], layers=4, layer_area_cm2=22
        )
        self.pack = Pack([cell], [Stack()], soc=soc)
        self.cycler = Cycler(PARAMS, loads)
        self.cycler.charge_enabled = self.cycler.discharge_enabled = True
        self.limits_a = (charge_a, discharge_a)
        self.step_count = 0
        self.voltages_v = []

    def play(self, for_s, connected=True, speaks=True):
        """Currents at every step; the board keeps repeating its limits while it speaks."""
        currents_a = []
        for _ in range(round(for_s / STEP_S)):
            now_us = round(1e6 * (self.step_count * STEP_S - START_S))
            if speaks:
                self.cycler.set_limits(now_us, *self.limits_a)
            currents_a.append(self.cycler.step(now_us, STEP_S, self.pack, connected))
            assert self.pack.step(currents_a[-1], STEP_S) == 0
            self.voltages_v.append(self.pack.voltage_v)
            self.step_count += 1
        return currents_a


def started(*loads, **options):
    bench = Bench(*loads, **options)
    bench.play(START_S)
    return bench


def test_a_later_load_replaces_the_one_before():
    currents_a = started(ConstantCurrent(at_s=0.0, current_a=0.5), Rest(at_s=1.0)).play(2.0)
    assert currents_a[50] == pytest.approx(0.5)
    assert currents_a[-1] == 0.0


@pytest.mark.parametrize(("wanted_a", "allowed_a"), [(0.5, 0.3), (-0.5, -0.2), (0.1, 0.1)])
def test_the_boards_limits_bind_in_both_directions(wanted_a, allowed_a):
    bench = started(ConstantCurrent(at_s=0.0, current_a=wanted_a), charge_a=0.3, discharge_a=0.2)
    assert bench.play(1.0)[-1] == pytest.approx(allowed_a)


def test_without_an_enable_line_no_current_flows_that_way():
    bench = started(ConstantCurrent(at_s=0.0, current_a=0.5))
    assert bench.play(0.5)[-1] == pytest.approx(0.5)
    bench.cycler.charge_enabled = False
    assert bench.play(0.5)[-1] == 0.0


def test_when_the_board_falls_silent_the_cycler_stops_by_itself():
    bench = started(ConstantCurrent(at_s=0.0, current_a=0.5))
    bench.play(0.5)
    assert bench.play(1.9, speaks=False)[-1] == pytest.approx(0.5)
    assert bench.play(0.3, speaks=False)[-1] == 0.0


def test_a_board_that_never_spoke_gets_no_current():
    assert set(Bench(ConstantCurrent(at_s=0.0, current_a=0.5)).play(1.0, speaks=False)) == {0.0}


def test_an_open_contactor_ends_the_current_at_once():
    bench = started(ConstantCurrent(at_s=0.0, current_a=0.5))
    bench.play(0.5)
    assert bench.play(STEP_S, connected=False) == [0.0]


def test_a_charge_is_held_at_its_voltage_and_ends_at_its_cutoff():
    bench = started(ConstantCurrentVoltage(at_s=0.0, current_a=0.2, voltage_max_v=4.0, cutoff_a=0.05), soc=0.7)
    currents_a = bench.play(240.0)
    assert currents_a[100] == pytest.approx(0.2)
    assert max(bench.voltages_v) < 4.0 + 1e-3
    assert any(0.05 < current_a < 0.15 for current_a in currents_a)
    assert currents_a[-1] == 0.0
    assert bench.cycler.finished_us is not None


def test_a_charge_that_the_board_forbids_at_its_ceiling_is_not_finished():
    bench = started(ConstantCurrentVoltage(at_s=0.0, current_a=0.2, voltage_max_v=4.0, cutoff_a=0.05), soc=0.75)
    while bench.voltages_v[-1] < 3.999:
        bench.play(1.0)
    bench.cycler.charge_enabled = False
    bench.play(2.0)
    assert bench.cycler.finished_us is None


def test_pulses_repeat_and_then_rest():
    load = Pulse(at_s=0.0, current_a=-1.0, on_s=1.0, off_s=2.0, count=2)
    assert [load.current_at(t_s) for t_s in (0.5, 1.5, 3.5, 4.5, 6.5)] == [-1.0, 0.0, -1.0, 0.0, 0.0]


def test_a_drive_cycle_joins_its_points_by_straight_lines():
    load = Drive(at_s=0.0, segments=((2.0, -1.0), (2.0, -1.0), (1.0, 0.5)), scale=2.0, repeat=2)
    assert [load.current_at(t_s) for t_s in (1.0, 3.0, 4.5, 6.0, 11.0)] == [-1.0, -2.0, -0.5, -1.0, 0.0]
