"""The native module itself, built for this machine and run by the MicroPython VM and on the virtual board.

Needs MPY_DIR, a MicroPython source tree, and the extra `natmod`; without them everything here is skipped.
"""

import os
import platform
import random
import shutil
import struct
import subprocess
import sys
from array import array
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from assb.estimation import golden
from assb_hil.dut.find_micropython import find_micropython
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_hil.scenario import load_scenario
from assb_hil.session import open_session, run_scenario
from assb_host.errors import MismatchError
from assb_host.flash import flasher
from assb_host.flash.board_files import BoardFiles
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import firmware_files, placed
from assb_host.flash.native_kernel import BOARD_PATH, FILE_NAME, NATIVE, KernelSource, read_native
from assb_host.flash.plan import plan_for
from assb_host.link.console import ExclusiveConsole
from assb_host.replay.host_kernel import FACE, host_kernel, install, uninstall
from assb_kernels import Estimator
from detect_rows import stages

MPY_DIR = os.environ.get("MPY_DIR", "")
MISSING = [
    why
    for there, why in (
        (MPY_DIR, "MPY_DIR names no MicroPython source tree"),
        (find_spec("elftools"), "the linker needs pyelftools: pip install '.[natmod]'"),
        (platform.machine() == "x86_64", "the virtual board's module is for x86-64"),
    )
    if not there
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))

HERE = Path(__file__).parent
NATMOD = HERE.parents[1] / "cffi_kernels" / "natmod"
COMPILERS = {
    "armv6m": "arm-none-eabi-gcc", "armv7emsp": "arm-none-eabi-gcc", "rv32imc": "riscv64-unknown-elf-gcc",
    "xtensawin": "xtensa-esp32-elf-gcc",
}  # fmt: skip
STEPS = 500


