"""Mutants against the tests that reach them, each in a forked copy of one process that has collected the tests."""

import os
import pickle
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import forked_tests
import hypothesis
import pytest
from mutants import Mutant

ROOT = Path(__file__).resolve().parents[3]
ALIVE = ("survived", "not reached")
MOST_TESTS = 250  # that an exit code can tell apart
PROGRESS = 100
EXAMPLES = max(10, round(100 * float(os.environ.get("ASSB_SHARE_OF_CASES", "1"))))  # of each property


class Target(Protocol):
    """What is mutated."""

    mutants: list[Mutant]

    def watch(self, name: str) -> None:
        """In a copy: from now on note what this test reaches."""
        ...

    def reached(self, name: str) -> set[int]:
        """Numbers of the mutants that it reached."""
        ...

    def killer(self, number: int, names: list[str], passes: Callable[[str], bool]) -> int:
        """In a copy: become this mutant and run these tests in order; the place of the first that fails, or -1."""
        ...


class Run:
    """What each test reaches and how long it takes, then each mutant's fate."""

    def __init__(
        self, target: Target, chosen: list[int], jobs: int, budget_s: float, tell: Callable, keep: Callable
    ) -> None:
        self._target, self._chosen, self._jobs, self._budget_s = target, chosen, jobs, budget_s
        self._tell, self._keep = tell, keep
        self._reached: dict[str, set[int]] = {}
        self._usual_s: dict[str, float] = {}
        self._files: dict[
            str, Counter[str]
        ] = {}  # mutants that it reaches and not every other test does, by their file
        self._tried: dict[int, list[str]] = {}
        self._killer: dict[str, str] = {}  # of the latest mutant of a function: it will kill the next one too
        self.fate: dict[int, str] = {}

    def __call__(self, session: forked_tests.Session) -> None:
        self._session = session
        self._measure()
        self._tell(f"{len(self._usual_s)} tests, {sum(self._usual_s.values()):.0f} s of processor time")
        self.fate = {number: "not reached" for number in self._chosen if not self._tests_of(number)}
        for number, fate, code in forked_tests.outcomes(self._tasks(), self._jobs):
            self.fate[number] = fate
            if fate == "failed":
                self._killer[self._target.mutants[number].function] = self._tried[number][min(code, MOST_TESTS) - 1]
            if len(self.fate) % PROGRESS == 0:
                alive = sum(fate in ALIVE for fate in self.fate.values())
                self._tell(f"{len(self.fate)} of {len(self._chosen)} mutants, {alive} alive")
                self._keep(self.told())

    def told(self) -> dict[Mutant, str]:
        return {self._target.mutants[number]: fate for number, fate in self.fate.items()}

    def _measure(self) -> None:
        """Every test, unchanged, in one copy that leaves behind what each reached and the time that it took."""
        with tempfile.NamedTemporaryFile() as note:

            def measured() -> int:
                for name in self._session.items:
                    self._target.watch(name)
                    begun_s = time.process_time()
                    if not self._session.passes(name):
                        Path(note.name).write_bytes(pickle.dumps(name))
                        return forked_tests.FAILED
                    self._usual_s[name] = time.process_time() - begun_s
                    self._reached[name] = self._target.reached(name)
                Path(note.name).write_bytes(pickle.dumps((self._reached, self._usual_s)))
                return forked_tests.PASSED

            [(_, fate, _)] = forked_tests.outcomes(iter([(0, measured)]), 1)
            told = pickle.loads(Path(note.name).read_bytes())
            if fate != "survived":
                raise SystemExit(f"{told} {fate} on unchanged code: mend that first")
            self._reached, self._usual_s = told
        always = set.intersection(*self._reached.values())
        for name, numbers in self._reached.items():
            self._files[name] = Counter(self._target.mutants[number].file for number in numbers - always)

    def _tests_of(self, number: int) -> list[str]:
        """Tests that reach the mutant: the one that killed its neighbour, then those about its file rather than about
        everything, fast ones first, until the budget is spent."""
        mutant = self._target.mutants[number]
        killer = self._killer.get(mutant.function)
        names = [name for name in self._reached if number in self._reached[name]]
        names.sort(key=lambda name: (name != killer, -round(self._share(name, mutant.file), 1), self._usual_s[name]))
        spent_s, kept = 0.0, []
        for name in names:
            spent_s += self._usual_s[name]
            if kept and spent_s > self._budget_s:
                break
            kept.append(name)
        return kept

    def _share(self, name: str, file: str) -> float:
        """How much of what a test reaches is in this file; all of it, where it reaches nothing: it reads tables."""
        files = self._files[name]
        return files[file] / files.total() if files else 1.0

    def _tasks(self) -> Iterator[tuple[int, Callable[[], int]]]:
        for number in self._chosen:
            names = self._tried[number] = self._tests_of(number)
            if names:
                yield number, lambda number=number, names=names: self._try(number, names)

    def _try(self, number: int, names: list[str]) -> int:
        def passes(name: str) -> bool:
            forked_tests.allow_cpu_s(forked_tests.cpu_limit_s(self._usual_s[name]))
            return self._session.passes(name)

        return min(self._target.killer(number, names, passes) + 1, MOST_TESTS)


def choose(mutants: list[Mutant], only: str, sample: int, seed: int) -> list[int]:
    chosen = [number for number, mutant in enumerate(mutants) if only in mutant.place]
    if sample and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))
    return chosen


def run(
    target: Target,
    chosen: list[int],
    tests: list[str],
    without: str,
    jobs: int,
    budget_s: float,
    tell: Callable[[str], None],
    keep: Callable[[dict[Mutant, str]], None],
) -> dict[Mutant, str]:
    """Fate of each mutant: failed, crashed, endless (all of them killed), survived or not reached; `keep` gets what is
    known of them every now and then."""
    if not chosen:
        return {}
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # the first failure will do
    hypothesis.settings.register_profile("mutation", database=None, deadline=None, phases=phases, max_examples=EXAMPLES)
    work = Run(target, chosen, jobs, budget_s, tell, keep)
    quiet = ["-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "ignore", f"--rootdir={ROOT}"]
    options = [*quiet, "--hypothesis-profile=mutation", *(["-k", without] if without else [])]
    code = pytest.main([*options, *(str(ROOT / name) for name in tests)], plugins=[forked_tests.Session(work)])
    if len(work.fate) < len(chosen):
        raise SystemExit(f"the mutation run broke off (pytest ended with {code})")
    return work.told()
