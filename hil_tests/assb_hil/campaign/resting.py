"""Rests that the watch asks for, in a trial: the firmware's own rule, looked at once a minute, between two chunks."""

from collections.abc import Iterable

from assb.control.watch_rest import WatchRest
from assb_kernels.watch import Watch

from assb_hil.campaign.belief import believed_pack
from assb_hil.campaign.trial_bench import TrialBench

EVERY_S = 3600.0  # where the pack's file asks for no rests
LOOK_S = 60.0


class Resting:
    """`look` after each chunk of readings. `rested_s`: how long the load stood still for it."""

    def __init__(self, bench: TrialBench, watch: Watch) -> None:
        self._bench, self._watch = bench, watch
        told = believed_pack(bench.scene.spec.profile).parameters
        every_s = told["watch_rest_every_s"] or EVERY_S
        self._rest = WatchRest(every_s, told["watch_rest_s"], told["watch_rest_most_s"], len(watch))
        self._least_a = told["rest_current_ma"] / 1000.0
        self.rested_s = 0.0

    def look(self, currents_a: Iterable[float], span_s: float) -> None:
        """After `span_s` with these readings of the current."""
        if self._rest.resting:
            self.rested_s += span_s
        scores = [self._watch.evidence(cell)["missing_charge"][1] for cell in range(len(self._watch))]
        flows = any(abs(current_a) > self._least_a for current_a in currents_a)
        self._rest.step(flows, scores, span_s)
        self._bench.trial.rests = self._rest.resting
