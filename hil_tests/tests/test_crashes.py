"""An exception in the running firmware: outputs off first, kept over the reset, told afterwards; a loop of them ends in
MAINTENANCE, which answers."""

import pytest
from assb.protocol import schema
from assb_hil.dut.flash_image import read_image
from assb_hil.session import open_session
from assb_host.config import build_image, load_pack
from powered_lives import QUICK, Life, idle, leased, live, made_image, send

CONFIG = build_image(load_pack("li_lpscl_nca"))
ARMED_AT_S = 1.5
# Takes the place of the module of that name; without a configuration no temperature is valid, and it works
BROKEN_ALARM = """
class Alarm:
    on = 0

    def __init__(self, settings, now_ms, shorted):
        self.ticks = 0

    def update(self, stage, temperature_cdegc, temperature_valid, now_ms):
        self.ticks += 1
        if temperature_valid and self.ticks >= %d:
            raise ValueError("the alarm is broken")
        return False
"""
STALLED_ALARM = BROKEN_ALARM.replace('raise ValueError("the alarm is broken")', "stall()").replace(
    "class Alarm", "def stall():\n    import time\n\n    time.sleep_ms(60000)\n\n\nclass Alarm"
)


def image_with(tmp_path, alarm, tick):
    return made_image(
        tmp_path / "flash.bin", QUICK, {"/a/assb/control/alarm.py": (alarm % tick).encode(), "/boots": b"41"}
    )


def state(life):
    return schema.STATES[int(life.last("state"))]


def test_an_exception_opens_the_contactor_at_once_and_is_told_after_the_reset(tmp_path):
    image = image_with(tmp_path, BROKEN_ALARM, 1800)  # 18.8 s after power on
    with open_session(idle(0.6, 22.0), flash=image) as session:
        session.start()
        for at_s, act in leased(ARMED_AT_S, 18.0):
            session.run_to(at_s)
            act(session)
        session.run_to(18.7)
        assert session.rig.plant.contactor.closed
        send("mark", number=77)(session)
        session.run_to(20.5)
        session.send("crash")
        send("events")(session)
        session.run_to(21.0)
        life = Life(session.recorder, session.dut.powered, 0)
    opened_s = next(
        event["t_s"] for event in life.recorder.events if event["name"] == "coil_switched" and not event["closed"]
    )
    assert opened_s < next(at_s for at_s, text in life.recorder.lines if text.startswith("Traceback"))
    assert life.event("crashed")["boot_count"] == 42
    assert [42, schema.EV_MARK, 77] in [[row[0], row[1], row[2]] for row in life.log().values()]
    (crash,) = life.frames(schema.CRASH)
    assert crash["boot"] == 42
    assert crash["text"].rstrip().endswith("ValueError: the alarm is broken")
    assert "assb/app.py" in crash["text"]
    later = live(image, idle(0.6, 2.0), acts=[(1.0, send("crash"))])
    assert "crashed" not in later.names  # that was two boots ago
    assert later.frames(schema.CRASH) == [crash]  # but it is still known


def test_three_crashes_in_a_row_end_in_maintenance_which_answers_and_lets_go(tmp_path):
    image = image_with(tmp_path, BROKEN_ALARM, 50)
    acts = [
        (6.0, send("get", name="lease_ms")), (6.1, send("events")), (6.2, send("crash")), (6.5, send("clear")),
        (6.6, send("arm")), (7.0, send("reset")),
    ]  # fmt: skip
    life = live(image, idle(0.6, 6.9), acts=acts[:-1])
    assert state(life) == "MAINTENANCE"
    assert [fields["config_status"] for fields in life.frames(schema.HELLO)] == [0, 0, 0, -3]
    assert life.replies("get")
    assert len([row for row in life.log().values() if row[1] == schema.EV_CRASHED]) == 3
    assert life.frames(schema.CRASH)
    assert any("!err arm" in text and "not_safe" in text for _, text in life.recorder.lines)
    freed = live(image, idle(0.6, 1.2))
    assert freed.frames(schema.HELLO)[0]["config_status"] == 0


def test_maintenance_lasts_over_power_cycles_until_it_is_cleared(tmp_path):
    image = image_with(tmp_path, BROKEN_ALARM, 50)
    assert state(live(image, idle(0.6, 6.0))) == "MAINTENANCE"
    again = live(image, idle(0.6, 40.0))  # longer than it takes to forget single crashes
    assert state(again) == "MAINTENANCE"
    assert [fields["config_status"] for fields in again.frames(schema.HELLO)] == [-3]
    assert state(live(image, idle(0.6, 2.0))) == "MAINTENANCE"


def test_watchdog_resets_in_a_row_end_there_too_and_are_no_exception(tmp_path):
    image = image_with(tmp_path, STALLED_ALARM, 50)
    life = live(image, idle(0.6, 16.0), acts=[(15.0, send("crash"))])
    assert state(life) == "MAINTENANCE"
    boots = [event for event in life.recorder.events if event["name"] == "boot"]
    assert [event["reset_cause"] for event in boots] == ["power_on", *["watchdog"] * 3]
    assert not life.frames(schema.CRASH)


def test_a_crash_in_maintenance_as_well_ends_at_the_prompt(tmp_path):
    image = made_image(tmp_path / "flash.bin", CONFIG, {"/a/assb/telemetry.py": b"raise ValueError('no telemetry')\n"})
    life = live(image, idle(0.6, 12.0))
    assert not life.frames(schema.HELLO)
    texts = [text for _, text in life.recorder.lines]
    assert any(text.startswith("MAINTENANCE: crashed 6 times in a row") for text in texts)


@pytest.mark.parametrize(("duration_s", "left"), [(25.0, b"2"), (32.0, b"0")])
def test_single_crashes_are_forgotten_after_half_a_minute(tmp_path, duration_s, left):
    image = made_image(tmp_path / "flash.bin", CONFIG, {"/crashes": b"2"})
    live(image, idle(0.6, duration_s))
    assert read_image(image)["/crashes"] == left


def test_a_flash_that_takes_no_boot_record_stops_nothing(tmp_path):
    in_the_way = {f"/{name}.new/x": b"" for name in ("boots", "crashes", "intended")}  # a folder where a file should be
    image = made_image(tmp_path / "flash.bin", QUICK, in_the_way)
    life = live(image, idle(0.6, 3.0), acts=[(1.5, send("reset"))])
    assert [fields["config_status"] for fields in life.frames(schema.HELLO)] == [0, 0]
    assert state(life) == "SAFE"
    assert any("/boots was not written: [Errno 21]" in text for _, text in life.recorder.lines)
    broken = {"/a/assb/control/alarm.py": (BROKEN_ALARM % 50).encode()}
    life = live(made_image(tmp_path / "broken.bin", QUICK, in_the_way | broken), idle(0.6, 5.0))
    assert len(life.frames(schema.HELLO)) >= 3  # it restarts after each crash, though it can't count them
    assert any("/crashes was not written: [Errno 21]" in text for _, text in life.recorder.lines)
