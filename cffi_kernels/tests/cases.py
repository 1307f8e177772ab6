"""How many cases are tried: all of them, or the share that ASSB_SHARE_OF_CASES says where each case is slow."""

import os

SHARE = float(os.environ.get("ASSB_SHARE_OF_CASES", "1"))


def so_many(count: int) -> int:
    """That share of `count` cases, or a few."""
    return max(min(count, 10), round(SHARE * count))
