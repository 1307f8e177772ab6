"""What a boot writes of itself: kept by rename, and a flash that takes nothing does not stop the firmware."""

import sys
from pathlib import Path
from types import ModuleType

import assb
import pytest

POWER_ON, WATCHDOG = 1, 3


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """A BootRecord whose files lie in a folder; `cause`: what the port calls the reset."""
    machine = ModuleType("machine")
    machine.PWRON_RESET, machine.WDT_RESET = 1, 3  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "machine", machine)
    from assb.port import boot_record

    monkeypatch.setattr(boot_record, "machine", machine)
    for name in ("BOOTS", "CRASHES", "UPDATE", "INTENDED", "SLOT"):
        monkeypatch.setattr(boot_record, name, str(tmp_path) + getattr(boot_record, name))

    def make(cause=POWER_ON, slot=0):
        machine.reset_cause = lambda: cause  # pyright: ignore[reportAttributeAccessIssue]
        return boot_record.BootRecord(slot)

    return make


def test_it_counts_starts_and_crashes_in_a_row_and_the_third_is_a_loop(boot):
    assert [boot().boot_count for _ in range(3)] == [1, 2, 3]
    boot().crashed()
    boot(WATCHDOG)
    assert not boot().loops
    boot().crashed()
    record = boot()
    assert record.loops
    assert record.forget_crashes() and not record.forget_crashes()
    assert not boot().loops


def test_a_watchdog_reset_that_was_meant_is_no_crash(boot):
    for _ in range(3):
        boot(WATCHDOG).intend_reset()
    record = boot(WATCHDOG)
    assert (record.reset_cause, record.loops) == (2, False)


def full(path):
    """A write to it is refused by the system: no space left on the device."""
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("spoil", [full, lambda path: path.mkdir()], ids=("full", "no file can be made"))
def test_what_flash_does_not_take_is_a_line_and_the_old_stays(boot, tmp_path, capsys, spoil):
    boot().crashed()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    names = ("boots", "crashes", "update", "intended", "slot")
    for name in names:
        spoil(tmp_path / f"{name}.new")
    record = boot(WATCHDOG, slot=3)
    assert record.boot_count == int(kept["boots"]) + 1
    record.crashed()
    assert record.forget_crashes()  # it may have taken as long
    record.confirm_slot()
    assert record.slot == 3  # on trial still: what confirms it is the file
    record.intend_reset()
    assert not record.request_update()
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.suffix != ".new"} == kept
    said = capsys.readouterr().out
    assert all(f"/{name} was not written: [Errno" in said for name in names)


def test_a_slot_is_confirmed_once_flash_takes_it(boot, tmp_path):
    record = boot(slot=3)
    full(tmp_path / "slot.new")
    record.confirm_slot()
    (tmp_path / "slot.new").unlink()
    record.confirm_slot()
    assert (record.slot, (tmp_path / "slot").read_text()) == (1, "b")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """rootfs/main.py on a flash in a folder: returns the slot bits that the firmware was started with, [] if not.
    `loads`: whether its files can be loaded."""

    def restarted():
        raise SystemExit

    machine = ModuleType("machine")
    machine.__dict__.update(WDT=lambda timeout: None, reset=restarted)
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "print_exception", print, raising=False)
    source = (Path(assb.__file__).parent / "rootfs/main.py").read_text(encoding="utf-8").replace('"/', f'"{tmp_path}/')

    def make(slot, loads=True):
        (tmp_path / "slot").write_text(slot)
        for name in "ab":
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "manifest").touch()
        started = []
        firmware = ModuleType("assb.start")
        if loads:
            firmware.__dict__["main"] = started.append
        monkeypatch.setitem(sys.modules, "assb.start", firmware)
        exec(compile(source, "main.py", "exec"), {})
        return started

    return make


FELL_BACK = 4


@pytest.mark.parametrize(
    ("slot", "bits", "left"), [("b 2 a", 3, "b 1 a"), ("b 0 a", FELL_BACK, "a back"), ("b", 1, "b")]
)
def test_main_counts_a_start_on_trial_and_then_goes_back(start, tmp_path, slot, bits, left):
    assert start(slot) == [bits]
    assert (tmp_path / "slot").read_text() == left


@pytest.mark.parametrize("slot", ["b 2 a", "b 0 a"])
@pytest.mark.parametrize("spoil", [full, lambda path: path.mkdir()], ids=("full", "no file can be made"))
def test_main_runs_what_is_no_trial_where_a_start_on_trial_can_not_be_counted(start, tmp_path, spoil, slot):
    spoil(tmp_path / "slot.new")
    assert start(slot) == [FELL_BACK]
    assert (tmp_path / "slot").read_text() == slot


def test_main_stays_at_the_prompt_where_it_can_not_write_that_the_other_slot_is_to_run(start, tmp_path, capsys):
    with pytest.raises(SystemExit):
        start("a", loads=False)
    assert (tmp_path / "slot").read_text() == "b 3 a"
    full(tmp_path / "slot.new")
    assert start("a", loads=False) == []
    assert "MAINTENANCE: the firmware in /a can't be loaded" in capsys.readouterr().out
