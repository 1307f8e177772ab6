"""What must survive a reset of this board: how often it booted, how often it crashed in a row, and the way it stopped.

Small files on littlefs, replaced by rename, so that a power cut leaves the old or the new one. Where one can't be
written, a line says so and the firmware runs on: it protects without them.
"""

import os

import machine

from ..const import const

BOOTS, CRASHES, UPDATE, INTENDED = "/boots", "/crashes", "/update", "/intended"
SLOT = "/slot"  # what it says is told in rootfs/main.py
_B = const(1)  # in HELLO's slot; 2 on trial, 4 fell back from the other
_HARD = const(2)  # in schema.RESET_CAUSES
_WATCHDOG = const(3)
_LOOP = const(
    3
)  # crashes or watchdog resets in a row, with which the app stays in MAINTENANCE; main.py has the next level


class BootRecord:
    """Counts this boot when it is made. `boot_count`, `reset_cause` (index into schema.RESET_CAUSES), `loops`: the app
    has crashed over and over. `slot`: what rootfs/main.py says of the slot that runs, as in HELLO.
    """

    def __init__(self, slot=0):
        self.boot_count = (_read_count(BOOTS) + 1) & 0xFFFF
        _write_count(BOOTS, self.boot_count)
        self.reset_cause = _reset_cause()
        intended = _remove(INTENDED)
        if self.reset_cause == _WATCHDOG and intended:
            self.reset_cause = _HARD  # an RP2040 resets itself through its watchdog
        elif self.reset_cause == _WATCHDOG:
            self.crashed()  # a loop of watchdog resets ends in MAINTENANCE too
        self.loops = _read_count(CRASHES) >= _LOOP
        self.slot = slot

    def crashed(self):
        _write_count(CRASHES, _read_count(CRASHES) + 1)

    def forget_crashes(self):
        """The app ran long enough, or the user says so. True when there were any, which takes a write."""
        if not _read_count(CRASHES):
            return False
        _write_count(CRASHES, 0)
        return True

    def confirm_slot(self):
        """The firmware that was on trial is right; it stays on trial where that can't be written."""
        if _write_count(SLOT, "ab"[self.slot & _B]):
            self.slot &= _B

    def intend_reset(self):
        """The reset that follows is meant."""
        _write_count(INTENDED, 1)

    def request_update(self):
        """The next boot stays at the REPL, before the watchdog is started. False: it will not."""
        return _write_count(UPDATE, 1)

    def forget_update(self):
        """Whoever asked for it has the REPL already."""
        _remove(UPDATE)


def _remove(path):
    try:
        os.remove(path)
        return True
    except OSError:
        return False


def _read_count(path):
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _write_count(path, count):
    """False when it could not be written; the old one stays."""
    try:
        with open(path + ".new", "w") as file:
            file.write(str(count))
        os.rename(path + ".new", path)
        return True
    except OSError as error:
        print("assb: %s was not written: %s" % (path, error))
        return False


def _reset_cause():
    """Ports number their causes differently, and not every port has all."""
    cause = machine.reset_cause()
    names = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")
    for index, name in enumerate(names, 1):
        if getattr(machine, name, None) == cause:
            return index
    return 0
