"""First file of the board's file system: the slot that /slot names. main.py says the rest.

Modules come from there and from the MicroPython image, and from no folder that updates, seal and self-test do not know.
"""

import sys

try:
    with open("/slot") as _file:
        _slot = _file.read(1)
except OSError:
    _slot = "a"
sys.path[:] = ["/b" if _slot == "b" else "/a", ".frozen"]
