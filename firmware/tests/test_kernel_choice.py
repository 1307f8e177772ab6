"""The native estimator's face, the golden vector, and the choice between native module and twin.

The module is the host's build of the same C file here; test_natmod.py does the same with the real one.
"""

import ast
import binascii
import importlib
import sys
from array import array
from pathlib import Path

import assb.estimation
import pytest
from assb import app, cells, start
from assb.estimation import ekf, flat_layout, golden, parameters, rested, twin
from assb.protocol import schema
from assb_host.flash.native_kernel import NATIVE
from assb_host.link.decoder import Decoder, Frame
from assb_host.replay.host_kernel import FACE, MODULE, host_kernel, install, uninstall
from assb_kernels import LEARNED_SIZE, Estimator, Learning, Power
from assb_kernels._kernels import ffi
from assb_kernels.estimator import STATES
from assb_kernels.power import BOUNDS
from bench import Bench

SAMPLE = (3.7, 0.5, 25.0, 5.0, 0.1)
# What the twin of learning asks of its filter; the native one finds it in C
FOR_THE_TWIN = ("hysteresis_var", "leak_var", "model_v", "observe_soc", "slope_v", "soc_leak_cov", "soc_var")


@pytest.fixture
def native():
    """Puts a stand-in where the native module would be: native(**changes)."""
    yield lambda **changes: install(host_kernel(**changes))
    uninstall()


def face(native, **changes):
    native(**changes)
    return importlib.import_module(FACE).Ekf


def figures(estimator):
    """(SOC, trace of the covariance, sigma of the last innovation)."""
    trace = sum(row[k] for k, row in enumerate(estimator.covariance()))
    return estimator.soc, trace, estimator.innovation_sigma_v


