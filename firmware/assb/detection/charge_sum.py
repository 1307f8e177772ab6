"""Sums of what is missing that forget what errors explain (CUSUM), in volts: the account of evidence 3.

A sum goes up by what the voltage falls behind, less what a second may miss, and begins anew at zero. Its score is the
way up over a tolerance and over what errors can make of the changes since it began: those of resistances (changes of
the current; of R0 with temperature and pressure), entropy, hysteresis, capacity and OCV table, and on discharge a
contact that is being lost. How far a sum usually goes, down or up and away again, widens the tolerance: no short goes
away. A score must stand for a while (`sure`); a spike, as where the current comes by the value that it had at the
beginning, is no evidence.
"""

from assb.const import const

from .observed import later, share

_USUAL_TAU_S = const(172800)
TABLE_ERROR = 0.35  # of a change of R0 with temperature and pressure (assumption)
ENTROPY_ERROR_V_PER_K = 0.0002


class Account:
    """What a rise may be although nothing is short."""

    def __init__(self):
        self.current_a = self.r0_ohm = self.degc = self.loop = 0.0  # at the moment; loop: of the hysteresis, -1 .. 1
        self.ohm = 0.0  # what the resistances may be wrong by
        self.higher_ohm = 0.0  # by how much they are higher than believed
        self.loop_v = 0.0  # and the hysteresis
        self.soc = self.table_v = self.table_most_v = self.capacity_v = 0.0  # and table and capacity, per SOC
        self.contact = 0.0  # how many R0 a lost contact may add: on discharge a leak, until the current changes
        self.tolerance_v = 0.0
        self.widest = 1.0
        self.sure_s = 0.0  # how long a score has to stand
        self.dt_s = 0.0

    def explained_v(self, begun):
        """Of a sum, since it began."""
        volts = (
            self.ohm * abs(self.current_a - begun.up_a)
            + TABLE_ERROR * abs(self.r0_ohm - begun.up_ohm) * abs(self.current_a)
            + ENTROPY_ERROR_V_PER_K * abs(self.degc - begun.up_degc)
            + self.loop_v * abs(self.loop - begun.up_loop)
        )
        moved = abs(self.soc - begun.up_soc)
        volts += self.capacity_v * moved + min(self.table_v * moved, self.table_most_v)
        if self.current_a < 0:
            volts -= self.contact * self.r0_ohm * self.current_a
        else:  # a contact that was lost may come back
            volts += self.higher_ohm * self.current_a
        return volts


class ChargeSum:
    """What is missing (up) and what is too much (down); a sound cell goes as far either way."""

    def __init__(self):
        # up, how far beyond what is explained, and since it began: all that rose, time ...
        self.up_v = self.up_most_v = self.risen_v = self.up_s = 0.0
        self.up_a = self.up_ohm = self.up_degc = self.up_loop = self.up_soc = 0.0  # ... and what stood then
        self.down_v = self.down_a = 0.0
        self.usual_v = 0.0  # how far it goes without a short
        self.score = self.sure = 0.0  # sure: the score that has stood for a while

    def add(self, account, rise_v, allowed_v):
        self.up_v += rise_v - allowed_v
        self.risen_v += rise_v
        self.up_s = later(self.up_s, account.dt_s)
        explained_v = account.explained_v(self)
        self.up_most_v = max(self.up_most_v, self.up_v - explained_v)
        if self.up_v <= 0:
            self._begin(account)
        self._go_down(account, rise_v + allowed_v)
        self.score = self.up_v / (max(account.widest * self.usual_v, account.tolerance_v) + explained_v)
        rise = self.score - self.sure
        self.sure += rise if rise < 0 else share(account.dt_s, account.sure_s) * rise

    def _begin(self, account):
        self.usual_v = max(self.usual_v, self.up_most_v)  # it went away again: no short does
        self.up_v = self.up_most_v = self.risen_v = self.up_s = 0.0
        self.up_a, self.up_ohm = account.current_a, account.r0_ohm
        self.up_degc, self.up_loop, self.up_soc = account.degc, account.loop, account.soc

    def _go_down(self, account, fall_v):
        self.down_v -= fall_v
        if self.down_v <= 0:
            self.down_v = 0.0
            self.down_a = account.current_a
        self.usual_v -= self.usual_v * share(account.dt_s, _USUAL_TAU_S)
        self.usual_v = max(self.usual_v, self.down_v - account.ohm * abs(account.current_a - self.down_a))
