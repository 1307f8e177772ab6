"""The kernels, built with AddressSanitizer and UndefinedBehaviorSanitizer, run their own tests clean.

The tests run in a subprocess against the other build, each with a part of its random cases: all of them by hand, with
`make sanitise`. Python allocates with malloc there, so that a write behind a
struct or a column of Python's is seen too. The same build, given a planted fault, is shown to stop.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import assb_kernels
import pytest
from assb_kernels import build_kernels
from cffi import FFI

SANITIZERS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
FLAGS = [*SANITIZERS, "-O1", "-g", "-std=c99", "-ffp-contract=off", "-fPIC", "-shared", "-fno-omit-frame-pointer"]
HERE = Path(__file__).resolve().parent
# Not these: they are about the build itself, build what they test themselves, would run this file again, or spend their
# time in the twins, with calls of the kernels that the others make as well
NOT_KERNEL_TESTS = (
    "test_board_processors.py",
    "test_build_kernels.py",
    "test_detection_twin.py",
    "test_estimator_bytes.py",
    "test_estimator_twin.py",
    "test_learning_twin.py",
    "test_math.py",
    "test_sanitised.py",
)
# Faults that the compiler can't see: what is out of range comes in at run time
OVERFLOW = "static int planted(int at) { volatile int room[4] = {0}; room[at] = 1; return room[0]; }"
SHIFT = "static int planted(int by) { return 1 << by; }"
COLUMN = "static int planted(double *column, int n) { column[n] = 1.0; return 0; }"


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler on PATH: apt install gcc")
    return found


def runtime() -> str:
    """The sanitizer's library; it must be loaded before anything else of the process."""
    name = "libclang_rt.asan-x86_64.so" if "clang" in Path(os.path.realpath(compiler())).name else "libasan.so"
    found = subprocess.run([compiler(), f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    path = Path(found.stdout.strip())
    if not path.is_absolute() or not path.exists():
        pytest.skip(f"{compiler()} comes without {name}: apt install libasan8, or the one of your gcc")
    return str(path)


def build(module: str, declarations: str, preamble: str, sources: list[Path], folder: Path) -> None:
    """A cffi extension with both sanitizers, as folder/module."""
    library = runtime()  # skips before anything is compiled
    place = folder.joinpath(*module.split("."))
    place.parent.mkdir(parents=True, exist_ok=True)
    ffi = FFI()
    ffi.cdef(declarations)
    ffi.set_source(module, preamble)
    ffi.emit_c_code(str(place.with_suffix(".c")))
    includes = [f"-I{path}" for path in (build_kernels.KERNELS / "include", build_kernels.KERNELS / "src")]
    python = f"-I{sysconfig.get_path('include')}"
    parts = [str(place.with_suffix(".c")), *map(str, sources)]
    done = subprocess.run(
        [compiler(), *FLAGS, python, *includes, *parts, "-o", str(place.with_suffix(".so"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n({library} is there, but the build failed)"


def run_python(arguments: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Python on the modules of `folder`, the sanitizers awake."""
    environment = os.environ | {
        "LD_PRELOAD": runtime(),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own, at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(folder),
        **more,
    }
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory) -> Path:
    """A folder with the package assb_kernels, its extension built with the sanitizers."""
    folder = tmp_path_factory.mktemp("sanitised")
    sources = [build_kernels.KERNELS / "src" / name for name in build_kernels.SOURCES]
    build("assb_kernels._kernels", build_kernels.cdef(), build_kernels.PREAMBLE, sources, folder)
    for file in Path(assb_kernels.__file__).parent.glob("*.py"):
        shutil.copy(file, folder / "assb_kernels")
    return folder


def test_the_kernels_run_their_tests_clean(sanitised, request):
    which = run_python(["-c", "from assb_kernels import _kernels; print(_kernels.__file__)"], sanitised)
    assert which.stdout.startswith(str(sanitised)), which.stderr
    ignored = [f"--ignore={HERE / name}" for name in NOT_KERNEL_TESTS]
    # breaking a twin in plain Python shows nothing new of the C
    chosen = ["-k", "not twin_is_found_out", *ignored]
    options = ["-p", "no:cacheprovider", "-q", "-x", f"--rootdir={HERE.parent.parent}", *chosen]
    share = "1"
    if not request.config.getoption("--all-cuts"):
        share = "0.1"
        options.append("--hypothesis-profile=few")
    done = run_python(["-m", "pytest", *options, str(HERE)], sanitised, ASSB_SHARE_OF_CASES=share)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize(
    ("planted", "call", "sound", "faulty", "complaint"),
    [
        pytest.param(OVERFLOW, "planted({})", 3, 4, "index 4 out of bounds", id="behind an array"),
        pytest.param(SHIFT, "planted({})", 30, 32, "shift exponent 32 is too large", id="a shift unknown to C"),
        pytest.param(COLUMN, "planted(ffi.new('double[4]'), {})", 3, 4, "heap-buffer-overflow", id="behind a column"),
    ],
)
def test_the_same_build_stops_at_a_planted_fault(planted, call, sound, faulty, complaint, tmp_path):
    build("planted", planted.removeprefix("static ").partition(" {")[0] + ";", planted, [], tmp_path)
    results = [
        run_python(["-c", f"from planted import ffi, lib; lib.{call.format(at)}"], tmp_path) for at in (sound, faulty)
    ]
    assert results[0].returncode == 0, results[0].stderr
    assert results[1].returncode != 0
    assert complaint in results[1].stderr
