"""Evidence 3, charge: a cycle takes more than it gives back.

When a tenth of SOC is passed again, in the same direction with the same current, the cell holds what it held then. What
went in between is what a leak took, whatever the capacity, the table and the resistances are. A contact that was lost
or came back between them shifts the SOC that the filter has one way on charge and the other way on discharge; so both
have to tell it, each twice or on one passing since the current turned, and the smaller counts. What one of them took
less than nothing, when the contact was lost, is first to come back. What has to come back is doubt, and so is a contact
that is known to have been lost of late (charge_errors.py), and what the latest direction tells less than the one
before, for a leak that goes on takes no less. A tenth that is passed again before any other is no cycle: there a
contact moved the SOC. What the sensor's offset may have counted does not count. Cells with flat or unsure OCV have to
show more, and those whose SOC the filter has come to know better meanwhile.

In a pack the others have the same sensor: once two of them have passed the same tenth, what a cell took more than any
of them counts from a third as much on.

A leak of C/20 is told so within one turn of the current, for a constant current and a contact that may be lost hide it
from the voltage (charge_errors.py).
"""

from array import array
from math import sqrt

from assb.const import const

from .observed import LONG_S

_PASSES = const(20)  # tenths of SOC, on charge and on discharge
_TENTHS = const(10)
TENTH_LAST = 0.99
RETURN_FRAC = 0.007  # of SOC; this and the next three are assumptions that a campaign was made with
RETURN_V = 0.003
DOUBT_SHARE = 0.1  # of the filter's variances: an error of SOC comes back with its cycle
OFFSET_MOST = 1.5  # times the sensor's offset
PACK_FRAC = 0.002  # as RETURN_FRAC, between cells of a pack; so are the next three
PACK_SHARE = 0.1  # of the variances
PACK_SLOPE_V = 0.25  # dOCV/dSOC of a plateau: nothing is compared
PACK_LEAST_C = 0.0007  # in an hour: a third of the weakest leak that is asked for
APART_SHARE = 0.5  # of what the latest direction tells less than the one before
OWED_SHARE = 0.3  # of what is first to come back: it may come back to more
FLOWS_C = 0.02
SETTLED_FRAC = 0.1
SAME_FRAC = 0.05
_SAME_K = const(2)
_APART_S = const(600)
_RETURN_S = const(14400)  # what one direction told is forgotten
_OWED_S = const(43200)
_HOUR_S = const(3600)
_NET_MOST = const(4)
_NOTHING = (0.0, 0.0)

# Place in the group `detection` of the parameters (a test compares)
_CHARGE_OFFSET_C = const(12)


