"""What the self-test says of the golden vector: right, wrong, or that it could not be run."""

import pytest
from assb.estimation import golden
from assb.protocol import schema
from assb.self_test import SelfTest
from bench import Bench
from test_app import events

AT = schema.CHECKS.index("golden_vector")


def said(bench):
    """Codes that the self-test gives for the golden vector."""
    bench.run(1000)
    test = SelfTest(bench.app)
    test._golden_vector()
    bench.run(1000)
    return [b for event, _, a, b in events(bench) if event == schema.EV_CHECK_FAILED and a == AT]


def test_a_right_estimator_is_right():
    assert said(Bench()) == []


def test_a_wrong_estimator_is_wrong(monkeypatch):
    monkeypatch.setattr(golden, "right", lambda estimator: False)
    assert said(Bench()) == [1]


@pytest.mark.parametrize("part", ["cell", "right"])
def test_without_heap_it_was_not_run_and_is_not_called_wrong(monkeypatch, part):
    def no_heap(*_):
        raise MemoryError

    monkeypatch.setattr(golden, part, no_heap)
    assert said(Bench()) == [2]
