"""The filter's state is the same bytes from every compiler and flag set, and would not be if FMA were allowed.

Each build is a small program around the kernel's source: parameters and samples in, the state's bytes out.
"""

import platform
import random
import shutil
import subprocess
from array import array
from functools import lru_cache
from pathlib import Path

import pytest
from assb.estimation import flat_layout, parameters
from assb_kernels import Estimator, build_kernels

STEPS = 10_000
RUN_CELLS = ("assb_estimator_cells_narrow.c", "assb_estimator_cells_wide.c")
SOURCES = build_kernels.KERNELS / "src"
# What keeps the bytes, of the flags that the package is built with
CONTRACT_OFF = "-ffp-contract=off"
BASE = ("-std=c99", "-w", "-I" + str(build_kernels.KERNELS / "include"), "-I" + str(SOURCES))
FLAGS = (("-O0",), ("-O2",), ("-O3",), ("-O3", "-march=x86-64-v3"), ("-O2", "-fno-inline", "-funroll-loops"))
NEEDS_V3 = "-march=x86-64-v3"

ONE_CELL = """
#include "assb_estimator.c"
#include <stdio.h>
#include <stdlib.h>
static params_t p;
static state_t s;
int main(int argc, char **argv)
{
    long n = strtol(argv[argc - 1], NULL, 10), half = n / 2;
    real *x = malloc(5 * n * sizeof *x);
    if (fread(&p, sizeof p, 1, stdin) != 1 || fread(x, sizeof *x, 5 * n, stdin) != (size_t)(5 * n))
        return 2;
    ASSB_EST(columns) in = {x, x + n, x + 2 * n, x + 3 * n, x + 4 * n};
    ASSB_EST(results) none = {0};
    if (ASSB_EST(reset)(&p, &s, 0.5, (real)0.1) != ASSB_OK)
        return 3;
    ASSB_EST(run)(&p, &s, &in, &none, half);
    for (long k = half; k < n; k++)
        if (ASSB_EST(feed)(&p, &s, x[k], x[n + k], x[2 * n + k], x[3 * n + k], x[4 * n + k]) != ASSB_OK)
            return 4;
    fwrite(&s, sizeof s, 1, stdout);
    return 0;
}
"""
# Eight cells with the same samples in one block; the last one's bytes
MANY_CELLS = """
#include "assb_estimator_cells.c"
#include <stdio.h>
#include <stdlib.h>
static assb_est_f32_params p;
static assb_est_cells_block block;
static assb_est_f32_state s;
int main(int argc, char **argv)
{
    long n = strtol(argv[argc - 1], NULL, 10);
    float *x = malloc(5 * n * sizeof *x), *wide = malloc(4 * n * ASSB_LANES * sizeof *wide);
    if (fread(&p, sizeof p, 1, stdin) != 1 || fread(&s, sizeof s, 1, stdin) != 1 ||
        fread(x, sizeof *x, 5 * n, stdin) != (size_t)(5 * n))
        return 2;
    for (long k = 0; k < 4 * n * ASSB_LANES; k++)
        wide[k] = x[k / ASSB_LANES];
    for (long cell = 0; cell < ASSB_LANES; cell++)
        assb_est_cells_put(&block, cell, &s);
    long rows = n * ASSB_LANES;
    assb_est_cells_columns in = {wide, wide + rows, wide + 2 * rows, wide + 3 * rows, x + 4 * n};
    assb_est_cells_results none = {0};
    if (assb_est_cells_run(&p, &block, ASSB_LANES, &in, &none, n, argv[1][0] == 'w') != 0)
        return 3;
    assb_est_cells_get(&block, ASSB_LANES - 1, &s);
    fwrite(&s, sizeof s, 1, stdout);
    return 0;
}
"""


def compilers() -> list[str]:
    return [name for name in ("gcc", "clang") if shutil.which(name)] or [name for name in ("cc",) if shutil.which(name)]


BUILDS = [(name, flags) for name in compilers() for flags in FLAGS]
each_build = pytest.mark.parametrize(
    ("compiler", "flags"), BUILDS, ids=[" ".join((name, *flags)) for name, flags in BUILDS]
)
each_precision = pytest.mark.parametrize("precision", ["f32", "f64"])


