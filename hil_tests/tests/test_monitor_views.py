"""The terminal of `assb monitor` over what a real board said while a short grew, and its commands to a real board."""

import asyncio
import contextlib
import os
import pty
import re
import select
import time
import tty
from dataclasses import replace

import pytest
from assb_hil.scenario import load_scenario
from assb_hil.session import open_session
from assb_host.link.decoder import Decoder, Frame
from assb_host.monitor.board import WatchedBoard
from assb_host.monitor.terminal import HIGH_FROM, PANES, WIDE_FROM, Monitor
from assb_host.monitor.view import view_of
from assb_host.monitor.watched import Watched
from flashed_boards import until
from msgspec import structs

DEADLINE_S = 30.0
FAULT_S, SCENARIO_S = 50.0, 130.0  # the short begins sooner than in the scenario; it is called by then
SIZES = {"narrow": (80, 24), "wide": (160, 48)}


@pytest.fixture(scope="module")
def soft_short_bytes():
    """Everything that the firmware said over the link in virtual time, until the short is there."""
    said = bytearray()
    scenario = load_scenario("soft_short_charge")
    (short,) = scenario.faults
    with open_session(replace(scenario, faults=(structs.replace(short, at_s=FAULT_S),))) as session:
        session.dut.add_tap(lambda _now_us, data: said.extend(data))
        session.start()
        for at_s, act in session._acts():
            if at_s < SCENARIO_S:
                session.run_to(at_s)
                act()
        session.run_to(SCENARIO_S)
    return bytes(said)


@contextlib.contextmanager
def board_that_says(data):
    """A watched board behind a pseudo-terminal, when all of it was heard."""
    frame_count = sum(isinstance(item, Frame) for item in Decoder().feed(data))
    master, slave = pty.openpty()
    tty.setraw(slave)
    watched = Watched(os.ttyname(slave))
    watched.open()
    board = WatchedBoard(watched).start()
    try:
        os.set_blocking(master, False)
        while data:
            assert select.select([], [master], [], DEADLINE_S)[1]
            data = data[os.write(master, data[:2000]) :]
        until(lambda: watched.picture.frame_count == frame_count)
        yield board
    finally:
        board.close()
        os.close(master)
        os.close(slave)


@pytest.fixture(scope="module")
def shorted(soft_short_bytes):
    with board_that_says(soft_short_bytes) as board:
        yield board


def screen_text(app) -> str:
    """What is on the screen, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[:width] for strip in strips[:height])


def shown_text(board, size, keys=()):
    async def look():
        app = Monitor([board])
        async with app.run_test(size=size) as pilot:
            for key in keys:
                await pilot.press(key)
            await pilot.pause()
            app.draw()
            await pilot.pause()
            return screen_text(app)

    return asyncio.run(look())


def test_nothing_was_lost_on_the_way(shorted):
    decoder = shorted.watched.link.decoder
    assert decoder.frame_count > 1000
    assert (decoder.lost_count, decoder.damaged_count) == (0, 0)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_first_screen_says_state_pressure_cell_and_stage(shorted, size):
    text = shown_text(shorted, size)
    assert re.search(r"pressure MPa +target +window", text)
    assert re.search(r"\n 0 +3\.\d{4} +\d+\.\d\d±\d", text.replace("\n  ", "\n "))
    assert "soft_short" in text
    assert "stop!" in text
    assert "cell voltage" in text
    assert "…" not in text


def test_every_pane_is_open_on_a_wide_screen(shorted):
    text = shown_text(shorted, SIZES["wide"])
    for word in ("carries the stage", "Charging is blocked.", "limit_tripped row=soft_short", "0 damaged", "plating"):
        assert word in text


@pytest.mark.parametrize(
    ("pane", "words"),
    [
        ("evidence", "carries the stage"),
        ("limits", "Charging is blocked."),
        ("events", "stage_changed cell=0 stage=soft_short"),
        ("power", "charge A 2/10/30 s"),
        ("link", "0 damaged"),
    ],
)
def test_a_pane_opens_by_its_number_on_a_narrow_screen(shorted, pane, words):
    assert words in shown_text(shorted, SIZES["narrow"], [str(1 + PANES.index(pane))])
    assert words not in shown_text(shorted, SIZES["narrow"])


def test_the_screen_follows_the_size_of_the_terminal(shorted):
    async def resize():
        app = Monitor([shorted])
        async with app.run_test(size=(80, 24)) as pilot:
            assert not app.wide
            await pilot.resize_terminal(WIDE_FROM, HIGH_FROM)
            await pilot.pause()
            assert app.wide
            assert all(app.query_one(f"#{name}_pane").display for name in PANES)

    asyncio.run(resize())


def test_sixteen_cells_leave_room_for_the_rest(shorted):
    cells = shorted.watched.picture.cells
    try:
        for at in range(1, 16):
            cells[at] = dict(cells[0], cell=at)
        assert len(view_of(shorted).evidence.headings) == 17
        assert "stop!" in shown_text(shorted, SIZES["narrow"])
    finally:
        for at in range(1, 16):
            del cells[at]


@pytest.fixture
def watching(running):
    watched = Watched(running.console_port)
    watched.open()
    board = WatchedBoard(watched).start()
    until(lambda: board.levels)
    yield board
    board.close()


def test_the_levels_of_the_limits_come_from_the_pack_that_the_board_runs_with(watching):
    assert {levels.row: levels.trip for levels in watching.levels}["pressure_high"] == pytest.approx(7.0, abs=3)
    assert watching.parameters["pressure_min_mpa"] == pytest.approx(4.5)


def press(board, *keys, patience_s=3.0):
    """What the board's thread said after these keys."""

    async def run():
        app = Monitor([board])
        async with app.run_test(size=(80, 24)) as pilot:
            before = board.said
            for key in keys:
                await pilot.press(key)
            end_s = time.monotonic() + patience_s
            while board.said == before and time.monotonic() < end_s:
                await asyncio.sleep(0.02)
            return board.said

    return asyncio.run(run())


def test_stop_goes_out_at_once_and_others_only_when_confirmed(watching):
    assert press(watching, "s") == "stop: done"
    watching.said = ""
    assert press(watching, "m", "n", patience_s=0.7) == ""
    assert press(watching, "m", "y").startswith("mark: done")
    until(lambda: any("marked number=1" in text for _, text in watching.watched.picture.events))


def test_a_refused_command_says_why(watching):
    """Nothing is wired to this board, so it is tripped and does not arm."""
    said = press(watching, "a", "y")
    assert said.startswith("arm: the board refused: ")
    assert not watching.armed_here
