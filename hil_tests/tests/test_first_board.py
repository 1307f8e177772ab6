"""docs/first_board.md, followed to the letter on the virtual board: every line of the page, in its order."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "first_board.md"
LINE = re.compile(r"^    (assb .*?)(?:\s+# exit code (\d+))?$", re.MULTILINE)
PACE = "20"
PACE_ARMED = "2"  # leases are renewed by the clock on the wall: no faster
DEADLINE_S = 120


def lines():
    """(words, expected exit code) of the page."""
    return [(shlex.split(line), int(code or 0)) for line, code in LINE.findall(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture
def user(tmp_path):
    """The environment of somebody who has installed the project, with a runtime directory of their own."""
    here = Path(sys.executable).parent
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}


def test_every_line_of_the_page_does_what_it_says(user, tmp_path):
    (first, _), *rest = lines()
    assert first == ["assb", "board", "run"]
    armed = next(number for number, (words, _) in enumerate(rest) if words[1] == "monitor")
    said = {}
    for pace, part in ((PACE, rest[:armed]), (PACE_ARMED, rest[armed:])):  # the same board, off and on again between
        command = [*first, "--pace", pace, "--flash", str(tmp_path / "flash.bin")]
        board = subprocess.Popen(command, env=user, stdout=subprocess.PIPE, text=True)
        try:
            assert " on /dev/" in board.stdout.readline()
            for words, expected in part:
                done = subprocess.run(words, env=user, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
                assert done.returncode == expected, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
                said.setdefault(words[1], []).append(done.stdout)
        finally:
            board.terminate()
            board.wait(DEADLINE_S)
    assert "-> the board is at its Python prompt" in said["doctor"][0]
    assert "selftest    files, configuration, estimator, sensors" in said["doctor"][1]
    assert re.search(r"SAFE +cell 0: 3\.8\d+ V  SOC ", said["monitor"][0])
    assert "armed" in said["events"][0]
