"""Copies a directory of the host into a flash image or back; run on a VM of the host, with the posix root still there.

Arguments: in|out|format, image, blocks, directory. `in` keeps what the image holds besides; an image that does not
mount is an error except for `format`.
"""

import os
import sys

import vfs
from _flash import PAGE_BYTES, Flash


def main(direction, image, blocks, directory):
    with open(image, "r+b") as file:
        copy(direction, Flash(file, int(blocks)), directory)


def copy(direction, flash, directory):
    if direction == "format":
        vfs.VfsLfs2.mkfs(flash, progsize=PAGE_BYTES)
    vfs.mount(vfs.VfsLfs2(flash, progsize=PAGE_BYTES), "/flash")
    if direction == "out":
        copy_tree("/flash", directory)
    else:
        copy_tree(directory, "/flash")
    vfs.umount("/flash")


def copy_tree(source, target):
    for row in os.ilistdir(source):
        name = row[0]
        if name in (".", ".."):
            continue
        below, copy = source + "/" + name, target + "/" + name
        if row[1] & 0x4000:
            try:
                os.mkdir(copy)
            except OSError:
                os.stat(copy)
            copy_tree(below, copy)
        else:
            copy_file(below, copy)


def copy_file(source, target):
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while True:
            data = reader.read(4096)
            if not data:
                break
            writer.write(data)


main(*sys.argv[1:])
