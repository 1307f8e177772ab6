"""No number of the kernel moves unless it is meant to."""

import pytest
from pinned_trials import FILE, TRIALS, counted, pinned


def test_each_trial_is_pinned():
    assert list(pinned()) == list(TRIALS)


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_gives_the_same_bytes_as_ever(name):
    seen = counted(name)
    assert seen == pinned()[name], f"the kernel counts otherwise; if that is meant, write {FILE.name} anew"
