"""The kernels built once more in a folder of their own: instrumented or counted, for a run of their tests."""

import importlib.util
import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

from cffi import FFI

ROOT = Path(__file__).resolve().parents[3]
KERNELS = ROOT / "cffi_kernels"


def file_module(path: Path) -> ModuleType:
    """Not as a part of its package, which would load the kernels that are installed."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_kernels = file_module(KERNELS / "assb_kernels" / "build_kernels.py")
INCLUDES = [KERNELS / "include", KERNELS / "src"]
# What runs on boards: the filter, power limits, learning and detection, in both precisions
BOARD_SOURCES = [
    KERNELS / "src" / f"assb_{name}_f{bits}.c"
    for name in ("estimator", "learning", "pressure_soc", "detection")
    for bits in (32, 64)
]
BOARD_FILES = {
    "assb_estimator.c",
    "assb_estimator_core.h",
    "assb_estimator_slow.h",
    "assb_power.c",
    "assb_learning.c",
    "assb_pressure_soc.c",
    "assb_detection.c",
    "assb_fusion.h",
    "assb_deficit.h",
    "assb_current_step.h",
    "assb_leak_test.h",
    "assb_charge_errors.h",
    *(path.name for path in (KERNELS / "src").glob("assb_evidence_*.h")),
}
OTHER_SOURCES = [
    KERNELS / "src" / name for name in build_kernels.SOURCES if KERNELS / "src" / name not in BOARD_SOURCES
]
FLAGS = ["-std=c99", "-ffp-contract=off", "-fPIC", "-w"]


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        raise SystemExit("no C compiler on PATH: apt install gcc")
    return found


def run_compiler(arguments: list[str], folder: Path) -> None:
    done = subprocess.run([compiler(), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the kernels' build in {folder} failed:\n{done.stderr[-4000:]}")


def package(folder: Path, watched: list[Path], flags: list[str], declarations: str = "", extra: str = "") -> None:
    """folder/assb_kernels with `watched` compiled with `flags` and everything else plainly. `declarations` and `extra`
    are added to the cffi module and to its C text."""
    place = folder / "assb_kernels"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(
        KERNELS / "assb_kernels", place, ignore=shutil.ignore_patterns("_*.so", "_*.c", "_*.o", "__pycache__")
    )
    ffi = FFI()
    ffi.cdef(build_kernels.cdef() + declarations)
    ffi.set_source("assb_kernels._kernels", build_kernels.PREAMBLE + extra)
    ffi.emit_c_code(str(place / "_kernels.c"))
    includes = [f"-I{path}" for path in (*INCLUDES, sysconfig.get_path("include"))]
    run_compiler([*FLAGS, "-O1", "-c", *includes, str(place / "_kernels.c"), *map(str, OTHER_SOURCES)], place)
    objects = []
    for source in watched:  # one by one, so that notes for gcov have the name of their source
        objects.append(place / f"{source.stem}.watched.o")
        run_compiler([*FLAGS, *flags, "-c", *includes, str(source), "-o", str(objects[-1])], place)
    others = [str(path) for path in place.glob("*.o") if path not in objects]
    run_compiler(["-shared", *flags, *others, *map(str, objects), "-o", "_kernels.so"], place)
