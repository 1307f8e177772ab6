"""Start of the virtual board, as the ROM and `_boot.py` of a port: flash mounted at `/`, then boot.py and main.py.

Arguments: the file descriptors of the lockstep port and of the flash image, both opened by the host. What the VM keeps
in sight afterwards is what a board has: no posix root, no host path, no modules of this directory but machine and time.
"""

import gc
import io
import os
import random
import sys
import time

import _flash
import _lockstep
import machine
import vfs
import wire


def run(namespace):
    port, image = [open(int(number), "r+b") for number in sys.argv[1:]]  # noqa: SIM115 (both stay open for ever)
    words = _lockstep.hello(port)
    flash = _flash.Flash(
        image,
        words[wire.HELLO_FLASH_BLOCKS],
        words[wire.HELLO_FLASH_ERASE_US],
        words[wire.HELLO_FLASH_PAGE_US],
    )
    machine._board["reset_cause"] = words[wire.HELLO_RESET_CAUSE]
    machine._board["unique_id"] = words[wire.HELLO_UNIQUE_ID].to_bytes(8, "big")
    random.seed(words[wire.HELLO_SEED])
    run_main = words[wire.HELLO_RUN_MAIN]
    mount(flash)
    hide(namespace)
    words = flash = None
    execute("boot.py", namespace)
    if run_main:
        execute("main.py", namespace)
    _lockstep.interactive()


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


def hide(namespace):
    sys.path[:] = ["", ".frozen", "/lib"]
    del sys.argv[:]
    for name in ("_boot", "_flash", "_lockstep", "wire"):
        del sys.modules[name]
    sys.modules["umachine"] = machine
    sys.modules["utime"] = time
    namespace.pop("__file__", None)
    gc.collect()


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
        if line and "_boot.py" not in line:
            print(line)
