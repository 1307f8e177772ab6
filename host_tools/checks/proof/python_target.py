"""The firmware's rules as a target of the mutation run: control/ with its supervisor rows, and the limit rows.

A mutant of a function takes its code's place in the module that the tests have imported. A mutant of a table, or of
a constant, is in force only when the modules are imported again: the copy forgets them and collects the tests anew.
"""

import ast
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import pytest
from mutants import Mutant
from python_mutants import Module, functions

ROOT = Path(__file__).resolve().parents[3]
FIRMWARE = ROOT / "firmware" / "assb"
TABLES = FIRMWARE / "protocol" / "tables.py"
SHORT_TESTS = [
    "firmware/tests/test_reviewed_tables.py",
    "firmware/tests/test_protection.py",
    "firmware/tests/test_supervisor.py",
    "firmware/tests/test_control_edges.py",
    "firmware/tests/test_stack_pressure.py",
    "firmware/tests/test_press_watch.py",
    "firmware/tests/test_balancing.py",
    "firmware/tests/test_low_pass.py",
    "firmware/tests/test_watch_rest.py",
]
TESTS = [*SHORT_TESTS, "firmware/tests/test_rows_in_app.py", "firmware/tests/test_stage_actions.py"]  # of the whole app


class Changed(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds one module, with another text."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self._name, self._path, self._text = name, path, text

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname == self._name:
            return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))
        return None

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, str(self._path), "exec")


class PythonTarget:
    """Every module of control/, and of tables.py the limit rows alone."""

    def __init__(self) -> None:
        modules = [Module(path, f"control/{path.name}") for path in sorted((FIRMWARE / "control").glob("*.py"))]
        modules.append(Module(TABLES, "protocol/tables.py", ("LIMIT_ROWS",)))
        self.mutants: list[Mutant] = []
        self._made: list[tuple[Module, str]] = []
        for module in modules:
            for mutant, text in zip(module.mutants, module.texts, strict=True):
                if module.path != TABLES or mutant.function == "LIMIT_ROWS":
                    self.mutants.append(mutant)
                    self._made.append((module, text))
        self._counter: coverage.Coverage | None = None
        self._functions = {module.path: list(functions(ast.parse(module.source))) for module in modules}

        spans = [self._span(number) for number in range(len(self.mutants))]
        self._always = {number for number, span in enumerate(spans) if span is None}
        self._of_line: dict[str, dict[int, set[int]]] = {}  # mutants of the functions that the line of a file is in
        for number, span in enumerate(spans):
            for line in range(span[1], span[2] + 1) if span else ():
                self._of_line.setdefault(str(self._made[number][0].path), {}).setdefault(line, set()).add(number)

    def watch(self, name: str) -> None:
        if self._counter is None:
            self._counter = coverage.Coverage(data_file=None, include=[str(FIRMWARE / "*")], config_file=False)
            self._counter.start()
        self._counter.switch_context(name)

    def reached(self, name: str) -> set[int]:
        """A function's mutants where one of its lines ran; a table's always: to be read, it need not run."""
        assert self._counter
        data = self._counter.get_data()
        data.set_query_context(name)
        found = set(self._always)
        for file, numbers in self._of_line.items():
            found.update(*(numbers.get(line, ()) for line in data.lines(file) or ()))
        return found

    def _span(self, number: int) -> tuple[str, int, int] | None:
        """The innermost function around a mutant, unless the tables of its module are made by it."""
        line = self.mutants[number].line
        if self.mutants[number].function in self._made[number][0].builders:
            return None
        around = [one for one in self._functions[self._made[number][0].path] if one[1] <= line <= one[2]]
        return min(around, key=lambda one: one[2] - one[1], default=None)

    def killer(self, number: int, names: list[str], passes: Callable[[str], bool]) -> int:
        module, text = self._made[number]
        dotted = ".".join(module.path.relative_to(FIRMWARE.parent).with_suffix("").parts)
        span = self._span(number)
        if span:
            put_code(sys.modules[dotted], span[0], text, module.path)
            return next((at for at, name in enumerate(names) if not passes(name)), -1)
        forget()
        sys.meta_path.insert(0, Changed(dotted, module.path, text))
        trial = Trial(names)
        code = pytest.main([*QUIET, *(str(ROOT / file) for file in trial.files)], plugins=[trial])
        return 0 if code == pytest.ExitCode.INTERRUPTED else trial.killer  # by what could not be collected


QUIET = ["-x", "-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "ignore", "--hypothesis-profile=mutation",
         f"--rootdir={ROOT}"]  # fmt: skip


def forget() -> None:
    """Modules that a changed table may have been copied into: the firmware's and its tests'."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(ROOT / "firmware")):
            del sys.modules[name]


class Trial:
    """These tests in a pytest of its own. A test whose parameters the change has renamed counts as one of them."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.files = dict.fromkeys(name.split("::")[0] for name in names)
        self.killer = -1  # place of the first that failed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        there = {item.nodeid for item in items}
        place = {name: at for at, name in enumerate(self._names)}
        place |= {_function(name): at for name, at in place.items() if name not in there}
        at = {item: place.get(item.nodeid, place.get(_function(item.nodeid), -1)) for item in items}
        items[:] = sorted((item for item in items if at[item] >= 0), key=lambda item: at[item])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.killer < 0:
            self.killer = self._names.index(report.nodeid) if report.nodeid in self._names else 0


def _function(name: str) -> str:
    return name.split("[", maxsplit=1)[0]


def put_code(module: Any, name: str, text: str, path: Path) -> None:
    """The function's code as the changed text has it; whoever has imported the function has the new one."""
    code = compile(text, str(path), "exec")
    owner = module
    for part in name.split("."):
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == part)
        owner = vars(owner)[part]
    function = getattr(owner, "fget", None) or getattr(owner, "__func__", owner)
    function.__code__ = code
