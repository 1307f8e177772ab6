"""Every scenario that comes with the harness holds, with all its checks."""

from dataclasses import replace

import pytest
from assb_hil.commands.demo import DEMO_SCENARIO
from assb_hil.scenario import load_scenario, scenario_names
from assb_hil.session import open_session, run_scenario

# Known gap: a leak in a pair may be the other cell's contact, and is told late
TOLD_LATE = ("two_cells_drive",)


@pytest.mark.parametrize("name", sorted(set(scenario_names()) - {DEMO_SCENARIO}))  # the demo has its own test
def test_every_check_of_the_scenario_holds(name, request):
    if name in TOLD_LATE:
        reason = "the soft short is told too late"
        if not request.config.getoption("--all-cuts"):  # two cells for four minutes cost as much as ten other scenarios
            pytest.skip(f"known gap: {reason}; run with --all-cuts")
        request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True))
    result = run_scenario(load_scenario(name), request.config.getoption("--dut"))
    broken = [
        f"{check.name}: {check.value}, limit {check.limit} {check.unit}" for check in result.checks if not check.passed
    ]
    assert not broken, "\n".join([*broken, *result.console])


def short_run(seed):
    scenario = replace(load_scenario("hard_short"), duration_s=4.0, faults=())
    with open_session(scenario, seed=seed) as session:
        return session.run()


def test_the_same_seed_gives_the_same_trace_and_another_seed_another():
    first, again, other = short_run(7), short_run(7), short_run(8)
    assert first.trace_sha256 == again.trace_sha256
    assert first.events == again.events
    assert first.trace_sha256 != other.trace_sha256


def test_a_short_register_crossing_is_followed_by_an_open_contact_within_the_budget():
    result = run_scenario(load_scenario("hard_short"))
    crossed, opened = (
        next(e["t_s"] for e in result.events if e["name"] == name and e["t_s"] > 50.0)
        for name in ("register_crossed", "contact_moved")
    )
    reaction = [check for check in result.checks if check.name.startswith("cell_undervoltage")]
    assert [check.passed for check in reaction] == [True, True]
    assert 0.005 < opened - crossed < reaction[1].limit / 1000