def make(folder, architecture):
    command = ["make", "-C", NATMOD, f"MPY_DIR={MPY_DIR}", f"OUT={folder}", f"ARCHS={architecture}"]
    return subprocess.run([*command, f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the module for this machine."""
    folder = tmp_path_factory.mktemp("natmod")
    done = make(folder, "x64")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def on_vm(built, tmp_path_factory):
    """Calls a function of natmod_vm.py in the VM; its lines."""
    folder = tmp_path_factory.mktemp("vm")
    files = firmware_files() | {BOARD_PATH: (built / "x64" / FILE_NAME).read_bytes()}
    for path, data in files.items():
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def call(*words):
        command = [find_micropython(), HERE / "natmod_vm.py", *map(str, words)]
        environment = {**os.environ, "MICROPYPATH": str(folder)}
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return call


@pytest.mark.parametrize("architecture", COMPILERS)
def test_a_module_is_made_for_every_architecture_and_has_no_data_of_its_own(tmp_path, architecture):
    if not shutil.which(COMPILERS[architecture]):
        pytest.skip(f"{COMPILERS[architecture]} is not installed")
    done = make(tmp_path, architecture)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bss size:     0" in done.stdout
    native = read_native(tmp_path / architecture / FILE_NAME)
    assert (native.architecture, native.abi[0]) == (architecture, 6)
    assert len(native.data) < 44_000


def test_an_architecture_that_is_not_known_is_refused(tmp_path):
    done = make(tmp_path, "z80")
    assert done.returncode != 0
    assert "no module is made for z80" in done.stderr


def test_the_golden_vector_in_the_vm_is_that_of_the_host_to_the_byte(on_vm):
    estimator = Estimator(golden.cell(), "f32")
    golden.run(estimator)
    assert on_vm("golden_vector") == [f"True {estimator.state_bytes().hex()}"]


def test_random_steps_in_the_vm_are_those_of_the_host_to_the_byte(on_vm, tmp_path):
    draw = random.Random(11)
    rows = array("f")
    for _ in range(STEPS):
        rows.append(9.0 if draw.random() < 0.02 else draw.gauss(3.75, 0.05))
        rows.extend((draw.uniform(-2, 2), draw.uniform(-10, 70), draw.uniform(0, 12), draw.choice((0.05, 0.1, 2.0))))
    path = tmp_path / "samples.bin"
    path.write_bytes(rows.tobytes())
    estimator = Estimator(golden.cell(), "f32")
    estimator.reset(0.5, 0.125)
    statuses = bytes(estimator.step(*rows[5 * k : 5 * k + 5]) & 0xFF for k in range(STEPS))
    assert set(statuses) == {0, 0xFF}
    assert on_vm("replay", path, STEPS) == [f"{statuses.hex()} {estimator.state_bytes().hex()}"]


def detected_rows():
    """A flat layout and rows of two cells, the second with dips, then a leak, then lost voltages."""
    draw, believed = random.Random(12), golden.cell()
    soc, rows = [0.5, 0.5], array("f")
    for k in range(3000):
        current_a = (0.0, 0.25, 0.0, -0.25)[k // 500 % 4]
        rows.extend((current_a, draw.uniform(24.9, 25.1), draw.gauss(5.0, 0.01), 0.1))
        for cell in range(2):
            leak_a = 0.5 * cell * (k > 1500)
            soc[cell] += (current_a - leak_a) / 36000.0 / 0.6
            volt = 3.0 + 0.01373 * 128 * soc[cell] - 3.05e-5 * (128 * soc[cell]) ** 2 + 0.3 * (current_a - leak_a)
            dip_v = 0.03 * cell * (k % 100 in range(40, 45))
            rows.append(9.0 if draw.random() < 0.01 else draw.gauss(volt - dip_v, 3e-4))
    return believed, rows


def test_detectors_in_the_vm_call_the_hosts_stages_and_keep_its_bytes(on_vm, tmp_path):
    flat, rows = detected_rows()
    (tmp_path / "flat.bin").write_bytes(flat.tobytes())
    (tmp_path / "rows.bin").write_bytes(rows.tobytes())
    install(host_kernel())
    try:
        changes, pack = stages(import_module(FACE), flat, rows, 2)
    finally:
        uninstall()
    assert {(cell, stage) for _, cell, stage in changes} >= {(1, 1)}, changes
    assert on_vm("detect", tmp_path / "flat.bin", tmp_path / "rows.bin", 2) == [str(changes), pack.kept.tobytes().hex()]


def test_a_collapse_in_the_fast_tick_allocates_nothing(on_vm):
    assert on_vm("locked_collapse") == ["False 3"]


def test_a_wrong_buffer_is_refused_before_the_kernel_sees_it(on_vm):
    lines = on_vm("refusals")
    assert lines[:3] == ["ValueError buffer too short"] * 3
    assert [line.split()[0] for line in lines[3:]] == ["TypeError", "ValueError", "TypeError"], lines
    assert lines[4] == "ValueError buffer not aligned"


def test_a_step_on_buffers_allocates_nothing(on_vm):
    assert on_vm("locked") == ["0"]


def test_the_virtual_board_says_native_and_passes_a_scenario_with_it(built):
    scenario = replace(load_scenario("two_cells_drive"), duration_s=20.0, checks=())
    with open_session(scenario, kernel=KernelSource(built)) as session:
        result = session.run()
    assert session.recorder.hello["estimator"] == NATIVE
    assert result.passed, result.checks
    passed = run_scenario(load_scenario("cccv_charge"), kernel=KernelSource(built))
    assert passed.passed, passed.checks


def corrupted(built, folder):
    """The module with one bit of one of its constants, the 20.0 of the bend, the other way round."""
    data = bytearray((built / "x64" / FILE_NAME).read_bytes())
    data[data.index(struct.pack("<f", 20.0)) + 2] ^= 1
    path = folder / FILE_NAME
    path.write_bytes(data)
    return path


def test_a_corrupted_module_is_reported_and_the_twin_runs(built, tmp_path):
    scenario = replace(load_scenario("cccv_charge"), duration_s=10.0)
    with open_session(scenario, kernel=KernelSource(corrupted(built, tmp_path))) as session:
        session.run()
    assert session.recorder.hello["estimator"] == 0
    events = session.recorder.events_named("self_test_failed", "board")
    assert [event["code"] for event in events] == [3]
    assert any("wrong golden vector" in text for _, text in session.recorder.lines)


@pytest.fixture
def board(tmp_path):
    """A running virtual board with the firmware on it, bytecode alone."""
    image = tmp_path / "flash.bin"
    write_image(image, placed(plan_for("li_lpscl_nca").files))
    with VirtualBoard(IdleWorld(), flash=image) as board:
        board.power_on()
        with board.background():
            yield board


def files_of(board):
    with ExclusiveConsole(board.console_port) as console, BoardRepl(console) as repl:
        return BoardFiles(repl).hashes(("/a", "/b"))


def test_flash_sends_the_module_and_takes_it_away_again(board, built):
    plan = plan_for("li_lpscl_nca", kernel=KernelSource(built))
    result = flasher.flash(board.console_port, plan)
    assert list(result.sent) == [BOARD_PATH]
    assert result.hello["estimator"] == NATIVE
    result = flasher.flash(board.console_port, replace(plan, kernel=None))
    assert (result.removed, result.hello["estimator"]) == ([BOARD_PATH], 0)


def test_flash_refuses_a_module_for_another_processor_before_it_writes(board, built, tmp_path):
    data = bytearray((built / "x64" / FILE_NAME).read_bytes())
    data[2] = 4 << 2 | data[2] & 3  # armv6m
    path = tmp_path / FILE_NAME
    path.write_bytes(data)
    before = files_of(board)
    with pytest.raises(MismatchError, match="is for armv6m, the board runs x64"):
        flasher.flash(board.console_port, plan_for(kernel=KernelSource(path)))
    assert files_of(board) == before
