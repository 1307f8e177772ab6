"""The detectors in C and in the firmware's plain Python are two writings of the same equations."""

import importlib
import math
import random
import re
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from assb import detection as package
from assb.detection import detector, observed
from assb.estimation import flat_layout, parameters
from assb.protocol import schema
from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib
from assb_kernels.watch import EVIDENCES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RELATIVE = 1e-9
PACKAGE = Path(package.__file__).parent
CELLS = 3
HELD_V = 3.95
# Everything sooner than it is, so that a short sequence holds several of each; a gap is measured, heat is watched
FAST = {
    "dip_window_s": 60.0, "noise_hold_s": 3.0, "charge_settle_s": 20.0, "rest_window_s": 120.0, "stall_s": 20.0,
    "gap_swelling_um": 250.0, "gap_stiffness_mpa_per_um": 0.05, "plating_watch": 1.0, "heat_j_per_k": 20.0,
    "charge_slope_least_v": 0.05, "tau2_s": 20.0, "hysteresis_v": 0.01,
    "resistance_rise_frac": 0.02,
}  # fmt: skip
STRUCTS = (
    "dips", "noise", "charge", "rest", "tail", "efficiency", "resistance", "stall", "swelling", "heat",
)  # fmt: skip
PARTS = ("deficit", "errors")  # of the twin's MissingCharge: one struct in C
OUTCOME = (
    "stage", "quiet_s", "suspicion", "softness", "likelihood", "carried", "rs_ohm", "rs_low_ohm", "rs_high_ohm",
)  # fmt: skip
OWN = ("current_a", "aim_mpa", "soc_before", "has_soc", "span_s", "sum_v", "sum_a", "counted", "rose")

