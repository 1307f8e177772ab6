"""On a board with a key: is what a slot holds what somebody with that key sealed? main.py runs this file before it
loads the slot; it stands outside of the slots, which it judges.

/a/seal: a line `SHA-256 path` for every other file of the slot, in hex; its last line is the HMAC-SHA-256 (RFC 2104) of
the lines before it, by the key in /key.
"""

import os
from binascii import hexlify, unhexlify
from hashlib import sha256

_BLOCK_BYTES = 64  # of SHA-256
_KEY_BYTES = 32


def _padded(key, pad):
    return sha256(bytes([byte ^ pad for byte in key + bytes(_BLOCK_BYTES - len(key))]))


def _hash(path):
    part = memoryview(bytearray(512))
    digest = sha256()
    with open(path, "rb") as file:
        while True:
            count = file.readinto(part)
            if not count:
                return hexlify(digest.digest()).decode()
            digest.update(part[:count])


def _file_count(folder):
    count = 0
    for entry in os.ilistdir(folder):
        count += _file_count(folder + "/" + entry[0]) if entry[1] & 0x4000 else 1
    return count


def demand(slot):
    """ValueError unless the slot is sealed; OSError when a file of it, or its seal, is not there."""
    with open("/key") as file:
        key = unhexlify(file.read().strip())
    if len(key) != _KEY_BYTES:
        raise ValueError("/key is damaged: erase the flash and set it anew")
    inner, outer = _padded(key, 0x36), _padded(key, 0x5C)
    folder = "/" + slot + "/"
    said, count = "", 0
    with open(folder + "seal") as file:
        for line in file:
            words = line.split()
            if len(words) == 1:
                said = words[0]
                break
            if _hash(folder + words[1]) != words[0]:
                raise ValueError("%s%s is not what was sealed" % (folder, words[1]))
            inner.update(line.encode())
            count += 1
    outer.update(inner.digest())
    if hexlify(outer.digest()).decode() != said:
        raise ValueError("%sseal was not made with this board's key" % folder)
    if _file_count("/" + slot) != count + 1:
        raise ValueError("%s holds a file that was not sealed" % folder)
