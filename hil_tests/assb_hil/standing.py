"""A bench that just stands there, for a virtual board that a person keeps alive: a cell, and a cycler that cycles it gently.

Nothing is recorded, so it may stand for days.
"""

from assb.protocol.image import decode
from assb_host.config import build_image, load_pack

from assb_hil.loads import Drive
from assb_hil.plant_file import load_plant
from assb_hil.rig import Rig

START = (0.5, 25.0, 0.1)  # SOC, degC, MPa: half charged, and not pressed yet
RATE_FRAC = 1 / 3  # of the capacity per hour
TURNS = 100_000


def standing_rig(pack: str = "li_lpscl_nca", plant: str = "", seed: int = 0) -> Rig:
    """The rig of a pack, begun; `plant` defaults to the one named like the pack. Give its `hear` to the board as a tap:
    the cycler takes its limits from what the board says."""
    loaded = load_pack(pack)
    amperes = RATE_FRAC * loaded.cell.capacity_ah
    turn = tuple((duration_s, share * amperes) for duration_s, share in
                 ((1.0, 1.0), (600.0, 1.0), (1.0, 0.0), (120.0, 0.0), (1.0, -1.0), (600.0, -1.0), (1.0, 0.0), (120.0, 0.0)))  # fmt: skip
    rig = Rig(
        decode(build_image(loaded)), load_plant(plant or loaded.name), seed, START,
        [Drive(at_s=0.0, segments=turn, repeat=TURNS)], keeps=False,
    )  # fmt: skip
    rig.begin(0)
    return rig