segments = st.lists(
    st.tuples(
        st.floats(-1.5, 1.5) | st.sampled_from([0.0, 0.0, 0.3, 0.3, -0.3]),  # A
        st.floats(20.0, 30.0) | st.just(25.0),
        st.floats(1.0, 10.0) | st.just(5.0),
        st.sampled_from([5.0, 5.0, 5.0, 6.0]),  # what the press aims at
        st.sampled_from([0.1, 0.1, 1.0, 7.3, 59.0]),
        st.sampled_from([0.0, 0.0, 0.02, -0.02, -0.003, 0.2]),  # off the model
        st.floats(0.0, 0.05) | st.just(0.0),  # leak
        st.sampled_from(["", "", "", "no pressure", "no gap", "blind", "lose", "collapse"]),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=15,
)
variations = st.fixed_dictionaries(
    {
        "capacity_ah": st.floats(0.1, 2.0),
        "coulombic_efficiency_frac": st.floats(0.95, 1.0),
        "entropy_v_per_k": st.floats(-1e-3, 1e-3),
        "dip_sigmas": st.floats(3.0, 8.0),
        "charge_ocv_v": st.floats(1e-4, 0.01),
        "swelling_low": st.floats(0.5, 0.95),
        "plating_watch": st.sampled_from([0.0, 1.0]),
        "gap_swelling_um": st.sampled_from([0.0, 250.0, 250.0]),
        "heat_j_per_k": st.sampled_from([0.0, 20.0]),
        "charge_alone": st.floats(1.0, 3.0),
        "stage_fall_s": st.floats(0.0, 100.0),
    }
)


class StateOfC:
    """The C estimator with what the detectors ask of an Ekf: both see the very same numbers."""

    def __init__(self, kernel: Estimator) -> None:
        self._state = kernel.c_state

    def __getattr__(self, name: str) -> float:
        return self._state.covariance[0] if name == "soc_var" else getattr(self._state, name)


class Both:
    """A pack of cells with detectors in C and in Python beside each other."""

    def __init__(self, flat, seed: int, detector_class=detector.Detector) -> None:
        self.kernels = [Estimator(flat, "f64") for _ in range(CELLS)]
        self.twins = [detector_class(flat, StateOfC(kernel), "d") for kernel in self.kernels]
        self.pack = detector.Pack()
        self.pack.detectors += self.twins
        self.params = self.kernels[0].parameter_group("detection_params")
        self.cell_params = self.kernels[0].c_params
        self.c = ffi.new("assb_est_f64_detection[]", CELLS)
        self.sample = ffi.new("assb_est_f64_detection_sample *")
        self.reference = ffi.new("assb_est_f64_reference *")
        self.noise = random.Random(seed)
        self.ah = flat[0]
        self.soc = [0.4] * CELLS
        self.um = 100.0
        for kernel in self.kernels:
            kernel.reset(0.4, 0.02)
        for k in range(CELLS):
            lib.assb_est_f64_detection_reset(self.c + k)

    def play(self, plan) -> set:
        """(evidence, state) of all that was told on the way."""
        told = set()
        for current_a, degc, mpa, aim_mpa, dt_s, off_v, leak_a, event, length in plan:
            self._lose(event)
            for at in range(length):
                step_degc, step_mpa = degc + 0.001 * at, mpa - 1e-4 * at
                self.um += 250.0 * current_a * dt_s / (3600 * self.ah)
                for k in range(CELLS):
                    self._step(
                        k, (current_a, step_degc, step_mpa, aim_mpa, dt_s), off_v if k else 0.0, leak_a * k, event
                    )
            told |= {(name, self.twins[k].cell.state[at]) for k in range(CELLS) for at, name in enumerate(EVIDENCES)}
        return told

    def _lose(self, event) -> None:
        for k, twin in enumerate(self.twins):
            if event == "lose":
                twin.lose()
                lib.assb_est_f64_detection_lose(self.c + k)
            if event == "collapse":
                news = twin.fusion.collapse()
                twin.fusion.shorted(0.1)
                assert news == lib.assb_est_f64_detection_collapsed(self.c + k, 0.1)

    def _step(self, k, row, off_v, leak_a, event) -> None:
        current_a, degc, mpa, aim_mpa, dt_s = row
        kernel, twin = self.kernels[k], self.twins[k]
        self.soc[k] += (current_a - leak_a) * dt_s / (3600 * self.ah)
        self.soc[k] = min(max(self.soc[k], 0.05), 0.95)
        volts = self._ocv_v(kernel, self.soc[k]) + 1.02 * current_a * kernel.r0_ohm + off_v + self.noise.gauss(0, 5e-4)
        if event == "hold":
            volts = HELD_V + self.noise.gauss(0, 5e-4)
        if event == "blind" or kernel.step(volts, current_a, degc, mpa, dt_s) != 0:
            twin.blind()
            lib.assb_est_f64_detection_blind(self.c + k)
            return
        self._put(k, volts, (current_a, degc, mpa, aim_mpa, dt_s), event)
        where = (self.params, self.cell_params, self.c + k, kernel.c_state, self.sample)
        whole = twin.see_sample()
        assert whole == lib.assb_est_f64_detection_sample_taken(*where)
        if whole:
            self.pack.compare(twin)
            lib.assb_est_f64_detection_reference(self.c, CELLS, k, self.reference)
            changed = twin.see_second(self.pack)
            assert changed == lib.assb_est_f64_detection_second(*where, self.reference)
            self.compare(k)

    @staticmethod
    def _ocv_v(kernel, soc) -> float:
        place = soc * 128
        knot = min(int(place), 127)
        table = kernel.c_params.ocv_v
        return table[knot] + (place - knot) * (table[knot + 1] - table[knot])

    def _put(self, k, volts, row, event) -> None:
        current_a, degc, mpa, aim_mpa, dt_s = row
        values = {
            "voltage_v": volts, "current_a": current_a, "temperature_degc": degc, "pressure_mpa": mpa,
            "gap_um": self.um + self.noise.gauss(0, 0.1), "aim_mpa": aim_mpa, "dt_s": dt_s,
            "has_pressure": event != "no pressure", "has_gap": event != "no gap",
        }  # fmt: skip
        for name, value in values.items():
            setattr(self.twins[k].cell, name, value)
            setattr(self.sample, name, value)

    def compare(self, k) -> None:
        twin, c = self.twins[k], self.c[k]
        for name in STRUCTS:
            same_struct(getattr(twin, name), getattr(c, name), name)
        for member in OUTCOME:
            same(getattr(twin.fusion, member), getattr(c, member), member)
        for member in OWN:
            same(getattr(twin, member), getattr(c, member), member)
        for member in ("since_step_s", "since_move_s", "state", "score"):
            same(getattr(twin.cell, member), getattr(c, member), member)


class Way(NamedTuple):
    """How a member of a C struct is compared with the twin's attribute of the same name."""

    member: str
    part: str  # of the twin, that has it; "": the twin itself
    kind: Literal["numbers", "struct", "structs", "flat"]
    columns: int  # of a struct of doubles that the twin has laid out flat, else 0


_WAYS: dict[tuple, list[Way]] = {}


def ways(twin, struct) -> list[Way]:
    """Looked up once for a class and a struct: they are compared each second of every cell."""
    key = (type(twin), ffi.typeof(struct))
    if key not in _WAYS:
        _WAYS[key] = [way(twin, member, field.type) for member, field in key[1].fields]
    return _WAYS[key]


def way(twin, member, kind) -> Way:
    owners = ("", *(part for part in PARTS if hasattr(twin, part)))
    part = next(
        (part for part in owners if getattr(getattr(twin, part) if part else twin, member, None) is not None), ""
    )
    own = getattr(getattr(twin, part) if part else twin, member, None)
    inner = getattr(kind, "item", kind)
    if inner.kind != "struct":
        return Way(member, part, "numbers", 0)
    if isinstance(own, list):
        return Way(member, part, "structs", 0)
    if kind.kind == "struct":
        return Way(member, part, "struct", 0)
    assert all(field.type.cname == "double" for _, field in inner.fields)
    return Way(member, part, "flat", len(inner.fields))


def same_struct(twin, struct, name) -> None:
    """Members of a C struct and the attributes of the same names."""
    for member, part, kind, columns in ways(twin, struct):
        own, other = getattr(getattr(twin, part) if part else twin, member), getattr(struct, member)
        if kind == "numbers":
            if own != other:
                same(own, other, f"{name}.{member}")
        elif kind == "structs":
            for k, (a, b) in enumerate(zip(own, other, strict=True)):
                same_struct(a, b, f"{name}.{member}[{k}]")
        elif kind == "struct":
            same_struct(own, other, f"{name}.{member}")
        else:
            same(own, ffi.unpack(ffi.cast("double *", other), columns * len(other)), f"{name}.{member}")


def same(own, other, name) -> None:
    if isinstance(own, int | float):
        own, other = [own], [other]
    own, other = list(own), list(other)
    if own == other:  # nearly always
        return
    assert len(own) == len(other), name
    for a, b in zip(own, other, strict=True):
        assert math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-15), f"{name}: {a} in Python, {b} in C"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=segments, variation=variations, seed=st.integers(0, 2**32))
