"""The kernel's own exp, log and pow: as exact as they claim, and the same bytes whoever compiles them."""

import ctypes
import math
import random
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from assb_kernels import build_kernels

INCLUDE = Path(__file__).resolve().parent.parent / "include"
FACE = """
#include "assb_math.h"
double face_exp(double x) { return assb_exp(x); }
double face_expm1(double x) { return assb_expm1(x); }
double face_log(double x) { return assb_log(x); }
double face_pow(double x, double y) { return assb_pow(x, y); }
double face_mean_decay(double x) { return assb_mean_decay(x); }
double face_exp_near(assb_near *near, double x) { return assb_exp_near(near, x); }
double face_log_near(assb_near *near, double x) { return assb_log_near(near, x); }
"""


class Near(ctypes.Structure):
    _fields_ = (("at", ctypes.c_double), ("value", ctypes.c_double))


def built(folder: Path, *flags: str) -> ctypes.CDLL:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on PATH: apt install gcc")
    source, target = folder / "face.c", folder / f"face{'_'.join(flags)}.so"
    source.write_text(FACE, encoding="utf-8")
    include = f"-I{INCLUDE}"
    args = [*(a for a in build_kernels.COMPILE_ARGS if "visibility" not in a), *flags, "-shared", "-fPIC", include]
    subprocess.run([compiler, *args, str(source), "-o", str(target)], check=True, capture_output=True)
    lib = ctypes.CDLL(str(target))
    for name in ("exp", "expm1", "log", "pow", "mean_decay"):
        function = getattr(lib, f"face_{name}")
        function.restype = ctypes.c_double
        function.argtypes = [ctypes.c_double] * (2 if name == "pow" else 1)
    for name in ("exp_near", "log_near"):
        function = getattr(lib, f"face_{name}")
        function.restype, function.argtypes = ctypes.c_double, [ctypes.POINTER(Near), ctypes.c_double]
    return lib


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> ctypes.CDLL:
    return built(tmp_path_factory.mktemp("math"))


def exact_exp(x: float) -> Fraction:
    """By the series after halving: independent of any library's exp."""
    halvings = max(0, math.frexp(x)[1] + 8)
    small = Fraction(x) / 2**halvings
    term = total = Fraction(1)
    for k in range(1, 14):
        term = term * small / k
        total += term
    for _ in range(halvings):
        total = shortened(total * total)
    return total


def shortened(value: Fraction, bits: int = 240) -> Fraction:
    """Rounded: exact fractions double their digits at each squaring."""
    shift = bits - (value.numerator.bit_length() - value.denominator.bit_length())
    return Fraction(round(value * Fraction(2) ** shift)) / Fraction(2) ** shift


def off(got: float, exact: Fraction) -> float:
    return abs(float((Fraction(got) - exact) / exact))


def test_exp_and_expm1_are_within_4e_16(face):
    rng = random.Random(1)
    for _ in range(1500):
        x = rng.uniform(-30, 30)
        assert off(face.face_exp(x), exact_exp(x)) < 4e-16
        x = rng.choice((-1, 1)) * 10 ** rng.uniform(-9, 1)
        assert off(face.face_expm1(x), exact_exp(x) - 1) < 4e-16


def test_log_is_within_4e_16(face):
    """Against the exact exp: ln y = x + (y e^-x - 1) to first order at x = log y."""
    rng = random.Random(2)
    for _ in range(1500):
        y = rng.choice((10 ** rng.uniform(-6, 6), 1 + rng.uniform(-0.01, 0.01)))
        x = face.face_log(y)
        error = float(Fraction(y) / exact_exp(x) - 1)
        assert abs(error) < 4e-16 * abs(x)


def test_pow_is_within_1e_15_where_the_plant_uses_it(face):
    rng = random.Random(3)
    for _ in range(500):
        x, numerator = 10 ** rng.uniform(-2, 2), rng.randint(-8, 8)
        root = Fraction(face.face_pow(x, numerator / 4)) ** 4
        exact = Fraction(x) ** numerator
        limit = 1e-15 * max(1.0, abs(numerator / 4 * math.log(x)) / 4)
        assert abs(float((root - exact) / exact)) / 4 < limit


def test_mean_decay_is_the_mean_of_a_decay(face):
    for x in (1e-12, 1e-6, 0.01, 0.0199, 0.0201, 0.3, 5.0, 100.0):
        exact = (1 - exact_exp(-x)) / Fraction(x)
        assert off(face.face_mean_decay(x), exact) < 8e-16
    assert face.face_mean_decay(0.0) == 1.0


def test_short_series_near_the_last_value_is_as_exact_as_the_full_evaluation(face):
    rng = random.Random(4)
    exponent, logarithm = Near(0, 0), Near(0, 0)
    x, y = 0.0, 5.0
    for _ in range(3000):
        x += rng.gauss(0, 2e-3)
        y *= 1 + rng.gauss(0, 2e-3)
        assert face.face_exp_near(exponent, x) == pytest.approx(face.face_exp(x), rel=1e-15)
        assert face.face_log_near(logarithm, y) == pytest.approx(face.face_log(y), rel=4e-16, abs=4e-16)


def test_nothing_becomes_infinite_or_nan(face):
    for x in (math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0, -0.0, 5e-324):
        for function in (face.face_exp, face.face_expm1, face.face_log):
            assert math.isfinite(function(x))
        near = Near(0, 0)
        assert math.isfinite(face.face_exp_near(near, x))
        assert math.isfinite(face.face_exp_near(near, 0.1))
    assert face.face_exp(0.0) == 1.0
    assert face.face_log(1.0) == 0.0


@pytest.mark.parametrize("flags", [("-O0",), ("-O3",), ("-O3", "-march=native")])
def test_same_bytes_from_every_build(face, flags, tmp_path):
    """-march=native has FMA where the machine has it: it must not be used."""
    other = built(tmp_path, *flags)
    rng = random.Random(5)
    for _ in range(5000):
        x, y = rng.uniform(-20, 20), 10 ** rng.uniform(-5, 5)
        assert other.face_exp(x) == face.face_exp(x)
        assert other.face_log(y) == face.face_log(y)
        assert other.face_expm1(x / 50) == face.face_expm1(x / 50)
