"""Cells in series in their stacks: what a pack adds to its cells, and that batches are steps."""

import math
import random
import threading
from array import array
from dataclasses import replace

import numpy as np
import pytest
from assb_kernels import (
    STATUS_TEXT,
    ActuatorParams,
    AgeingParams,
    CellParams,
    FilamentParams,
    Pack,
    ProtocolStep,
    Stack,
    StackParams,
    TruthEvent,
    VoidParams,
    run_protocol,
)
from assb_kernels.results import RESULTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ANY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)
PISTON = ActuatorParams(kind="pneumatic")
# A cell in which everything happens, and soon: invented figures
RESTLESS = {
    "voids": VoidParams(rate_per_s=0.01, heal_per_s=1e-3, height_um=1.0),
    "filament": FilamentParams(
        ccd_ma_cm2=0.5,
        growth_per_s=1e-3,
        creep_per_s=(1e-5, 1e-6),
        creep_exponent=(1.0, 4.0),
        bridge_per_s=1e-2,
        bridge_exponent=1.0,
        burn_median_j=5.0,
        deepen_per_s=1e-3,
    ),
    "ageing": AgeingParams(calendar_frac_per_rt_day=1e-3, cycle_frac_per_rt_cycle=1e-3),
}


def restless(cell_params: CellParams) -> CellParams:
    return replace(cell_params, **RESTLESS)


def load(seed: int, count: int, largest_a: float = 0.6) -> array:
    """Currents that hold for 1 to 20 samples."""
    rng = random.Random(seed)
    out: list[float] = []
    while len(out) < count:
        out += [rng.uniform(-largest_a, largest_a)] * rng.randint(1, 20)
    return array("d", out[:count])


@ANY
@given(seed=seeds, cells=st.integers(2, 5), actuator=st.sampled_from([ActuatorParams(), PISTON]))
def test_identical_cells_in_stacks_of_their_own_are_one_cell_many_times(cell_params, seed, cells, actuator):
    current = load(seed, 300)
    names = ("soc[0]", "voltage_v[0]", "temperature_degc[0]", "pressure_mpa[0]", "gap_um[0]")
    one = Pack([cell_params], [Stack(actuator=actuator)]).run(current, 0.5, aim_mpa=[6.0], results=names)
    pack = Pack([cell_params] * cells, [Stack(actuator=actuator)] * cells)
    many = pack.run(current, 0.5, aim_mpa=[6.0] * cells, results=(*names, "voltage_v"))
    for name in names:
        assert many[name] == one[name]
    assert list(many["voltage_v"]) == pytest.approx([cells * v for v in one["voltage_v[0]"]], rel=1e-14)
    assert len({(cell.voltage_v, cell.soc, cell.r0_ohm, cell.temperature_degc) for cell in pack.cells}) == 1


def test_the_heights_of_cells_in_one_stack_add_and_they_feel_one_pressure(cell_params):
    soft = StackParams(stiffness_mpa_per_um=0.02, viscous_frac=(0.0, 0.0))
    alone = Pack([cell_params], [Stack(soft)], soc=0.3)
    shared = Pack([cell_params] * 3, [Stack(soft)], soc=0.3)
    for pack in (alone, shared):
        pack.run([0.3] * 1200, 1.0)
    assert shared.stacks[0].height_um == pytest.approx(sum(cell.height_um for cell in shared.cells))
    rise_mpa = alone.stacks[0].pressure_mpa - 5.0
    assert shared.stacks[0].pressure_mpa - 5.0 == pytest.approx(3 * rise_mpa, rel=1e-3)
    assert {cell.pressure_mpa for cell in shared.cells} == {shared.stacks[0].pressure_mpa}


def test_stack_of_says_who_stands_where(cell_params):
    stacks = [Stack(StackParams(stiffness_mpa_per_um=k)) for k in (0.01, 0.05)]
    pack = Pack([cell_params] * 3, stacks, [1, 0, 1], soc=0.3, pressure_mpa=[4.0, 6.0])
    pack.run([0.3] * 100, 1.0)
    by_stack = [sum(pack.cells[k].height_um for k in group) for group in ((1,), (0, 2))]
    assert [stack.height_um for stack in pack.stacks] == pytest.approx(by_stack)
    assert [cell.pressure_mpa for cell in pack.cells] == [pack.stacks[k].pressure_mpa for k in (1, 0, 1)]
    assert pack.stacks[1].pressure_mpa > 6.0 > pack.stacks[0].pressure_mpa > 4.0


