"""The JSON summary of a campaign."""

from collections.abc import Iterable
from math import fsum, inf, isfinite, isnan

from assb_hil.campaign.counting.intervals import quantile_s, wilson_interval
from assb_hil.campaign.counting.judgement import RS_FACTOR, STAGES, Told
from assb_hil.campaign.counting.lorden import bound_delay_s
from assb_hil.campaign.counting.tally import (
    Figures,
    Tally,
    alarm_figures,
    confounders_of,
    confused,
    real_confounders,
    rows_by,
)
from assb_hil.campaign.counting.thresholds import OURS, at_equal_rate
from assb_hil.campaign.record import SCORES

LEAKS = "leak_"  # classes of this prefix are constant leaks: the ones that have a Lorden bound


def summarise(tally: Tally) -> Figures:
    """What `assb campaign shorts --json` prints; times that lie beyond the deadline are null."""
    trials = tally.trials
    alarms = alarm_figures(trials)
    classes = [class_figures(tally, name) for name in tally.class_names()]
    cell_hours = fsum(trial.spec.cells * trial.spec.duration_s for trial in trials) / 3600.0
    without = [trial for trial in trials if not trial.told]
    contact = confused(trials, "contact_loss")
    return {
        "cell_hours": cell_hours,
        "false_alarms": alarms["false_alarms"],
        "confounder_hours": fsum(trial.clean_hours for trial in without if real_confounders(trial)),
        "false_alarms_per_1000h": alarms["false_alarms_per_1000h"],
        "ci95_per_1000h": alarms["false_alarms_ci95_per_1000h"],
        "suspects_per_1000h": alarms["suspects_per_1000h"],
        "suspects_ci95_per_1000h": alarms["suspects_ci95_per_1000h"],
        "classes": classes,
        "lorden_ratio": max((row["lorden_ratio"] for row in classes if row["lorden_ratio"] is not None), default=None),
        "contact_loss_confused_frac": share(contact["called_short"], contact["n"]),
        "rs_within_2x_frac": rs_within(told for name in tally.class_names() for told in tally.told(name)),
        "cell_hours_per_core_hour": share(cell_hours, fsum(trial.wall_s for trial in trials) / 3600.0),
        "trials": len(trials),
        "clean_hours": tally.clean_hours(),
        "hours_without_short": fsum(trial.clean_hours for trial in without),
        "suspects": alarms["suspects"],
        "trials_with_false_alarms": alarms["trials_with_false_alarms"],
        "rested_frac": share(fsum(t.rested_s for t in trials), fsum(t.spec.duration_s for t in trials)),
        "readings_refused": sum(trial.refused for trial in trials),
        "baselines_compared_at_per_1000h": tally.granted_per_1000h(),
        "contact_loss": contact,
        "by_confounder": rows_by(trials, confounders_of),
        "by_profile": profile_rows(tally),
        "by_load": rows_by(trials, lambda trial: (trial.spec.load,)),
        "stages_reached": stages_reached(tally),
    }


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def or_null(time_s: float) -> float | None:
    return time_s if isfinite(time_s) else None


def class_figures(tally: Tally, name: str) -> Figures:
    """One class: the figures of the issue first, then what explains them."""
    shorts = tally.told(name)
    baselines = baselines_of(tally, name)
    best = min(baselines, key=lambda row: (row["latency_p50_s"] or inf, -row["detected_frac"]), default=None)
    return {
        "name": name,
        "n": len(shorts),
        "deadline_s": quantile_s([told.deadline_s for told in shorts], 0.5),
        **detection(shorts),
        "best_baseline": best["name"] if best else None,
        "baseline_latency_p50_s": best["latency_p50_s"] if best else None,
        "baselines": baselines,
        **lorden_figures(shorts, tally.between_alarms_s(), name),
        "rs_within_2x_frac": rs_within(shorts),
        "rs_interval_covers_frac": share(sum(told.rs_covered for told in shorts), len(rs_errors(shorts))),
        "evidence": evidence_shares(shorts),
    }


