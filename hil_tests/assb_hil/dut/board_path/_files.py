"""Runs boot.py and main.py as a board does. What starts before is in _boot.py, which is gone from the heap by now."""

import gc
import io
import os
import sys

import _lockstep
import machine


def run(namespace):
    namespace.pop("__file__", None)
    del sys.modules["_boot"]
    del sys.modules["_lockstep"]
    del sys.modules["_files"]
    gc.collect()
    execute("boot.py", namespace)
    if machine._board["run_main"]:
        execute("main.py", namespace)
    _lockstep.interactive()


def execute(name, namespace):
    try:
        os.stat(name)
    except OSError:
        return
    try:
        execfile(name, namespace)  # noqa: F821 (a built-in of MicroPython)
    except SystemExit:
        machine.soft_reset()
    except BaseException as error:
        report(error)


def report(error):
    """Prints a traceback without this file's own frame."""
    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().split("\n"):
        if line and "_files.py" not in line:
            print(line)
