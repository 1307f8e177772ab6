"""assb: firmware for packs of all-solid-state cells held under controlled stack pressure."""

import sys

VERSION = (0, 1, 0)

# Of the firmware that runs and its configuration; empty where no slot does, as in tests
FOLDER = sys.path[0] if sys.path and sys.path[0] in ("/a", "/b") else ""
