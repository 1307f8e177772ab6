"""First file of the board's file system: choose the code slot. Code lives in /a; /b is kept free for updates."""

import sys

sys.path.insert(0, "/a")
