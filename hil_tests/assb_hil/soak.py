"""A long run: a sound pack under a dynamic load, with faults at random that it must survive, each with its effects.

A host arms, renews its lease, clears and, where nothing else helps, resets, as a lab's would. Everything is drawn from
the seed; the same seed and length give the same trace.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from assb.protocol import schema
from assb_host.link.decoder import Frame

from assb_hil.faults import DeviceFault, Fault
from assb_hil.loads import ConstantCurrent
from assb_hil.scenario import Host, Scenario, Start
from assb_hil.session import Session, open_session
from assb_hil.soak_faults import SOAK_FAULTS, SoakFault

PACK = "li_lpscl_nca"
FIRST_FAULT_S = 60.0  # pressed and connected by then
FAULT_GAP_S = (40.0, 160.0)  # from the end of one fault to the next, drawn evenly
RECOVER_S = 40.0  # after a fault has ended: cleared, armed, pressed again, connected
LOAD_S = (2, 40)  # how long one current lasts
ASKED_A = 0.25  # the most that the load asks for; the board allows less at times
SOC_WINDOW = (0.40, 0.70)  # outside of it the load leads back
ACT_EVERY_S = 2.0  # how often the host clears or arms again
STUCK_S = 20.0  # a fault that can't be cleared for so long: the host resets the board
WARM_UP_S = 300.0  # of each boot, before its heap is judged
SPAN_S = 3600.0  # the shortest stretch over which a slope of the heap means something
# Along its line a boot's free heap may fall by so much: it falls once by some hundred bytes (140 to 560 over spans of
# one to five and a half hours), as what the first faults load stays, and words on the stack look like pointers
LEAK_B = 1000.0
# Its low water falls as well: by 9 kB in a day without a leak, from first loads of modules and the peaks of garbage
# between collections. Nearly twice that is bad enough to be looked at (assumption): a Pico's is 120 kB (docs/pico.md)
LOW_FALL_B = 16_000
HEAP_LOW_MIN_B = 8_000
RUNNING = ("REST", "CHARGE", "DISCHARGE", "DERATE")
ROWS = tuple(row[1] for row in schema.LIMIT_ROWS)
LOGS = ("lease_lapsed",)  # does nothing by itself: a host that hears nothing can't renew


@dataclass
class Boot:
    """One boot's heap: the sums of a straight line through what is free after each collection, and its low water."""

    since_s: float
    count: int = 0
    sum_t: float = 0.0
    sum_b: float = 0.0
    sum_tt: float = 0.0
    sum_tb: float = 0.0
    low_first_b: int = 0
    low_last_b: int = 0
    last_s: float = 0.0
    told: set[str] = field(default_factory=set)  # what was said of it already

    def add(self, t_s: float, free_b: int, low_b: int) -> None:
        if t_s - self.since_s < WARM_UP_S:
            return
        hours = (t_s - self.since_s) / 3600.0
        self.low_first_b = self.low_first_b or low_b
        self.low_last_b, self.last_s = low_b, t_s
        self.count += 1
        self.sum_t += hours
        self.sum_b += free_b
        self.sum_tt += hours * hours
        self.sum_tb += hours * free_b

    @property
    def span_s(self) -> float:
        return max(0.0, self.last_s - self.since_s - WARM_UP_S) if self.count else 0.0

    @property
    def leaks(self) -> bool:
        return -self.slope_b_per_h * self.span_s / 3600 > LEAK_B

    def complaints(self) -> list[str]:
        """What is wrong with its heap, when it was long enough to tell; each once."""
        if self.span_s < SPAN_S:
            return []
        found = []
        if self.leaks and "shrank" not in self.told:
            self.told.add("shrank")
            found.append(f"the heap of this boot shrank by {-self.slope_b_per_h:.0f} B an hour")
        if self.low_fell_b > LOW_FALL_B and "fell" not in self.told:
            self.told.add("fell")
            found.append(f"the low water of this boot's heap fell by {self.low_fell_b} B")
        return found

    @property
    def low_fell_b(self) -> int:
        return self.low_first_b - self.low_last_b

    @property
    def slope_b_per_h(self) -> float:
        """Least squares."""
        spread = self.count * self.sum_tt - self.sum_t**2
        return (self.count * self.sum_tb - self.sum_t * self.sum_b) / spread if spread > 0 else 0.0