def test_cells_of_a_pack_keep_their_own_start_and_sum_their_voltages(cell_params):
    pack = Pack([cell_params] * 2, [Stack()], soc=[0.2, 0.7], temperature_degc=[20.0, 40.0])
    assert [cell.soc for cell in pack.cells] == [0.2, 0.7]
    assert [cell.temperature_degc for cell in pack.cells] == [20.0, 40.0]
    assert pack.voltage_v == sum(cell.voltage_v for cell in pack.cells)
    pack.step(0.3, 10.0)
    assert pack.voltage_v == sum(cell.voltage_v for cell in pack.cells)


def test_a_heater_is_shared_by_all_cells(cell_params):
    one, two = Pack([cell_params], [Stack()]), Pack([cell_params] * 2, [Stack()])
    one.run([0.0] * 600, 1.0, heater_w=2.0)
    two.run([0.0] * 600, 1.0, heater_w=4.0)
    assert one.cells[0].surface_degc > 25.5
    assert [cell.surface_degc for cell in two.cells] == pytest.approx([one.cells[0].surface_degc] * 2)


def test_an_injected_short_drains_its_own_cell_only(cell_params):
    pack = Pack([cell_params] * 2, [Stack()])
    pack.run([0.0] * 600, 1.0, short_s=[0.0, 0.1])
    assert pack.cells[0].soc == 0.5
    assert pack.cells[1].soc < 0.49
    pack.step(0.0, 1.0)
    assert pack.cells[1].short_a == 0.0


@ANY
@given(seed=seeds, actuator=st.sampled_from([ActuatorParams(), PISTON, ActuatorParams(kind="stepper")]))
def test_a_batch_is_its_steps_byte_for_byte(cell_params, seed, actuator):
    current, ambient = load(seed, 400), load(seed + 1, 400, 40.0)
    stack = Stack(StackParams(creep_um_per_s=1e-4), actuator)
    one, many = (Pack([restless(cell_params)] * 2, [stack], seed=seed) for _ in range(2))
    stepped: dict[str, list[float]] = {"voltage_v": [], "soc[1]": [], "pressure_mpa[0]": []}
    for current_a, ambient_degc in zip(current, ambient, strict=True):
        assert one.step(current_a, 3.0, ambient_degc, 0.5, [0.01, 0.0], [6.0]) == 0
        row = (one.voltage_v, one.cells[1].soc, one.stacks[0].pressure_mpa)
        for values, value in zip(stepped.values(), row, strict=True):
            values.append(value)
    out = many.run(current, 3.0, ambient, 0.5, [0.01, 0.0], [6.0], results=stepped)
    assert {name: list(values) for name, values in out.items()} == stepped
    assert many.state_bytes() == one.state_bytes()
    assert many.drain_events() == one.drain_events()


@ANY
@given(seed=seeds, cuts=st.lists(st.integers(1, 399), max_size=6))
def test_cutting_a_batch_changes_no_byte(cell_params, seed, cuts):
    current = np.array(load(seed, 400))
    whole, cut = (Pack([restless(cell_params)], [Stack(actuator=PISTON)], seed=seed) for _ in range(2))
    expected = whole.run(current, 2.0, aim_mpa=[5.5])["voltage_v"]
    pieces = [cut.run(piece, 2.0, aim_mpa=[5.5])["voltage_v"] for piece in np.split(current, sorted(cuts))]
    assert b"".join(piece.tobytes() for piece in pieces) == expected.tobytes()
    assert cut.state_bytes() == whole.state_bytes()


