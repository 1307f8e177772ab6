"""`assb campaign shorts`, with made trials in place of the simulated ones."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import campaign_trials as made
import pytest
from assb_hil.commands import campaign
from assb_host.cli import run
from assb_host.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE

FAST_PATH = {"draw": made.draw, "run": made.run, "CLASSES": made.CLASSES}
ASKED = [
    "cell_hours",
    "false_alarms",
    "confounder_hours",
    "false_alarms_per_1000h",
    "ci95_per_1000h",
    "suspects_per_1000h",
    "classes",
    "lorden_ratio",
    "contact_loss_confused_frac",
    "rs_within_2x_frac",
    "cell_hours_per_core_hour",
]
ASKED_OF_CLASS = [
    "name",
    "n",
    "deadline_s",
    "detected_frac",
    "latency_p50_s",
    "latency_p95_s",
    "best_baseline",
    "baseline_latency_p50_s",
]


@pytest.fixture
def fast_path(monkeypatch):
    table = dict(FAST_PATH)
    monkeypatch.setattr(campaign, "fast_path", lambda module, name: table[name])
    return table


def call(out, *arguments, hours=400):
    return run(["campaign", "shorts", "--cell-hours", str(hours), "--out", str(out), *arguments])


def test_the_json_has_what_was_asked_for(tmp_path, fast_path, capsys):
    assert call(tmp_path, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(ASKED) <= set(summary)
    assert all(set(ASKED_OF_CLASS) <= set(row) for row in summary["classes"])
    assert [row["name"] for row in summary["classes"]] == list(made.CLASSES)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_rests_are_asked_for_counted_and_part_of_what_the_folder_is_for(tmp_path, fast_path, capsys):
    assert call(tmp_path, "--watch-rests") == 0
    assert "at rest as the watch asked: 10.0 % of the time" in capsys.readouterr().out
    assert "of the time at rest as the watch asked for it" in (tmp_path / "report.html").read_text()
    assert call(tmp_path) != 0
    assert "watch_rests" in capsys.readouterr().err
    assert call(tmp_path / "plain") == 0
    assert "at rest as" not in capsys.readouterr().out


def test_the_same_command_does_the_same_again(tmp_path, fast_path):
    for folder in ("one", "two"):
        assert call(tmp_path / folder) == 0
    assert (tmp_path / "one/report.html").read_bytes() == (tmp_path / "two/report.html").read_bytes()


def test_an_interrupt_keeps_what_finished_and_says_so(tmp_path, fast_path, capsys):
    def interrupted(spec):
        if spec.number == 9:
            raise KeyboardInterrupt
        return made.run(spec)

    fast_path["run"] = interrupted
    assert call(tmp_path, "--json") == EXIT_INTERRUPTED
    seen = capsys.readouterr()
    assert json.loads(seen.out)["trials"] == 9
    assert "the same command goes on" in seen.err
    assert "Unfinished" in (tmp_path / "report.html").read_text()
    fast_path["run"] = made.run
    assert call(tmp_path) == 0
    assert "there already" in capsys.readouterr().err


def test_a_failed_trial_is_told_and_the_rest_counted(tmp_path, fast_path, capsys):
    def odd(spec):
        if spec.number == 9:
            raise ValueError("odd")
        return made.run(spec)

    fast_path["run"] = odd
    assert call(tmp_path, "--json") == EXIT_FAILED
    seen = capsys.readouterr()
    assert json.loads(seen.out)["trials"] == 19
    assert "ValueError: odd; trial 9 " in seen.err


def test_a_finished_campaign_is_counted_again_without_a_trial(tmp_path, fast_path):
    assert call(tmp_path) == 0
    fast_path["run"] = None
    assert call(tmp_path) == 0


def test_only_the_profiles_that_were_named(tmp_path, fast_path, capsys):
    assert call(tmp_path, "--json", "--profile", "lto_nmc") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["by_profile"]] == ["lto_nmc"]


def test_workers_and_a_cluster_contradict_each_other(tmp_path, fast_path):
    assert call(tmp_path, "--workers", "2", "--scheduler", "tcp://127.0.0.1:9") == EXIT_USAGE


class Outside(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [f"{tag} {value}" for key, value in attrs if key in ("src", "href") and not value.startswith("#")]


def test_the_report_stands_alone_and_has_its_parts(tmp_path, fast_path):
    assert call(tmp_path, hours=2000) == 0
    page = (tmp_path / "report.html").read_text()
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    for part in ("against the time since", "Latency", "per 1000 cell-hours", "Lorden", "confounder", "By chemistry"):
        assert part in page
    assert page.count("<svg") == 5


def test_a_campaign_without_shorts_has_a_report(tmp_path, fast_path):
    fast_path["draw"] = lambda seed, number: made.spec(2 * number)
    assert call(tmp_path) == 0
    assert (tmp_path / "report.html").read_text().count("<svg") == 1


def test_progress_tells_how_far_it_is():
    lines, plan = [], [made.spec(number) for number in range(10)]
    progress = campaign.Lines(plan[5:], plan, SimpleNamespace(print=lines.append))
    progress(made.run(made.spec(5)))
    assert progress.note().startswith("120 of 200 cell-hours")
