"""First file of the board's file system: the slot that /slot names. main.py says the rest.

Modules come from there and from the MicroPython image, and from no folder that updates, seal and self-test do not know.
"""

import sys

sys.path[:] = ["/a", ".frozen"]
try:
    with open("/slot", "rb") as _file:  # whatever it holds
        if _file.read(1) == b"b":
            sys.path[0] = "/b"
except OSError:
    pass
