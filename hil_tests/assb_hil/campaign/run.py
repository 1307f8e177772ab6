"""A campaign in a folder: run what is not on disk yet, count, report."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from assb_hil.campaign import store
from assb_hil.campaign.counting.judgement import ShortClass
from assb_hil.campaign.counting.summary import summarise
from assb_hil.campaign.counting.tally import Figures, Tally
from assb_hil.campaign.pages.page import render
from assb_hil.campaign.record import TrialResult, TrialSpec
from assb_hil.campaign.schedule import Pool, Run, TrialError
from assb_hil.campaign.settings import Settings, claim, write_whole
from assb_hil.out_folder import make_folder, writing

FAILED_MOST = 10  # then it is no odd trial but the code
Progress = Callable[[TrialResult], None]


def planned(settings: Settings, draw: Callable[..., TrialSpec]) -> list[TrialSpec]:
    """Trials 0, 1, 2, … until the hours are reached; `draw` takes seed, number and, if not all, profiles."""
    plan, hours = [], 0.0
    chosen = (settings.profiles,) if settings.profiles else ()
    while hours < settings.cell_hours:
        spec = draw(settings.seed, len(plan), *chosen)
        plan.append(msgspec.structs.replace(spec, watch_rests=settings.watch_rests))
        hours += plan[-1].cells * plan[-1].duration_s / 3600.0
    return plan


def unfinished(folder: Path, settings: Settings, plan: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Makes and claims the folder; the trials of the plan that it does not hold yet."""
    make_folder(folder)
    with writing(folder):
        claim(folder, settings)
    there = store.finished(folder)
    return [spec for spec in plan if spec.number not in there]


def run_trials(folder: Path, specs: Sequence[TrialSpec], run: Run, pool: Pool, progress: Progress) -> list[TrialError]:
    """The trials that failed; raises the last of them when they are FAILED_MOST. Whatever ends it, what finished is on
    disk."""
    failed: list[TrialError] = []
    with store.Writer(folder) as writer:
        for result in pool.results(specs, run):
            if isinstance(result, TrialError):
                failed.append(result)
                if len(failed) == FAILED_MOST:
                    raise result
            else:
                writer.add(result)
                progress(result)
    return failed


def count(folder: Path, settings: Settings, classes: Mapping[str, ShortClass], planned: int) -> Figures:
    """Summary and report of what is on disk, written as summary.json and report.html."""
    tally = Tally(store.results(folder), classes)
    summary = summarise(tally)
    summary |= {
        "seed": settings.seed,
        "code": settings.code,
        "trials_planned": planned,
        "watch_rests": settings.watch_rests,
    }
    with writing(folder):
        write_whole(folder / "summary.json", json.dumps(summary, indent=1, allow_nan=False).encode() + b"\n")
        write_whole(folder / "report.html", render(tally, summary, command_line(settings)).encode())
    return summary


def command_line(settings: Settings) -> str:
    profiles = "".join(f" --profile {name}" for name in settings.profiles)
    rests = " --watch-rests" if settings.watch_rests else ""
    return f"assb campaign shorts --cell-hours {settings.cell_hours:g} --seed {settings.seed}{profiles}{rests}"
