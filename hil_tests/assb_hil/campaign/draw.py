"""Which trial a number stands for: a deck of short classes and confounders, the rest by chance."""

import random

from assb_hil.campaign.classes import CLASSES
from assb_hil.campaign.confounders import CONFOUNDERS
from assb_hil.campaign.loads import LOADS
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.scene import plant_of

PROFILES = (
    "samsung_agc", "li_lpscl_nca", "usi_nmc811", "nanosi_scnmc", "hcsi_nmc811", "liin_tis2", "halide_ncm85", "lis",
    "graphite_nmc", "lto_nmc", "bipolar_2s",
)  # fmt: skip
# One of each class, and as many trials without a short as give about half of the hours (test_campaign_draw.py)
DECK = (*CLASSES, *("",) * 13)
CONFOUNDER_CELLS = (1, 1, 2, 4)
CONFOUNDER_HOURS = (12.0, 20.0)
DT_S = 0.1


def draw(campaign_seed: int, number: int, profiles: tuple[str, ...] = PROFILES) -> TrialSpec:
    """Trial `number`, from 0, of the campaign with this seed: the same whatever else is run.

    `profiles`: those to choose from, names of plants that the firmware has a cell file for.
    """
    luck = random.Random(f"{campaign_seed} {number}")
    row = CLASSES.get(DECK[number % len(DECK)])
    profile = luck.choice(fitting(profiles, row is not None and min(row.cells) > 1))
    taps = plant_of(profile, "", 1).taps
    cells = luck.choice(row.cells if row else CONFOUNDER_CELLS) if taps else 1
    return TrialSpec(
        number=number,
        seed=luck.getrandbits(63),
        profile=profile,
        bench=plant_of(profile, "", 1).bench_name,
        cells=cells,
        load=luck.choice(row.loads if row else tuple(LOADS)),
        short_class=row.name if row else "",
        confounders=() if row else drawn_confounders(luck),
        duration_s=row.duration_s if row else round(3600.0 * luck.uniform(*CONFOUNDER_HOURS)),
        dt_s=row.dt_s if row else DT_S,
    )


def fitting(profiles: tuple[str, ...], needs_pack: bool) -> tuple[str, ...]:
    """Those whose cells can be seen in a pack, if that is needed; all of them if none can."""
    tapped = tuple(name for name in profiles if plant_of(name, "", 1).taps)
    return tapped if needs_pack and tapped else profiles


def drawn_confounders(luck: random.Random) -> tuple[str, ...]:
    """Nothing at all, or one to three of the others."""
    name = luck.choice(tuple(CONFOUNDERS))
    if name == "plain":
        return ("plain",)
    others = [other for other in CONFOUNDERS if other not in ("plain", name)]
    return (name, *luck.sample(others, luck.randint(0, 2)))
