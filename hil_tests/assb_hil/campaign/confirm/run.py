"""A sample of trials confirmed, and written down as they come."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from assb_host.flash.native_kernel import KernelSource

from assb_hil.campaign.confirm.both_paths import Confirmed, confirm
from assb_hil.campaign.confirm.sample import spec_of
from assb_hil.campaign.confirm.summary import summarise
from assb_hil.campaign.draw import PROFILES
from assb_hil.campaign.schedule import TrialError, open_pool
from assb_hil.campaign.settings import write_whole
from assb_hil.out_folder import writing

FILE_NAME = "confirm.json"


def confirm_sample(
    folder: Path,
    count: int,
    seed: int,
    profiles: tuple[str, ...] = (),
    kernel: KernelSource | None = None,
    workers: int = 1,
    tell: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Trials 0 … count - 1 of this seed; `profiles`: those to choose from, none: all. Returns the summary; `folder`
    gets it with what both paths said of each trial, also when it is interrupted."""
    specs = [spec_of(seed, number, profiles or PROFILES) for number in range(count)]
    results: list[Confirmed] = []
    failed: list[TrialError] = []
    try:
        with open_pool(workers, None) as pool:
            for result in pool.results(specs, partial(confirm, kernel=kernel)):
                if isinstance(result, TrialError):
                    failed.append(result)
                    tell(f"failed: {result}")
                else:
                    results.append(result)
                    tell(line(result))
    finally:
        results.sort(key=lambda result: result.spec.number)
        summary = summarise(results, failed)
        told = summary | {"seed": seed, "results": msgspec.to_builtins(results)}
        with writing(folder):
            write_whole(folder / FILE_NAME, json.dumps(told, indent=1, allow_nan=False).encode() + b"\n")
    return summary


def line(result: Confirmed) -> str:
    """Of one trial, for a terminal."""
    spec = result.spec
    said = f"{len(result.board)} stages, {result.worst_s} s apart" if result.agrees else "DISAGREES"
    return f"{spec.number:4} {spec.profile} x{spec.cells} {spec.load} {spec.short_class or 'no short'}: {said}"
