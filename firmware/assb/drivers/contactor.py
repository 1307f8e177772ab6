"""Contactor or other disconnect switch with feedback and, where fitted, a precharge relay."""

TICKS_MASK = 0x3FFFFFFF  # ticks wrap at 2**30 ms on the boards

MISMATCH_NONE, MISMATCH_WELDED, MISMATCH_STUCK_OPEN = 0, 1, 2


class Contactor:
    """Drives one coil and watches its mirror contact.

    `pin_drive`, `pin_feedback`, `pin_precharge`: `machine.Pin`-like, `value([level])`; drive level 1 closes.
    `feedback_closed_level`: what the feedback pin reads when the contacts are closed. Wire it so that a broken wire
    reads as open: then it is a mismatch as soon as the contactor should be closed. Without a feedback pin the command
    is taken for the fact and a weld can't be seen.
    `timeout_ms`: operate or release time, bounce and margin; a disagreement that lasts longer is a mismatch.
    The constructor opens. Attributes: commanded (bool), mismatch (MISMATCH_*), stays until `clear_mismatch()`.
    """

    def __init__(
        self, pin_drive, pin_feedback=None, pin_precharge=None, feedback_closed_level: int = 1, timeout_ms: int = 200
    ):
        self._pin_drive = pin_drive
        self._pin_feedback = pin_feedback
        self._pin_precharge = pin_precharge
        self._feedback_closed_level = feedback_closed_level
        self._timeout_ms = timeout_ms
        self._disagrees = False
        self._since_ms = 0
        self.commanded = False
        self.mismatch = MISMATCH_NONE
        self.open()

    def open(self) -> None:
        """Drop the coil and the precharge relay. Never refused."""
        self._pin_drive.value(0)
        self.precharge(False)
        self._command(False)

    def close(self) -> None:
        self._pin_drive.value(1)
        self._command(True)

    def precharge(self, on: bool) -> None:
        if self._pin_precharge is not None:
            self._pin_precharge.value(1 if on else 0)

    def is_closed_feedback(self) -> bool:
        if self._pin_feedback is None:
            return self.commanded
        return self._pin_feedback.value() == self._feedback_closed_level

    def update(self, now_ms: int) -> bool:
        """Fast tick: compare feedback and command; True while there is no mismatch. `now_ms`: ticks_ms."""
        closed = self.is_closed_feedback()
        if closed == self.commanded:
            self._disagrees = False
        elif not self._disagrees:
            self._disagrees = True
            self._since_ms = now_ms
        elif (now_ms - self._since_ms) & TICKS_MASK > self._timeout_ms:
            self.mismatch = MISMATCH_WELDED if closed else MISMATCH_STUCK_OPEN
        return self.mismatch == MISMATCH_NONE

    def clear_mismatch(self) -> None:
        self.mismatch = MISMATCH_NONE
        self._disagrees = False

    def _command(self, closed: bool) -> None:
        if closed != self.commanded:
            self.commanded = closed
            self._disagrees = False
