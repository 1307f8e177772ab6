"""Units in series: who stands where, what a cycler sees of each, and what a sensor does after a refusal."""

import math
from dataclasses import replace

import pytest
from assb_kernels import Cycler, CyclerParams, Pack, Sensor, SensorParams, Stack
from assb_kernels.pack import PackMemory


@pytest.mark.parametrize("at", [-1, 1, 1000])
def test_a_cell_in_a_stack_that_is_not_there_is_refused(cell_params, at):
    with pytest.raises(ValueError, match="pack"):
        PackMemory([cell_params] * 2, [Stack()], [0, at])
    with pytest.raises(ValueError, match="stack_of"):
        Pack([cell_params] * 2, [Stack()], [0, at])


@pytest.mark.parametrize("cells", [1, 2, 5])
@pytest.mark.parametrize(("wanted_a", "bound", "unit_v"), [(5.0, "voltage_max_v", 3.9), (-5.0, "voltage_min_v", 3.7)])
def test_a_cycler_holds_the_voltage_of_a_series_at_once(cell_params, cells, wanted_a, bound, unit_v):
    pack = Pack([cell_params] * cells, [Stack()])
    current_a = Cycler(CyclerParams()).step(wanted_a, 1.0, pack, **{bound: cells * unit_v})
    assert 0.05 < abs(current_a) < 5.0
    pack.step(current_a, 1.0)
    assert pack.voltage_v == pytest.approx(cells * unit_v, abs=1e-3 * cells)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize(("wanted_a", "bound", "unit_v"), [(5.0, "unit_max_v", 3.95), (-5.0, "unit_min_v", 3.6)])
def test_a_cycler_that_sees_taps_holds_the_first_unit_wherever_it_stands(cell_params, first, wanted_a, bound, unit_v):
    soc = [0.5] * 3
    soc[first] += 0.05 if wanted_a > 0 else -0.05
    pack = Pack([cell_params] * 3, [Stack()], soc=soc)
    current_a = Cycler(CyclerParams()).step(wanted_a, 1.0, pack, **{bound: unit_v})
    pack.step(current_a, 1.0)
    beyond_v = [(cell.voltage_v - unit_v) * math.copysign(1.0, wanted_a) for cell in pack.cells]
    assert beyond_v[first] == pytest.approx(0.0, abs=1e-3)
    assert all(volts < -0.02 for k, volts in enumerate(beyond_v) if k != first)


@pytest.mark.parametrize("wanted_a", [1.0, -1.0])
def test_each_bound_of_a_cycler_binds_its_own_direction_only(cell_params, wanted_a):
    pack = Pack([cell_params] * 2, [Stack()])
    other = {"unit_min_v": 4.5, "voltage_min_v": 9.0} if wanted_a > 0 else {"unit_max_v": 2.5, "voltage_max_v": 5.0}
    assert Cycler(CyclerParams()).step(wanted_a, 1.0, pack, **other) == wanted_a


def test_after_a_contactor_has_opened_the_current_rises_from_nothing(cell_params):
    pack = Pack([cell_params], [Stack()])
    cycler = Cycler(CyclerParams(slew_a_per_s=1.0))
    assert [cycler.step(0.5, 0.1, pack) for _ in range(5)][-1] == pytest.approx(0.5)
    assert cycler.step(0.5, 0.1, pack, connected=False) == 0.0
    assert cycler.current_a == 0.0
    assert [cycler.step(0.5, 0.1, pack) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_a_refused_reading_does_not_move_the_sensors_clock():
    """256 readings of 1 ms do not reach back 1 s: not by asking again either."""
    sensor = Sensor(SensorParams(delay_s=1.0))
    for k in range(255):
        assert sensor.read(float(k), 1e-3) == 0.0
    taken = 0
    for _ in range(2000):
        try:
            sensor.read(-1.0, 1e-3)
            taken += 1
        except ValueError:
            pass
    assert taken <= 1
    assert sensor.read(-1.0, 0.8) in (51.0, 52.0, 53.0, 54.0, 55.0, 56.0)  # at 1.055 s: the truth of 0.055 s


@pytest.mark.parametrize("dropout_frac", [0.0, 1.0])
def test_a_first_reading_is_of_the_truth_even_where_it_is_stuck(dropout_frac):
    """There is none before it that it could repeat."""
    sensor = Sensor(SensorParams(dropout_frac=dropout_frac))
    sensor.stuck = dropout_frac == 0.0
    assert [sensor.read(truth, 0.1) for truth in (3.7, 3.8, 3.9)] == [3.7] * 3


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *[("rc_tau_s", tuple(bad if k == at else 1.0 for k in range(3))) for at in range(3) for bad in (0.0, -1.0)],
        *[("rc_ohm", tuple(0.0 if k == at else 0.01 for k in range(3))) for at in range(3)],
        ("se_ohm_cm2", -1.0),
        ("contact_ohm_cm2", -1.0),
        ("hysteresis_rate", -1.0),
        ("surface_ambient_w_per_k", -0.1),
        ("contact_exponent", 41.0),
        ("contact_exponent", -41.0),
    ],
)
def test_a_cell_that_physics_does_not_know_is_refused_by_name(cell_params, name, bad):
    with pytest.raises(ValueError, match=rf"cell 0.*{name}"):
        Pack([replace(cell_params, **{name: bad})], [Stack()])


def test_a_cell_without_any_resistance_is_refused(cell_params):
    with pytest.raises(ValueError, match="cell 0"):
        Pack([replace(cell_params, se_ohm_cm2=0.0, contact_ohm_cm2=0.0)], [Stack()])
    one_side = [{"se_ohm_cm2": 0.0}, {"contact_ohm_cm2": 0.0}]
    assert all(Pack([replace(cell_params, **none)], [Stack()]).cells[0].r0_ohm > 0.0 for none in one_side)


@pytest.mark.parametrize("value", [41.0, -41.0])
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("voids", "strip_exponent"),
        ("voids", "heal_exponent"),
        ("filament", "ccd_pressure_exponent"),
        ("filament", "bridge_exponent"),
        ("filament", "creep_exponent"),
    ],
)
def test_a_power_so_large_that_nothing_is_calibrated_by_it_is_refused(cell_params, part, name, value):
    for bad in [(value, 1.0), (1.0, value)] if name == "creep_exponent" else [value]:
        spoiled = replace(getattr(cell_params, part), **{name: bad})
        with pytest.raises(ValueError, match="cell 0"):
            Pack([replace(cell_params, **{part: spoiled})], [Stack()])