@lru_cache
def obstacle(compiler: str) -> str | None:
    """Why a build with FMA can't be made by this compiler or run here."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"x86-64-v3 is not for {platform.machine()}"
    asked = " && ".join(f'__builtin_cpu_supports("{name}")' for name in ("fma", "avx2", "bmi2"))
    probe = f"int main(void) {{ return !({asked}); }}"
    out = subprocess.run(
        ["sh", "-c", f'd=$(mktemp -d) && {compiler} -x c - -o "$d/p" && "$d/p"; r=$?; rm -r "$d"; exit $r'],
        input=probe, text=True, capture_output=True, check=False,
    )  # fmt: skip
    if out.returncode:
        return "this processor has no FMA"
    known = subprocess.run(
        [compiler, NEEDS_V3, "-E", "-x", "c", "-"], input="", text=True, capture_output=True, check=False
    )
    return f"{compiler} knows no {NEEDS_V3}" if known.returncode else None


def built(compiler: str, flags: tuple[str, ...], program: str, folder: Path, beside: tuple[str, ...] = ()) -> Path:
    if NEEDS_V3 in flags and (reason := obstacle(compiler)):
        pytest.skip(reason)
    source, target = folder / "program.c", folder / "program"
    source.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [compiler, *BASE, *flags, str(source), *(str(SOURCES / name) for name in beside), "-o", str(target)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


def state_from(program: Path, data: bytes, way: str = "") -> bytes:
    return subprocess.run([str(program), way, str(STEPS)], input=data, capture_output=True, check=True).stdout


def code(precision: str) -> str:
    return "f" if precision == "f32" else "d"


@pytest.fixture(scope="module")
def flat(believed) -> list[float]:
    return flat_layout.pack(believed | {"hysteresis_v": 0.02})


@pytest.fixture(scope="module")
def samples() -> list[list[float]]:
    """Columns of voltage, current, temperature, pressure and time step, from one seed: changing everywhere, and now
    and then a voltage that the gate refuses."""
    rng = random.Random(20)
    current_a = [rng.uniform(-1.0, 1.0) for _ in range(STEPS)]
    voltage_v = [3.8 + 0.1 * i + rng.gauss(0, 0.01) + (0.4 if rng.random() < 0.01 else 0.0) for i in current_a]
    warm_degc = [25 + 15 * (k / STEPS) + rng.uniform(-5, 5) for k in range(STEPS)]
    pressed_mpa = [rng.uniform(1.0, 10.0) for _ in range(STEPS)]
    dt_s = [rng.choice((0.1, 0.1, 0.1, 1.0, 7.3)) for _ in range(STEPS)]
    return [voltage_v, current_a, warm_degc, pressed_mpa, dt_s]


def as_input(precision: str, *parts) -> bytes:
    return b"".join(array(code(precision), part).tobytes() for part in parts)


def installed_state(flat, samples, precision) -> bytes:
    estimator = Estimator(flat, precision)
    estimator.reset(0.5, 0.1)
    out = estimator.run(*[array(code(precision), column) for column in samples], results=("status",))
    assert not any(out["status"])
    return estimator.state_bytes()


@each_precision
@each_build
def test_every_build_gives_the_bytes_of_the_installed_one(flat, samples, compiler, flags, precision, tmp_path):
    program = f"#define ASSB_PRECISION {precision[1:]}\n" + ONE_CELL
    built_one = built(compiler, (*flags, CONTRACT_OFF), program, tmp_path)
    state = state_from(built_one, as_input(precision, flat[: parameters.EKF_SIZE], *samples))
    assert state == installed_state(flat, samples, precision)


@each_build
def test_every_build_of_many_cells_gives_those_bytes(flat, samples, compiler, flags, tmp_path):
    fresh = Estimator(flat, "f32")
    fresh.reset(0.5, 0.1)
    data = as_input("f32", flat[: parameters.EKF_SIZE]) + fresh.state_bytes() + as_input("f32", *samples)
    program = built(compiler, (*flags, CONTRACT_OFF), MANY_CELLS, tmp_path, RUN_CELLS)
    for way in ("wide", "narrow"):
        assert state_from(program, data, way) == installed_state(flat, samples, "f32")


@each_precision
@pytest.mark.parametrize("compiler", compilers())
def test_allowing_fma_breaks_it(flat, samples, compiler, precision, tmp_path):
    program = f"#define ASSB_PRECISION {precision[1:]}\n" + ONE_CELL
    fused = built(compiler, ("-O2", NEEDS_V3, "-ffp-contract=fast"), program, tmp_path)
    state = state_from(fused, as_input(precision, flat[: parameters.EKF_SIZE], *samples))
    expected = installed_state(flat, samples, precision)
    assert len(state) == len(expected)
    assert state != expected