def detection(shorts: list[Told]) -> Figures:
    """Share told within the deadline, and latencies in which the others count as longer than any deadline."""
    latencies_s = [told.latency_s for told in shorts]
    found = sum(map(isfinite, latencies_s))
    return {
        "detected_frac": share(found, len(shorts)),
        "detected_ci95": list(wilson_interval(found, len(shorts))),
        "latency_p50_s": or_null(quantile_s(latencies_s, 0.50)),
        "latency_p95_s": or_null(quantile_s(latencies_s, 0.95)),
    }


def baselines_of(tally: Tally, name: str) -> list[Figures]:
    """Each baseline at our false-alarm rate."""
    granted = tally.granted_per_1000h()
    rows = []
    for score, curve in tally.crossed.curves(name).items():
        if score != SCORES[OURS]:
            at = at_equal_rate(curve, granted)
            rows.append(
                {
                    "name": score,
                    "threshold_index": at.threshold if at.threshold >= 0 else None,
                    "detected_frac": at.detected_frac,
                    "latency_p50_s": or_null(at.latency_p50_s),
                }
            )
    return rows


def lorden_figures(shorts: list[Told], between_alarms_s: float, name: str) -> Figures:
    """Mean delay over mean bound; an untold short counts with its deadline, which is too little."""
    if not (name.startswith(LEAKS) and shorts):
        return {"mean_delay_s": None, "bound_delay_s": None, "lorden_ratio": None}
    delay_s = fsum(min(told.latency_s, told.deadline_s) for told in shorts) / len(shorts)
    bound_s = fsum(bound_delay_s(told.observer, told.leak_a, between_alarms_s) for told in shorts) / len(shorts)
    ratio = delay_s / bound_s if 0.0 < bound_s < inf else None
    return {"mean_delay_s": delay_s, "bound_delay_s": or_null(bound_s), "lorden_ratio": ratio}


def rs_errors(shorts: Iterable[Told]) -> list[float]:
    return [told.rs_error for told in shorts if not isnan(told.rs_error)]


def rs_within(shorts: Iterable[Told]) -> float | None:
    """Of the detections of shorts that have one Rs: the share that stated it within RS_FACTOR."""
    errors = rs_errors(shorts)
    return share(sum(1.0 / RS_FACTOR <= error <= RS_FACTOR for error in errors), len(errors))


def evidence_shares(shorts: list[Told]) -> dict[str, float]:
    """Evidence row → share of the detections that it carried."""
    found = [told for told in shorts if told.evidence_bits]
    rows = range(1, max((told.evidence_bits.bit_length() for told in found), default=0) + 1)
    shares = {str(row): sum(told.evidence_bits >> (row - 1) & 1 for told in found) / len(found) for row in rows}
    return {row: value for row, value in shares.items() if value}


def profile_rows(tally: Tally) -> list[Figures]:
    """False alarms of each profile, and detection of each class in it."""
    rows = rows_by(tally.trials, lambda trial: (trial.spec.profile,))
    for row in rows:
        mine = [trial.told for trial in tally.trials if trial.told and trial.spec.profile == row["name"]]
        by_class = {name: [told for told in mine if told.short_class == name] for name in tally.class_names()}
        row["classes"] = [
            {"name": name, "n": len(shorts), **detection(shorts)} for name, shorts in by_class.items() if shorts
        ]
    return rows


def stages_reached(tally: Tally) -> list[Figures]:
    """Trials by the worst stage: where there is no short by confounder, of the shorted cell by class."""
    groups: dict[tuple[str, str], list[int]] = {}
    for trial in tally.trials:
        for name in confounders_of(trial):
            groups.setdefault(("confounder", name), []).append(trial.worst_clean_stage)
        if trial.told:
            groups.setdefault(("short", trial.told.short_class), []).append(trial.told.worst_stage)
    return [
        {"kind": kind, "name": name, **{stage: worst.count(k) for k, stage in enumerate(STAGES)}}
        for (kind, name), worst in sorted(groups.items())
    ]
