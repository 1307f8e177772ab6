"""Random and damaged lines into the running firmware; by hand a million of them: `assb hil hammer`."""

from pathlib import Path

import assb
import pytest
from assb.protocol import frame as wire
from assb.protocol.commands import format_line
from assb.protocol.frame import Crc16
from assb_hil import session as sessions
from assb_hil.hammer import Deck, Hammer, false_frames
from assb_hil.pytest_plugin import bench_scenario
from assb_host.flash.firmware_files import MANIFEST, compiled, firmware_files, manifest, placed
from assb_host.link.decoder import Decoder
from cobs import cobs

LINES = 8_000


@pytest.fixture
def struck():
    """A hammer over a board that has just been switched on."""
    with sessions.open_session(bench_scenario(None)) as session:
        session.start()
        yield Hammer(session, seed=1)


def test_no_damaged_line_changes_anything_and_the_link_recovers_within_one_command(struck):
    raw = bytearray()
    struck.session.dut.add_tap(lambda _now_us, data: raw.extend(data) if len(raw) < 50_000 else None)
    outcome = struck.run(LINES)
    assert not outcome.violations
    assert outcome.taken > LINES
    assert outcome.recoveries == -(-LINES // 256)
    assert struck.arms()
    believed, damaged = false_frames(bytes(raw), LINES, seed=1)
    assert damaged > 0.9 * LINES
    assert believed <= 2  # 0.12 to be expected of a CRC-16


def changed(module: str, broken: str, mended: str, folder: Path) -> dict[str, bytes]:
    """The firmware with one line of a module changed, and a manifest that says so: the board would refuse it else."""
    text = (Path(assb.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    assert broken in text
    source = folder / "changed.py"
    source.write_text(text.replace(broken, mended), encoding="utf-8")
    files = firmware_files() | {f"assb/{module}.mpy": compiled(source, f"assb/{module}.py", folder)}
    del files[MANIFEST]
    return placed(files | {MANIFEST: manifest(files)})


@pytest.mark.parametrize(
    ("module", "broken", "mended"),
    [
        pytest.param(
            "console_commands", "if needs_crc and not checked:", "if False:", id="obeys lines without a checksum"
        ),
        pytest.param(
            "console_commands",
            "except LineError as error:",
            "except ZeroDivisionError as error:",
            id="falls over an error",
        ),
        pytest.param("port/console", "if self._asked:", "if byte == _CTRL_C:", id="takes any Ctrl-C for a wish to end"),
    ],
)
def test_a_firmware_that_is_broken_is_found_out(tmp_path, monkeypatch, module, broken, mended):
    files = changed(module, broken, mended, tmp_path)
    monkeypatch.setattr(sessions, "compiled_firmware", lambda: files)
    with sessions.open_session(bench_scenario(None)) as session:
        session.start()
        hammer = Hammer(session, seed=1)
        hammer.link.wait_for(hammer._is_safe, 20.0, "SAFE")
        try:
            outcome = hammer.run(1000)
        except Exception as error:  # no answer any more, or a refusal that is none
            assert type(error).__module__.startswith("assb_host")
        else:
            assert outcome.violations


def test_a_decoder_without_a_checksum_would_be_found_to_believe_damaged_frames(struck, monkeypatch):
    raw = bytearray()
    struck.session.dut.add_tap(lambda _now_us, data: raw.extend(data))
    struck.link.wait_for(struck._is_safe, 20.0)
    frames = bytes(raw)
    assert false_frames(frames, 300, seed=1)[0] == 0

    def believing(self, segment):
        try:
            raw = cobs.decode(segment)
        except cobs.DecodeError:
            return None
        whole = wire.HEADER_BYTES + wire.CRC_BYTES <= len(raw) <= wire.FRAME_MAX
        return self._accept(raw[: -wire.CRC_BYTES]) if whole else None

    monkeypatch.setattr(Decoder, "_frame", believing)
    assert false_frames(frames, 300, seed=1)[0] > 0


def test_no_line_of_the_deck_has_a_right_checksum_and_the_deck_is_that_of_its_seed():
    deck, again = Deck(5), Deck(5)
    lines = [deck.line() for _ in range(3000)]
    assert lines == [again.line() for _ in range(3000)]
    assert not any(b"\x04" in line for line in lines)
    assert not any(part.startswith(b"\x03") for line in lines for part in line.splitlines())
    assert sum(b"\x03" in line for line in lines) > 100
    assert not any(deck._is_signed(part) for line in lines for part in line.splitlines())
    assert deck.withheld > 0
    assert deck._is_signed(format_line(Crc16(), "arm", [("lease_ms", 5000)]).encode())
