"""Power that fails at a flash operation of each writer: the board boots, nothing acknowledged is lost, and nothing
half-written is believed.

A writer is played once whole, which counts its flash operations, and then once for each operation with the power cut in
it; the next life of the board tells what is left. `pytest --all-cuts` goes through every operation, CI through a few.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import pytest
from assb.protocol import schema
from assb.protocol.image import decode
from assb.signals import Events
from assb.storage import lockout
from assb.storage.event_log import FILE_BYTES, FOLDER, EventLog
from assb.storage.records import OK, Store
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_hil.faults.cells import HardShort
from assb_hil.faults.mechanics import FeedbackStuck
from assb_hil.scenario import Scenario
from assb_host.config import build_image, load_pack
from assb_host.errors import FlashError, LinkError, NotRunningError, PortError
from assb_host.flash import board_repl, flasher
from assb_host.flash.plan import plan_for
from assb_host.link.decoder import Decoder, Frame, Line
from flashed_boards import PACE
from powered_lives import ARM_TO_REST_S, QUICK, QUICKLY, Act, Life, idle, leased, live, made_image, send

CONFIG = build_image(load_pack("li_lpscl_nca"))
SAMPLE = 2  # cut points of a writer in CI
DEAD_AFTER_S = 4.0  # of silence a board without power is given up on, so that this is short
TARGET, SOH_PERIOD = 5200, 7000
NOTE = "current_2026-11-28,_A._Lab,_8846A_1234567"
HOT_DEGC = 85.0


@dataclass
class Writer:
    """A life in which something is written. `check(whole, cut, after)`: lives without a cut, with it, and the next."""

    name: str
    scenario: Scenario
    acts: list[tuple[float, Act]]
    check: Callable[[Life, Life, Life], None]
    files: dict[str, bytes] = field(default_factory=dict)
    config: bytes = CONFIG
    cuts_from_s: float = 0.0
    ask_s: float = 1.0  # of the next life


def next_life(image: Path, writer: Writer) -> Life:
    queries = [send("crash"), send("frames"), send("events"), send("note")]
    queries += [send("get", name=name) for name in ("pressure_target_kpa", "soh_period_ms")]
    return live(image, idle(0.6, writer.ask_s + 2.0), acts=[(writer.ask_s, query) for query in queries])


def walk(tmp_path: Path, writer: Writer, everywhere: bool) -> list[Life]:
    """The lives after each cut, every one of them checked."""
    image = made_image(tmp_path / "flash.bin", writer.config, writer.files)
    kept = image.read_bytes()
    whole = live(image, writer.scenario, acts=writer.acts, cuts_from_s=writer.cuts_from_s)
    told = next_life(image, writer)
    check_log(told, whole, told)
    writer.check(told, whole, told)
    points = range(1, whole.operations + 1)
    if not everywhere:
        points = sorted(random.Random(writer.name).sample(points, min(SAMPLE, len(points))))
    lives = []
    for point in points:
        image.write_bytes(kept)
        cut = live(image, writer.scenario, point, writer.acts, writer.cuts_from_s)
        assert not cut.powered, point
        after = next_life(image, writer)
        assert after.powered, point
        assert after.recorder.hello, point
        check_log(told, cut, after)
        writer.check(told, cut, after)
        lives.append(after)
    print(f"{writer.name}: {len(lives)} of {whole.operations} cut points")
    return lives


def stored_before(cut: Life) -> int:
    """Number below which the board has said that events are on flash."""
    return max((int(reply["stored"]) for reply in cut.replies("sync")), default=0)


def check_log(told: Life, cut: Life, after: Life) -> None:
    """The log is that of the life without a cut, as far as it goes, and goes as far as was acknowledged."""
    assert after.replies("events")
    truth, left = told.log(), after.log()
    boots = {row[0] for row in truth.values()}
    newest = max((row[0] for row in left.values()), default=0)
    old = {number: row for number, row in left.items() if row[0] < newest}
    for number, row in old.items():
        if row[0] < max(boots):
            assert truth[number] == row, number
    missing = [number for number in range(min(left, default=0), stored_before(cut)) if number not in left]
    assert not missing


def nothing_more(told: Life, cut: Life, after: Life) -> None:
    assert after.recorder.hello["config_status"] == 0
    assert not {"log_cut", "parameters_unused", "learned_state_unused"} & set(after.names)


def check_journal(told: Life, cut: Life, after: Life) -> None:
    nothing_more(told, cut, after)
    assert schema.STATES[int(cut.last("state"))] == "REST"


def marked(*times_s: float) -> list[tuple[float, Act]]:
    """Marks, and after each the question what is on flash."""
    acts: list[tuple[float, Act]] = []
    for number, at_s in enumerate(times_s, 1):
        acts += [(at_s, send("mark", number=number)), (at_s + 0.05, send("sync")), (at_s + 0.6, send("sync"))]
    return acts


def full_log(tmp_path: Path) -> dict[str, bytes]:
    """The newer file of the log so full that the next append begins the other one, which has older events."""
    events = Events()
    log = EventLog(Store(lambda: 0, str(tmp_path)), 1, events)
    events.log_to(log)
    now_ms = 0
    while log.appends < 3 or log.file or log._size < FILE_BYTES - 1200:
        for number in range(40):
            events.push(schema.EV_MARK, number, 0)
        now_ms += 10100
        log.step(now_ms, False)
    return {f"{FOLDER}/{path.name}": path.read_bytes() for path in (tmp_path / "events").iterdir()} | {"/boots": b"1"}


# Takes the place of the module of that name: the board crashes at every start that has a configuration
BROKEN_CELLS = b"""
class CellWatch:
    def __init__(self, *_):
        raise ValueError("the cells are broken")
