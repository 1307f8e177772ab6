"""Second file: run the firmware of a slot, or stay at the REPL: an update was asked for, or nothing can run.

Firmware and configuration live in /a and /b. /slot says `a`; or `b 3 a`: b is on trial for three starts, then a runs
again; or `a back`: that has happened. The firmware confirms itself (assb/app.py).
"""

import os
import sys

import machine

TRIES = 3
B, ON_TRIAL, FELL_BACK = 1, 2, 4  # HELLO's slot
TRIAL_WATCHDOG_MS = 8000  # an RP2040's can't be longer; it bites a new firmware that hangs before it starts its own
_timers = []  # feed that watchdog at the prompt; a port ends a timer that nobody refers to


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _remove(path):
    try:
        os.remove(path)
        return True
    except OSError:
        return False


def _read(path):
    try:
        with open(path) as file:
            return file.read().split()
    except (OSError, ValueError):
        return []


def _other(slot):
    return "b" if slot == "a" else "a"


def _whole(slot):
    """A flash takes the manifest away first and writes it last."""
    return _exists("/%s/manifest" % slot)


def _write_slot(text):
    """False when flash does not take it; the old one stays."""
    try:
        with open("/slot.new", "w") as file:
            file.write(text)
        os.rename("/slot.new", "/slot")
        return True
    except OSError as error:
        print("/slot was not written:", error)
        return False


def _reason_to_stay():
    if _remove("/update"):
        return "UPDATE"
    crashes = _read("/crashes")
    if crashes and crashes[0].isdigit() and int(crashes[0]) >= 6:  # from 3 on the firmware itself stays in MAINTENANCE
        return (
            "MAINTENANCE: crashed %s times in a row; flash again, `assb flash --rollback`, or remove /crashes"
            % crashes[0]
        )
    return ""


def _choose():
    """(slot, whether it is on trial, whether there is no other to try). A start on trial is counted here;
    where it can't be, it would never end: then the slot runs that is on none."""
    words = _read("/slot")
    slot = words[0] if words and words[0] in ("a", "b") else "a"
    if _whole(_other(slot)) and not _whole(slot):
        return _other(slot), False, False
    if len(words) == 3 and words[2] in ("a", "b"):
        left = int(words[1]) if words[1].isdigit() else 0
        if left and _write_slot("%s %d %s" % (slot, left - 1, words[2])):
            return slot, True, True
        slot = words[2]
        _remove("/crashes")  # they were the other's
        _write_slot(slot + " back")
        words = ["", ""]
    return slot, False, len(words) == 2


def _demand_seal(slot):
    """On a board with a key alone."""
    if _exists("/key"):
        scope = {}
        with open("/seal.py") as file:
            exec(file.read(), scope)
        scope["demand"](slot)


def _start(slot, on_trial, last):
    try:
        _demand_seal(slot)
        from assb.start import main
    except Exception as error:  # files that are not there or not whole, or that nobody has sealed
        sys.print_exception(error)
        if not on_trial:
            to_other = "%s %d %s" % (_other(slot), TRIES, slot)
            if last or not _whole(_other(slot)) or not _write_slot(to_other):
                print("MAINTENANCE: the firmware in /%s can't be loaded, and no other is left; flash again" % slot)
                return
        machine.reset()
    else:
        main((B if slot == "b" else 0) | (ON_TRIAL if on_trial else FELL_BACK if last else 0))


def _feed_at_prompt():
    wdt = machine.WDT(timeout=TRIAL_WATCHDOG_MS)
    try:
        timer = machine.Timer(-1)
    except ValueError:  # as in port/watchdog.py
        timer = machine.Timer(0)
    timer.init(period=1000, mode=machine.Timer.PERIODIC, callback=lambda _: wdt.feed())
    return timer


def _run():
    reason = _reason_to_stay()
    if reason:
        print(reason)
        return
    slot, on_trial, last = _choose()
    sys.path[0] = "/" + slot
    try:
        if on_trial:
            machine.WDT(timeout=TRIAL_WATCHDOG_MS)
        _start(slot, on_trial, last)
    except KeyboardInterrupt:  # while it was loaded
        if on_trial:
            _timers.append(_feed_at_prompt())
        raise


_run()
