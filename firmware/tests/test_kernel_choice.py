"""The native estimator's face, the golden vector, and the choice between native module and twin.

The module is the host's build of the same C file here; test_natmod.py does the same with the real one.
"""

import ast
import importlib
import sys
from array import array
from pathlib import Path

import assb.estimation
import pytest
from assb import app, start
from assb.estimation import ekf, golden, kernel, parameters
from assb.protocol import schema
from assb_host.link.decoder import Decoder, Frame
from assb_kernels import Estimator
from assb_kernels._kernels import ffi
from bench import Bench
from host_kernel import host_kernel

MODULE, FACE = "assb.estimation.assb_kernel", "assb.estimation.native_ekf"
SAMPLE = (3.7, 0.5, 25.0, 5.0, 0.1)


@pytest.fixture
def native(monkeypatch):
    """Puts a stand-in where the native module would be: native(**changes)."""

    def install(module):
        monkeypatch.delitem(sys.modules, FACE, raising=False)
        monkeypatch.setitem(sys.modules, MODULE, module)
        assb.estimation.assb_kernel = module

    yield lambda **changes: install(host_kernel(**changes))
    sys.modules.pop(FACE, None)
    for name in ("assb_kernel", "native_ekf"):
        vars(assb.estimation).pop(name, None)


def face(native, **changes):
    native(**changes)
    return importlib.import_module(FACE).Ekf


def places(path):
    """{name: number} of the constants in a source file."""
    found = {}
    for node in ast.parse(Path(path).read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            found[node.targets[0].id] = ast.literal_eval(node.value.args[0])
    return found


def test_the_face_reads_the_state_where_the_c_struct_has_it():
    found = places(Path(ekf.__file__).with_name("native_ekf.py"))
    fields = {name: field.offset // 4 for name, field in ffi.typeof("assb_est_f32_state").fields}
    assert found.pop("_STATE_FLOATS") == ffi.sizeof("assb_est_f32_state") // 4
    assert found.pop("_STATES") ** 2 == ffi.sizeof("assb_est_f32_state") // 4 - len(fields) - 5 + 2
    assert found.pop("_LEAK_VAR") == fields["covariance"] + 24
    assert found.pop("_HYSTERESIS_V") == parameters.offset("hysteresis_v")
    assert found == {"_" + name.upper(): fields[name] for name in map(str.lower, (name[1:] for name in found))}


def test_the_face_has_every_public_name_of_the_twin_and_gives_the_same_numbers(native):
    flat = golden.cell()
    twin, fast = ekf.Ekf(flat), face(native)(flat)
    for estimator in (twin, fast):
        golden.run(estimator, 32)
    names = [name for name in (*dir(ekf.Ekf), *vars(twin)) if not name.startswith("_")]
    for name in names:
        value = getattr(fast, name)
        if not callable(value):
            assert value == pytest.approx(getattr(twin, name), rel=2e-3, abs=1e-4), name
    for fast_row, twin_row in zip(fast.covariance(), twin.covariance(), strict=True):
        assert fast_row == pytest.approx(twin_row, rel=1e-3, abs=1e-7)
    assert fast.rested_soc(3.9, 30.0) == pytest.approx(twin.rested_soc(3.9, 30.0), abs=1e-6)


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
    assert golden.state_crc30(estimator.state_bytes()) == golden.STATE_CRC30
    written = (golden.SOC, golden.COVARIANCE_TRACE, golden.INNOVATION_SIGMA_V)
    assert golden.figures(estimator) == pytest.approx(written, rel=1e-7)


def test_the_golden_cell_has_every_row_of_the_filter_and_no_other():
    rows = [line.split(" ")[0] for line in golden.CELL.splitlines()]
    assert rows == [name for name, _count in parameters.ekf_rows()]


def test_golden_cell_and_samples_are_exact_in_single_precision():
    class Recorder:
        def __init__(self):
            self.samples = []
            self.reset = self.step = self.predict = lambda *values: self.samples.extend(values)

    recorder = Recorder()
    golden.run(recorder)
    assert recorder.samples == list(array("f", recorder.samples))
    text = [line.split(" ") for line in golden.CELL.splitlines()]
    for (_, first, *_rest), (name, _count) in zip(text, parameters.ekf_rows(), strict=True):
        assert golden.cell()[parameters.offset(name)] * golden.UNIT == int(first), name


def test_single_and_double_precision_are_within_a_tenth_of_the_twins_tolerance():
    double = Estimator(golden.cell(), "f64")
    golden.run(double)
    soc, trace, sigma_v = golden.figures(double)
    assert abs(soc - golden.SOC) < 0.1 * golden.SOC_TOLERANCE
    assert trace == pytest.approx(golden.COVARIANCE_TRACE, rel=0.1 * golden.RELATIVE_TOLERANCE)
    assert sigma_v == pytest.approx(golden.INNOVATION_SIGMA_V, rel=0.1 * golden.RELATIVE_TOLERANCE)


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


def test_the_twin_runs_where_there_is_no_native_module(native, monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)  # its import raises ImportError
    chosen = kernel.choose()
    assert (chosen.make, chosen.kind, chosen.fault, chosen.why) == (ekf.Ekf, kernel.TWIN, 0, None)


def test_a_native_module_that_is_right_runs_and_the_twin_is_not_imported(native, monkeypatch):
    native()
    monkeypatch.setitem(sys.modules, "assb.estimation.ekf", None)
    chosen = kernel.choose()
    assert (chosen.kind, chosen.fault, chosen.why) == (kernel.NATIVE, 0, "")
    assert chosen.make.__module__ == FACE


def fails(*_arguments):
    raise MemoryError("no room")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"est_predict": lambda *_: 0}, "golden vector is wrong"),
        ({"est_check": lambda _: -6}, "does not work: ValueError"),
        ({"EST_STATE_FLOATS": 7}, "a state of 7 floats"),
        ({"est_reset": fails}, "does not work: MemoryError"),
    ],
)
def test_a_native_module_that_is_wrong_is_told_and_the_twin_runs(native, changes, why):
    native(**changes)
    chosen = kernel.choose()
    assert (chosen.make, chosen.kind, chosen.fault) == (ekf.Ekf, kernel.TWIN, kernel.NATIVE_WRONG)
    assert why in chosen.why