def test_a_reset_pack_is_a_new_one(cell_params):
    used = Pack([restless(cell_params)], [Stack(actuator=PISTON)], seed=1)
    used.run(load(1, 500), 2.0, aim_mpa=[7.0])
    used.reset(0.4, 30.0, 3.0, seed=2)
    fresh = Pack(
        [restless(cell_params)], [Stack(actuator=PISTON)], soc=0.4, temperature_degc=30.0, pressure_mpa=3.0, seed=2
    )
    assert used.drain_events() == []
    for pack in (used, fresh):
        pack.run(load(2, 500), 2.0)
    assert used.state_bytes() == fresh.state_bytes()


def test_a_seed_is_a_history_and_each_cell_has_its_own(cell_params):
    def events(seed: int) -> list[TruthEvent]:
        pack = Pack([restless(cell_params)] * 2, [Stack()], seed=seed)
        pack.run(load(1, 3000), 2.0)
        return pack.drain_events()

    first, again, other = events(1), events(1), events(2)
    assert first == again != other
    by_cell = [[event.time_s for event in first if event.cell == k and event.kind == "bridge"] for k in range(2)]
    assert by_cell[0] and by_cell[1]
    assert by_cell[0] != by_cell[1]


def test_the_truth_log_tells_of_bridges_in_order_and_keeps_all_of_a_long_run(cell_params):
    """Bridges that burn out at once and come back: far more events than C's log has room for."""
    lively = replace(
        RESTLESS["filament"], bridge_per_s=10.0, bridge_exponent=0.0, burn_median_j=1e-3, bridge_median_ohm=500.0
    )
    pack = Pack([replace(cell_params, filament=lively)], [Stack()], seed=3)
    pack.run([0.0] * 4000, 1.0)
    assert pack.event_count > 4096
    events = pack.drain_events()
    assert pack.event_count == 0
    assert [event.time_s for event in events] == sorted(event.time_s for event in events)
    assert sum(event.kind == "bridge" for event in events) > 1000
    assert sum(event.kind == "burn_out" for event in events) > 1000
    assert all(event.value > 0.0 for event in events)
    assert pack.drain_events() == []


def test_events_of_single_steps_are_kept_too(cell_params):
    lively = replace(RESTLESS["filament"], bridge_per_s=10.0, bridge_exponent=0.0, burn_median_j=1e-3)
    stepped, batch = (Pack([replace(cell_params, filament=lively)], [Stack()], seed=3) for _ in range(2))
    for _ in range(2000):
        assert stepped.step(0.0, 1.0) == 0
    batch.run([0.0] * 2000, 1.0)
    assert stepped.drain_events() == batch.drain_events()


@ANY
@given(seed=seeds)
def test_nothing_becomes_nan_and_no_pressure_negative(cell_params, seed):
    rng = random.Random(seed)
    pack = Pack(
        [restless(cell_params)] * 2, [Stack(actuator=PISTON)], soc=rng.random(), pressure_mpa=rng.uniform(0, 20)
    )
    names = [name for name in RESULTS if name not in ("voltage_v", "current_a", "time_s")]
    for _ in range(60):
        out = pack.run(
            [rng.uniform(-2, 2)] * 3,
            rng.choice((0.01, 0.1, 1.0, 10.0, 100.0)),
            rng.uniform(-30, 80),
            rng.uniform(0, 5),
            [rng.choice((0.0, 0.01, 1.0)), 0.0],
            [rng.uniform(0, 20)],
            results=names,
        )
        assert all(map(math.isfinite, (value for column in out.values() for value in column)))
        assert min(out["pressure_mpa"]) >= 0.0


def test_a_long_run_does_not_lose_its_clock(cell_params):
    pack = Pack([cell_params], [Stack()])
    for _ in range(10):
        pack.run(array("d", bytes(8 * 100_000)), 0.1, results=())
    assert pack.time_s == pytest.approx(100_000.0, abs=1e-10)


