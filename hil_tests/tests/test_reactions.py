"""Every limit row acts within its fault-time budget, and that is within what the pack allows: timed by the rig."""

import json

import pytest
from assb_hil import reactions
from assb_hil.commands.hil import hil
from assb_hil.faults.cells import HardShort
from assb_hil.reaction_stimuli import BEGINS, LOCKS, STIMULI, Stimulus
from assb_hil.reactions import Reaction, enabled_rows, measurable, measure
from assb_host.config.errors import ConfigError
from click.testing import CliRunner

PACK = "li_lpscl_nca"
ROWS = measurable(None)
GROUPS = list(dict.fromkeys(STIMULI[row] for row in ROWS))  # rows that one stimulus drives share its run


def test_every_row_is_driven():
    assert [*reactions.ROWS] == ROWS
    assert {*enabled_rows(PACK)} < {*ROWS}
    assert measurable(PACK) == enabled_rows(PACK)
    assert {*BEGINS, *LOCKS} <= {*STIMULI}
    with pytest.raises(ConfigError, match="cell_spread"):
        measurable(PACK, ["cell_spread"])


@pytest.mark.parametrize("stimulus", GROUPS, ids=lambda stimulus: next(row for row in ROWS if STIMULI[row] is stimulus))
def test_a_row_acts_within_its_budget_at_worst(stimulus):
    """Slowest costs, nine tenths of the heap in use, and a collection of garbage just then."""
    for reaction in measure([row for row in ROWS if STIMULI[row] is stimulus], None, range(1, 2), worst=True):
        assert reaction.passed, reaction
        assert reaction.command_ms >= 0


def test_a_hard_short_locks_out_with_the_largest_drop_and_the_longest_debounce_that_a_pack_may_say(monkeypatch):
    widest = {
        "detection.hard_short_drop_v": 1.2, "detection.hard_short_debounce_ms": 500,
        "limits.hard_short.allowed_ms": 600,
    }  # fmt: skip
    bridge = Stimulus("a bridge of 0.05 ohm", lambda t: (HardShort(at_s=t, rs_ohm=0.05),), pack_changes=widest)
    monkeypatch.setitem(STIMULI, "hard_short", bridge)
    (reaction,) = measure(["hard_short"], PACK, range(1, 2), worst=True)
    assert reaction.passed, reaction


def blank(budget_ms=50.0, allowed_ms=100.0):
    return Reaction("cell_overvoltage", "open", "a step", budget_ms=budget_ms, allowed_ms=allowed_ms)


@pytest.mark.parametrize(
    ("acted_ms", "budget_ms", "allowed_ms", "passed"),
    [(49.9, 50.0, 100.0, True), (50.1, 50.0, 100.0, False), (10.0, 101.0, 100.0, False), (None, 50.0, 100.0, False)],
)
def test_a_reaction_holds_only_within_budget_within_allowed(acted_ms, budget_ms, allowed_ms, passed):
    reaction = blank(budget_ms, allowed_ms)
    reaction.take(acted_ms, acted_ms, [])
    assert reaction.passed == passed


def test_the_worst_of_all_repeats_counts_and_one_without_an_act_is_the_worst():
    reaction = blank()
    reaction.take(10.0, 20.0, [])
    reaction.take(12.0, 18.0, ["hard_short"])
    assert (reaction.command_ms, reaction.acted_ms, reaction.others) == (12.0, 20.0, ["hard_short"])
    reaction.take(None, None, [])
    reaction.take(1.0, 1.0, [])
    assert reaction.acted_ms is None


def test_a_stimulus_that_does_not_pass_the_level_gives_no_figure(monkeypatch):
    idle = Stimulus("nothing happens", lambda _t: (), at_s=1.0, lasts_s=0.5)
    monkeypatch.setitem(STIMULI, "cell_overvoltage", idle)
    (reaction,) = measure(["cell_overvoltage"], PACK, range(1, 2))
    assert (reaction.acted_ms, reaction.passed) == (None, False)


def test_the_command_prints_the_table_and_its_exit_code_tells_whether_all_hold(monkeypatch):
    done = CliRunner().invoke(
        hil, ["reactions", "--row", "hard_short", "--repeats", "1", "--json"], standalone_mode=False
    )
    (row,) = json.loads(done.stdout)
    assert (row["row"], row["act"], row["passed"], done.return_value) == ("hard_short", "lockout", True, 0)
    monkeypatch.setattr(reactions, "fault_time_budget_ms", lambda _pack, _row: 5.0)
    done = CliRunner().invoke(hil, ["reactions", "--row", "hard_short", "--repeats", "1"], standalone_mode=False)
    assert "BROKEN hard_short" in done.output
    assert done.return_value == 1
