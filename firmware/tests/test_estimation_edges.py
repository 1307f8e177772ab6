"""What estimation refuses, and the ends that a sequence of samples seldom meets."""

import importlib
import sys
from array import array

import assb.estimation
import pytest
from assb.detection import detector
from assb.estimation import ekf, flat_layout, learning, parameters, rested
from assb.estimation.mean import Means
from assb_host.replay.host_kernel import host_kernel
from bench import estimator_floats
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def faces(monkeypatch):
    """estimation.kernel over the host's build of the native module."""
    module = host_kernel()
    monkeypatch.setitem(sys.modules, "assb.estimation.assb_kernel", module)
    monkeypatch.delitem(sys.modules, "assb.estimation.kernel", raising=False)
    assb.estimation.assb_kernel = module
    yield importlib.import_module("assb.estimation.kernel")
    sys.modules.pop("assb.estimation.kernel", None)
    for name in ("assb_kernel", "kernel"):
        vars(assb.estimation).pop(name, None)


def test_a_mean_takes_sixteen_samples_of_the_largest_current_and_no_more():
    means = Means(1)
    for _ in range(16):
        means.add(0, (1 << 30) - 1)
    means.add(0, 0)
    assert means.take(0, 7) == (1 << 30) - 1
    assert means.take(0, 7) == 7


@given(st.lists(st.integers(-(1 << 30), (1 << 30) - 1), min_size=1, max_size=16))
def test_a_mean_is_within_half_a_unit_of_that_of_its_samples(samples):
    """Nothing smaller is lost: a leak takes microvolts."""
    means = Means(2)
    for sample in samples:
        means.add(0, 0)
        means.add(1, sample)
    assert abs(means.take(1, 7) * len(samples) - sum(samples)) <= len(samples) / 2
    assert means.take(0, 7) == 0


def test_a_row_that_is_unknown_missing_or_of_another_length_is_named():
    values = {name: [0.0] * count for name, count, default in flat_layout.ROWS if default is None and name != "docv_v"}
    assert len(flat_layout.pack(values)) == parameters.SIZE
    with pytest.raises(KeyError, match="unknown: colour"):
        flat_layout.pack(values | {"colour": 1.0})
    with pytest.raises(KeyError, match="missing: capacity_ah"):
        flat_layout.pack({name: value for name, value in values.items() if name != "capacity_ah"})
    with pytest.raises(ValueError, match=r"ocv_v has 3 values, needs 129"):
        flat_layout.pack(values | {"ocv_v": [1.0, 2.0, 3.0], "docv_v": [0.0] * 129})


def test_every_row_has_its_place_and_another_name_has_none():
    at = 0
    for name, count in parameters.rows():
        assert parameters.offset(name) == at
        at += count
    assert at == parameters.SIZE
    assert next(name for name, _ in parameters.detection_rows()) == "rest_c"
    with pytest.raises(KeyError):
        parameters.offset("colour")


def test_the_native_face_forgets_the_kept_time_step_with_a_new_capacity(faces):
    cell = faces.Ekf(estimator_floats())
    cell.reset(0.5, 0.1)
    assert cell.soc_var == pytest.approx(0.01)
    cell.step(3.6, 0.3, 25.0, 5.0, 1.0)
    before = cell.soc
    cell.capacity_scale = 0.5
    cell.predict(0.3, 25.0, 5.0, 1.0)
    assert cell.soc + cell.soc_residual - before == pytest.approx(0.3 / 3600 / 0.3, rel=1e-2)


def test_the_native_learning_restores_only_what_it_exported_and_loses_a_rest(faces):
    cell = faces.Ekf(estimator_floats())
    learned = faces.Learning(estimator_floats(), cell)
    kept = learned.export()
    assert not learned.restore(kept[:-1])
    assert learned.restore(kept)
    for _ in range(3):
        cell.step(3.6, 0.0, 25.0, 5.0, 1.0)
        learned.update(3.6, 0.0, 25.0, 1.0)
    before = array("f", learned.state)
    learned.lose()
    assert learned.state != before
    assert learned.export() == kept
    assert learned.resistance_sigma() > 0


@pytest.mark.parametrize(("name", "face"), [("step_min_c", "Learning"), ("window_min_v", "Power")])
def test_the_native_faces_refuse_parameters_that_make_no_sense(faces, name, face):
    flat = estimator_floats()
    cell = faces.Ekf(estimator_floats())
    flat[parameters.offset(name)] = float("nan")
    with pytest.raises(ValueError, match="parameter"):
        faces.Learning(flat, cell) if face == "Learning" else faces.Power(flat)


def test_a_rested_voltage_is_the_tables_within_its_margins():
    flat = estimator_floats(entropy_v_per_k=0.001, hysteresis_v=0.02)
    assert rested.rested_voltage(flat, 0.5, 25.0) == pytest.approx(3.6)
    assert rested.rested_voltage(flat, -1.0, 25.0) == pytest.approx(3.0)
    assert rested.rested_voltage(flat, 2.0, 35.0) == pytest.approx(4.21)
    low_v, high_v = 3.6 - 1.2 * 0.1 - 0.05, 3.6 + 1.2 * 0.1 + 0.05  # reach of 0.1 SOC, 30 mV margin, 20 mV hysteresis
    for voltage_v, rests in (
        (low_v + 1e-4, True),
        (low_v - 1e-4, False),
        (high_v - 1e-4, True),
        (high_v + 1e-4, False),
    ):
        assert rested.rests_at(flat, voltage_v, 25.0, 0.5, 0.1, 0.03) is rests


def test_the_twin_refuses_another_number_of_parameters_and_of_learned_values():
    with pytest.raises(ValueError, match="takes"):
        ekf.Ekf([1.0, 2.0])
    flat = estimator_floats()
    learned = learning.Learning(flat, ekf.Ekf(flat))
    kept = learned.export()
    assert not learned.restore(kept[:-1])
    assert learned.restore(kept)


def test_the_native_detector_tells_what_the_twin_does_when_it_is_blind_and_when_the_voltage_collapses(faces):
    native = importlib.import_module("assb.detection.native")
    flat = estimator_floats()
    cell = faces.Ekf(flat)
    pack = native.Pack(1)
    face, twin = pack.add(flat, cell), detector.Detector(flat, cell)
    for one in (face, twin):
        one.cell.temperature_degc = 25.0
        one.blind()
        assert one.fusion.collapse()
        assert not one.fusion.collapse()
        one.fusion.shorted(0.5)
    for name in ("stage", "rs_ohm", "rs_low_ohm", "rs_high_ohm", "carried"):
        assert getattr(face, name) == getattr(twin.fusion, name)
    assert face.confidence() == pytest.approx(twin.fusion.confidence())
    assert (face.total, face.depth_v, face.ages) == (twin.dips.total, twin.dips.depth_v, twin.dips.ages)
    assert face.loop_ohm() == pytest.approx(twin.cell.loop_ohm())
    sys.modules.pop("assb.detection.native", None)
