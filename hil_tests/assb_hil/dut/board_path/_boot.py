"""Start of the virtual board, as the ROM and `_boot.py` of a port: clock, flash mounted at `/`.

Arguments: the file descriptors of the lockstep port and of the flash image, both opened by the host. What the VM keeps
in sight afterwards is what a board has: no posix root, no host path, no modules of this directory but machine and time.
"""

import os
import random
import sys
import time

import _files  # noqa: F401 (from here on the host's files are out of reach)
import _flash
import _lockstep
import machine
import micropython
import vfs
import wire


def start():
    micropython.kbd_intr(-1)  # no Ctrl-C before the board has its file system: boot.py is the first that it may stop
    port, image = [open(int(number), "r+b") for number in sys.argv[1:]]  # noqa: SIM115 (both stay open for ever)
    words = _lockstep.hello(port)
    board = machine._board
    board["reset_cause"] = words[wire.HELLO_RESET_CAUSE]
    board["unique_id"] = words[wire.HELLO_UNIQUE_ID].to_bytes(8, "big")
    board["run_main"] = words[wire.HELLO_RUN_MAIN]
    random.seed(words[wire.HELLO_SEED])
    mount(
        _flash.Flash(
            image,
            words[wire.HELLO_FLASH_BLOCKS],
            words[wire.HELLO_FLASH_ERASE_US],
            words[wire.HELLO_FLASH_PAGE_US],
        )
    )
    sys.path[:] = ["", ".frozen", "/lib"]
    del sys.argv[:]
    del sys.modules["_flash"]
    sys.modules["umachine"] = machine
    sys.modules["utime"] = time
    micropython.kbd_intr(3)


def mount(flash):
    """Replaces the host's root by the flash; formats a flash that holds no file system, as rp2's _boot.py does."""
    vfs.umount("/")
    try:
        root = vfs.VfsLfs2(flash, progsize=_flash.PAGE_BYTES)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=_flash.PAGE_BYTES)
        root = vfs.VfsLfs2(flash, progsize=_flash.PAGE_BYTES)
    vfs.mount(root, "/")
    os.chdir("/")