@pytest.mark.parametrize("name", ["STATE_CRC30", "SOC", "COVARIANCE_TRACE", "INNOVATION_SIGMA_V"])
def test_a_golden_figure_that_differs_refuses_the_estimator_it_is_for(native, monkeypatch, name):
    monkeypatch.setattr(golden, name, 1.01 * getattr(golden, name))
    for_native = name == "STATE_CRC30"
    native()
    assert (kernel.choose().kind == kernel.TWIN) == for_native
    monkeypatch.setitem(sys.modules, MODULE, None)
    assert kernel.choose().fault == (0 if for_native else kernel.ALL_WRONG)


MUTANTS = {
    "no settling": ("SETTLING_S", 0.0),
    "another bend weight": ("BEND_WEIGHT", 10.0),
    "another hysteresis variance": ("HYSTERESIS_UNKNOWN", 0.25),
    "decays of the first order": ("one_minus_exp", lambda x: x),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutated_twin_fails_the_golden_vector(native, monkeypatch, mutant):
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr(ekf, *MUTANTS[mutant])
    chosen = kernel.choose()
    assert (chosen.fault, bool(chosen.why)) == (kernel.ALL_WRONG, True)


def test_start_lets_go_of_what_only_the_choice_needed(native, capsys):
    native(est_predict=lambda *_: 0)
    chosen = start.choose_kernel()
    assert chosen.kind == kernel.TWIN
    assert "golden vector is wrong" in capsys.readouterr().out
    assert not {"assb.estimation.golden", MODULE, FACE} & set(sys.modules)
    sys.modules["assb.estimation.golden"] = golden
    assb.estimation.golden = golden


def test_the_faults_of_the_app_are_those_of_the_chooser():
    assert (app._NATIVE_WRONG, app._ALL_WRONG) == (kernel.NATIVE_WRONG, kernel.ALL_WRONG)


def decoded(bench, kind):
    return [item.fields for item in Decoder().feed(bytes(bench.console.wire)) if isinstance(item, Frame) and item.type == kind]


def self_test_codes(bench):
    return [event["a"] for event in decoded(bench, schema.EVENT) if event["event"] == 17]


def test_hello_says_which_estimator_runs():
    for kind in (kernel.TWIN, kernel.NATIVE):
        bench = Bench(kernel=kernel.Kernel(ekf.Ekf, kind, 0, ""))
        assert decoded(bench, schema.HELLO)[0]["estimator"] == kind


def test_a_wrong_native_module_is_an_event_and_no_fault():
    bench = Bench(kernel=kernel.Kernel(ekf.Ekf, kernel.TWIN, kernel.NATIVE_WRONG, "told"))
    bench.run(2000)
    assert (bench.state, self_test_codes(bench)) == ("SAFE", [kernel.NATIVE_WRONG])


def test_an_estimator_without_a_right_golden_vector_locks_the_pack():
    bench = Bench(kernel=kernel.Kernel(ekf.Ekf, kernel.TWIN, kernel.ALL_WRONG, "told"))
    bench.run(2000)
    assert bench.state == "SELFTEST"
    bench.run(5000)
    assert (bench.state, self_test_codes(bench)) == ("LOCKOUT", [kernel.ALL_WRONG])
