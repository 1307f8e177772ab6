"""A bench for a virtual board that a person keeps alive: one cell, and a cycler that cycles it gently.

Nothing is recorded, so it may stand for days.
"""

from assb.protocol.image import decode
from assb_host.config import build_image, load_pack

from assb_hil.loads import Drive
from assb_hil.rig import Rig
from assb_hil.wiring import plant_for

START = (0.5, 25.0, 0.1)  # SOC, degC, MPa: half charged, and not pressed yet
RATE_FRAC = 1 / 3  # of the capacity per hour
# One turn: (duration in s, share of the rate at its end)
TURN = (
    (1.0, 1.0), (600.0, 1.0), (1.0, 0.0), (120.0, 0.0), (1.0, -1.0), (600.0, -1.0), (1.0, 0.0), (120.0, 0.0),
)  # fmt: skip
TURNS = 100_000


def standing_rig(pack: str = "li_lpscl_nca", plant: str = "", seed: int = 0) -> Rig:
    """The rig of a pack, begun; `plant` defaults to the one named like the pack. Give its `hear` to the board as a tap:
    the cycler takes its limits from what the board says."""
    loaded = load_pack(pack)
    rate_a = RATE_FRAC * loaded.cell.capacity_ah
    load = Drive(at_s=0.0, segments=TURN, scale=rate_a, repeat=TURNS)
    rig = Rig(decode(build_image(loaded)), plant_for(loaded, plant or loaded.name), seed, START, [load], keeps=False)
    rig.begin(0)
    return rig
