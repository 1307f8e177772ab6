"""The C that boards run, as a target of the mutation run."""

import sys
from collections.abc import Callable
from pathlib import Path

import c_mutants
import kernel_build

# Twin and kernel from any state and on every bound: enough for a sample, and first in a whole run
SHORT_TESTS = [
    "cffi_kernels/tests/test_parameter_bounds.py",
    "cffi_kernels/tests/test_estimation_any_state.py",
    "cffi_kernels/tests/test_detection_any_state.py",
]
TESTS = [
    *SHORT_TESTS,
    "hil_tests/tests/test_pinned_trials.py",
    "cffi_kernels/tests/test_estimator.py",
    "cffi_kernels/tests/test_estimator_twin.py",
    "cffi_kernels/tests/test_estimator_cells.py",
    "cffi_kernels/tests/test_learning.py",
    "cffi_kernels/tests/test_learning_twin.py",
    "cffi_kernels/tests/test_power.py",
    "cffi_kernels/tests/test_detection_twin.py",
]
# The first pass as long as a broken twin differs from the kernel (a broken kernel does, too); the last looks at names
WITHOUT = "not broken_twin and not on_the_micropython_vm and not places_and_codes"


class KernelTarget:
    """The kernels with all their mutants, built in `folder` and imported in place of the installed ones."""

    def __init__(self, folder: Path) -> None:
        catalogue = c_mutants.Catalogue()
        folder.mkdir(parents=True, exist_ok=True)
        sources = []
        for source in kernel_build.BOARD_SOURCES:
            text = c_mutants.instrumented(source, kernel_build.INCLUDES, kernel_build.BOARD_FILES, catalogue)
            sources.append(folder / source.name)
            sources[-1].write_text(text, encoding="utf-8")
        self.mutants = catalogue.mutants
        names = f"int assb_mutant{{}}; unsigned char assb_reached[{len(self.mutants)}];"
        kernel_build.package(
            folder, sources, ["-O1"], "extern " + names.format("").replace("; u", "; extern u"), names.format(" = -1")
        )
        sys.path.insert(0, str(folder))

    def watch(self, name: str) -> None:
        from assb_kernels._kernels import ffi, lib

        self._reached = ffi.buffer(lib.assb_reached)  # pyright: ignore[reportAttributeAccessIssue]
        self._reached[:] = bytes(len(self._reached))

    def reached(self, name: str) -> set[int]:
        return {number for number, seen in enumerate(bytes(self._reached)) if seen}

    def killer(self, number: int, names: list[str], passes: Callable[[str], bool]) -> int:
        from assb_kernels._kernels import lib

        lib.assb_mutant = number  # pyright: ignore[reportAttributeAccessIssue]
        return next((at for at, name in enumerate(names) if not passes(name)), -1)
