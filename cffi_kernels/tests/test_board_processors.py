"""Estimator and detectors in single precision keep the same bytes on boards' processors as here, 10 000 steps long.

identity/replay.c is compiled without a C library for this machine and, where a cross compiler and qemu-user are
installed, for the boards' processors. It takes the place of the native module, whose sources it shares.
"""

import platform
import random
import shutil
import subprocess
import sys
from array import array
from functools import cache
from pathlib import Path

import pytest
from assb.estimation import golden, parameters
from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib

KERNELS = Path(__file__).resolve().parent.parent
SOURCES = [
    KERNELS / path
    for path in (
        "natmod/assb_memory.c", "src/assb_estimator_f32.c", "src/assb_learning_f32.c", "src/assb_detection_f32.c",
        "tests/identity/replay.c",
    )
]  # fmt: skip
FLAGS = [
    "-std=c99", "-ffp-contract=off", "-ffreestanding", "-nostdlib", "-static", "-fno-stack-protector",
    "-Wall", "-Wextra", f"-I{KERNELS / 'include'}", f"-I{KERNELS / 'src'}",
]  # fmt: skip
STEPS = 10_000
START = (0.6, 0.1)  # SOC and its sigma
# name → compiler, flags, emulator
M0, M3 = ["-O2", "-mthumb", "-mcpu=cortex-m0"], ["-O2", "-mthumb", "-mcpu=cortex-m3"]
M4F = ["-O2", "-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
BUILDS = {
    "this machine": ("gcc", ["-O1"], None),
    "armv6m, soft float": ("arm-none-eabi-gcc", M0, "qemu-arm"),
    "armv7m, soft float": ("arm-none-eabi-gcc", M3, "qemu-arm"),
    "armv7emsp, FPU": ("arm-none-eabi-gcc", M4F, "qemu-arm"),
    "rv32imc, soft float": ("riscv64-unknown-elf-gcc", ["-O2", "-march=rv32imac", "-mabi=ilp32"], "qemu-riscv32"),
}

on_linux_x64 = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="replay.c knows the system calls of Linux"
)


def samples():
    """Every regime in turn: rest, charge, drive, far from the estimate, bad voltages; steps of 50 ms to 2 s."""
    draw = random.Random(4)
    rows = array("f")
    for k in range(STEPS):
        amplitude_a = (0.0, 0.6, 2.0)[k // 500 % 3]
        voltage_v = 9.0 if k % 97 == 0 else 3.75 + draw.gauss(0.0, 0.02) + (0.4 if k % 1000 < 20 else 0.0)
        temperature_degc, pressure_mpa = draw.uniform(-10, 70), draw.uniform(0, 12)
        current_a = draw.uniform(-amplitude_a, amplitude_a)
        rows.extend((voltage_v, current_a, temperature_degc, pressure_mpa, draw.choice((0.05, 0.1, 0.1, 2.0))))
    return rows


@cache
def expected():
    """(input, output) of a replay, the output from the library that this Python loaded."""
    rows = samples()
    estimator = Estimator(golden.cell(), "f32")
    estimator.reset(*array("f", START))
    detectors, status = Detectors(estimator), bytearray()
    for k in range(STEPS):
        sample = rows[5 * k : 5 * k + 5]
        status.append(estimator.step(*sample) & 0xFF)
        detectors.see(status[-1] == 0, *sample)
    flat = golden.cell()
    thresholds = flat[parameters.SIZE - parameters.DETECTION_SIZE :]
    given = flat[: parameters.EKF_SIZE].tobytes() + thresholds.tobytes() + array("f", START).tobytes() + rows.tobytes()
    return given, bytes(status) + estimator.state_bytes() + bytes(ffi.buffer(detectors.kept))


class Detectors:
    """Those of one cell, which aims at the pressure that it has."""

    def __init__(self, estimator):
        self.kept = ffi.new("assb_est_f32_detection *")
        self._sample = ffi.new("assb_est_f32_detection_sample *")
        self._reference = ffi.new("assb_est_f32_reference *")
        thresholds = estimator.parameter_group("detection_params")
        self._where = (thresholds, estimator.c_params, self.kept, estimator.c_state, self._sample)
        lib.assb_est_f32_detection_reset(self.kept)

    def see(self, taken, voltage_v, current_a, degc, mpa, dt_s):
        if not taken:
            lib.assb_est_f32_detection_blind(self.kept)
            return
        self._sample[0] = (voltage_v, current_a, degc, mpa, 0.0, mpa, dt_s, 1.0, 0.0)
        if lib.assb_est_f32_detection_sample_taken(*self._where):
            lib.assb_est_f32_detection_reference(self.kept, 1, 0, self._reference)
            lib.assb_est_f32_detection_second(*self._where, self._reference)


def replayed(folder, compiler, flags, emulator=None):
    """Output of replay.c, compiled so; skips where compiler or emulator are not there."""
    for tool in filter(None, (compiler, emulator)):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    program = folder / "replay"
    libraries = [] if emulator is None else ["-lgcc"]
    command = [compiler, *FLAGS, *flags, *map(str, SOURCES), *libraries, "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    run = [emulator, str(program)] if emulator else [str(program)]
    done = subprocess.run(run, input=expected()[0], capture_output=True, check=True, timeout=120)
    return done.stdout


@on_linux_x64
@pytest.mark.parametrize("name", BUILDS)
def test_the_processors_of_boards_give_the_same_bytes(tmp_path, name):
    assert replayed(tmp_path, *BUILDS[name]) == expected()[1]


def test_the_replayed_samples_reach_every_status_and_both_sides_of_the_gate():
    given, output = expected()
    assert set(output[:STEPS]) == {0, 0xFF}
    assert len(given) == 4 * (parameters.EKF_SIZE + parameters.DETECTION_SIZE + len(START) + 5 * STEPS)