@pytest.mark.parametrize(
    "bad",
    [
        {"current_a": math.nan},
        {"dt_s": 0.0},
        {"dt_s": math.inf},
        {"ambient_degc": -300.0},
        {"ambient_degc": -250.0},  # only for the second cell, whose place is colder
        {"heater_w": math.nan},
        {"short_s": [0.0, -0.1]},
        {"short_s": [0.0, math.inf]},
        {"aim_mpa": [5.0, math.inf]},
    ],
)
def test_what_one_cell_refuses_leaves_all_of_them_untouched(cell_params, bad):
    colder = replace(cell_params, ambient_offset_k=-50.0)
    pack = Pack([cell_params, colder], [Stack(), Stack(actuator=PISTON)])
    pack.step(0.1, 0.1)
    before = pack.state_bytes()
    status = pack.step(**{"current_a": 0.1, "dt_s": 0.1} | bad)
    assert status < 0
    assert status in STATUS_TEXT
    assert pack.state_bytes() == before


def test_a_refused_batch_says_which_input_and_what_it_was(cell_params):
    pack = Pack([cell_params], [Stack()])
    with pytest.raises(ValueError, match=r"input 2 refused: current .*current_a nan, ambient_degc 30"):
        pack.run([0.1, 0.1, math.nan, 0.1], 1.0, 30.0)
    assert pack.time_s == 2.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"stack_of": [0, 2]}, "needs 2 indices that use each of 2 stacks"),
        ({"stack_of": [0]}, "needs 2 indices"),
        ({"soc": [0.5]}, "soc has 1 values, needs 2"),
        ({"soc": 1.5}, "SOC"),
        ({"pressure_mpa": -1.0}, "pressure"),
        ({"temperature_degc": math.nan}, "temperature"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_start_that_makes_no_sense_says_why(cell_params, arguments, says):
    with pytest.raises(ValueError, match=says):
        Pack([cell_params] * 2, [Stack()] * 2, **arguments)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"capacity_ah": 0.0}, r"cell 1: capacity_ah = 0\.0: not finite"),
        ({"capacity_ah": 0.0, "layers": -1}, r"cell 1: capacity_ah = 0\.0, layers = -1:"),
        ({"rc_ohm": (0.01, math.nan, 0.01)}, r"rc_ohm = \(0.01, nan, 0.01\):"),
        ({"ocv_v": [math.nan] * 129}, "ocv_v = its table:"),
        ({"voids": VoidParams(strip_ma_cm2=-1.0, rate_per_s=1.0)}, r"voids\.strip_ma_cm2 = -1\.0"),
        ({"se_ohm_cm2": 0.0, "contact_ohm_cm2": 0.0}, "two or more together"),
    ],
)
def test_parameters_that_make_no_sense_are_named_with_their_cell(cell_params, bad, says):
    with pytest.raises(ValueError, match=f"parameters of .*{says}"):
        Pack([cell_params, replace(cell_params, **bad)], [Stack()])


def test_packs_that_do_not_fit_together_say_so(cell_params):
    with pytest.raises(ValueError, match="ocv_v has 128 values, needs 129"):
        Pack([replace(cell_params, ocv_v=[3.7] * 128)], [Stack()])
    with pytest.raises(ValueError, match="at least one cell"):
        Pack([], [Stack()])
    with pytest.raises(ValueError, match="3 cells in 2 stacks: say with stack_of"):
        Pack([cell_params] * 3, [Stack()] * 2)


def test_columns_of_several_cells_stand_row_by_row(cell_params):
    pack = Pack([cell_params] * 2, [Stack()] * 2, soc=[0.2, 0.7])
    out = pack.run([0.3] * 5, 1.0, results=("soc", "soc[0]", "soc[1]", "pressure_mpa", "voltage_v", "time_s"))
    table = np.frombuffer(out["soc"]).reshape(5, 2)
    assert table[:, 0].tolist() == list(out["soc[0]"])
    assert table[:, 1].tolist() == list(out["soc[1]"])
    assert len(out["pressure_mpa"]) == 10
    assert list(out["time_s"]) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_float64_buffers_are_read_in_place(cell_params, monkeypatch):
    from assb_kernels import columns

    seen = []
    original = columns.pointer
    monkeypatch.setattr(
        columns, "pointer", lambda buffer, code, **kw: seen.append(buffer) or original(buffer, code, **kw)
    )
    current, ambient = np.full(10, 0.1), array("d", [25.0] * 10)
    Pack([cell_params], [Stack()]).run(current, 1.0, ambient)
    assert any(buffer is current for buffer in seen)
    assert any(buffer is ambient for buffer in seen)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"results": ("voltage",)}, "unknown result voltage; known: voltage_v"),
        ({"results": ("soc[1]",)}, r"soc\[1\]: the pack has 1"),
        ({"results": ("time_s[0]",)}, r"unknown result time_s\[0\]"),
        ({"ambient_degc": [25.0, 25.0]}, "ambient_degc has 2 values, current_a has 3"),
        ({"short_s": [0.0, 0.0]}, "short_s has 2 entries, needs 1"),
        ({"aim_mpa": []}, "aim_mpa has 0 entries, needs 1"),
    ],
)
def test_columns_that_do_not_fit_say_so(cell_params, arguments, says):
    with pytest.raises(ValueError, match=says):
        Pack([cell_params], [Stack()]).run([0.1] * 3, 1.0, **arguments)


