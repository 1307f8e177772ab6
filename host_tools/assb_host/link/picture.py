"""The newest of everything that a board has said, in physical units: what a monitor shows and a script reads."""

from collections import deque
from typing import Any

from assb.protocol import schema

from assb_host.link.decoder import Frame, Line
from assb_host.link.units import evidence_states, evidences_of, physical, rows_of, word

EVENTS_KEPT = 8
TEXTS_KEPT = 4
# Meaning of an event's number by its name in the schema → how it reads
READINGS = {
    "from_state": lambda value: word(schema.STATES, value),
    "to_state": lambda value: word(schema.STATES, value),
    "stage": lambda value: word(schema.STAGES, value),
    "reset_cause": lambda value: word(schema.RESET_CAUSES, value),
    "reason": lambda value: word(schema.UNUSED_REASONS, value),
    "store": lambda value: word(schema.STORAGE_PLACES, value),
    "cause": lambda value: word(schema.LOCKOUT_CAUSES, value),
    "check": lambda value: word(schema.CHECKS, value),
    "failed_checks": lambda value: ",".join(name for at, name in enumerate(schema.CHECKS) if value >> at & 1) or "none",
    "row": lambda value: word(tuple(row[1] for row in schema.LIMIT_ROWS), value),
    "trip_bits": lambda value: ",".join(rows_of(value)) or "none",
    "trip_bits_2": lambda value: ",".join(rows_of(0, value)) or "none",
    "carried_bits": lambda value: ",".join(evidences_of(value)) or "none",
    "parameter": lambda value: next((row[1] for row in schema.PARAMETERS if row[0] == value), f"#{value}"),
}
EVENT_ROWS = {row[0]: row for row in schema.EVENTS}
WORDS = {"state": schema.STATES, "stage": schema.STAGES, "cell_stage": schema.STAGES,
         "dip_state": schema.EVIDENCE_STATES, "leak_state": schema.EVIDENCE_STATES,
         "charge_bound": schema.BOUNDS, "discharge_bound": schema.BOUNDS,
         "capacity_missing": schema.LEARNING_GAPS, "resistance_missing": schema.LEARNING_GAPS}  # fmt: skip
BOOT_LOOP = -3  # config_status of a board that stays in MAINTENANCE
CONFIG_FAULTS = {-1: "missing", -2: "refused"}  # config_status of HELLO; 0 is a valid image
MEASURED = (
    "pack_voltage_v",
    "current_a",
    "temperature_degc",
    "pressure_mpa",
    "pressure_target_mpa",
    "pressure_command_mpa",
)  # of PACK: without a configuration nothing is wired, and the zeros mean nothing
BITS = ("warn_bits", "derate_bits", "trip_bits")


class Picture:
    """Feed it what a Link's poll returns."""

    def __init__(self):
        self.t_s = 0.0  # of the newest frame, since the board's start
        self.frame_count = 0
        self.hello: dict = {}
        self.pack: dict = {}
        self.judged: dict = {}  # fields of ROWS
        self.cells: dict[int, dict] = {}  # cell → fields of CELL, EVIDENCE, SCORES, POWER and SOH
        self.health: dict = {}
        self.cycler: dict = {}
        self.events: deque[tuple[float, str]] = deque(maxlen=EVENTS_KEPT)
        self.texts: deque[str] = deque(maxlen=TEXTS_KEPT)
        self.injected = False  # what its sensors say comes from a host
        self._boot = 0

    def take(self, item: Frame | Line) -> None:
        if isinstance(item, Line):
            if item.text.strip() and not item.text.startswith("!"):
                self.texts.append(item.text)
            return
        if item.boot != self._boot:
            self._boot = item.boot
            self.pack, self.judged, self.cells, self.health, self.cycler = {}, {}, {}, {}, {}
        self.t_s = item.t_ms / 1000
        self.frame_count += 1
        self.injected = item.flags & schema.INJECTED != 0
        self._sort(item.type, physical(item.fields))

    def _sort(self, frame_type, fields):
        if frame_type == schema.HELLO:
            self.hello = fields
        elif frame_type == schema.PACK:
            self.pack = fields
        elif frame_type == schema.ROWS:
            self.judged = fields
        elif frame_type in (schema.CELL, schema.EVIDENCE, schema.SCORES, schema.POWER, schema.SOH):
            self.cells.setdefault(fields["cell"], {}).update(fields)
        elif frame_type == schema.HEALTH:
            self.health = fields
        elif frame_type == schema.CYCLER:
            self.cycler = fields
        elif frame_type == schema.EVENT:
            self.events.append((self.t_s, event_text(fields)))

    @property
    def config_hint(self) -> str:
        """What is wrong with the board's configuration and what to do; nothing while all is well."""
        return config_hint(self.hello)

    def measured(self, name: str) -> float | None:
        """A value of PACK, or None when this board can't have measured it."""
        return None if self.config_hint else self.pack[name]

    @property
    def state(self) -> str:
        return word(schema.STATES, self.pack["state"]) if self.pack else "?"

    @property
    def rests(self) -> bool:
        """Whether the watch for shorts asks for a rest."""
        return bool(self.cycler.get("watch_rest"))

    @property
    def tripped(self) -> list[str]:
        return self.rows("trip_bits")

    def rows(self, bits: str) -> list[str]:
        """Limit rows of one of BITS."""
        return rows_of(self.pack.get(bits, 0), self.judged.get(bits + "_2", 0))

    def snapshot(self) -> dict:
        """Everything as plain values, states and limit rows by name: one line of `assb monitor --json`."""
        return {
            "t_s": self.t_s,
            "injected": self.injected,
            "pack": spelt(self.pack | self.judged)
            | {name: self.measured(name) for name in MEASURED if name in self.pack},
            "cells": [spelt(fields) for _, fields in sorted(self.cells.items())],
            "cycler": self.cycler,
            "health": self.health,
            "board": {key: self.hello[key] for key in ("board", "pack", "cell", "config_status") if key in self.hello},
        }


def config_hint(hello: dict) -> str:
    """`no valid configuration (missing); flash one with …` from the fields of HELLO; nothing when it has one."""
    status = hello.get("config_status", 0)
    if status == 0:
        return ""
    if status == BOOT_LOOP:
        return "crashed over and over, outputs off: `assb events` says why; flash again, or `assb send clear` and reset"
    fault = CONFIG_FAULTS.get(status, f"status {status}")
    return f"no valid configuration ({fault}); flash one with `assb flash --pack NAME`"


def spelt(fields: dict[str, Any]) -> dict[str, Any]:
    """States by their names, bits as lists of limit rows or evidences."""
    plain: dict[str, Any] = {
        name: word(WORDS[name], value) if name in WORDS else value for name, value in fields.items()
    }
    for name in BITS:
        if name in plain:
            plain[name.replace("_bits", "_rows")] = rows_of(plain.pop(name), plain.pop(name + "_2", 0))
    if "evidence_states" in plain:
        plain["evidence_states"] = evidence_states(plain["evidence_states"])
        plain["carried_by"] = evidences_of(plain.pop("carried_bits"))
    return plain


def event_text(fields: dict) -> str:
    """`limit_tripped row=soft_short value=2` from the numbers of an EVENT frame."""
    row = EVENT_ROWS.get(fields["event"])
    if row is None:
        return f"event #{fields['event']} a={fields['a']} b={fields['b']}"
    words = [row[1]]
    for name, value in zip(row[2:], (fields["a"], fields["b"]), strict=True):
        if name:
            words.append(f"{name}={READINGS.get(name, str)(value)}")
    return " ".join(words)
