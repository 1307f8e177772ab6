"""A contactor: coil, main contact and mirror (auxiliary) contact, with its delays and its ways to fail."""

from assb_hil.chips.i2c_chip import NEVER


class Contactor:
    """`drive(level)` energises the coil; `closed` is the main contact, `feedback` the level of the mirror contact.

    The default delays are typical of a 12 to 24 V DC contactor of the 100 to 200 A class, bounce included (assumption).
    Faults: `welded` keeps a closed contact closed (set while open: it welds at the next closing); `stuck_open` keeps
    it from closing; `feedback_stuck_level` (None, 0, 1) overrides the mirror contact, which otherwise tells the truth.
    """

    def __init__(self, operate_us: int = 20000, release_us: int = 12000, feedback_closed_level: int = 1) -> None:
        self.operate_us = operate_us
        self.release_us = release_us
        self.feedback_closed_level = feedback_closed_level
        self.welded = False
        self.stuck_open = False
        self.feedback_stuck_level: int | None = None
        self.coil = 0
        self.closed = False
        self.now_us = 0
        self.next_change_us = NEVER

    @property
    def feedback(self) -> int:
        if self.feedback_stuck_level is not None:
            return self.feedback_stuck_level
        return self.feedback_closed_level if self.closed else 1 - self.feedback_closed_level

    def drive(self, level: int) -> None:
        """Coil voltage on or off, now. A change that is under way is given up when the coil changes back."""
        if level == self.coil:
            return
        self.coil = level
        delay_us = self.operate_us if level else self.release_us
        self.next_change_us = NEVER if self.closed == bool(level) else self.now_us + delay_us

    def drop_out(self) -> None:
        """From now on it stays open; a closed one opens as if its coil had lost its voltage."""
        self.stuck_open = True
        if self.closed:
            self.next_change_us = self.now_us + self.release_us

    def advance(self, now_us: int) -> None:
        self.now_us = now_us
        if now_us < self.next_change_us:
            return
        self.next_change_us = NEVER
        if self.coil:
            self.closed = not self.stuck_open or (self.closed and self.welded)
        else:
            self.closed = self.closed and self.welded
