"""Many cells at once are each the same bytes as a cell alone, with whichever instructions, refused samples included."""

import math
import random
from array import array

import pytest
from assb.estimation import ekf, flat_layout
from assb_kernels import CellEstimators, Estimator
from cases import so_many
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

odd = st.sampled_from([math.nan, math.inf, -math.inf, 1e30])
voltage = st.floats(3.3, 4.3) | st.floats(2.0, 5.0) | odd
current = st.floats(-1.0, 1.0) | st.floats(-12.0, 12.0) | st.just(0.0) | odd
temperature = st.floats(15.0, 35.0) | st.floats(-45.0, 125.0) | odd
pressure = st.floats(3.0, 7.0) | st.floats(-2.0, 60.0) | odd


@settings(max_examples=so_many(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), count=st.integers(1, 19), dt_s=st.sampled_from([0.1, 1.0, 10.0, 59.0, 1e-6, 0.0, math.nan]))
def test_each_cell_has_the_bytes_of_a_cell_alone(believed, data, count, dt_s):
    flat = flat_layout.pack(believed | {"hysteresis_v": 0.02})
    rows = data.draw(st.integers(1, 6))
    start = [data.draw(st.floats(0.0, 1.0)) for _ in range(count)]
    columns = [
        array("f", data.draw(st.lists(kind, min_size=rows * count, max_size=rows * count)))
        for kind in (voltage, current, temperature, pressure)
    ]
    steps = array("f", [dt_s if k % 3 == 2 else 0.5 for k in range(rows)])
    groups = [CellEstimators(flat, count, wide=wide) for wide in (True, False)]
    outcomes = []
    for group in groups:
        group.reset(start, [0.1] * count)
        outcomes.append(group.run(*columns, steps, results=("soc", "leak_var", "status")))
    for cell in range(count):
        alone = Estimator(flat, "f32")
        alone.reset(start[cell], 0.1)
        own = alone.run(*[values[cell::count] for values in columns], steps, results=("soc", "leak_var", "status"))
        for group, outcome in zip(groups, outcomes, strict=True):
            assert group.state_bytes(cell) == alone.state_bytes()
            for name, values in own.items():
                assert outcome[name][cell::count].tobytes() == values.tobytes()


def test_an_hour_of_a_pack_is_an_hour_of_its_cells(believed):
    flat, rng, count, rows = flat_layout.pack(believed), random.Random(4), 11, 3600
    currents = [0.5 * math.sin(k / 9.0) + 0.2 * math.sin(k / 71.0) for k in range(rows)]
    load = array("f", [value for value in currents for _ in range(count)])
    measured = array("f", [3.8 + 0.2 * i + rng.gauss(0, 0.002) for i in load])
    warm = array("f", [25.0 + 0.5 * cell + 0.001 * k for k in range(rows) for cell in range(count)])
    group = CellEstimators(flat, count)
    group.run(measured, load, warm, 5.0, array("f", [1.0]) * rows, results=())
    alone = Estimator(flat, "f32")
    for cell in (0, 7, 10):
        alone.reset(0.5, 1.0)
        alone.run(measured[cell::count], load[cell::count], warm[cell::count], 5.0, array("f", [1.0]) * rows)
        assert group.state_bytes(cell) == alone.state_bytes()
    assert group.state_bytes(0) != group.state_bytes(10)


def test_what_makes_no_sense_is_refused(believed):
    flat = flat_layout.pack(believed)
    with pytest.raises(ValueError, match="at least one"):
        CellEstimators(flat, 0)
    group = CellEstimators(flat, 3)
    before = [group.state_bytes(k) for k in range(3)]
    with pytest.raises(ValueError, match="2 SOC and 3 sigmas for 3 cells"):
        group.reset([0.5, 0.5], [0.1] * 3)
    with pytest.raises(ValueError, match="SOC"):
        group.reset([0.5, 0.5, 1.5], [0.1] * 3)
    with pytest.raises(ValueError, match="5 values"):
        group.run(array("f", [3.8] * 5), 0.0, 25.0, 5.0, [1.0, 1.0])
    assert [group.state_bytes(k) for k in range(3)] == before
    out = group.run(array("f", [3.8, math.nan, 3.8]), 0.0, 25.0, 5.0, [1.0])
    assert list(out["status"]) == [ekf._OK, ekf._BAD_VOLTAGE, ekf._OK]
    assert group.state_bytes(1) == before[1]
