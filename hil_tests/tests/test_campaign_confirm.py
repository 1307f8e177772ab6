"""Short trials through the whole firmware on the virtual board, against the fast path."""

import json

import msgspec
import pytest
from assb_hil.campaign.confirm import playback, run
from assb_hil.campaign.confirm.both_paths import Confirmed, UnlikeReadingsError, confirm
from assb_hil.campaign.confirm.sample import DECK, ROWS, spec_of
from assb_hil.campaign.draw import draw
from assb_host.cli import run as assb
from assb_host.errors import EXIT_FAILED

SEED = 1


def trial(short_class, **changes):
    """The first of this class in a pack of one profile."""
    spec = spec_of(SEED, DECK.index(short_class), ("li_lpscl_nca",))
    return msgspec.structs.replace(spec, **changes)


@pytest.mark.parametrize(
    ("spec", "stage"),
    [(trial("hard", cells=2, duration_s=66.0), 3), (trial("leak_c2", cells=1, load="cccv", duration_s=126.0), 1)],
    ids=["two cells, a hard short", "a leak"],
)
def test_the_firmware_calls_the_stages_of_the_fast_path_within_a_slow_tick(spec, stage):
    confirmed = confirm(spec)
    assert stage in [called for _, _, called in confirmed.board]
    assert confirmed.agrees, confirmed


def test_a_board_that_reads_other_rows_than_the_fast_path_is_given_is_found_out(monkeypatch):
    """Gathered from registers of which a bit is stuck."""
    monkeypatch.setattr(playback, "register", lambda chip, number: chip._content(number, 3)[1] << 8 | 0x10)
    with pytest.raises(UnlikeReadingsError, match="the board read"):
        confirm(trial("", cells=1, duration_s=5.0))


def confirmed(board, watch, number=0):
    return Confirmed(trial("hard", number=number), tuple(board), tuple(watch), native=False)


@pytest.mark.parametrize(
    ("board", "watch", "worst_s", "agrees"),
    [
        ([], [], 0.0, True),
        ([(5.0, 0, 1), (9.0, 0, 2)], [(5.1, 0, 1), (9.0, 0, 2)], 0.1, True),
        ([(5.0, 0, 1)], [(5.2, 0, 1)], 0.2, False),
        ([(5.0, 0, 1)], [(5.0, 1, 1)], None, False),
        ([(5.0, 0, 1)], [(5.0, 0, 2)], None, False),
        ([(5.0, 0, 1), (5.0, 1, 1)], [(5.0, 1, 1), (5.0, 0, 1)], None, False),
        ([(5.0, 0, 1)], [], None, False),
    ],
)
def test_same_stages_in_the_same_order_within_a_slow_tick_agree(board, watch, worst_s, agrees):
    result = confirmed(board, watch)
    assert result.agrees == agrees
    assert result.worst_s == (worst_s if worst_s is None else pytest.approx(worst_s))


def test_a_sample_is_what_the_campaign_draws_with_a_shorter_lead():
    for number in range(2 * len(DECK)):
        spec, drawn = spec_of(SEED, number), draw(SEED, number)
        assert (spec.seed, spec.profile, spec.load) == (drawn.seed, drawn.profile, drawn.load)
        assert spec.cells == min(drawn.cells, 2)
        assert spec.duration_s <= 600.0
    assert {spec_of(SEED, number).short_class for number in range(len(DECK))} == {*ROWS, ""}


@pytest.fixture
def made(monkeypatch):
    """confirm() without a board: the third trial's stage comes too late, the fourth fails."""

    def stand_in(spec, kernel):
        if spec.number == 3:
            raise ValueError("no such plant")
        return Confirmed(spec, ((5.0, 0, 1),), ((5.0 + 0.3 * (spec.number == 2), 0, 1),), native=False)

    monkeypatch.setattr(run, "confirm", stand_in)


def test_the_command_tells_who_disagrees_and_ends_with_1(tmp_path, made, capsys):
    assert assb(["campaign", "confirm", "--sample", "3", "--out", str(tmp_path), "--json"]) == EXIT_FAILED
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert (summary["trials"], summary["agree"], summary["failed"]) == (3, 2, 0)
    assert summary["worst_s"] == pytest.approx(0.3)
    assert [apart["spec"]["number"] for apart in summary["disagreements"]] == [2]
    assert "DISAGREES" in printed.err
    told = json.loads((tmp_path / "confirm.json").read_text())
    assert len(told["results"]) == 3
    assert told["disagreements"] == summary["disagreements"]


def test_a_trial_that_fails_is_told_and_the_sample_is_not_confirmed(tmp_path, made):
    told = []
    summary = run.confirm_sample(tmp_path, 4, SEED, tell=told.append)
    assert (summary["trials"], summary["failed"]) == (3, 1)
    assert "no such plant" in told[-1]


def test_two_trials_that_agree_end_with_0(tmp_path, made, capsys):
    assert assb(["campaign", "confirm", "--sample", "2", "--out", str(tmp_path)]) == 0
    assert "2 of 2 trials agree" in capsys.readouterr().out
