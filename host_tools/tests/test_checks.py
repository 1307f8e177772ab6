"""The checks are checked: each fails on what it is there to find."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "host_tools" / "checks"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, CHECKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


import_arrows = load("import_arrows")


def test_no_import_points_the_wrong_way():
    assert import_arrows.wrong_arrows(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("firmware/assb/control/rule.py", "import time", "control is pure"),
        ("firmware/assb/control/rule.py", "from ..drivers import ina228", "control is pure"),
        ("firmware/assb/estimation/x.py", "from machine import Pin", "estimation is pure"),
        ("firmware/assb/detection/deep/x.py", "from ...app import App", "detection is pure"),
        ("firmware/assb/protocol/x.py", "def f():\n    import os", "the protocol is pure"),
        ("firmware/assb/drivers/x.py", "from assb.protocol import frame", "drivers do not know the link"),
        ("firmware/assb/app.py", "import assb_host", "the firmware knows nothing of the host"),
        ("host_tools/assb_host/link/x.py", "from assb_hil import rig", "assb_hil adds to the host"),
        ("host_tools/assb_host/x.py", "from assb.drivers.ina228 import INA228", "the host uses only"),
        ("host_tools/assb_host/x.py", "from assb import app", "the host uses only"),
        ("cffi_kernels/assb_kernels/x.py", "from assb.estimation import parameters", "the kernels depend on nothing"),
    ],
)
def test_a_planted_wrong_import_is_found(tmp_path, file, line, why):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n", encoding="utf-8")
    found = import_arrows.wrong_arrows(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(file) and why in found[0]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("firmware/assb/app.py", "from .drivers import ina228"),
        ("firmware/assb/control/rule.py", "from ..protocol import schema"),
        ("host_tools/assb_host/x.py", "from assb.protocol import schema"),
        ("hil_tests/assb_hil/x.py", "import assb_host.link, assb_kernels, assb.drivers.ina228"),
    ],
)
def test_an_import_that_points_the_right_way_is_let_pass(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n", encoding="utf-8")
    assert import_arrows.wrong_arrows(tmp_path) == []


def test_generated_pages_and_pictures_are_fresh_and_touched_ones_are_stale(tmp_path):
    generated_pages = load("generated_pages")
    assert generated_pages.stale(ROOT / "docs") == []
    for name in generated_pages.PAGES:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "touched\n", encoding="utf-8")
    (tmp_path / "cells").mkdir()
    pictures = [f"cells/{path.name}" for path in (ROOT / "docs" / "cells").glob("*.svg")]
    for name in pictures[1:]:  # the first one is missing
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("data ", "date "), encoding="utf-8")
    assert sorted(generated_pages.stale(tmp_path)) == sorted([*generated_pages.PAGES, *pictures])


def preflight(**environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-I", str(CHECKS / "preflight.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(tmp_path):
    done = preflight(PATH=str(tmp_path), CC="no-such-compiler")
    assert done.returncode == 1
    assert "no-such-compiler" in done.stderr and "apt install build-essential" in done.stderr


def test_a_compiler_that_does_not_work_is_told_from_a_missing_one(tmp_path):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho out of order\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    done = preflight(PATH=f"{tmp_path}:/usr/bin:/bin", CC="cc")
    assert done.returncode == 1
    assert "out of order" in done.stderr


@pytest.mark.parametrize(
    ("problem", "patch", "says"),
    [
        ("python_problem", {"LEAST": (9, 0)}, "PYTHON="),
        ("header_problem", {"sysconfig": None}, "-dev"),
    ],
)
def test_an_old_python_and_a_missing_header_are_named(monkeypatch, tmp_path, problem, patch, says):
    module = load("preflight")
    if "sysconfig" in patch:
        patch["sysconfig"] = type("sysconfig", (), {"get_paths": staticmethod(lambda: {"include": str(tmp_path)})})
    for name, value in patch.items():
        monkeypatch.setattr(module, name, value)
    what, remedy = getattr(module, problem)()
    assert what and says in remedy


def test_the_golden_vector_is_what_the_kernel_gives_and_a_stale_one_is_found_and_mended(tmp_path, monkeypatch, capsys):
    golden_vector = load("golden_vector")
    assert golden_vector.main([]) == 0
    right = golden_vector.FILE.read_text()
    stale = tmp_path / "golden.py"
    stale.write_text(right.replace("_SOC = const(0.", "_SOC = const(0.9"))
    monkeypatch.setattr(golden_vector, "FILE", stale)
    assert golden_vector.main([]) == 1
    assert "is not what the kernel gives" in capsys.readouterr().err
    assert golden_vector.main(["--write"]) == 0
    assert stale.read_text() == right
    stale.write_text(right.replace("_SOC = ", "_CHARGE = "))
    with pytest.raises(ValueError, match="assigns _SOC 0 times"):
        golden_vector.main([])
