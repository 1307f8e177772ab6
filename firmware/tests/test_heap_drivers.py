"""The fast tick's driver calls under micropython.heap_lock() on a real VM."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[1]
CASES = (
    "ina228 update",
    "ina228 update_diagnostics",
    "ina228 without acknowledge",
    "ina228 saturated",
    "ina228 after a brown-out",
    "ina226 update",
    "ina226 between results",
    "ina226 without acknowledge",
    "bq76952 update",
    "bq76952 between scans",
    "bq76952 with a wrong CRC",
    "bq76952 without acknowledge",
    "ads1115 tick",
    "ads1115 without acknowledge",
    "load_cell update",
    "load_cell saturated",
    "load_cell between conversions",
    "load_cell without acknowledge",
    "hx711 update",
    "hx711 between conversions",
    "tmp117 update",
    "regulator verify",
    "regulator without acknowledge",
    "regulator lost unheard",
    "contactor close",
    "contactor feedback",
    "contactor open",
    "enable_lines set",
)


def _micropython():
    named = os.environ.get("ASSB_MICROPYTHON")
    beside = shutil.which("micropython", path=str(Path(sys.executable).parent))
    return named or beside or shutil.which("micropython")


@pytest.fixture(scope="module")
def outcomes():
    vm = _micropython()
    if vm is None:
        pytest.skip("no micropython beside the interpreter, on PATH or in ASSB_MICROPYTHON")
    run = subprocess.run(
        [vm, str(FIRMWARE / "tests" / "heap_drivers.py")],
        env={"MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(line.split(": ", 1) for line in run.stdout.splitlines())


def test_the_check_sees_an_allocation(outcomes):
    assert outcomes["control"] == "MemoryError"


@pytest.mark.parametrize("case", CASES)
def test_call_allocates_nothing(outcomes, case):
    assert outcomes[case] == "allocates nothing"


@pytest.mark.parametrize(
    ("device", "values"),
    [
        ("ina228", "0 59200000 -800000 2500"),  # 0x4a000 * 195.3125 uV; -0xc800 * 15.625 uA
        ("ina226", "0 11980000 1000000"),
        ("bq76952", "0 2920000 1000000"),  # CC2 in mA: 10 A of full scale
        ("ads1115", "0 3584000 3874"),  # (28672 - 1000) * 0.14 kPa
        ("load_cell", "0 1788"),  # (0x123456 - 1000) * 0.0015 kPa
        ("hx711", "0 1193046"),
        ("tmp117", "0 2500"),
        ("regulator", "2457 6000"),
    ],
)
def test_the_locked_calls_did_their_work(outcomes, device, values):
    assert outcomes[device + " values"] == values
