"""The heap of this interpreter. CPython has no figure for it and collects by itself."""

import gc

_MEASURED = hasattr(gc, "mem_free")


def free_b():
    return gc.mem_free() if _MEASURED else 0


def collect():
    if _MEASURED:
        gc.collect()
