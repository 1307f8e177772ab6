"""What the confirmed trials come to, as JSON-ready figures."""

from collections.abc import Sequence
from typing import Any

import msgspec

from assb_hil.campaign.confirm.both_paths import SLOW_TICK_S, Confirmed
from assb_hil.campaign.schedule import TrialError


def summarise(results: Sequence[Confirmed], failed: Sequence[TrialError]) -> dict[str, Any]:
    """`worst_s`: how far apart the paths called one stage, at most, where they called the same stages."""
    apart = [result for result in results if not result.agrees]
    return {
        "trials": len(results),
        "agree": len(results) - len(apart),
        "failed": len(failed),
        "with_stages": sum(bool(result.board or result.watch) for result in results),
        "stages": sum(len(result.board) for result in results),
        "worst_s": max((result.worst_s for result in results if result.worst_s is not None), default=None),
        "allowed_s": SLOW_TICK_S,
        "native": sum(result.native for result in results),
        "virtual_s": sum(result.spec.duration_s for result in results),
        "disagreements": [msgspec.to_builtins(result) for result in apart],
    }