"""


def check_parameters(told: Life, cut: Life, after: Life) -> None:
    """All that was set, or nothing; and all of it once `sync` has said so."""
    nothing_more(told, cut, after)
    held = tuple(int(reply["value"]) for reply in after.replies("get"))
    assert held in ((TARGET, SOH_PERIOD), (5000, 10000))
    if any(reply["parameters"] == "0" for reply in cut.replies("sync")[1:]):
        assert held == (TARGET, SOH_PERIOD)
    assert ("parameters_restored" in after.names) == (held == (TARGET, SOH_PERIOD))


def check_note(told: Life, cut: Life, after: Life) -> None:
    """The line whole, or none; and the line once `sync` has said so."""
    nothing_more(told, cut, after)
    held = after.replies("note")[0].get("text", "")
    assert held in ("", NOTE)
    if any(reply["parameters"] == "0" for reply in cut.replies("sync")[1:]):
        assert held == NOTE


def check_frames(told: Life, cut: Life, after: Life) -> None:
    nothing_more(told, cut, after)
    ranks = after.replies("frames")[0]["ranks"].split(",")
    assert ranks in (["0"] * 4, ["3", "0", "0", "0"], ["3", "3", "0", "0"])
    if "frame_stored" in cut.names:
        assert ranks[0] == "3"


def check_crash(told: Life, cut: Life, after: Life) -> None:
    """It ends in MAINTENANCE whatever was cut, and says why."""
    assert schema.STATES[int(after.last("state"))] == "MAINTENANCE"
    assert after.recorder.hello["config_status"] == -3
    (crash,) = after.frames(schema.CRASH)
    assert crash["text"].rstrip().endswith("ValueError: the cells are broken")


def check_boots(told: Life, cut: Life, after: Life) -> None:
    nothing_more(told, cut, after)
    counts = [fields["boot_count"] for fields in cut.frames(schema.HELLO)]
    assert after.recorder.hello["boot_count"] > max(counts, default=0)
    assert after.event("boot")["reset_cause"] == "power_on"


def check_lockout(told: Life, cut: Life, after: Life) -> None:
    """Locked out or not, and nothing between; a board that has told of its trip is. Half-written: by the worst."""
    nothing_more(told, cut, after)
    locked = "locked_out" in after.names
    trips = [event["row"] for event in cut.recorder.events if event["name"] == "limit_tripped"]
    said = "contactor_mismatch" in trips
    assert schema.STATES[int(after.last("state"))] == ("LOCKOUT" if locked else "SAFE")
    assert locked or not said
    assert not locked or after.event("locked_out")["cause"] in ("contactor", *(() if said else ("hard_short",)))


def check_worse_lockout(told: Life, cut: Life, after: Life) -> None:
    """It was locked out before and stays so, for the old cause or the worse one."""
    nothing_more(told, cut, after)
    assert schema.STATES[int(after.last("state"))] == "LOCKOUT"
    cause = after.event("locked_out")["cause"]
    assert cause == "hard_short" or (cause == "contactor" and not cut.powered)


def locked_out(tmp_path: Path) -> dict[str, bytes]:
    """The record of a contactor that did not follow."""
    record = Store(lambda: 0, str(tmp_path)).record(lockout.FOLDER, lockout.LAYOUT, 1)
    record.body[0] = lockout.BY_CONTACTOR
    assert record.write() == OK
    return {f"{lockout.FOLDER}/a": (tmp_path / "lockout" / "a").read_bytes()}


def writers(tmp_path: Path) -> list[Writer]:
    set_both = [
        (2.6, send("sync")),
        (2.6, send("set", name="pressure_target_kpa", value=TARGET)),
        (2.6, send("set", name="soh_period_ms", value=SOH_PERIOD)),
        (3.6, send("sync")),
        (4.0, send("sync")),
    ]
    set_note = [(2.6, send("sync")), (2.6, send("note", text=NOTE)), (3.6, send("sync")), (4.0, send("sync"))]
    contact = FeedbackStuck(at_s=2.5, level=1)  # of an open contactor: it trips 200 ms later
    short = HardShort(at_s=2.5)
    connected_s = 6.0 + ARM_TO_REST_S
    journal = [*leased(6.0, connected_s + 5.5), *marked(*(connected_s + 0.2 + 0.8 * at for at in range(6)))]
    return [
        Writer("event log", idle(0.6, 5.0), marked(0.7, 2.0, 3.0, 4.0), nothing_more),
        Writer("event log, other file", idle(0.6, 4.0), marked(0.7, 2.0, 3.0), nothing_more, full_log(tmp_path)),
        Writer(
            "event journal",
            idle(0.6, connected_s + 5.5),
            sorted(journal, key=lambda act: act[0]),
            check_journal,
            config=QUICK,
            cuts_from_s=connected_s,
        ),
        Writer("parameters", idle(0.6, 4.5), set_both, check_parameters),
        Writer("note", idle(0.6, 4.5), set_note, check_note),
        Writer("freeze frame", idle(0.6, 6.0, HOT_DEGC), [], check_frames),
        Writer("crash record", idle(0.6, 4.0), [], check_crash, {"/a/assb/cells.py": BROKEN_CELLS}, ask_s=3.5),
        Writer("boot record", idle(0.6, 4.0), [(1.5, send("reset")), (2.8, send("reset"))], check_boots),
        Writer("learned state", idle(0.6, 14.0), [], nothing_more),
        Writer("lockout record", replace(idle(0.6, 4.0), faults=(contact,)), [], check_lockout, cuts_from_s=2.6),
        Writer(
            "lockout record, worse cause",
            replace(idle(0.6, 4.0), faults=(short,)),
            [],
            check_worse_lockout,
            locked_out(tmp_path),
            cuts_from_s=2.45,
        ),
    ]


NAMES = (
    "event log", "event log, other file", "event journal", "parameters", "note", "freeze frame", "crash record",
    "boot record", "learned state", "lockout record", "lockout record, worse cause",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_power_may_fail_at_any_flash_operation(tmp_path, name, request):
    made = {writer.name: writer for writer in writers(tmp_path)}
    assert tuple(made) == NAMES
    lives = walk(tmp_path, made[name], request.config.getoption("--all-cuts"))
    assert lives
    locked = ["locked_out" in life.names for life in lives]
    assert locked == sorted(locked)  # written whole by one operation, it is there after every later one


def flash_config(image: Path, cut: int | None) -> int:
    """`assb flash` of another configuration; flash operations from its first write on. `cut`: the one that fails."""
    plan = plan_for("li_lpscl_nca", changes=dict(QUICKLY))
    with VirtualBoard(IdleWorld(), flash=image) as board:
        board.power_on()
        begun = []

        def progress(step, _done, _total, _path):
            if step == "write" and not begun:
                begun.append(board.counters()["flash_operations"])
                board.power_cut_at(cut)
            if step == "restart":
                begun.append(board.counters()["flash_operations"])

        with board.background(PACE):
            if cut is None:
                flasher.flash(board.console_port, plan, progress)
            else:
                with (
                    mock.patch.object(board_repl, "BYTE_DEADLINE_S", DEAD_AFTER_S),
                    pytest.raises((LinkError, PortError, FlashError, NotRunningError)),
                ):
                    flasher.flash(board.console_port, plan, progress)
                assert not board.powered, cut
        return int(begun[-1] - begun[0])


def said_after_boot(image: Path) -> tuple[list[dict], str]:
    """(HELLO frames, text) of two seconds."""
    with VirtualBoard(IdleWorld(), flash=image) as board:
        board.power_on()
        board.run_until(board.now_us + 2_000_000)
        items = Decoder(mid_stream=False).feed(board.read_console())
    hellos = [item.fields for item in items if isinstance(item, Frame) and item.type == schema.HELLO]
    return hellos, "\n".join(item.text for item in items if isinstance(item, Line))


def test_power_may_fail_at_any_flash_operation_of_a_flash_of_the_configuration(tmp_path, request):
    image = made_image(tmp_path / "flash.bin", CONFIG)
    kept = image.read_bytes()
    total = flash_config(image, None)
    old, new = decode(CONFIG).crc, decode(QUICK).crc
    points = list(range(1, total + 1))
    if not request.config.getoption("--all-cuts"):
        points = random.Random(1).sample(points, 1)
    outcomes = []
    for point in points:
        image.write_bytes(kept)
        flash_config(image, point)
        hellos, text = said_after_boot(image)
        if hellos:
            assert hellos[0]["config_status"] == 0, point
            assert hellos[0]["config_crc"] in (old, new), point
            outcomes.append("old" if hellos[0]["config_crc"] == old else "new")
        else:
            assert "UPDATE" in text, point
            outcomes.append("prompt")
        flash_config(image, None)  # and a second flash mends it
        assert said_after_boot(image)[0][0]["config_crc"] == new
    print(f"config image: {len(points)} of {total} cut points; the next boot has {', '.join(outcomes)}")
