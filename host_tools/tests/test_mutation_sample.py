"""A seeded sample of the mutation run: by hand all of it, `make mutate`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kind", "count"), [pytest.param("kernel", 40, id="kernel"), pytest.param("rules", 20, id="rules")]
)
def test_no_mutant_of_the_sample_survives_without_a_reason(kind, count):
    command = [sys.executable, "host_tools/checks/proof/mutate.py", kind, "--short", "--sample", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert f"of {count} mutants killed" in done.stdout
