"""What a campaign keeps: whole parts, every finished trial, nothing twice, nothing of another campaign."""

import sys
from types import SimpleNamespace

import campaign_trials as made
import msgspec
import pytest
from assb_hil.campaign import run, schedule, store
from assb_hil.campaign.record import TrialResult
from assb_hil.campaign.settings import Settings, fingerprint
from assb_host.errors import AssbError, ToolError

SETTINGS = Settings(400.0, 1, (), "0123")
PLAN = run.planned(SETTINGS, made.draw)


def ignore(result):
    """No progress shown."""


def numbers(folder):
    return sorted(result.spec.number for result in store.results(folder))


def run_all(folder, runner=made.run, settings=SETTINGS, plan=PLAN, pool=None):
    left = run.unfinished(folder, settings, plan)
    run.run_trials(folder, left, runner, pool or schedule.InProcess(), ignore)
    return [spec.number for spec in left]


class Stops:
    """A runner that raises at some trials."""

    def __init__(self, numbers, error):
        self.numbers, self.error = numbers, error

    def __call__(self, spec):
        if spec.number in self.numbers:
            raise self.error
        return made.run(spec)


def test_a_plan_reaches_its_hours_and_a_longer_one_begins_with_it():
    assert sum(spec.cells * spec.duration_s for spec in PLAN) / 3600.0 == 400.0
    longer = run.planned(msgspec.structs.replace(SETTINGS, cell_hours=401.0), made.draw)
    assert longer[: len(PLAN)] == PLAN
    assert len(longer) == len(PLAN) + 1


def test_what_was_written_is_read_again(tmp_path):
    run_all(tmp_path)
    there = sorted(store.results(tmp_path), key=lambda result: result.spec.number)
    assert there == [made.run(spec) for spec in PLAN]
    assert {result.truth is None for result in there} == {True, False}


def test_the_columns_are_the_fields_of_the_structs():
    fields = {field.name: field.type for field in msgspec.structs.fields(TrialResult)}
    schema = store.schema()
    assert schema.names == list(fields)
    assert [field.name for field in schema.field("spec").type] == list(fields["spec"].__struct_fields__)
    for name in ("changes", "truth", "observer"):
        kind = schema.field(name).type
        struct = getattr(sys.modules[TrialResult.__module__], {"changes": "StageChange"}.get(name, name.capitalize()))
        columns = kind.value_type if name == "changes" else kind
        assert [field.name for field in columns] == list(struct.__struct_fields__)


def test_a_second_run_has_nothing_to_do(tmp_path):
    assert len(run_all(tmp_path)) == len(PLAN)
    assert run_all(tmp_path) == []
    assert numbers(tmp_path) == list(range(len(PLAN)))


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_whatever_ends_it_what_finished_is_kept_and_the_rest_goes_on(tmp_path, end):
    with pytest.raises(end):
        run_all(tmp_path, Stops({7}, end()))
    assert numbers(tmp_path) == list(range(7))
    assert run_all(tmp_path) == list(range(7, len(PLAN)))
    assert numbers(tmp_path) == list(range(len(PLAN)))


def test_a_trial_that_fails_is_named_and_the_others_are_run(tmp_path):
    left = run.unfinished(tmp_path, SETTINGS, PLAN)
    failed = run.run_trials(tmp_path, left, Stops({3}, ValueError("odd")), schedule.InProcess(), ignore)
    assert [str(error) for error in failed] == ["ValueError: odd; trial 3 (seed 1003, li_lpscl_nca, leak_c20)"]
    assert run_all(tmp_path) == [3]


def test_when_all_trials_fail_it_ends_soon(tmp_path):
    broken = Stops(range(2, 1000), ValueError("odd"))
    with pytest.raises(schedule.TrialError, match="trial 11 "):
        run_all(tmp_path, broken)
    assert numbers(tmp_path) == [0, 1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 2}, "seed 1, not 2"),
        ({"cell_hours": 800.0}, "cell_hours 400.0, not 800.0"),
        ({"profiles": ("lis",)}, r"profiles \(\), not \('lis',\)"),
        ({"code": "4567"}, "run by other code or parameters"),
    ],
)
def test_a_folder_of_another_campaign_is_refused(tmp_path, changed, said):
    run_all(tmp_path)
    with pytest.raises(AssbError, match=said):
        run.unfinished(tmp_path, msgspec.structs.replace(SETTINGS, **changed), PLAN)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "campaign.json").write_text("[]")
    with pytest.raises(AssbError, match=r"not a campaign.*campaign\.json"):
        run.unfinished(tmp_path, SETTINGS, PLAN)


def test_a_broken_part_is_named(tmp_path):
    run_all(tmp_path)
    part = store.parts(tmp_path)[0]
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(AssbError, match=part.name):
        list(store.results(tmp_path))


def test_half_written_parts_are_none(tmp_path):
    run_all(tmp_path)
    (tmp_path / store.FOLDER / ".0123.parquet.99").write_bytes(b"PAR1")
    assert numbers(tmp_path) == list(range(len(PLAN)))


def test_a_trial_that_two_runs_finished_counts_once(tmp_path):
    run_all(tmp_path)
    run.run_trials(tmp_path, PLAN[:5], made.run, schedule.InProcess(), ignore)
    assert numbers(tmp_path) == list(range(len(PLAN)))


def test_parts_are_written_while_it_runs(tmp_path):
    with store.Writer(tmp_path, part_s=0.0) as writer:
        for count, spec in enumerate(PLAN[:3], start=1):
            writer.add(made.run(spec))
            assert len(store.parts(tmp_path)) == count


def test_a_killed_worker_loses_no_finished_trial(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSB_TEST_FOLDER", str(tmp_path))
    with schedule.open_pool(2, None) as pool:
        run_all(tmp_path, made.run_and_kill, pool=pool)
    assert (tmp_path / "killed").exists()
    there = sorted(store.results(tmp_path), key=lambda result: result.spec.number)
    assert there == [made.run(spec) for spec in PLAN]


def test_a_worker_with_other_code_is_refused():
    client = SimpleNamespace(run=lambda what: {"tcp://a:1": fingerprint(), "tcp://b:1": "other"})
    with pytest.raises(AssbError, match="other code than here on tcp://b:1; tcp://there"):
        schedule.same_code(client, "tcp://there")


def test_a_scheduler_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setattr(schedule, "CONNECT_S", 0.2)
    with pytest.raises(AssbError, match="no scheduler answers"), schedule.open_pool(1, "tcp://127.0.0.1:9"):
        pass


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ToolError, match=r"needs pyarrow; pip install 'assb-bms\[campaign\]'"):
        schedule.need_extra()
