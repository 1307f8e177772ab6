"""Which trials are confirmed: drawn as the campaign draws its own, with a shorter lead and larger leaks.

A virtual board runs some 25 times faster than real time, so a trial has minutes where the campaign's has a day. What
the detectors wait for is shortened to fit, for both paths alike; everything else of them stays.
"""

from dataclasses import replace

import msgspec

from assb_hil.campaign.classes import CLASSES, ClassRow, Shorted, leak
from assb_hil.campaign.draw import PROFILES, draw
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.scene import Scene
from assb_hil.campaign.trial_bench import FAST_TICK_S

# Keys of a pack file: a cell counts as known from the start
HASTE = {"detection.charge_settle_s": 30.0}
CELLS_MOST = 2  # that a board has monitors for
LEAD_S, WINDOW_S = 90.0, 30.0
ROWS = {
    row.name: row
    for row in (
        replace(CLASSES["hard"], lead_s=60.0, window_s=20.0, deadline_s=5.0),
        replace(CLASSES["bridges"], lead_s=LEAD_S, window_s=WINDOW_S, deadline_s=300.0),
        ClassRow("leak_c2", leak(1 / 2, 180.0), 180.0, lead_s=LEAD_S, window_s=WINDOW_S),
        ClassRow("leak_c5", leak(1 / 5, 300.0), 300.0, lead_s=LEAD_S, window_s=WINDOW_S),
        ClassRow("leak_c20", leak(1 / 20, 480.0), 480.0, lead_s=LEAD_S, window_s=WINDOW_S),
    )
}
DECK = (*ROWS, "")
NOTHING_S = 240.0  # a trial without a short


def spec_of(campaign_seed: int, number: int, profiles: tuple[str, ...] = PROFILES) -> TrialSpec:
    """Trial `number`, from 0: profile, cells, load and chance as the campaign with this seed draws them."""
    drawn = draw(campaign_seed, number, profiles)
    name = DECK[number % len(DECK)]
    row = ROWS.get(name)
    return msgspec.structs.replace(
        drawn,
        cells=min(drawn.cells, CELLS_MOST),
        short_class=name,
        confounders=(),
        duration_s=row.lead_s + row.window_s + row.deadline_s if row else NOTHING_S,
        dt_s=FAST_TICK_S,
    )


def shorted_of(scene: Scene) -> Shorted | None:
    """The short of such a trial, if it has one."""
    name = scene.spec.short_class
    return Shorted(scene, ROWS[name]) if name else None
