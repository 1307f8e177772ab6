"""The precharge path: an RC circuit, whatever the step."""

import math

import pytest
from assb_hil.precharge_path import PrechargePath

OHM, FARAD, PACK_V = 10.0, 0.01, 4.0
TAU_S = OHM * FARAD


def charged(steps: int, duration_s: float, load_s: float = 0.0) -> tuple[PrechargePath, float, float]:
    """The path after it was closed for so long, the charge that came through it, the current of the last step."""
    path = PrechargePath(OHM, FARAD)
    path.on, path.load_s = True, load_s
    currents_a = [path.step(PACK_V, False, duration_s / steps) for _ in range(steps)]
    return path, -sum(currents_a) * duration_s / steps, currents_a[-1]


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_the_capacitor_fills_by_the_exponential_and_with_the_charge_that_came(steps):
    path, charge_as, _ = charged(steps, 2 * TAU_S)
    assert path.load_v == pytest.approx(PACK_V * (1 - math.exp(-2)))
    assert charge_as == pytest.approx(FARAD * path.load_v)


@pytest.mark.parametrize("steps", [1, 100])
def test_a_load_keeps_the_current_up_and_empties_the_capacitor_afterwards(steps):
    load_ohm = 5.0
    path, _, last_a = charged(steps, 50 * TAU_S, 1 / load_ohm)
    assert path.load_v == pytest.approx(PACK_V * load_ohm / (OHM + load_ohm))
    if steps > 1:
        assert last_a == pytest.approx(-PACK_V / (OHM + load_ohm))
    before_v, path.on = path.load_v, False
    assert path.step(PACK_V, False, load_ohm * FARAD) == 0.0
    assert path.load_v == pytest.approx(before_v / math.e)


def test_nothing_flows_through_a_path_that_is_open_or_bridged():
    path, _, _ = charged(1, TAU_S)
    path.on = False
    held_v = path.load_v
    assert path.step(PACK_V, False, 1.0) == 0.0
    assert path.load_v == held_v
    path.on = True
    assert path.step(PACK_V, True, 1.0) == 0.0
    assert path.load_v == PACK_V
