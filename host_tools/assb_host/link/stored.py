"""What a board keeps on flash, fetched over the link: its event log, freeze frames, the last exception; and `sync`."""

from dataclasses import dataclass
from typing import Any

from assb.protocol import schema

from assb_host.errors import LinkError, RefusedError
from assb_host.link.capture import Capture, Captures
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.picture import EVENT_ROWS, READINGS
from assb_host.link.units import physical_pair

SILENCE_S = 3.0  # without a further part of it, the rest is not coming
TRIES = 3  # parts may be lost on the way
VALUES_PER_EVENT = 4
SYNC_EVERY_S = 0.2
ROWS = {position: row for position, row in enumerate(schema.LIMIT_ROWS)}
# suffix of a physical value's name → how people write it
UNITS = {"_v": "V", "_a": "A", "_mpa": "MPa", "_degc": "degC", "_s": "s", "_frac": "", "_ohm": "ohm", "_ah": "Ah"}


@dataclass(frozen=True)
class StoredEvent:
    """One event of the log. `t_ms`: the board's clock in that boot, modulo 2^30; `on_flash`: a power cut spares it."""

    number: int
    boot: int
    t_ms: int
    event: int
    a: int
    b: int
    on_flash: bool

    @property
    def name(self) -> str:
        row = EVENT_ROWS.get(self.event)
        return row[1] if row else f"#{self.event}"

    @property
    def fields(self) -> dict[str, Any]:
        """What a and b mean: names of states, rows and parameters, values in physical units."""
        row = EVENT_ROWS.get(self.event)
        if row is None:
            return {"a": self.a, "b": self.b}
        fields: dict[str, Any] = {}
        for name, value in zip(row[2:], (self.a, self.b), strict=True):
            if name in READINGS:
                fields[name] = READINGS[name](value)
            elif name == "value" and "row" in fields and self.a in ROWS:
                key, reading = row_value(ROWS[self.a], value)
                fields[key] = reading
            elif name:
                key, reading = physical_pair(name, value)
                fields[key] = reading
        return fields

    @property
    def text(self) -> str:
        return " ".join([self.name, *(f"{key}={shown(key, value)}" for key, value in self.fields.items())])

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        place = {"number": self.number, "boot": self.boot, "t_s": self.t_ms / 1000, "on_flash": self.on_flash}
        return {**place, "event": self.name, "fields": self.fields}


def row_value(row, value: int) -> tuple[str, Any]:
    """(name, reading) of what a limit row saw: its signal, or the age of it."""
    return physical_pair("age_ms" if row[4] == schema.KIND_STALE else row[3], value)


def shown(key: str, value) -> str:
    """`70.12degC`: a reading with the unit that the name's suffix says."""
    at = key.rfind("_")
    unit = UNITS.get(key[at:], "") if at > 0 else ""
    return f"{value:.6g}{unit}" if isinstance(value, float) else f"{value}{unit}"


def fetch_events(link: Link, since: int = 0) -> list[StoredEvent]:
    """The event log from that number on, oldest first; asked for again where parts were lost on the way."""
    for _ in range(TRIES):
        lost = losses(link)
        try:
            found = dumped_events(link, since)
        except LinkError:
            if losses(link) == lost:
                raise
            continue  # the end of it was lost
        if losses(link) == lost:
            return found
    raise LinkError("parts of the event log were lost again and again", link.console.name, "see to the cable")


def dumped_events(link: Link, since: int) -> list[StoredEvent]:
    """What comes up to the frame without events that ends it."""
    found: list[StoredEvent] = []
    stored = int(link.request("events", since=since)["stored"])
    while True:
        frame = next_part(link, schema.LOG, "event log")
        values = frame["values"]
        if not values:
            return found
        for at in range(len(values) // VALUES_PER_EVENT):
            event, a, b, t_ms = values[VALUES_PER_EVENT * at : VALUES_PER_EVENT * (at + 1)]
            number = frame["number"] + at
            found.append(StoredEvent(number, frame["boot"], t_ms, event, a, b, number < stored))


def losses(link: Link) -> int:
    return link.decoder.lost_count + link.decoder.damaged_count


def next_part(link: Link, kind: int, what: str) -> dict[str, Any]:
    frame = link.wait_for(lambda item: isinstance(item, Frame) and item.type == kind, SILENCE_S, what)
    assert isinstance(frame, Frame)
    return frame.fields


def frame_ranks(link: Link) -> list[int]:
    """How bad the freeze frame in each place is; 0: there is none."""
    return [int(rank) for rank in link.request("frames")["ranks"].split(",")]


def fetch_frame(link: Link, place: int) -> tuple[int, Capture]:
    """(boot, frame) of that place; asked for again where parts were lost on the way."""
    captures = Captures()
    for _ in range(TRIES):
        link.request("frames", place=place)
        while True:
            fields = next_part(link, schema.FRAME, "freeze frame")
            whole = captures.take(fields)
            if whole:
                return fields["boot"], whole
            if fields["row"] + len(fields["values"]) // fields["width"] >= fields["rows"]:
                break
    raise LinkError("parts of the freeze frame were lost again and again", link.console.name, "see to the cable")


def fetch_crash(link: Link) -> tuple[int, str] | None:
    """(boot, the end of the traceback) of the last exception that ended the firmware, if one is kept."""
    try:
        link.request("crash")
    except RefusedError as error:
        if error.reason.startswith("no_crash"):
            return None
        raise
    fields = next_part(link, schema.CRASH, "last exception")
    return fields["boot"], fields["text"]


def sync(link: Link, deadline_s: float) -> dict[str, int]:
    """Ask for everything to be put on flash and wait for it; what the last reply said: `stored`, `next`, and what of
    `parameters` and `frames` still waits, as it does while something is connected."""
    end_s = link.console.now_s() + deadline_s
    while True:
        said = {key: int(value) for key, value in link.request("sync").items()}
        done = said["stored"] == said["next"] and not said["parameters"] and not said["frames"]
        if done or link.console.now_s() >= end_s:
            return said
        pause_s = link.console.now_s() + SYNC_EVERY_S
        while link.console.now_s() < pause_s:
            link.poll(SYNC_EVERY_S)
