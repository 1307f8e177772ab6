"""Contactor or other disconnect switch with feedback and, where fitted, a precharge relay."""


class Contactor:
    """Drives one coil and reads its mirror contact; whether the two agree is the limit rows' affair.

    `pin_drive`, `pin_feedback`, `pin_precharge`: `machine.Pin`-like, `value([level])`; drive level 1 closes.
    `feedback_closed_level`: what the feedback pin reads when the contacts are closed. Wire it so that a broken wire
    reads as open: then it is a mismatch as soon as the contactor should be closed. Without a feedback pin the command
    is taken for the fact and a weld can't be seen. The constructor opens. Attribute: commanded (bool).
    """

    def __init__(self, pin_drive, pin_feedback=None, pin_precharge=None, feedback_closed_level: int = 1):
        self._pin_drive = pin_drive
        self._pin_feedback = pin_feedback
        self._pin_precharge = pin_precharge
        self._feedback_closed_level = feedback_closed_level
        self.commanded = False
        self.open()

    def open(self, precharge=False) -> None:
        """Drop the coil and, unless asked for, the precharge relay. Never refused."""
        self._pin_drive.value(0)
        self.precharge(precharge)
        self.commanded = False

    def close(self) -> None:
        self._pin_drive.value(1)
        self.commanded = True

    def precharge(self, on: bool) -> None:
        if self._pin_precharge is not None:
            self._pin_precharge.value(1 if on else 0)

    def is_closed_feedback(self) -> bool:
        if self._pin_feedback is None:
            return self.commanded
        return self._pin_feedback.value() == self._feedback_closed_level
