"""How fast each limit row acts: its quantity is driven through its level, and the rig times what follows.

The clock starts when the quantity passes the level where the board can first know of it: at the input of the chip that
measures it, at the pin, or where the detector calls a stage. It stops when the rig sees the row's act done: the contact
open, the current gone, the limit lowered. That must be within the row's fault-time budget, and the budget within what
the pack allows.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from assb.protocol import schema
from assb_host.config import PackConfig, fault_time_budget_ms, load_pack

from assb_hil.faults.board import GarbageCollected, HeapFilled
from assb_hil.reaction_stimuli import ASIDE, BEGINS, BEGINS_AFTER, LOCKS, QUICK, STIMULI, Stimulus
from assb_hil.scenario import Command, Scenario, Start
from assb_hil.session import Session, open_session
from assb_hil.vocabulary import demand

FILLED_FRAC = 0.9
FILLED_AT_S = 8.5
NO_CURRENT_A = 0.001
SLOW_TICK_S = 0.1
WATCH_US = 500  # how finely the rig watches the current
ROWS = {row[1]: row for row in schema.LIMIT_ROWS}


@dataclass
class Reaction:
    """One row's figures in ms; `command_ms` and `acted_ms` are the worst of all repeats, None where it did not act."""

    row: str
    act: str
    stimulus: str
    repeats: int = 0
    command_ms: float | None = None
    acted_ms: float | None = None
    budget_ms: float = 0.0
    allowed_ms: float = 0.0
    others: list[str] = field(default_factory=list)  # rows that tripped no later

    @property
    def passed(self) -> bool:
        return self.acted_ms is not None and self.acted_ms <= self.budget_ms <= self.allowed_ms

    def take(self, command_ms: float | None, acted_ms: float | None, others: list[str]) -> None:
        """One more repeat; a row that did not act once has no figure."""
        first, self.repeats = self.repeats == 0, self.repeats + 1
        self.command_ms = command_ms if first else _worse(self.command_ms, command_ms)
        self.acted_ms = acted_ms if first else _worse(self.acted_ms, acted_ms)
        self.others = sorted({*self.others, *others})


def drawn_phase_s(seed: int, row: str) -> float:
    return random.Random(f"{seed} {row}").uniform(0.0, SLOW_TICK_S)


def measure(
    rows: list[str],
    pack: str | None,
    seeds: range,
    worst: bool = False,
    phase_s: Callable[[int, str], float] = drawn_phase_s,
) -> Iterator[Reaction]:
    """The worst reaction of each row over several seeds, each with another phase between fault and ticks. Rows that
    one stimulus drives share its runs. `worst`: the board computes as slowly as its cost table has it, nine tenths of
    its heap are in use, and a collection of garbage comes just then. `pack`: None for the one that each row is of."""
    for stimulus in dict.fromkeys(STIMULI[row] for row in rows):
        driven = [row for row in rows if STIMULI[row] is stimulus]
        changes, name = changes_for(stimulus, driven), pack or stimulus.pack
        found = {row: _blank(row, load_pack(name, changes=dict(changes))) for row in driven}
        for seed in seeds:
            at_s = round(stimulus.at_s + phase_s(seed, driven[0]), 6)
            with _session(stimulus, changes, name, seed, at_s, worst) as session:
                watch = _Watch(session, at_s)
                session.run()
                for row in driven:
                    found[row].take(*watch.figures(row, round(at_s + stimulus.delay_s, 6)))
        yield from found.values()


def changes_for(stimulus: Stimulus, driven: list[str]) -> dict[str, Any]:
    """What a run changes in the pack: rows that would act first stand back, but none that is timed."""
    aside = {key: value for key, value in ASIDE.items() if key.split(".")[1] not in driven}
    return aside | (QUICK if stimulus.quick else {}) | stimulus.pack_changes


def _blank(row: str, pack: PackConfig) -> Reaction:
    return Reaction(
        row, ROWS[row][7], STIMULI[row].words, budget_ms=round(fault_time_budget_ms(pack, row), 3),
        allowed_ms=pack.limits[row].allowed_ms,
    )  # fmt: skip


def enabled_rows(pack: str) -> list[str]:
    """Rows of a pack, in the order of their positions."""
    config = load_pack(pack)
    return [row for row in ROWS if config.limits[row].enabled]


@contextmanager
def _session(
    stimulus: Stimulus, changes: dict[str, Any], pack: str, seed: int, at_s: float, worst: bool
) -> Iterator[Session]:
    faults = stimulus.faults(at_s)
    if worst:
        faults = (
            *faults,
            HeapFilled(at_s=FILLED_AT_S, filled_frac=FILLED_FRAC),
            GarbageCollected(at_s=round(at_s + stimulus.delay_s, 6)),
        )
    scenario = Scenario(
        name="reaction", path=Path("reaction"), title=stimulus.words, pack=pack,
        plant=stimulus.plant if pack == stimulus.pack and stimulus.plant else pack,
        duration_s=at_s + stimulus.lasts_s, start=Start(stimulus.soc_frac, 25.0, 0.1), seed=seed,
        pack_changes=changes, loads=stimulus.loads, faults=faults, worst_costs=worst,
        commands=tuple(Command(at_s=at_s + after_s, name=name) for after_s, name in stimulus.commands),
    )  # fmt: skip
    with open_session(scenario) as session:
        yield session


