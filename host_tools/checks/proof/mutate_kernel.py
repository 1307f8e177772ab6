"""Mutation run over the C that boards run: every mutant of c_mutants.py against the tests that reach it."""

import mmap
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import c_mutants
import forked_tests
import kernel_build
import pytest
from c_mutants import Mutant
from kernel_build import ROOT

TESTS = [
    "cffi_kernels/tests/test_detection_any_state.py",
    "cffi_kernels/tests/test_estimation_any_state.py",
    "cffi_kernels/tests/test_estimator.py",
    "cffi_kernels/tests/test_estimator_twin.py",
    "cffi_kernels/tests/test_estimator_cells.py",
    "cffi_kernels/tests/test_learning.py",
    "cffi_kernels/tests/test_learning_twin.py",
    "cffi_kernels/tests/test_power.py",
    "cffi_kernels/tests/test_detection_twin.py",
]
# They pass as long as a broken twin differs from the kernel: a broken kernel does, too
NOT_TESTS = "not broken_twin and not on_the_micropython_vm"
CONTROL = "int assb_mutant; unsigned char assb_reached[];"


def build(folder: Path) -> list[Mutant]:
    """The instrumented kernels as folder/assb_kernels; its mutants."""
    catalogue = c_mutants.Catalogue()
    folder.mkdir(parents=True, exist_ok=True)
    sources = []
    for source in kernel_build.BOARD_SOURCES:
        text = c_mutants.instrumented(source, kernel_build.INCLUDES, kernel_build.BOARD_FILES, catalogue)
        sources.append(folder / source.name)
        sources[-1].write_text(text, encoding="utf-8")
    count = len(catalogue.mutants)
    kernel_build.package(
        folder,
        sources,
        ["-O1"],
        f"int assb_mutant; unsigned char assb_reached[{count}];",
        f"int assb_mutant = -1; unsigned char assb_reached[{count}];",
    )
    return catalogue.mutants


class Run:
    """What each test reaches and how long it takes, then each mutant's fate."""

    def __init__(self, chosen: list[int], mutants: list[Mutant], jobs: int, budget_s: float, tell: Callable) -> None:
        self._chosen, self._mutants, self._jobs, self._budget_s, self._tell = chosen, mutants, jobs, budget_s, tell
        self._reached: dict[str, bytes] = {}
        self._usual_s: dict[str, float] = {}
        self.fate: dict[int, str] = {}

    def __call__(self, session: forked_tests.Session) -> None:
        from assb_kernels._kernels import ffi, lib

        self._ffi, self._lib = ffi, lib
        self._session = session
        self._measure()
        self._tell(f"{len(self._usual_s)} tests, {sum(self._usual_s.values()):.0f} s of processor time")
        unreached = [number for number in self._chosen if not self._tests_of(number)]
        self.fate = dict.fromkeys(unreached, "not reached")
        for number, fate, _seconds in forked_tests.outcomes(self._tasks(), self._jobs):
            self.fate[number] = fate
            if len(self.fate) % 200 == 0:
                alive = sum(fate in ("survived", "not reached") for fate in self.fate.values())
                self._tell(f"{len(self.fate)} of {len(self._chosen)} mutants, {alive} alive")

    def _measure(self) -> None:
        """Every test once, unchanged, in a fork that leaves behind what it reached and the time it took."""
        count = len(self._mutants)
        shared = mmap.mmap(-1, count + 8)
        for name in self._session.items:
            shared.seek(0)

            def measured(name: str = name) -> int:
                self._ffi.buffer(self._lib.assb_reached)[:] = bytes(count)
                begun_s = time.process_time()
                passed = self._session.passes(name)
                shared[:count] = bytes(self._ffi.buffer(self._lib.assb_reached))
                shared[count:] = int(1e6 * (time.process_time() - begun_s)).to_bytes(8, "little")
                return forked_tests.PASSED if passed else forked_tests.FAILED

            [(_, fate, _)] = forked_tests.outcomes(iter([(0, measured)]), 1)
            if fate != "survived":
                raise SystemExit(f"{name} {fate} on the unchanged kernels, instrumented: mend that first")
            self._reached[name] = shared[:count]
            self._usual_s[name] = int.from_bytes(shared[count:], "little") / 1e6

    def _tests_of(self, number: int) -> list[str]:
        """Tests that reach the mutant, fast ones first, until the budget is spent."""
        names = sorted((name for name in self._reached if self._reached[name][number]), key=self._usual_s.__getitem__)
        spent_s, kept = 0.0, []
        for name in names:
            spent_s += self._usual_s[name]
            if kept and spent_s > self._budget_s:
                break
            kept.append(name)
        return kept

    def _tasks(self) -> Iterator[tuple[int, Callable[[], int]]]:
        for number in self._chosen:
            names = self._tests_of(number)
            if names:
                yield number, lambda number=number, names=names: self._try(number, names)

    def _try(self, number: int, names: list[str]) -> int:
        self._lib.assb_mutant = number
        for name in names:
            forked_tests.allow_cpu_s(forked_tests.cpu_limit_s(self._usual_s[name]))
            if not self._session.passes(name):
                return forked_tests.FAILED
        return forked_tests.PASSED


def run(folder: Path, sample: int, seed: int, jobs: int, budget_s: float, only: str, tests: list[str], tell: Callable) -> dict[Mutant, str]:
    """Fate of each mutant: failed, crashed, endless (all of them killed), survived or not reached."""
    mutants = build(folder)
    chosen = [number for number, mutant in enumerate(mutants) if only in mutant.place]
    if sample:
        chosen = sorted(random.Random(seed).sample(chosen, min(sample, len(chosen))))
    tell(f"{len(mutants)} mutants of the kernels, {len(chosen)} to be tried")
    sys.path.insert(0, str(folder))
    work = Run(chosen, mutants, jobs, budget_s, tell)
    options = ["-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-k", NOT_TESTS, "--hypothesis-profile=mutation", f"--rootdir={ROOT}"]
    code = pytest.main([*options, *(str(ROOT / name) for name in tests or TESTS)], plugins=[forked_tests.Session(work)])
    if not work.fate and chosen:
        raise SystemExit(f"no test ran (pytest ended with {code})")
    return {mutants[number]: fate for number, fate in work.fate.items()}
