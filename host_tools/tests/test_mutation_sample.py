"""A seeded sample of the mutation run, with the short tests: the share that is killed must not fall. By hand all of it,
`make mutate`, where each survivor needs its reason."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kind", "count", "cases"),  # `cases`: the share of its random ones that each test tries
    [pytest.param("kernel", 6, "0.5", id="kernel"), pytest.param("rules", 5, "0.1", id="rules")],
)
def test_the_tests_kill_most_mutants_of_a_sample(kind, count, cases):
    environment = os.environ | {"ASSB_SHARE_OF_CASES": cases}
    command = [sys.executable, "host_tools/checks/proof/mutate.py", kind, "--short", "--sample", str(count)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    told = re.search(rf"{kind}: ([0-9.]+) % of {count} mutants killed", done.stdout)
    assert told, done.stdout[-2000:] + done.stderr[-2000:]
    assert float(told.group(1)) >= 80, done.stdout[-4000:]