def places(path):
    """{name: number} of the constants in a source file."""
    found = {}
    for node in ast.parse(Path(path).read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            found[node.targets[0].id] = ast.literal_eval(node.value.args[0])
    return found


def test_the_face_reads_the_state_where_the_c_struct_has_it():
    found = places(Path(ekf.__file__).with_name("kernel.py"))
    fields = {name: field.offset // 4 for name, field in ffi.typeof("assb_est_f32_state").fields}
    assert found.pop("_STATE_FLOATS") == ffi.sizeof("assb_est_f32_state") // 4
    assert found.pop("_STATES") == STATES
    assert found.pop("_LEAK_VAR") == fields["resistance_cross"] - 1  # the covariance's last
    assert found.pop("_HYSTERESIS_V") == parameters.offset("hysteresis_v")
    learned = {name: field.offset // 4 for name, field in ffi.typeof("assb_est_f32_learning").fields}
    assert found.pop("_LEARNED") == LEARNED_SIZE
    assert found.pop("_LEARNING_FLOATS") == ffi.sizeof("assb_est_f32_learning") // 4
    assert parameters.offset("contact_full_mpa") == cells._CONTACT_FULL_MPA
    assert parameters.offset("hot_full_degc") == cells._HOT_FULL_DEGC
    assert found.pop("_RESISTANCE") == learned["resistance_scale"]
    assert found.pop("_RESISTANCE_STEPS") == learned["resistance_steps"]
    assert found.pop("_CAPACITY") == learned["capacity_scale"]
    assert found.pop("_CAPACITY_PAIRS") == learned["capacity_pairs"]
    assert found == {"_" + name.upper(): fields[name] for name in map(str.lower, (name[1:] for name in found))}


def test_the_rested_voltage_finds_its_rows_of_the_layout():
    found = places(rested.__file__)
    assert found.pop("_LAST_KNOT") == parameters.OCV_POINTS - 1
    assert found.pop("_OCV_DEGC") == parameters.offset("ocv_temperature_degc")
    assert found == {name: parameters.offset(name[1:].lower()) for name in found}


def test_the_face_has_every_public_name_of_the_twin_and_gives_the_same_numbers(native):
    flat = golden.cell()
    slow, fast = ekf.Ekf(flat), face(native)(flat)
    for estimator in (slow, fast):
        golden.run(estimator)
    names = [name for name in (*dir(ekf.Ekf), *vars(slow)) if not name.startswith("_") and name not in FOR_THE_TWIN]
    for name in names:
        value = getattr(fast, name)
        if not callable(value):
            assert value == pytest.approx(getattr(slow, name), rel=2e-3, abs=1e-4), name
    for fast_row, twin_row in zip(fast.covariance(), slow.covariance(), strict=True):
        assert fast_row == pytest.approx(twin_row, rel=1e-3, abs=1e-7)
    assert fast.rested_soc(3.9, 30.0) == pytest.approx(slow.rested_soc(3.9, 30.0), abs=1e-6)


def believed():
    """A cell with all groups of the layout."""
    return array("f", flat_layout.pack({
        "capacity_ah": 0.6, "ocv_v": [3.0 + k / 128 for k in range(129)], "r0_temperature_degc": list(range(0, 84, 7)),
        "r0_pressure_mpa": list(range(1, 9)), "r0_ohm": [0.1] * 96, "r1_ohm": [0.01] * 12, "r2_ohm": [0.02] * 12,
        "tau1_s": 2.0, "tau2_s": 60.0, "leak_sigma_a": 0.06, "current_max_a": 5.0, "charge_max_a": 1.0,
        "discharge_max_a": 2.0, "window_min_v": 2.9, "window_max_v": 4.1,
    }))  # fmt: skip


def test_learning_and_limits_have_the_twins_names_and_give_the_hosts_numbers(native):
    native()
    module, flat = importlib.import_module(FACE), believed()
    for name in ("Learning", "Pack", "Power"):
        public = [method for method in dir(getattr(twin, name)) if not method.startswith("_")]
        assert set(public) <= set(dir(getattr(module, name)))
    fast, host = module.Ekf(flat), Estimator(flat, "f32")
    learning, kept = module.Learning(flat, fast), Learning(host)
    for k in range(300):
        sample = (3.5 + 0.001 * (k % 7), 0.3 * (k // 20 % 2), 25.0, 5.0, 1.0)
        assert fast.step(*sample) == kept.step(*sample) == 0
        learning.update(*sample[:3], sample[4])
    assert bytes(learning.state) == kept.state_bytes()
    assert learning.export() == kept.export()
    assert learning.soc_sigma() == pytest.approx(kept.soc_sigma, rel=1e-6)
    (capacity, resistance) = learning.soh()
    assert capacity == pytest.approx((kept.capacity_scale, kept.capacity_sigma, 0, kept.capacity_missing), rel=1e-6)
    assert resistance == pytest.approx(
        (kept.soh_resistance, kept.soh_resistance_sigma, kept.resistance_steps, kept.resistance_missing), rel=1e-6
    )
    assert kept.resistance_steps > 5
    assert not learning.restore(array("f", [-1.0] * LEARNED_SIZE))
    again = module.Learning(flat, fast)
    assert again.restore(learning.export())
    assert again.export() == learning.export()

    power, limits = module.Power(flat), Power(flat, "f32")
    for charging in (True, False):
        assert power.limits(fast, charging, 25.0, 5.0) == 0
        expected = limits.limits(host, charging, 25.0, 5.0)
        assert tuple(power.current_a) == expected.current_a
        assert tuple(power.power_w) == expected.power_w
        assert [code for code in power.bound] == [BOUNDS.index(name) for name in expected.bound]
    before = list(power.current_a)
    assert power.limits(fast, True, float("nan"), 5.0) == -3
    assert list(power.current_a) == before


def test_a_scale_of_resistance_reaches_the_kernel(native):
    fast = face(native)(golden.cell())
    fast.step(*SAMPLE)
    new_ohm = fast.r0_ohm
    fast.resistance_scale = 1.5
    fast.step(*SAMPLE)
    assert fast.r0_ohm == pytest.approx(1.5 * new_ohm, rel=1e-6)


def test_a_refused_sample_leaves_the_native_state_untouched(native):
    fast = face(native)(golden.cell())
    before = bytes(fast.state)
    assert fast.step(float("nan"), *SAMPLE[1:]) == -1
    assert fast.predict(0.5, 25.0, 5.0, -1.0) == -5
    assert fast.reset(1.5, 0.1) == -8
    assert bytes(fast.state) == before


@pytest.mark.parametrize("count", [0, parameters.EKF_SIZE - 1])
def test_parameters_that_are_too_few_are_refused_by_the_module(native, count):
    with pytest.raises(ValueError, match="buffer too short"):
        face(native)(array("f", bytes(4 * count)))


def test_parameters_that_make_no_sense_are_refused(native):
    flat = golden.cell()
    flat[0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        face(native)(flat)


def test_the_golden_figures_are_those_of_the_single_precision_kernel():
    """Wrong after a change of the algorithm: then the command that golden.py names writes them anew."""
    estimator = Estimator(golden.cell(), "f32")
    golden.run(estimator)
    assert binascii.crc32(estimator.state_bytes()) & 0x3FFFFFFF == golden._STATE_CRC30
    written = (golden._SOC, golden._COVARIANCE_TRACE, golden._INNOVATION_SIGMA_V)
    assert figures(estimator) == pytest.approx(written, rel=1e-7)


def test_the_golden_cell_has_every_row_of_the_filter_and_no_other():
    rows = [line.split(" ")[0] for line in golden._CELL.splitlines()]
    assert rows == [name for name, _count in parameters.ekf_rows()]


def test_golden_cell_and_samples_are_exact_in_single_precision():
    class Recorder:
        def __init__(self):
            self.samples = []
            self.reset = self.step = self.predict = lambda *values: self.samples.extend(values)

    recorder = Recorder()
    golden.run(recorder)
    assert recorder.samples == list(array("f", recorder.samples))
    text = [line.split(" ") for line in golden._CELL.splitlines()]
    for (_, first, *_rest), (name, _count) in zip(text, parameters.ekf_rows(), strict=True):
        assert golden.cell()[parameters.offset(name)] * golden._UNIT == int(first), name


def test_single_and_double_precision_are_within_a_tenth_of_the_twins_tolerance():
    double = Estimator(golden.cell(), "f64")
    golden.run(double)
    soc, trace, sigma_v = figures(double)
    assert abs(soc - golden._SOC) < 0.1 * golden._SOC_TOLERANCE
    assert trace == pytest.approx(golden._COVARIANCE_TRACE, rel=0.1 * golden._RELATIVE_TOLERANCE)
    assert sigma_v == pytest.approx(golden._INNOVATION_SIGMA_V, rel=0.1 * golden._RELATIVE_TOLERANCE)


def test_the_golden_vector_reaches_gate_refusals_and_lost_voltages():
    seen = set()

    class Watched(ekf.Ekf):
        def step(self, *sample):
            before = self.leak_a
            status = ekf.Ekf.step(self, *sample)
            inside = self.innovation_v**2 <= 25.0 * self.innovation_var
            seen.add(("step", status, inside if status == 0 else None, self.leak_a != before))
            return status

        def predict(self, *sample):
            seen.add("predict")
            return ekf.Ekf.predict(self, *sample)

    golden.run(Watched(golden.cell()))
    assert "predict" in seen
    assert {entry[1] for entry in seen if entry[0] == "step"} == {0, -1}
    assert {entry[2] for entry in seen if entry[0] == "step" and entry[1] == 0} == {True, False}


def test_what_the_detectors_are_chosen_by_is_seen_by_most_evidences(native):
    native()
    module, available = importlib.import_module(FACE), set()

    class Detector(module.Detector):
        def see_second(self, pack):
            changed = super().see_second(pack)
            available.update(name for name, state in zip(schema.EVIDENCES, self.state, strict=True) if state > 0)
            return changed

    flat = golden.cell()
    estimator, pack = module.Ekf(flat), module.Pack(1)
    golden.watch_cell(estimator, pack, Detector(flat, estimator, pack))
    expected = {"dips", "noise", "missing_charge", "rest_decay", "resistance_drop", "heat", "contact_loss"}
    assert expected <= available
    assert golden.detects(module)


@pytest.fixture
def choice(native):
    """start.choose_kernel, which takes modules out of sys.modules: they come back at the end."""
    yield start.choose_kernel
    for module in (golden, ekf):
        sys.modules[module.__name__] = module
        setattr(assb.estimation, module.__name__.rpartition(".")[2], module)


def test_the_twin_runs_where_there_is_no_native_module(choice, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, MODULE, None)  # its import raises ImportError
    assert choice() == (twin, start._TWIN, 0)
    assert capsys.readouterr().out == ""


def test_a_native_module_that_is_right_runs_and_the_twin_is_not_imported(choice, native, monkeypatch):
    native()
    monkeypatch.setitem(sys.modules, "assb.estimation.ekf", None)
    module, kind, fault = choice()
    assert (module.__name__, kind, fault) == (FACE, start._NATIVE, 0)
    assert {MODULE, FACE} <= set(sys.modules)


def fails(*_arguments):
    raise MemoryError("no room")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"est_predict": lambda *_: 0}, "wrong golden vector"),
        ({"est_check": lambda _: -6}, "not finite"),
        ({"EST_STATE_FLOATS": 7}, "a state of 7 floats"),
        ({"LEARNING_FLOATS": 44}, "learns in 44 floats"),
        ({"power_limits": None}, "power_limits"),
        ({"DETECTION_TOLD_FLOATS": 34}, "tells 34 floats"),
        ({"detection_told": None}, "detection_told"),
        ({"detection_check": lambda _: -6}, "a detection parameter"),
        ({"detection_second": lambda *_: False}, "wrong golden vector"),
        ({"est_reset": fails}, "no room"),
    ],
)
def test_a_native_module_that_is_wrong_is_told_and_the_twin_runs(choice, native, capsys, changes, why):
    native(**changes)
    assert choice() == (twin, start._TWIN, start._NATIVE_WRONG)
    assert why in capsys.readouterr().out


def test_a_native_module_that_does_not_load_is_told_and_the_twin_runs(choice, monkeypatch, capsys):
    class Unloadable:
        def find_spec(self, name, _path=None, _target=None):
            if name == MODULE:
                raise ValueError("incompatible .mpy arch")  # what MicroPython raises

    monkeypatch.setattr(sys, "meta_path", [Unloadable(), *sys.meta_path])
    assert choice() == (twin, start._TWIN, start._NATIVE_WRONG)
    assert "incompatible .mpy arch" in capsys.readouterr().out


def test_what_only_the_choice_needed_is_let_go(choice, native):
    native(est_predict=lambda *_: 0)
    choice()
    assert not {"assb.estimation.golden", "assb.detection.native", MODULE, FACE} & set(sys.modules)


@pytest.mark.parametrize("name", ["_STATE_CRC30", "_SOC", "_COVARIANCE_TRACE", "_INNOVATION_SIGMA_V"])
def test_a_golden_figure_that_differs_refuses_the_estimator_it_is_for(choice, native, monkeypatch, name):
    monkeypatch.setattr(golden, name, 1.01 * getattr(golden, name))
    for_native = name == "_STATE_CRC30"
    native()
    assert (choice()[1] == start._TWIN) == for_native
    sys.modules[golden.__name__] = assb.estimation.golden = golden
    monkeypatch.setitem(sys.modules, MODULE, None)
    assert choice()[2] == (0 if for_native else start._ALL_WRONG)


MUTANTS = {
    "no settling": ("SETTLING_S", 0.0),
    "another bend weight": ("BEND_WEIGHT", 10.0),
    "another hysteresis variance": ("HYSTERESIS_UNKNOWN", 0.25),
    "decays of the first order": ("one_minus_exp", lambda x: x),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutated_twin_fails_the_golden_vector(choice, monkeypatch, mutant):
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr(ekf, *MUTANTS[mutant])
    assert choice()[2] == start._ALL_WRONG


def test_the_faults_and_places_of_the_app_are_those_of_the_choice():
    assert (app._NATIVE_WRONG, app._ALL_WRONG) == (start._NATIVE_WRONG, start._ALL_WRONG)
    assert (app._KIND, app._FAULT) == (1, 2)
    assert (start._TWIN, start._NATIVE) == (0, NATIVE)


def decoded(bench, kind):
    items = Decoder().feed(bytes(bench.console.wire))
    return [item.fields for item in items if isinstance(item, Frame) and item.type == kind]


def self_test_codes(bench):
    return [event["a"] for event in decoded(bench, schema.EVENT) if event["event"] == 17]


def test_hello_says_which_estimator_runs():
    for kind in (start._TWIN, start._NATIVE):
        bench = Bench(kernel=(twin, kind, 0))
        assert decoded(bench, schema.HELLO)[0]["estimator"] == kind


def test_a_wrong_native_module_is_an_event_and_no_fault():
    bench = Bench(kernel=(twin, start._TWIN, start._NATIVE_WRONG))
    bench.run(2000)
    assert (bench.state, self_test_codes(bench)) == ("SAFE", [start._NATIVE_WRONG])


def test_an_estimator_without_a_right_golden_vector_locks_the_pack():
    bench = Bench(kernel=(twin, start._TWIN, start._ALL_WRONG))
    bench.run(2000)
    assert bench.state == "SELFTEST"
    bench.run(5000)
    assert (bench.state, self_test_codes(bench)) == ("LOCKOUT", [start._ALL_WRONG])


def test_beside_a_firmware_in_the_image_the_module_lies_by_itself(choice, native, monkeypatch):
    native()
    monkeypatch.setitem(sys.modules, "assb_kernel", sys.modules.pop(MODULE))
    delattr(assb.estimation, "assb_kernel")
    module, kind, fault = choice()
    assert (module.__name__, kind, fault) == (FACE, start._NATIVE, 0)
