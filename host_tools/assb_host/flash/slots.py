"""The two slots of a board as /slot tells them (rootfs/main.py): which runs, which stands behind it, where to write."""

from dataclasses import dataclass

from assb_host.errors import MismatchError
from assb_host.flash.firmware_files import MANIFEST, SLOTS

SLOT_FILE = "/slot"
TRIES = 3  # as in rootfs/main.py (a test compares)
# HELLO's `slot`, as in rootfs/main.py (a test compares)
B, ON_TRIAL, FELL_BACK = 1, 2, 4


def other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def slot_of(hello: dict) -> str:
    return SLOTS[hello["slot"] & B]


@dataclass(frozen=True)
class Slots:
    """`runs` is empty on a board without firmware; `behind` is what a slot on trial falls back to."""

    runs: str = ""
    behind: str = ""
    whole: tuple[str, ...] = ()  # slots with all their files, as far as their manifest was written

    @property
    def safe(self) -> str:
        """The slot that must stay as it is, as nothing else is known to run; empty when there is none."""
        return self.behind or self.runs

    def target(self, asked: str, port: str) -> str:
        """Where new files go. MismatchError for the slot that must stay."""
        if asked and asked == self.safe:
            seen = f"slot {asked} is what the board runs, or would fall back to"
            raise MismatchError(seen, port, f"write to slot {other(asked)}: leave --slot out")
        return asked or (other(self.safe) if self.safe else SLOTS[0])

    def trial(self, slot: str) -> str:
        """What /slot says from the commit on."""
        return f"{slot} {TRIES} {self.safe}" if self.safe else slot


def read_slots(text: str, present) -> Slots:
    """From the text of /slot (empty: there is none) and the paths that are on the board."""
    whole = tuple(slot for slot in SLOTS if f"/{slot}/{MANIFEST}" in present)
    words = text.split() or [SLOTS[0]]
    named = words[0] if words[0] in SLOTS else SLOTS[0]
    runs = next((slot for slot in (named, other(named)) if slot in whole), "")  # as main.py does
    behind = words[2] if len(words) == 3 and words[2] in whole else ""
    return Slots(runs, behind, whole)
