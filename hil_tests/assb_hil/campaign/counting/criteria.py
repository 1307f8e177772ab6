"""What is asked of the detectors, as rows; a campaign too small to tell holds what its figures hold."""

from typing import NamedTuple

from assb_host.report import Check

from assb_hil.campaign.counting.tally import Figures

# limits: figure of the summary → at most, at least
AT_MOST = (
    ("false alarms per 1000 cell-hours", "false_alarms_per_1000h", 0.05, "1/1000 h"),
    ("suspects per 1000 cell-hours", "suspects_per_1000h", 0.5, "1/1000 h"),
    ("contact losses called a short", "contact_loss_confused_frac", 0.01, "of all"),
    ("mean delay of leaks over the Lorden bound, worst class", "lorden_ratio", 3.0, ""),
)
AT_LEAST = (
    ("Rs stated within a factor of 2", "rs_within_2x_frac", 0.8, "of detections"),
    ("cell-hours per core-hour", "cell_hours_per_core_hour", 100_000.0, ""),
)


class Asked(NamedTuple):
    """Of one class."""

    detected_frac: float
    latency_p50_s: float | None = None  # at most


CLASSES = {
    "leak_c20": Asked(0.99, 180.0),
    "leak_c100": Asked(0.95, 1200.0),
    "leak_c500_pack": Asked(0.80),
    "leak_c500_rest": Asked(0.80),
    "bridges": Asked(0.95),
    "hard": Asked(1.0),
}
BASELINE_SHARE = 0.5  # of the best baseline's median latency that ours may take


def checks(summary: Figures) -> list[Check]:
    """Each criterion for which there are figures, held or broken."""
    rows = [
        check(name, summary[key], limit, unit, summary[key] is not None and summary[key] <= limit)
        for name, key, limit, unit in AT_MOST
        if summary[key] is not None
    ]
    rows += [
        check(name, summary[key], limit, unit, summary[key] >= limit)
        for name, key, limit, unit in AT_LEAST
        if summary[key] is not None
    ]
    for row in summary["classes"]:
        rows += of_class(row)
    return rows


def of_class(row: Figures) -> list[Check]:
    asked, name = CLASSES.get(row["name"]), row["name"].replace("_", " ")
    rows = []
    if asked:
        told = row["detected_frac"] >= asked.detected_frac
        rows.append(
            check(f"{name}: told within the deadline", row["detected_frac"], asked.detected_frac, "of all", told)
        )
    if asked and asked.latency_p50_s:
        rows.append(median_check(f"{name}: median latency", row, asked.latency_p50_s))
    if row["baseline_latency_p50_s"] is not None:
        limit_s = BASELINE_SHARE * row["baseline_latency_p50_s"]
        rows.append(
            median_check(f"{name}: median, against half of {row['best_baseline'].replace('_', ' ')}", row, limit_s)
        )
    return rows


def median_check(name: str, row: Figures, limit_s: float) -> Check:
    latency_s = row["latency_p50_s"]
    return check(name, latency_s, limit_s, "s", latency_s is not None and latency_s <= limit_s)


def check(name: str, value: float | None, limit: float, unit: str, passed: bool) -> Check:
    return Check(name=name, passed=passed, value=value, limit=limit, unit=unit)
