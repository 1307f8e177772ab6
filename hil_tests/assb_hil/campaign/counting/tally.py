"""All trials of a campaign, added up one at a time; sums are rounded once, so that their order does not matter."""

from collections.abc import Callable, Iterable, Mapping
from math import fsum, isfinite
from typing import Any

from assb_hil.campaign.counting.intervals import poisson_interval, wilson_interval
from assb_hil.campaign.counting.judgement import SOFT_SHORT, Judged, ShortClass, Told, judge
from assb_hil.campaign.counting.thresholds import Crossed
from assb_hil.campaign.record import TrialResult

Figures = dict[str, Any]


class Tally:
    """`trials` judged one by one, and the crossings of their scores."""

    def __init__(self, results: Iterable[TrialResult], classes: Mapping[str, ShortClass]):
        self.classes = classes
        self.crossed = Crossed()
        self.trials: list[Judged] = []
        for result in results:
            judged = judge(result, classes)
            self.trials.append(judged)
            self.crossed.add(result, judged)

    def told(self, short_class: str) -> list[Told]:
        return [trial.told for trial in self.trials if trial.told and trial.told.short_class == short_class]

    def class_names(self) -> list[str]:
        """Of the classes that were drawn, in the order of their table."""
        seen = {trial.told.short_class for trial in self.trials if trial.told}
        return [name for name in self.classes if name in seen]

    def clean_hours(self) -> float:
        return fsum(trial.clean_hours for trial in self.trials)

    def first_alarms(self) -> tuple[int, float]:
        """(clean stretches with an alarm, hours watched until it): what a baseline's first crossings compare with."""
        pairs = [
            pair
            for trial in self.trials
            for pair in zip(trial.alarmed_after_hours, trial.clean_stretches_hours, strict=True)
        ]
        return sum(isfinite(after) for after, _ in pairs), fsum(min(pair) for pair in pairs)

    def granted_per_1000h(self) -> float:
        """False-alarm rate at which baselines are compared: ours; without any the upper end of its interval."""
        count, hours = self.first_alarms()
        return per_1000h(count or poisson_interval(0)[1], hours)

    def between_alarms_s(self) -> float:
        """Mean time between false alarms; without any the least that the hours watched allow (97.5 %)."""
        count = sum(trial.alarms for trial in self.trials)
        return 3600.0 * self.clean_hours() / (count or poisson_interval(0)[1])


def per_1000h(count: float, hours: float) -> float:
    return 1000.0 * count / hours if hours > 0.0 else 0.0


def alarm_figures(trials: Iterable[Judged]) -> Figures:
    """False alarms and suspects of these trials per 1000 cell-hours without a short."""
    trials = list(trials)
    hours = fsum(trial.clean_hours for trial in trials)
    figures: Figures = {"trials": len(trials), "clean_hours": hours}
    for name, count in (
        ("false_alarms", sum(trial.alarms for trial in trials)),
        ("suspects", sum(trial.suspects for trial in trials)),
    ):
        low, high = poisson_interval(count)
        figures |= {
            name: count,
            f"{name}_per_1000h": per_1000h(count, hours),
            f"{name}_ci95_per_1000h": [per_1000h(low, hours), per_1000h(high, hours)],
        }
    figures["trials_with_false_alarms"] = sum(trial.alarms > 0 for trial in trials)
    return figures


def rows_by(trials: Iterable[Judged], names_of: Callable[[Judged], Iterable[str]]) -> list[Figures]:
    """`alarm_figures` of the trials under each name, in order of names; a trial may stand under several."""
    groups: dict[str, list[Judged]] = {}
    for trial in trials:
        for name in names_of(trial):
            groups.setdefault(name, []).append(trial)
    return [{"name": name, **alarm_figures(groups[name])} for name in sorted(groups)]


def confounders_of(trial: Judged) -> tuple[str, ...]:
    """Of a trial without a short, "plain" where nothing confounds."""
    return () if trial.told else real_confounders(trial) or ("plain",)


def real_confounders(trial: Judged) -> tuple[str, ...]:
    return tuple(name for name in trial.spec.confounders if name != "plain")


def confused(trials: Iterable[Judged], confounder: str) -> Figures:
    """How many trials with this confounder and no short were called a short."""
    cases = [trial for trial in trials if confounder in confounders_of(trial)]
    called = sum(trial.worst_clean_stage >= SOFT_SHORT for trial in cases)
    return {"n": len(cases), "called_short": called, "ci95": list(wilson_interval(called, len(cases)))}
