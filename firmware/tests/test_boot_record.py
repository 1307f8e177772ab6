"""What a boot writes of itself: kept by rename, and a flash that takes nothing does not stop the firmware."""

import sys
from types import ModuleType

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
    record.intend_reset()
    assert not record.request_update()
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.suffix != ".new"} == kept
    said = capsys.readouterr().out
    assert all(f"/{name} was not written: [Errno" in said for name in names)
