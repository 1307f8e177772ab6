"""Rests that the watch for shorts asks for. Under a constant current a leak looks like a contact that is being lost, at
rest like nothing else. So after `every_s` of work without a rest the current stops for `rest_s`, and for longer while
what speaks for a leak goes on to grow, or is loud. What is loud does not wait for the whole of `every_s` either. What
is no higher than after the last rest is not loud: at an end of SOC it may stand still for hours.
"""

MORE_S = 300.0  # by so much a rest is longer (assumption; likewise the next four)
SCORE_LEAST = 0.1  # of the threshold of a suspect: what speaks for a leak, speaks loudly enough
SCORE_RISE = 0.02  # and grew by so much in the part before
SCORE_LOUD = 0.5
SOON = 0.25  # of every_s


class WatchRest:
    """`resting`: whether no current is wanted now."""

    def __init__(self, every_s, rest_s, most_s, cells=1):
        """every_s 0: never."""
        self.every_s, self.rest_s, self.most_s = every_s, rest_s, max(most_s, rest_s)
        self.resting = False
        self.worked_s = self.idle_s = 0.0  # since the last rest that was long enough; without a current
        self.asked_s = self.rested_s = self.due_s = 0.0  # of the rest under way
        self.before = [0.0] * cells  # what spoke for a leak before its present part
        self.heard = [0.0] * cells  # what had by the end of the last rest, or fell to since

    def step(self, flows, scores, dt_s):
        """Every second or so. flows: whether a current did; scores: of missing charge, cell by cell."""
        for k in range(len(self.heard)):
            self.heard[k] = min(self.heard[k], scores[k])
        if self.resting:
            self._rest(flows, scores, dt_s)
        elif self.every_s:
            self._work(flows, scores, dt_s)

    def end(self):
        """Nothing is connected any longer."""
        if self.resting:
            self.resting = False
            self.idle_s = self.rested_s

    def _rest(self, flows, scores, dt_s):
        self.asked_s += dt_s
        if not flows:
            self.rested_s += dt_s
        over = self.asked_s >= self.most_s
        if self.rested_s < self.due_s and not over:
            return
        if not over and (_rose(scores, self.before, SCORE_LEAST) or self._loud(scores)):
            self.due_s += MORE_S
        else:
            self.resting = False
            self.worked_s = self.idle_s = 0.0
            # what still grew is loud again at once
            for k in range(len(scores)):
                grew = _rises(scores[k], self.before[k], SCORE_LEAST)
                self.heard[k] = self.before[k] if grew else scores[k]
        self._mark(scores)

    def _loud(self, scores):
        return _rose(scores, self.heard, SCORE_LOUD)

    def _mark(self, scores):
        for k in range(len(scores)):
            self.before[k] = scores[k]

    def _work(self, flows, scores, dt_s):
        self.idle_s = 0.0 if flows else self.idle_s + dt_s
        self.worked_s = 0.0 if self.idle_s >= self.rest_s else self.worked_s + dt_s
        if flows and self.worked_s >= self.every_s * (SOON if self._loud(scores) else 1):
            self.resting = True
            self.asked_s = self.rested_s = 0.0
            self.due_s = self.rest_s
            self._mark(scores)


def _rises(score, before, least):
    return score >= least and score > before + SCORE_RISE


def _rose(scores, before, least):
    """Whether one of the cells' did."""
    for k in range(len(scores)):
        if _rises(scores[k], before[k], least):
            return True
    return False