def test_twin_detects_what_the_f64_kernel_detects(believed, plan, variation, seed):
    Both(flat_layout.pack(believed | FAST | variation), seed).play(plan)


def cycles(count: int, leak_a: float, after: int) -> list:
    """Charges that end in a held voltage, rests and discharges by half the capacity, with pulses; the second cell leaks
    from cycle `after` on and makes dips."""
    plan = []
    for number in range(count):
        leaks = leak_a if number >= after else 0.0
        plan += [(0.0, 25.0, 5.0, 5.0, 59.0, 0.0, leaks, "", 30)]
        plan += [(0.3, 25.0, 5.0, 5.0, 10.0, 0.0, leaks, "", 180), (0.3, 25.0, 5.0, 5.0, 0.1, 0.0, leaks, "", 70)]
        for _ in range(4 if leaks else 0):
            plan += [(0.3, 25.0, 5.0, 5.0, 0.1, off_v, leaks, "", 10) for off_v in (-0.03, -0.003, 0.0)]
        plan += [(0.3, 25.0, 5.0, 5.0, 0.1, 0.0, leaks, "", 40), (0.05, 25.0, 5.0, 5.0, 0.1, 0.0, leaks, "", 40)] * 3
        plan += [(0.3, 25.0, 5.0, 5.0, 0.1, 0.02 if leaks else 0.0, leaks, "", 40)]
        plan += [(0.05 + 0.25 * 0.5**k, 25.0, 5.0, 5.0, 40.0, 0.0, leaks, "hold", 3) for k in range(9)]
        plan += [(-0.3, 25.0, 5.0, 5.0, 10.0, 0.0, leaks, "", 230), (-0.3, 25.0, 5.0, 5.0, 0.1, 0.0, leaks, "", 400)]
        for _ in range(2 if leaks else 0):  # jumps the other way
            plan += [(-0.3, 25.0, 5.0, 5.0, 0.1, 0.02, leaks, "", 5), (-0.3, 25.0, 5.0, 5.0, 0.1, 0.0, leaks, "", 20)]
    return plan


