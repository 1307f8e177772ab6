"""The gate on lines and branches: 100 % of the firmware's control, estimation and detection, and of the boards' C.

python host_tools/checks/proof/cover.py [python|kernel]      exit 1 and one line per line or branch that no test takes

What is not covered must stand in uncovered.toml with its reason. Python is counted by coverage.py, C by gcov; a line of
C counts as taken when the build of either precision takes it.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import kernel_build
import kernel_target

ROOT = kernel_build.ROOT
FOLDERS = ("control", "estimation", "detection")
# The fewest test files that take everything: the gate is no second run of all tests
PYTHON_TESTS = [
    "firmware/tests/test_app.py",
    "firmware/tests/test_balancing.py",
    "firmware/tests/test_collapse.py",
    "firmware/tests/test_control_edges.py",
    "firmware/tests/test_estimation_edges.py",
    "firmware/tests/test_kernel_choice.py",
    "firmware/tests/test_press_watch.py",
    "firmware/tests/test_protection.py",
    "firmware/tests/test_returns.py",
    "firmware/tests/test_stack_pressure.py",
    "firmware/tests/test_stage_actions.py",
    "firmware/tests/test_supervisor.py",
    "firmware/tests/test_watch_rest.py",
    *kernel_target.SHORT_TESTS,
    "cffi_kernels/tests/test_estimator_twin.py",
    "cffi_kernels/tests/test_learning_twin.py",
    "cffi_kernels/tests/test_power.py",
    "cffi_kernels/tests/test_detection_twin.py",
]
PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-k", kernel_target.WITHOUT]
REASONS = Path(__file__).with_name("uncovered.toml")


def run_tests(command: list[str], tests: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, *PYTEST, *tests],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the tests of the gate failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")


def python_gaps() -> list[str]:
    """`file:line: text` of each line without a test, and of each line from which a branch is never taken."""
    with tempfile.TemporaryDirectory() as folder:
        settings, report = Path(folder) / "coveragerc", Path(folder) / "report.json"
        include = ",".join(f"firmware/assb/{name}/*" for name in FOLDERS)
        settings.write_text(f"[run]\nbranch = true\ninclude = {include}\ndata_file = {folder}/data\n", encoding="utf-8")
        run_tests(["-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest"], PYTHON_TESTS, {})
        json_report = ["-m", "coverage", "json", "-q", f"--rcfile={settings}", "-o", str(report)]
        subprocess.run([sys.executable, *json_report], cwd=ROOT, check=True)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    seen = {str(path.relative_to(ROOT)) for name in FOLDERS for path in (ROOT / "firmware/assb" / name).glob("*.py")}
    gaps = [f"{name}: never imported" for name in sorted(seen - set(files))]
    for name, found in sorted(files.items()):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        branches = {begin for begin, _end in found["missing_branches"]} - set(found["missing_lines"])
        gaps += [f"{name}:{at}: {lines[at - 1].strip()}" for at in found["missing_lines"]]
        gaps += [f"{name}:{at}: only one way from: {lines[at - 1].strip()}" for at in sorted(branches)]
    return gaps


def kernel_gaps() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kernel_build.package(
            place, kernel_build.BOARD_SOURCES, ["-O0", "--coverage", "-D__attribute__(x)="]
        )  # nothing inlined: each way once
        run_tests(["-m", "pytest"], kernel_target.TESTS, {"PYTHONPATH": folder})
        notes = sorted(str(path) for path in (place / "assb_kernels").glob("*.gcda"))
        if len(notes) != len(kernel_build.BOARD_SOURCES):
            raise SystemExit(f"the tests did not run on the counted kernels: {len(notes)} counts")
        subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", *notes], cwd=place, check=True, capture_output=True
        )
        reports = [json.loads(gzip.decompress(path.read_bytes())) for path in place.glob("*.gcov.json.gz")]
    taken: dict[tuple[str, int], int] = defaultdict(int)
    ways: dict[tuple[str, int], list[int]] = {}
    for report in reports:
        for file in report["files"]:
            name = Path(file["file"]).name
            for line in file["lines"] if name in kernel_build.BOARD_FILES else []:
                place = (name, line["line_number"])
                taken[place] += line["count"]
                counts = [branch["count"] for branch in line["branches"]]
                before = ways.get(place, [0] * len(counts))
                ways[place] = [a + b for a, b in zip(before, counts, strict=False)]
    lines = {name: (kernel_build.KERNELS / "src" / name).read_text(encoding="utf-8").splitlines() for name, _ in taken}
    gaps = []
    for (name, at), count in sorted(taken.items()):
        text = lines[name][at - 1].strip()
        if not count:
            gaps.append(f"{name}:{at}: {text}")
        elif 0 in ways[name, at]:
            gaps.append(f"{name}:{at}: {ways[name, at].count(0)} of {len(ways[name, at])} ways never taken: {text}")
    return gaps


def unexplained(gaps: list[str], reasons: list[dict[str, str]]) -> list[str]:
    """Gaps without a reason, and reasons without a gap."""
    used = set()
    left = []
    for gap in gaps:
        row = next(
            (at for at, row in enumerate(reasons) if gap.startswith(row["file"] + ":") and row["text"] in gap), None
        )
        used.add(row)
        left += [gap] if row is None else []
    return left + [f"{row['file']}: {row['text']}: is covered; take its reason out of {REASONS.name}"
                   for at, row in enumerate(reasons) if at not in used]  # fmt: skip


def main(arguments: list[str]) -> int:
    kinds = {"python": python_gaps, "kernel": kernel_gaps}
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8")) if REASONS.exists() else {}
    found = []
    for kind, gaps in kinds.items():
        if not arguments or kind in arguments:
            found += unexplained(gaps(), reasons.get(kind, []))
    print("\n".join(found) or "every line and branch is taken, or has its reason")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