class Returns:
    def __init__(self, real):
        passes, ways = [0.0] * _PASSES, [0.0] * 2
        self.net_at, self.at_s = array(real, passes), array(real, passes)  # of the latest passing; at_s 0: never
        self.current_a, self.degc, self.soc_var = array(real, passes), array(real, passes), array(real, passes)
        self.owed = array(real, passes)  # less than nothing went in: so much is first to come back
        self.net = self.clock_s = 0.0  # of SOC, went in
        self.tenth = self.way = 0  # where SOC is, from 1; 0: nobody knows
        # on charge and on discharge: the least of the latest two; since when; told when; since the current turned
        self.more, self.latest = array(real, ways), array(real, ways)
        self.over_s, self.told_s = array(real, ways), array(real, ways)
        self.first, self.first_s, self.grows_c = array(real, ways), array(real, ways), array(real, ways)
        self.score = self.leak_c = 0.0  # leak_c: of the capacity in an hour
        self.edge = self.passed = 0  # the latest passing, and the latest one that was compared; 0: none
        self.doubt2 = self.contact2 = 0.0  # of the latter; what a contact that was lost adds

    def lose(self):
        for k in range(_PASSES):
            self.at_s[k] = self.owed[k] = 0.0
        self.told_s[0] = self.told_s[1] = 0.0
        self.tenth = self.edge = self.passed = 0
        self.score = self.leak_c = 0.0

    def may_compare(self, passed):
        """Whether both ways are told and the latest tenth that was compared is that one."""
        return passed > 0 and self.passed == passed and self.told_s[0] > 0 and self.told_s[1] > 0

    def took_c(self, way):
        return _HOUR_S * self.more[way] / self.over_s[way]

    def count(self, soc, dt_s):
        """Every second: so much of SOC went in."""
        self.net += soc
        self.clock_s += dt_s

    def see(self, cell, deficit, step, others, lost_ohm):
        """After each window of a few seconds; `others`: what the pack shows; `lost_ohm`: of a contact, of late."""
        self._begin_counters()
        for way in range(2):
            if self.told_s[way] > 0 and self.clock_s - self.told_s[way] > _RETURN_S:
                self.told_s[way] = self.score = self.leak_c = 0.0
                self.passed = 0
        if others.passed > 0 and others.passed == self.passed:
            doubt2 = PACK_FRAC * PACK_FRAC + PACK_SHARE * self.doubt2 + self.contact2
            self._judge(others.took_c, PACK_LEAST_C, doubt2)
        before, up = self.tenth, step.current_a > 0
        self.tenth = tenth = 1 + int(_TENTHS * min(max(cell.ekf.soc, 0.0), TENTH_LAST))
        settled_v = deficit.slow_ohm * step.current_a
        if before == 0 or tenth != before + (1 if up else -1) or step.size_c < FLOWS_C:
            return
        k = before if up else _TENTHS + tenth
        again, self.edge = k == self.edge, k
        if again or step.steep or step.slope_v <= 0:
            return
        if abs(deficit.open2_v - settled_v) <= SETTLED_FRAC * abs(settled_v):
            self._pass(cell, k, step, lost_ohm)

    def _begin_counters(self):
        """Single precision holds them for months."""
        if abs(self.net) > _NET_MOST:
            for k in range(_PASSES):
                self.net_at[k] -= self.net
            self.net = 0.0
        half_s = LONG_S / 2
        if self.clock_s > LONG_S:
            for k in range(_PASSES):
                self.at_s[k] = self.at_s[k] - half_s if self.at_s[k] > half_s else 0.0
            for way in range(2):
                self.told_s[way] = self.told_s[way] - half_s if self.told_s[way] > half_s else 0.0
                self.first_s[way] -= half_s
            self.clock_s -= half_s

    def _pass(self, cell, k, step, lost_ohm):
        current_a, degc, soc_var = step.current_a, cell.temperature_degc, cell.ekf.soc_var
        same = abs(current_a - self.current_a[k]) <= SAME_FRAC * abs(current_a)
        if self.at_s[k] > 0 and same and abs(degc - self.degc[k]) <= _SAME_K:
            by_v = RETURN_V / step.slope_v
            more = self.net - self.net_at[k] + self.owed[k]
            self.owed[k] = min(more, 0.0)
            self._compare(k // _TENTHS, more, self.clock_s - self.at_s[k])
            self.passed = 0 if step.slope_v < PACK_SLOPE_V else k + 1
            moved2 = max(self.soc_var[k] - soc_var, 0.0)
            self.doubt2 = DOUBT_SHARE * (soc_var + self.soc_var[k]) + moved2 + by_v * by_v
            owed, lost = self._owes(), lost_ohm * abs(current_a) / step.slope_v
            self.contact2 = OWED_SHARE * OWED_SHARE * owed * owed + lost * lost
            self.score = self.leak_c = 0.0
            doubt2 = RETURN_FRAC * RETURN_FRAC + self.doubt2 + self.contact2
            self._judge(_NOTHING, OFFSET_MOST * cell.q[_CHARGE_OFFSET_C], doubt2)
        self.net_at[k], self.at_s[k] = self.net, self.clock_s
        self.current_a[k], self.degc[k], self.soc_var[k] = current_a, degc, soc_var

    def _owes(self):
        """The most that is to come back in any tenth that was passed of late."""
        most = 0.0
        for k in range(_PASSES):
            if self.at_s[k] > 0 and self.clock_s - self.at_s[k] <= _OWED_S and self.owed[k] < most:
                most = self.owed[k]
        return most

    def _compare(self, way, more, over_s):
        """Since this tenth was passed the last time."""
        since_s = self.clock_s - self.first_s[way]
        if self.way != way or self.told_s[way] <= 0:
            self.first[way] = self.latest[way] = more
            self.first_s[way] = self.clock_s
            self.grows_c[way] = 0.0
        elif since_s >= _APART_S:
            self.grows_c[way] = _HOUR_S * (more - self.first[way]) / since_s
        self.more[way] = min(more, self.latest[way])
        self.latest[way] = more
        self.over_s[way] = over_s
        self.told_s[way] = self.clock_s
        self.way = way

    def _judge(self, took_c, least_c, doubt2):
        """Against what the pack's cycles took, and `least_c`: what the sensor's offset may have counted."""
        charged, discharged = (self.more[way] - took_c[way] * self.over_s[way] / _HOUR_S for way in range(2))
        low, taken = (0, charged) if charged < discharged else (1, discharged)
        if self.told_s[0] <= 0 or self.told_s[1] <= 0 or taken <= 0:
            return
        less = discharged - charged if self.way == 0 else charged - discharged
        apart = APART_SHARE * max(less, 0.0)  # a leak that has gone on has taken no less
        least = least_c * self.over_s[low] / _HOUR_S
        score = (taken - least) / sqrt(doubt2 + apart * apart)
        if score > self.score:
            self.score = score
            self.leak_c = max(_HOUR_S * taken / self.over_s[low], self.grows_c[0], self.grows_c[1])