class _Watch:
    """What the rig sees after the fault: commands at the pins, the contact, the current, the limit that was told."""

    def __init__(self, session: Session, at_s: float):
        self.session = session
        self.current_gone_s: dict[int, float] = {}  # by direction
        rig = session.rig
        start_us = round(at_s * 1e6)

        def watch(now_us: int) -> bool:
            current_a = rig.plant.current_a
            t_s = 1e-6 * (now_us - rig.origin_us)
            for sign in (1, -1):
                if sign * current_a > NO_CURRENT_A:
                    self.current_gone_s.pop(sign, None)
                elif t_s >= at_s:
                    self.current_gone_s.setdefault(sign, t_s)
            return True

        rig.schedule(rig.now_us + start_us, lambda now_us: rig.every(now_us, WATCH_US, watch))

    def first(self, name: str, fields: dict[str, Any], after_s: float) -> float | None:
        events = self.session.recorder.events_named(name)
        times = [e["t_s"] for e in events if e["t_s"] >= after_s and all(e.get(k) == v for k, v in fields.items())]
        return min(times, default=None)

    def begun(self, row: str, at_s: float) -> float | None:
        """When the row's quantity passed its level."""
        if row in BEGINS:
            return self.first(*BEGINS[row], at_s)
        if row not in BEGINS_AFTER:
            return at_s
        times, values = self.session.recorder.window(BEGINS_AFTER[row], at_s, self.session.duration_s)
        called = next((at for at, value in enumerate(values) if value), 0)
        return times[called - 1] if called else None

    def figures(self, row: str, at_s: float) -> tuple[float | None, float | None, list[str]]:
        """(command in ms after the level was passed, act done in ms, rows that tripped no later)."""
        from_s = self.begun(row, at_s)
        tripped_s = None if from_s is None else self.first("limit_tripped", {"row": row}, from_s)
        if from_s is None or tripped_s is None:
            return None, None, []
        if row in LOCKS:
            command_s = acted_s = self.first("state_changed", {"to_state": "LOCKOUT"}, from_s)
        else:
            command_s, acted_s = self._acted(ROWS[row][7], from_s, tripped_s)
        trips = self.session.recorder.events_named("limit_tripped")
        others = [e["row"] for e in trips if from_s <= e["t_s"] <= tripped_s and e["row"] != row]
        return _ms(from_s, command_s), _ms(from_s, acted_s), others

    def _acted(self, act: str, from_s: float, tripped_s: float) -> tuple[float | None, float | None]:
        if act in ("open", "lockout"):
            opened_s = self.first("contact_moved", {"closed": 0}, from_s)
            return self.first("coil_switched", {"closed": 0}, from_s), opened_s
        if act == "log":
            return tripped_s, tripped_s
        if act == "derate":
            lowered_s = self._limit_lowered(from_s)
            return lowered_s, lowered_s
        lines = {"no_charge": (1,), "no_discharge": (-1,), "stop": (1, -1)}[act]
        names = {1: "charge_enabled", -1: "discharge_enabled"}
        commands = [self.first("enable_switched", {"line": names[sign], "level": 0}, from_s) for sign in lines]
        gone = [self.current_gone_s.get(sign) for sign in lines]
        if None in commands or None in gone:
            return None, None
        return max(c for c in commands if c is not None), max(g for g in (*gone, *commands) if g is not None)

    def _limit_lowered(self, from_s: float) -> float | None:
        """When the board first told the cycler a lower limit of charge."""
        times, limits = self.session.recorder.series["charge_limit_a"]
        before = [limit for t_s, limit in zip(times, limits, strict=True) if t_s < from_s]
        after = [t_s for t_s, limit in zip(times, limits, strict=True) if t_s >= from_s and limit < 0.75 * before[-1]]
        return min(after, default=None)


def _worse(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


def _ms(from_s: float, to_s: float | None) -> float | None:
    return None if to_s is None else round(1000.0 * (to_s - from_s), 3)


def measurable(pack: str | None, rows: Sequence[str] = ()) -> list[str]:
    """These rows, or all that the pack has, or all; raises ConfigError for one that the pack has not, or that nothing
    here drives."""
    had = enabled_rows(pack) if pack else list(ROWS)
    path = load_pack(pack).path if pack else Path("limit rows")
    for row in rows:
        demand(path, "row", row, [name for name in had if name in STIMULI], "nothing drives another")
    return list(rows) or [row for row in had if row in STIMULI]


def as_dict(reaction: Reaction) -> dict[str, Any]:
    return asdict(reaction) | {"passed": reaction.passed}
