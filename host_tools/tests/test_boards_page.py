"""The page of boards and its wiring diagrams: every pin and chip of a board file is in its picture, at its place."""

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from assb_host.config.board import chips, load_board, pin_uses
from assb_host.config.locate import find, shipped_names

CHECKS = Path(__file__).resolve().parents[1] / "checks"
SVG = "{http://www.w3.org/2000/svg}"
ROW_TOLERANCE = 6


def load(name):
    sys.path.insert(0, str(CHECKS))
    spec = importlib.util.spec_from_file_location(name, CHECKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


wiring_picture = load("wiring_picture")


@dataclass
class Words:
    x: float
    y: float
    text: str


def drawn(board):
    root = ElementTree.fromstring(wiring_picture.svg(board))
    words = [Words(float(t.get("x")), float(t.get("y")), t.text or "") for t in root.iter(f"{SVG}text")]
    lines = [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    return root, words, lines


@pytest.mark.parametrize("name", shipped_names("board"))
def test_every_pin_has_a_line_to_what_it_is_wired_to(name):
    board = load_board(find("board", name))
    _, words, lines = drawn(board)
    edge = wiring_picture.BOARD_LEFT + wiring_picture.BOARD_WIDTH
    for key, pin in pin_uses(board):
        label = next(w for w in words if w.x < edge and w.text.split("  ")[0] == wiring_picture.pin_name(board, pin))
        reaching = [line for line in lines if line[0][0] == edge and abs(line[0][1] + 5 - label.y) < 1]
        assert reaching, f"{key}: no line from {label.text}"


@pytest.mark.parametrize("name", shipped_names("board"))
def test_every_chip_on_a_bus_is_named_with_its_address(name):
    board = load_board(find("board", name))
    _, words, _ = drawn(board)
    titles = sorted(w.text for w in words if re.search(r" at 0x[0-9A-F]{2}$", w.text))
    wanted = sorted(f"{key.partition('[')[0].upper()} at 0x{chip.address:02X}" for key, chip in chips(board))
    assert titles == wanted


@pytest.mark.parametrize("name", shipped_names("board"))
def test_words_stay_on_the_paper_and_lines_of_words_apart(name):
    root, words, _ = drawn(load_board(find("board", name)))
    width, height = float(root.get("width")), float(root.get("height"))
    for word in words:
        assert 0 < word.y < height
        assert word.x + 6.2 * len(word.text) < width or word.x < wiring_picture.DEVICE_LEFT
    for at, one in enumerate(words):
        for other in words[at + 1 :]:
            assert one.x != other.x or abs(one.y - other.y) > ROW_TOLERANCE, (one, other)


def test_a_bus_reaches_each_of_its_chips():
    board = load_board(find("board", "virtual-checked"))
    _, words, lines = drawn(board)
    arriving = [line for line in lines if line[-1][0] == wiring_picture.DEVICE_LEFT and len(line) == 2]
    for chip in [w for w in words if " at 0x" in w.text]:
        near = [line for line in arriving if 0 <= line[0][1] + 5 - chip.y < 2 * wiring_picture.ROW]
        assert len(near) >= 2, chip.text


def test_real_boards_say_how_to_enter_their_bootloader_and_where_facts_come_from():
    real = [board for board in map(load_board, (find("board", n) for n in shipped_names("board")))]
    real = [board for board in real if board.micropython.port != "unix"]
    assert {board.name for board in real} == {"pico", "pico2", "esp32s3", "pyboard"}
    for board in real:
        assert board.micropython.bootloader
        assert board.micropython.facts_source
        assert board.micropython.usb_ids


def test_a_watchdog_that_the_board_does_not_have_is_refused(tmp_path):
    from assb_host.config import load_pack
    from assb_host.config.errors import ConfigError

    path = tmp_path / "short.toml"
    text = find("board", "pico").read_text(encoding="utf-8").replace('name = "pico"', 'name = "short"')
    path.write_text(text.replace("watchdog_max_ms = 8388", "watchdog_max_ms = 1500"), encoding="utf-8")
    with pytest.raises(ConfigError, match="up to 1500"):
        load_pack("li_lpscl_nca", board=str(path))


def test_an_ntc_at_an_esp32s_own_converter_is_refused(tmp_path):
    from assb_host.config import load_pack
    from assb_host.config.errors import ConfigError

    path = tmp_path / "hot.toml"
    ntc = '[[ntc]]\nadc_pin = 1\nplace = 1\nr25_ohm = 10000\nbeta_k = 3435\npullup_ohm = 10000\nsource = "A: ours"\n'
    path.write_text(f'name = "hot"\ndescription = "ours"\nbased_on = "esp32s3"\n\n{ntc}', encoding="utf-8")
    with pytest.raises(ConfigError, match="use an ads1115_ntc"):
        load_pack("li_lpscl_nca", board=str(path))