def test_numbers_of_numpy_are_numbers(cell_params):
    pack = Pack(
        [cell_params], [Stack()], soc=np.float32(0.5), temperature_degc=np.int64(25), pressure_mpa=np.float64(5)
    )
    pack.run([0.1] * 3, 1.0, np.int64(30), np.float32(0.0), [np.int64(0)], [np.float32(5.0)])
    assert pack.step(np.float64(0.1), 1.0, aim_mpa=np.float32(5.0)) == 0
    assert pack.time_s == 4.0


def test_an_empty_batch_moves_nothing(cell_params):
    pack = Pack([cell_params], [Stack()])
    before = pack.state_bytes()
    assert {name: len(column) for name, column in pack.run([], 1.0).items()}["voltage_v"] == 0
    assert pack.state_bytes() == before


def test_a_pack_does_one_thing_at_a_time(cell_params):
    """C runs without the interpreter's lock: a second thread, or a run's own progress(), would corrupt its memory."""
    pack = Pack([restless(cell_params)] * 50, [Stack()], seed=3)
    refused: list[str] = []

    def runs() -> None:
        try:
            pack.run([0.1] * 3000, 1.0, results=())
        except RuntimeError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=runs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pack.time_s == 3000.0 * (4 - len(refused))
    with pack.turn():
        for call in (
            lambda: pack.step(0.0, 1.0),
            lambda: pack.run([0.0], 1.0),
            lambda: pack.reset(0.5, 25.0, 5.0),
            lambda: run_protocol(pack, [ProtocolStep("rest", until_s=1.0)], dt_s=1.0, every_s=1.0),
        ):
            with pytest.raises(RuntimeError, match="is being run"):
                call()
    assert pack.step(0.0, 1.0) == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"soc": [0.1, 1.5]},
        {"temperature_degc": [50.0, math.nan]},
        {"pressure_mpa": [9.0, -1.0]},
    ],
)
def test_a_refused_reset_changes_nothing(cell_params, bad):
    pack = Pack([restless(cell_params)] * 2, [Stack()] * 2, seed=1)
    pack.run(load(1, 500), 2.0, short_s=[0.01, 0.02])
    before, events = pack.state_bytes(), pack.event_count
    with pytest.raises(ValueError, match="pack reset"):
        pack.reset(**{"soc": 0.3, "temperature_degc": 10.0, "pressure_mpa": 4.0} | bad, seed=7)
    assert pack.state_bytes() == before
    assert (pack.event_count, pack.memory.pack.short_s[1]) == (events, 0.02)


def test_events_are_taken_once_though_ctrl_c_breaks_the_taking_off(cell_params, breaks_off):
    """At every opcode of it."""

    def new() -> Pack:
        made = Pack([restless(cell_params)] * 2, [Stack()], seed=1)
        made.run(load(1, 150), 2.0)
        return made

    expected = new().drain_events()
    assert 3 <= len(expected) <= 30
    broken_off = 0
    for opcode in range(10_000):
        pack = new()
        if not breaks_off(pack.take_events, opcode):
            break
        broken_off += 1
        assert pack.drain_events() == expected
    assert broken_off > 30