@dataclass
class SoakResult:
    """What `assb hil soak --json` prints."""

    hours: float
    seed: int
    passed: bool = False
    wall_time_s: float = 0.0
    speed_x: float = 0.0
    fault_counts: dict[str, int] = field(default_factory=dict)
    trips: dict[str, int] = field(default_factory=dict)
    state_s: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    host_resets: int = 0
    broken: list[str] = field(default_factory=list)  # each with its time
    late_worst_us: int = 0  # outside of faults that hold the processor up
    heap_low_b: int = 0
    heap_spans: list[dict[str, float]] = field(default_factory=list)  # boots that were long enough
    hour_sha256: list[str] = field(default_factory=list)
    trace_sha256: str = ""


class Soak:
    """Plays the host and the world on a session; `hour` is called with each whole hour that has passed."""

    def __init__(self, session: Session, hours: float, hour: Callable[[SoakResult], None] = lambda _result: None):
        self.session = session
        self.result = SoakResult(hours, session.seed)
        self._hour = hour
        self._chance = random.Random(f"{session.seed} soak")
        self._state = "BOOT"
        self._state_since_s = 0.0
        self._heard_s = 0.0
        self._acted_s = 0.0
        self._load_until_s = 30.0
        self._fault: SoakFault | None = None
        self._fault_until_s = 0.0  # the fault itself
        self._next_fault_s = FIRST_FAULT_S
        self._acts: list[tuple[float, Callable[[Session], None]]] = []
        self._boots: list[Boot] = []
        self._trips: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._late_seen_us = 0
        session.rig.listeners.append(self._hear)

    def run(self) -> SoakResult:
        """The whole length, judged."""
        session, result = self.session, self.result
        started_s = perf_counter()
        session.start()
        for second in range(1, round(3600 * result.hours) + 1):
            session.dut.run_until(session.rig.origin_us + second * 1_000_000)
            session.dut.read_console()
            self._second(float(second))
            if second % 3600 == 0:
                result.hour_sha256.append(session.recorder.sha256)
                self._finish(perf_counter() - started_s)
                self._hour(result)
        return self._finish(perf_counter() - started_s)

    # Each second

    def _second(self, t_s: float) -> None:
        self._states[self._state] += 1
        self._play_host(t_s)
        self._play_load(t_s)
        while self._acts and self._acts[0][0] <= t_s:
            self._acts.pop(0)[1](self.session)
        self._play_faults(t_s)

    def _play_host(self, t_s: float) -> None:
        send, state = self.session.send, self._state
        if state in (*RUNNING, "ARMED", "PRECHARGE", "FAULT"):
            send("lease")
        if state not in (*RUNNING, "ARMED", "PRECHARGE") and t_s - self._acted_s >= ACT_EVERY_S:
            self._acted_s = t_s
            if state == "SAFE":
                send("arm", lease_ms=5000)
            elif state == "FAULT" and t_s - self._state_since_s < STUCK_S:
                send("clear")
            elif state in ("FAULT", "LOCKOUT") and t_s - self._state_since_s >= STUCK_S:
                self._state_since_s = t_s
                self.result.host_resets += 1
                send("reset")

    def _play_load(self, t_s: float) -> None:
        if t_s < self._load_until_s:
            return
        chance = self._chance
        self._load_until_s = t_s + chance.randint(*LOAD_S)
        low, high = SOC_WINDOW
        soc = self.session.rig.plant.cells[0].soc
        least_a = 0.0 if soc < low else -ASKED_A
        most_a = 0.0 if soc > high else ASKED_A
        current_a = 0.0 if chance.random() < 0.2 else chance.uniform(least_a, most_a)
        self.session.rig.plant.cycler.loads.append(ConstantCurrent(at_s=t_s, current_a=current_a))

    def _play_faults(self, t_s: float) -> None:
        if self._fault and t_s >= self._fault_until_s + RECOVER_S:
            if self._state not in RUNNING:
                self._break(t_s, f"{self._state} {RECOVER_S:g} s after {self._fault.name}")
            self._fault = None
            self._next_fault_s = t_s + round(self._chance.uniform(*FAULT_GAP_S))
        if self._fault is None and t_s >= self._next_fault_s:
            self._fault = drawn = self._chance.choices(SOAK_FAULTS, [fault.weight for fault in SOAK_FAULTS])[0]
            self._fault_until_s = t_s + drawn.lasts_s
            self._counts[drawn.name] += 1
            self._inject(drawn.fault(t_s, self._chance), t_s)

    def _inject(self, fault: Fault, t_s: float) -> None:
        rig = self.session.rig
        if isinstance(fault, DeviceFault):
            rig.tell_fault(fault, rig.origin_us + round(t_s * 1e6))
            acts = list(fault.acts())
            acts[0][1](self.session)
            self._acts += acts[1:]
        else:
            at_us = rig.origin_us + round(fault.at_s * 1e6)
            rig.schedule(at_us, lambda now_us: rig.inject(fault, now_us))

    # What the board says

    def _hear(self, t_s: float, frame: Frame) -> None:
        self._heard_s = t_s
        if frame.type == schema.PACK:
            self._see_state(t_s, schema.STATES[int(frame.fields["state"])], int(frame.fields["stage"]))
        elif frame.type == schema.HEALTH:
            self._see_health(t_s, frame.fields)
        elif frame.type == schema.EVENT:
            self._see_event(t_s, frame.fields)

    def _see_state(self, t_s: float, state: str, stage: int) -> None:
        if stage:
            self._break(t_s, f"stage {schema.STAGES[stage]}")
        if state == self._state:
            return
        self._state, self._state_since_s = state, t_s
        if state in ("LOCKOUT", "MAINTENANCE") or (state == "FAULT" and self._fault is None):
            self._break(t_s, f"state {state} during {self._fault.name if self._fault else 'no fault'}")

    def _see_event(self, t_s: float, fields: dict[str, Any]) -> None:
        if fields["event"] == schema.EV_TRIP:
            row = ROWS[int(fields["a"])]
            self._trips[row] += 1
            if row not in LOGS and (self._fault is None or row not in self._fault.rows):
                self._break(t_s, f"{row} tripped during {self._fault.name if self._fault else 'no fault'}")
        elif fields["event"] == schema.EV_BOOT:
            if self._boots and (self._fault is None or not self._fault.restarts):
                self._break(t_s, f"restart during {self._fault.name if self._fault else 'no fault'}")
            self._boots.append(Boot(t_s))

    def _see_health(self, t_s: float, fields: dict[str, Any]) -> None:
        low_b, late_us = int(fields["heap_low_b"]), int(fields["late_worst_us"])
        if not (self._fault and self._fault.restarts):  # one of them fills the heap
            if self._boots:
                self._boots[-1].add(t_s, int(fields["heap_free_b"]), low_b)
            self.result.heap_low_b = min(self.result.heap_low_b or low_b, low_b)
        if self._fault and self._fault.holds_up:
            self._late_seen_us = late_us
        elif late_us > self._late_seen_us:
            self._late_seen_us = late_us
            self.result.late_worst_us = max(self.result.late_worst_us, late_us)
            if late_us >= self._deadline_us:
                self._break(t_s, f"a fast tick was {late_us} us late")

    @property
    def _deadline_us(self) -> int:
        """A tick that is a whole period late was left out."""
        return 1000 * self.session.pack.parameters["fast_period_ms"]

    def _break(self, t_s: float, what: str) -> None:
        self.result.broken.append(f"{t_s:.1f} s: {what}")

    # The end

    def _finish(self, wall_s: float) -> SoakResult:
        session, result = self.session, self.result
        result.wall_time_s, result.speed_x = round(wall_s, 1), round(session.t_s / wall_s, 1)
        result.fault_counts, result.trips = dict(sorted(self._counts.items())), dict(self._trips)
        result.state_s = dict(self._states)
        result.restarts = max(0, len(self._boots) - 1)
        result.heap_spans = [
            {
                "hours": round(boot.span_s / 3600, 3),
                "slope_b_per_h": round(boot.slope_b_per_h, 1),
                "low_fell_b": boot.low_fell_b,
                "low_b": boot.low_last_b,
            }
            for boot in self._boots
            if boot.span_s >= SPAN_S
        ]
        result.trace_sha256 = session.recorder.sha256
        for boot in self._boots:
            for words in boot.complaints():
                self._break(boot.last_s, words)
        result.passed = not result.broken and result.heap_low_b >= HEAP_LOW_MIN_B
        return result


@contextmanager
def soak_session(hours: float, seed: int) -> Iterator[Session]:
    """A bench for it; nothing is remembered but the hash."""
    scenario = Scenario(
        name="soak", path=Path("soak"), title="A long run with faults at random", pack=PACK, plant=PACK,
        duration_s=3600.0 * hours, start=Start(0.55, 25.0, 0.1), seed=seed, host=Host(arm_at_s=None),
    )  # fmt: skip
    with open_session(scenario, keeps=False) as session:
        yield session


def run_soak(hours: float, seed: int, hour: Callable[[SoakResult], None] = lambda _result: None) -> SoakResult:
    """Set up, run, judge, put away."""
    with soak_session(hours, seed) as session:
        return Soak(session, hours, hour).run()


def as_dict(result: SoakResult) -> dict[str, Any]:
    return asdict(result)
