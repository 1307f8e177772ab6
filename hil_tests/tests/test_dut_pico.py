"""The emulated Pico with a real MicroPython image, where one is given. A second of the board takes about 15."""

import os
from pathlib import Path

import pytest
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.pico import IMAGE_VARIABLE, EmulatedPico, has_firmware
from assb_hil.scenario import load_scenario, scenario_names
from assb_hil.session import run_scenario

IMAGE = os.environ.get(IMAGE_VARIABLE)
if not IMAGE:
    pytest.skip(f"no MicroPython image: {IMAGE_VARIABLE} names none", allow_module_level=True)
pytest.importorskip("rp2040py.native", reason="rp2040py is not installed (extra pico)")


@pytest.fixture
def board(tmp_path):
    with EmulatedPico(IdleWorld(), uf2=IMAGE, flash=tmp_path / "flash.bin") as pico:
        pico.power_on()
        pico.run_until(500_000)
        pico.read_console()
        yield pico


def typed(board, line, for_us=300_000):
    board.write_console(line + b"\r\n")
    board.run_until(board.now_us + for_us)
    return board.read_console()


def test_the_image_answers_at_its_prompt(board):
    assert b"4294967296\r\n" in typed(board, b"print(2**32)")


def test_what_is_written_to_flash_survives_the_loss_of_power(board):
    typed(board, b"f=open('/kept','w');f.write('yes');f.close()")
    board.power_off()
    board.power_on()
    board.run_until(board.now_us + 500_000)
    assert b"yes" in typed(board, b"print(open('/kept').read())")


def test_its_watchdog_bites(board):
    typed(board, b"import machine;machine.WDT(timeout=100)", 400_000)
    assert board.counters()["watchdog_resets"] >= 1


def test_two_runs_are_the_same_to_the_nanosecond(tmp_path):
    said = []
    for run in ("a", "b"):
        with EmulatedPico(IdleWorld(), uf2=IMAGE, flash=tmp_path / run) as pico:
            pico.add_tap(lambda now_us, data: said.append((now_us, data)))
            pico.power_on()
            pico.run_until(500_000)
            typed(pico, b"import time;[time.ticks_us() for _ in range(9)]")
    assert said[: len(said) // 2] == said[len(said) // 2 :]


@pytest.mark.skipif(not IMAGE or not has_firmware(Path(IMAGE)), reason="the firmware is not part of this image")
@pytest.mark.parametrize("name", [name for name in scenario_names() if name.startswith("slow_board/")])
def test_what_holds_on_the_virtual_board_holds_here(name):
    result = run_scenario(load_scenario(name), "pico-emulated")
    assert result.passed, result.to_json()
