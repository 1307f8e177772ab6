"""One cell's watch for internal shorts: its samples → evidences → stage, back onto the blackboard."""

from .const import const
from .detection import ACTIVE
from .detection.collapse import Collapse

# Ids of the wire, as in schema.py (a test compares)
_EV_STAGE = const(7)
_EV_DIP = const(8)
_EV_CARRIED = const(34)

# Places on the blackboard after cell_stage, and after evidence_states, in the order of tables.CELL_SIGNALS; evidences
# in that of tables.EVIDENCES (a test compares)
_SHORT_MOHM = const(1)
_CONFIDENCE_PPM = const(2)
_DIP_COUNT = const(3)
_DIP_STATE = const(5)
_LEAK_STATE = const(7)
_CARRIED_BITS = const(1)
_SHORT_LOW_MOHM = const(2)
_SCORES = const(4)
_DIPS = const(0)
_MISSING_CHARGE = const(2)
SCORES = (1, 3, 4, 5, 6, 7, 11, 12)  # evidences whose scores stand from _SCORES on
_SCORE_MOST_MILLI = const(32767)
_MOST_MOHM = const(1000000000)
_CERTAIN_PPM = const(1000000)
_HARD_SHORT = const(3)


class ShortWatch:
    """`add_sample` in the fast tick; `step` after each step that the estimator took, else `blind`."""

    def __init__(self, cell, flat, ekf, settings, signals, events, at, pack):
        """`at(name)`: place of a signal of cell number `cell` on the blackboard; `pack`: the kernel's, of all cells."""
        self.cell = cell
        self.detector = pack.add(flat, ekf)
        self.fusion = self.detector.fusion
        self.collapse = Collapse(settings)
        self.collapsed = False  # since a SlowStream has told it
        self._pack = pack
        self._ekf = ekf
        self._signals = signals
        self._events = events
        # a short in one of n units shows 1/n of its leak or dip, against n of their voltages
        self._units_squared = settings("units_per_cell") * settings("units_per_cell")
        self._s_stage = at("cell_stage")
        self.evidence_place = self._s_evidence = at("evidence_states")
        self._s_pressure = signals.pack("pressure_kpa")
        self._s_command = signals.pack("pressure_command_kpa")

    def add_sample(self, voltage_uv, current_ua, now_ms):
        """From the fast tick; allocates nothing."""
        if self.collapse.update(voltage_uv, current_ua, now_ms):
            self.collapsed = True
            if self.fusion.collapse():
                self._tell_stage(now_ms)

    def step(self, voltage_uv, current_ua, temperature_degc, dt_s, now_ms):
        """The means of a slow tick."""
        detector = self.detector
        cell = detector.cell
        # what the filter predicted before it saw the voltage; afterwards it may already follow a short
        expected_uv = voltage_uv - int(self._ekf.innovation_v * 1e6)
        cell.voltage_v, cell.current_a = voltage_uv / 1e6, current_ua / 1e6
        cell.temperature_degc, cell.dt_s = temperature_degc, dt_s
        self.collapse.expect(expected_uv, current_ua, cell.loop_ohm(), now_ms)
        cell.has_pressure = self._signals.valid[self._s_pressure] == 1
        if cell.has_pressure:
            cell.pressure_mpa = self._signals.value[self._s_pressure] / 1000
        cell.aim_mpa = self._signals.value[self._s_command] / 1000
        dips = detector.dips.total
        whole = detector.see_sample()
        if detector.dips.total != dips:
            self._events.push(_EV_DIP, self.cell, int(detector.dips.depth_v * 1e6))
        if whole:
            self._second(now_ms)

    def blind(self):
        """There was nothing that the estimator could take."""
        self.detector.blind()

    def _second(self, now_ms):
        self._pack.compare(self.detector)
        if self.detector.see_second(self._pack):
            self._tell_stage(now_ms)
            self._events.push(_EV_CARRIED, self.cell, self.fusion.carried)
        if self.collapse.state == ACTIVE:
            self.fusion.collapse()
        if self.fusion.stage == _HARD_SHORT and not self.fusion.rs_ohm and self.collapse.lost_uv > 0:
            left = self.collapse.voltage_uv / self.collapse.lost_uv
            self.fusion.shorted(self.detector.cell.loop_ohm() * max(left, 0.0))
        self._publish(now_ms)

    def _tell_stage(self, now_ms):
        """Allocates nothing."""
        self._events.push(_EV_STAGE, self.cell, self.fusion.stage)
        self._signals.put(self._s_stage, self.fusion.stage, now_ms)

    def _publish(self, now_ms):
        put, fusion, cell = self._signals.put, self.fusion, self.detector.cell
        at = self._s_stage
        put(at, fusion.stage, now_ms)
        put(at + _SHORT_MOHM, self._mohm(fusion.rs_ohm), now_ms)
        put(
            at + _CONFIDENCE_PPM,
            _CERTAIN_PPM if fusion.stage == _HARD_SHORT else int(1e6 * fusion.confidence()),
            now_ms,
        )
        put(at + _DIP_COUNT, self.detector.dips.ages, now_ms)
        for place, evidence in ((_DIP_STATE, _DIPS), (_LEAK_STATE, _MISSING_CHARGE)):
            put(at + place, int(cell.state[evidence]), now_ms)
            put(at + place + 1, int(1000 * cell.score[evidence]), now_ms)
        at = self._s_evidence
        states = 0
        for evidence in range(len(cell.state)):
            states |= int(cell.state[evidence]) << 2 * evidence
        put(at, states, now_ms)
        put(at + _CARRIED_BITS, fusion.carried, now_ms)
        put(at + _SHORT_LOW_MOHM, self._mohm(fusion.rs_low_ohm), now_ms)
        put(at + _SHORT_LOW_MOHM + 1, self._mohm(fusion.rs_high_ohm), now_ms)
        for place, evidence in enumerate(SCORES):
            put(at + _SCORES + place, min(int(1000 * cell.score[evidence]), _SCORE_MOST_MILLI), now_ms)

    def _mohm(self, ohm):
        return min(int(1000 * ohm / self._units_squared), _MOST_MOHM)
