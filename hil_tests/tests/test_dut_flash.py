"""Claims about the flash image: what survives when power fails at any flash operation."""

import pytest
from assb_hil.dut.cost import CostModel
from assb_hil.dut.flash_image import FlashImageError, block_count, create_blank, read_image, write_image
from assb_hil.dut.virtual import VirtualBoard
from virtual_bench import BOOT, ChipWorld, make_board

OLD = bytes(range(256)) * 12
NEW = bytes(range(255, -1, -1)) * 20
REPLACE = """
import os, time
with open('/a/new.bin', 'wb') as file:
    for n in range(20):
        file.write(bytes(range(255, -1, -1)))
os.rename('/a/new.bin', '/a/data.bin')
print('replaced')
"""


def test_an_image_gives_back_what_was_put_in(tmp_path):
    image = tmp_path / "flash.bin"
    files = {"/main.py": b"print(1)\n", "/a/assb/deep/er.mpy": bytes(70_000), "/empty": b""}
    write_image(image, files)
    assert read_image(image) == files
    write_image(image, {"/main.py": b"2", "/b/x": b"y"}, keep=True)
    assert read_image(image) == files | {"/main.py": b"2", "/b/x": b"y"}
    assert block_count(image) == 352


def test_a_blank_flash_is_formatted_at_the_first_boot(tmp_path):
    image = tmp_path / "flash.bin"
    with VirtualBoard(ChipWorld(), flash=image, cost=BOOT) as board:
        board.power_on()
        board.run_until(20_000_000)
        board.write_console(b"f = open('/boot.py', 'w'); f.write('print(7)'); f.close()\r")
        board.run_until(30_000_000)
    assert read_image(image) == {"/boot.py": b"print(7)"}


@pytest.mark.parametrize("content", [b"", b"x" * 4097, b"\xff" * 4096])
def test_a_file_that_is_no_image_is_refused(tmp_path, content):
    image = tmp_path / "flash.bin"
    image.write_bytes(content)
    with pytest.raises(FlashImageError, match="no flash image"):
        VirtualBoard(ChipWorld(), flash=image)


def test_two_boards_cannot_share_an_image(tmp_path):
    image = tmp_path / "flash.bin"
    create_blank(image)
    with VirtualBoard(ChipWorld(), flash=image), pytest.raises(FlashImageError, match="in use"):
        VirtualBoard(ChipWorld(), flash=image)
    VirtualBoard(ChipWorld(), flash=image).close()


def test_an_image_without_a_file_system_does_not_mount(tmp_path):
    image = tmp_path / "flash.bin"
    create_blank(image)
    with pytest.raises(FlashImageError):
        read_image(image)


def operations(tmp_path) -> int:
    """Flash operations of the whole replacement."""
    write_image(tmp_path / "flash.bin", {"/a/data.bin": OLD, "/main.py": REPLACE.encode()})
    with VirtualBoard(ChipWorld(), flash=tmp_path / "flash.bin", cost=BOOT) as board:
        board.power_on()
        board.run_until(60_000_000)
        assert b"replaced" in board.read_console()
        return board.counters()["flash_operations"]


def test_power_that_fails_at_any_flash_operation_leaves_the_old_or_the_new_file(tmp_path):
    total = operations(tmp_path)
    assert total > 8
    image = tmp_path / "flash.bin"
    for operation in range(1, total + 1):
        write_image(image, {"/a/data.bin": OLD, "/main.py": REPLACE.encode()})
        with VirtualBoard(ChipWorld(), flash=image, cost=BOOT) as board:
            board.power_cut_at(operation)
            board.power_on()
            board.run_until(60_000_000)
            assert not board.powered
            assert b"replaced" not in board.read_console()
        left = read_image(image)
        assert left["/a/data.bin"] in (OLD, NEW), operation
        assert left["/main.py"] == REPLACE.encode()


def test_after_a_power_cut_the_board_starts_again_and_finishes(tmp_path):
    image = tmp_path / "flash.bin"
    write_image(image, {"/a/data.bin": OLD, "/main.py": REPLACE.encode()})
    with VirtualBoard(ChipWorld(), flash=image, cost=BOOT) as board:
        board.power_cut_at(9)
        board.power_on()
        board.run_until(30_000_000)
        assert not board.powered
        board.power_on()
        board.run_until(90_000_000)
        assert b"replaced" in board.read_console()
    assert read_image(image)["/a/data.bin"] == NEW


def test_flash_operations_take_their_time(tmp_path):
    main = """
import time
t = time.ticks_ms()
with open('/x', 'wb') as file:
    file.write(bytes(3000))
print(time.ticks_diff(time.ticks_ms(), t))
"""
    with make_board(tmp_path, main, cost=CostModel(boot_us=10_000, flash_erase_us=100_000, flash_page_us=0)) as board:
        board.run_until(9_000_000)
        taken_ms = int(board.read_console().split()[0])
    assert taken_ms >= 100
    assert taken_ms % 100 == 0