def test_a_plan_with_a_leak_makes_every_evidence_speak(believed):
    both = Both(flat_layout.pack(believed | FAST), seed=3)
    told = both.play(cycles(6, 0.02, 3))
    speaking = {name for name, state in told if state >= package.NORMAL}
    assert set(EVIDENCES) - speaking == set()
    assert any(state == package.ACTIVE for _, state in told)


def mutated(old: str, new: str, folder: Path, monkeypatch) -> type:
    """The twin with one thing wrong, in whichever of its files that thing stands: of a copy of the whole package."""
    name = f"mutant_{folder.name}"
    shutil.copytree(PACKAGE.parent, folder / name)
    paths = sorted((folder / name / "detection").glob("*.py"))
    path = next((path for path in paths if old in path.read_text(encoding="utf-8")), None)
    assert path, f"the mutation no longer fits: {old}"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(f"{name}.detection.detector").Detector


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.rose += soc - self.soc_before", "self.rose -= soc - self.soc_before"),
        ("if ages[k] > window_s", "if ages[k] > 2 * window_s"),
        ("_FORGET_S = const(26)", "_FORGET_S = const(52)"),
        ("self.drift_v += cell.slope_v()", "self.drift_v -= cell.slope_v()"),
        ("TRACE_FROM_S = 0.35", "TRACE_FROM_S = 0.15"),
        ("trace_v = self.level_v + self.drift_v - after_v", "trace_v = after_v - self.level_v"),
        ("share(cell.dt_s, SHORT_S)", "share(cell.dt_s, _LONG_S)"),
        ("self.shown_v += 0.5 * (self.slope_then_v + slope_v) * brought", "self.shown_v += slope_v * brought"),
        (" - (table_v - self.table_then_v)", ""),
        ("steady = change_a < steady_a and", "steady ="),
        ("self.higher = (self.excess_v - excess_v) / over_v", "self.higher = (excess_v - self.excess_v) / over_v"),
        ("STEP_KNEE_SHARE * part * cell.slope_v() * moved", "0.0"),
        ("            self.covariance[fast] = max(innovation", "            max(innovation"),
        ("2 * told2)\n            self.lost = True", "2 * told2)"),
        ("            var = var * var / (var - told2)\n", ""),
        (" or abs(strays_v) > STRAYS_V", ""),
        ("            self.usual_v = others.deficit_v\n", ""),
        ("self.learn(leak * (innovation - 0.5 * leak) / var)", "self.learn(leak * innovation / var)"),
        ("unseen = -self.follows[_FAST]", "unseen = self.follows[_FAST]"),
        ("min(max(-beyond, -2), 1)", "min(max(beyond, -2), 1)"),
        ("HIGHER_SHARE * step.higher", "0.0"),
        ("        self.current_step.lose()\n        self._begin_window()", "        self._begin_window()"),
        ("(OHM_LEAST + CUT_MEAN * sigma - higher)", "(OHM_LEAST - higher)"),
        ("            self.measured = max(self.measured, self.highest)", "            pass"),
        ("turn * (sign - self.open_hysteresis)", "turn * sign"),
        ("per * (2 * p[_PER_SOC] + per", "per * (p[_PER_SOC] + per"),
        ("table_v * table_v * (1 - keep * keep)", "table_v * table_v * (1 - keep)"),
        ("walk * walk * hours + changed", "walk * walk * hours"),
        ("1 + _LEAN_MORE * max(abs(self.lean) - 1, 0.0)", "1 + _LEAN_MORE * max(self.lean - 1, 0.0)"),
        ("* (1 - model.driven)", ""),
        ("0.5 * shape_v * shape_v * abs(move.turned)", "0.5 * shape_v * shape_v * move.turned"),
        ("width = max(soc_error, BEND_SOC)", "width = BEND_SOC"),
        ("max(sqrt(cell.ekf.soc_var), SOC_ERROR_LEAST if", "max(cell.ekf.soc_var, SOC_ERROR_LEAST if"),
        ("p[i] = -along", "p[i] = along"),
        ("self.var * abs(self.sigmas) / _CLIP", "self.var"),
        ("p[_ROW[i] + j] -= gain * along[j]", "p[_ROW[i] + j] -= gain * along[i]"),
        ("self.highest = max(self.highest, self._possible(-1))", "self.highest = max(self.highest, self._possible(1))"),
        ("elif self.innovation_v < 0 and", "elif"),
        ("nats = leak_v * (innovation_v - 0.5 * leak_v) / var", "nats = leak_v * innovation_v / var"),
        ("ohm -= h[k] * self.follows[k]", "pass"),
        ("if silent or not test.speaks(DOUBT * nats, alone * nats, nominal_ah)", "if silent"),
        ("            self.errors.lost = True\n            for", "            for"),
        ("OWED_SHARE * OWED_SHARE * owed * owed + lost * lost", "0.0"),
        ("APART_SHARE * max(less, 0.0)", "APART_SHARE * less"),
        ("if below == _LATEST // 2", "if below == 0"),
        ("test.follows[_CHARGE_V] += test.unseen_ohm(cell, errors)", "pass"),
        ("excess_v - self.offset_v)", "excess_v)"),
        ("_OFFSET_HOURS * offset_v * offset_v", "0"),
        ("EVENS_SOC * EVENS_SOC * (above_v * above_v)", "0 * above_v"),
        ("self.more[way] = min(more, self.latest[way])", "self.more[way] = more"),
        ("by_v = RETURN_V / step.slope_v", "by_v = 0.0"),
        ("low, taken = (0, charged) if charged < discharged else (1, discharged)", "low, taken = 0, charged"),
        ("taken / self.over_s[low], self.grows_c[0], self.grows_c[1])", "taken / self.over_s[low], 0.0)"),
        ("before if up else _TENTHS + tenth", "before if up else _TENTHS + before"),
        ("max(self.expected_v / middle_s, floor)", "self.expected_v / middle_s"),
        ("(first * third - second * second)", "(first * third + second * second)"),
        ("self.discharged / (self.charged - (", "self.discharged / (self.charged + ("),
        ("_USUAL_STEPS = const(32)", "_USUAL_STEPS = const(16)"),
        ("self.start_v) / expected_v) / (1 -", "self.start_v) / expected_v) / (2 -"),
        ("_STALLS = const(3)", "_STALLS = const(1)"),
        ("_FALLS = const(2)", "_FALLS = const(1)"),
        ("_HOLDS = const(3)", "_HOLDS = const(1)"),
        ("_LOWS = const(3)", "_LOWS = const(1)"),
        ("min(max(ratio - self.recent, -most), most)", "(ratio - self.recent)"),
        ("if self.recent < 1 - HALF * least else 0.0", ""),
        ("less = 1 - self.ratio if charging", "less = self.ratio - 1 if charging"),
        ("rest.fall_mpa_per_s / most", "-rest.fall_mpa_per_s / most"),
        ("self.start_degc) - self.lost_j)", "self.start_degc) + self.lost_j)"),
        ("self.softness = max(two,", "self.softness = max(electrical,"),
        ("lone / cell.q[_CHARGE_ALONE]", "charge / cell.q[_CHARGE_ALONE]"),
        ("missing.leak_a + missing.leak_sigma_a", "missing.leak_a"),
    ],
)
def test_a_broken_twin_is_found_out(believed, tmp_path, monkeypatch, old, new):
    flat = flat_layout.pack(believed | FAST)
    broken = mutated(old, new, tmp_path, monkeypatch)
    with pytest.raises(AssertionError):
        Both(flat, 3, broken).play(cycles(6, 0.02, 3))


def test_places_and_codes_are_those_of_the_tables():
    rows = [name for name, _count in parameters.detection_rows()]
    found = 0
    for path in set(PACKAGE.glob("*.py")) - {PACKAGE / "native.py"}:
        module = importlib.import_module(f"assb.detection.{path.stem}") if path.stem != "__init__" else package
        for name in re.findall(r"^(_[A-Z0-9_]+) = const\(\d+\)$", path.read_text(encoding="utf-8"), re.M):
            row, value = name[1:].lower(), getattr(module, name)
            if row in rows:
                assert rows[value] == row, f"{path.stem}.{name}"
                found += 1
            elif row in [name for name, _ in parameters.ekf_rows()]:
                assert parameters.offset(row) == value, f"{path.stem}.{name}"
                found += 1
            elif hasattr(lib, "ASSB" + name) and name not in ("_NONE", "_SUSPECT", "_SOFT_SHORT"):
                assert getattr(lib, "ASSB" + name) == value, f"{path.stem}.{name}"
                found += 1
    assert found > 50
    assert len(EVIDENCES) == observed.EVIDENCES == lib.ASSB_EVIDENCES
    assert schema.STAGES.index("hard_short") == lib.ASSB_SHORTED
