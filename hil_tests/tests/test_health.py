"""Each post-run verdict holds on a good run, and each fails, alone, for what it is about."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from assb.protocol import schema
from assb.protocol.frame import FrameWriter
from assb_hil.health import health_verdicts
from assb_hil.recorder import Recorder
from assb_hil.scenario import Scenario, Start

SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4}
ROWS = schema.index_of(schema.LIMIT_ROWS)


class BoardRun:
    """What a board said, frame by frame, as `health_verdicts` looks at it."""

    duration_s = 10.0

    def __init__(self, **scenario):
        self.writer = FrameWriter(schema.schema_id())
        self.recorder = Recorder()
        self.rig = SimpleNamespace(recorder=self.recorder)
        self.resets = {"watchdog_resets": 0}
        self.dut = SimpleNamespace(counters=lambda: self.resets)
        self.scenario = Scenario(
            name="t", path=Path("t"), title="t", pack="p", plant="p", duration_s=10.0, start=Start(0.5), **scenario
        )
        self.boot(count=1)
        self.say(schema.HEALTH, heap_low_b=50_000)

    def frame(self, message, **values):
        """Wire form of one message, zeros where nothing is said."""
        self.writer.begin(message, 0, 1000)
        for name, code in schema.layout(schema.MESSAGES[message - 1]):
            if code.endswith("s"):
                self.writer.put_text("", int(code[:-1]))
            else:
                self.writer.put(SIZES[code], values.get(name, 0))
        return bytes(self.writer.wire[: self.writer.end()])

    def say(self, message, **values):
        self.recorder.console(1.0, self.frame(message, **values))

    def event(self, event, a=0, b=0):
        self.say(schema.EVENT, event=event, a=a, b=b)

    def hello(self, count):
        self.say(schema.HELLO, schema_id=schema.schema_id(), boot_count=count)

    def boot(self, count):
        self.hello(count)
        self.event(schema.EV_BOOT, 1, count)


def broken(run):
    """Verdicts that fail: name → value."""
    return {verdict.name: verdict.value for verdict in health_verdicts(run) if not verdict.passed}


def trip(run):
    run.event(schema.EV_TRIP, ROWS["soft_short"])


def fail_self_test(run):
    run.event(schema.EV_SELF_TEST, 3)


def let_lease_lapse(run):
    run.event(schema.EV_LEASE, 5000)


def fail_bus(run):
    run.event(schema.EV_BUS, 48)


def refuse(run):
    run.recorder.console(2.0, b"!err arm id=1 reason=bad_crc *0000\r\n")


def damage(run):
    run.recorder.console(2.0, run.frame(schema.PACK).replace(b"\xe8", b"\xe9", 1))  # t_ms is 0x3e8
    run.writer.sequence -= 1  # and the board sends it again: damage alone
    run.say(schema.PACK)


def lose(run):
    run.frame(schema.PACK)
    run.say(schema.PACK)


def restart(run):
    run.boot(count=2)


def restart_without_event(run):
    run.hello(count=2)


def restart_without_counting(run):
    """As a board does whose flash can't be written."""
    run.boot(count=1)


def bark(run):
    run.resets["watchdog_resets"] = 1


def fill_heap(run):
    run.say(schema.HEALTH, heap_low_b=7_999)


FAILURES = [
    (trip, "no unexpected trip", "soft_short"),
    (fail_self_test, "no unexpected event", "self_test_failed"),
    (let_lease_lapse, "no unexpected event", "lease_lapsed"),
    (fail_bus, "no unexpected event", "bus_error"),
    (refuse, "no command refused", "!err arm id=1 reason=bad_crc *0000"),
    (damage, "no damaged frame", 1),
    (lose, "no lost frame", 1),
    (restart, "the board started once", 2),
    (restart_without_event, "the board started once", 2),
    (restart_without_counting, "the board started once", 2),
    (bark, "no watchdog reset", 1),
    (fill_heap, "heap low water kept", 7_999),
]


def test_a_quiet_run_breaks_nothing():
    assert broken(BoardRun()) == {}


@pytest.mark.parametrize(("spoil", "name", "value"), FAILURES, ids=[spoil.__name__ for spoil, _, _ in FAILURES])
def test_each_verdict_fails_alone_for_its_own_reason(spoil, name, value):
    run = BoardRun()
    spoil(run)
    assert broken(run) == {name: value}


def test_every_verdict_was_made_to_fail():
    assert {verdict.name for verdict in health_verdicts(BoardRun())} == {name for _, name, _ in FAILURES}


def test_what_the_scenario_expects_is_no_surprise():
    run = BoardRun(expected_trips=("soft_short",), expected_events=("bus_error",))
    trip(run)
    fail_bus(run)
    assert broken(run) == {}


def test_a_hello_that_was_asked_for_is_no_start():
    run = BoardRun()
    run.hello(count=1)
    assert broken(run) == {}


def test_a_board_that_was_flashed_over_its_port_has_booted_before_and_starts_once():
    run = BoardRun()
    run.recorder = Recorder()
    run.rig.recorder = run.recorder
    run.writer.sequence = 0
    run.boot(count=65_535)
    run.say(schema.HEALTH, heap_low_b=50_000)
    assert broken(run) == {}
    run.boot(count=0)  # the count wraps
    assert broken(run) == {"the board started once": 2}


def test_a_board_that_never_spoke_has_not_started():
    run = BoardRun()
    run.recorder = Recorder()
    run.rig.recorder = run.recorder
    assert broken(run) == {"the board started once": 0, "heap low water kept": None}
