"""Bytes into the C that boards run, guided by coverage, under ASan and UBSan: estimator, learning, power, detection.

python host_tools/checks/proof/fuzz.py [--runs N] [--seed N] [INPUT...]     the same runs for the same seed; an INPUT
that broke something is run again. Needs gcc (or clang) with its sanitizers; libFuzzer would need clang.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import kernel_build
from kernel_build import ROOT

sys.path.insert(0, str(ROOT / "firmware"))
from assb.estimation import flat_layout

HERE = Path(__file__).parent / "fuzz"
OUT = ROOT / "out" / "fuzz"
SANITIZERS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
FLAGS = [
    "-O1",
    "-g",
    "-std=gnu99",
    "-ffp-contract=off",
    "-fno-wrapv",
    "-UNDEBUG",
    "-fno-omit-frame-pointer",
    "-w",
    *SANITIZERS,
]
RUNS = 2_000_000


def sound_cell() -> list[float]:
    """A plain cell in the flat layout, which every check takes."""
    ocv_v = [3.2 + 0.9 * k / 128 + 0.1 * (k / 128) ** 2 for k in range(129)]
    return flat_layout.pack({
        "capacity_ah": 0.6, "ocv_v": ocv_v, "r0_temperature_degc": [7.0 * k for k in range(12)],
        "r0_pressure_mpa": [0.5 + 2.0 * k for k in range(8)], "r0_ohm": [0.05] * 96, "r1_ohm": [0.01] * 12,
        "r2_ohm": [0.02] * 12, "tau1_s": 2.0, "tau2_s": 60.0, "leak_sigma_a": 0.05, "current_max_a": 5.0,
        "hysteresis_v": 0.01, "height_sigma_um": 1.0, "swelling_um": 200.0, "gap_swelling_um": 200.0,
        "gap_stiffness_mpa_per_um": 0.05, "heat_j_per_k": 20.0, "plating_watch": 1.0, "charge_settle_s": 20.0,
        "rest_window_s": 60.0, "rest_min_s": 10.0, "rest_full_s": 30.0, "stall_s": 10.0, "dip_window_s": 60.0,
        "charge_slope_least_v": 0.05,
    })  # fmt: skip


def build(folder: Path, *extra: str) -> Path:
    """folder/fuzz, the program."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = ", ".join(map(repr, sound_cell()))
    (folder / "sound.h").write_text(f"static const double sound[] = {{{numbers}}};\n", encoding="utf-8")
    includes = [f"-I{path}" for path in (*kernel_build.INCLUDES, HERE, folder)]
    followed = ["-fsanitize-coverage=trace-pc"]
    parts = [(HERE / "fuzz.c", [])]
    parts += [(source, followed) for source in kernel_build.BOARD_SOURCES]
    objects = []
    for bits in ("32", "64"):
        objects.append(f"fuzz_targets_{bits}.o")
        flags = [*FLAGS, *followed, *extra, f"-DASSB_PRECISION={bits}", *includes]
        kernel_build.run_compiler([*flags, "-c", str(HERE / "fuzz_targets.c"), "-o", objects[-1]], folder)
    for source, flags in parts:
        objects.append(f"{source.stem}.o")
        if (folder / objects[-1]).exists():
            continue  # of the same program with other targets
        kernel_build.run_compiler([*FLAGS, *flags, *includes, "-c", str(source), "-o", objects[-1]], folder)
    kernel_build.run_compiler([*SANITIZERS, *objects, "-o", "fuzz"], folder)
    return folder / "fuzz"


@dataclass
class Outcome:
    """runs, inputs kept, ways through the code; what it said when it broke off, and the input that did it."""

    numbers: dict[str, int]
    complaint: str
    crash: bytes


def run(program: Path, runs: int, seed: int, inputs: list[str] | None = None) -> Outcome:
    inputs = [str(Path(one).resolve()) for one in inputs or []]
    crash = program.with_name("crash")
    if str(crash) not in inputs:
        crash.unlink(missing_ok=True)
    done = subprocess.run(
        [str(program), str(runs), str(seed), str(crash), *inputs],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    numbers = json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}
    return Outcome(numbers, done.stderr if done.returncode else "", crash.read_bytes() if crash.exists() else b"")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("inputs", nargs="*", help="inputs that broke something, to be run again")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    for path in OUT.glob("*.o"):
        path.unlink()
    outcome = run(build(OUT), options.runs, options.seed, options.inputs)
    if outcome.complaint:
        print(f"{outcome.complaint}\nthe input is {OUT / 'crash'}: run it again with `make fuzz ARGS={OUT / 'crash'}`")
        return 1
    print(", ".join(f"{value} {name}" for name, value in outcome.numbers.items()) or "nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
