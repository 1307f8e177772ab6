"""Times that a virtual board has power: real firmware on a real VM, littlefs on a simulated flash, power that fails."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assb.protocol import schema
from assb_hil.dut.flash_image import write_image
from assb_hil.recorder import Recorder
from assb_hil.scenario import Host, Scenario, Start, load_scenario
from assb_hil.session import Session, compiled_firmware, open_session
from assb_host.config import build_image, load_pack
from assb_host.flash.plan import CONFIG_PATH
from assb_host.link.decoder import Decoder, Frame, Line

# It comes from the foot of its ramp to REST within 16 s of `arm`; the shipped one takes 26
QUICKLY = {
    "pressure.rate_max_mpa_s": 5.0,
    "limits.pressure_rate.warn_mpa_s": 7.0,
    "limits.pressure_rate.trip_mpa_s": 8.0,
    "limits.pressure_rate.reset_mpa_s": 6.0,
}
QUICK = build_image(load_pack("li_lpscl_nca", changes=QUICKLY))
ARM_TO_REST_S = 16.0

Act = Callable[[Session], object]


@dataclass
class Life:
    """One time that the board had power."""

    recorder: Recorder
    powered: bool  # still, at its end
    operations: int  # of the flash, from the moment on from which power could fail
    _items: list[Frame | Line] = field(default_factory=list)

    @property
    def names(self):
        return [event["name"] for event in self.recorder.events if event["source"] == "board"]

    def event(self, name):
        return next(event for event in self.recorder.events if event["name"] == name)

    def last(self, signal):
        return self.recorder.window(signal, 0, 1e9)[1][-1]

    @property
    def items(self):
        """Everything that it said, in order."""
        if not self._items:
            self._items += Decoder(mid_stream=False).feed(bytes(self.recorder.frame_bytes))
        return self._items

    def frames(self, kind) -> list[dict[str, Any]]:
        """Fields of every frame of that kind."""
        return [item.fields for item in self.items if isinstance(item, Frame) and item.type == kind]

    def replies(self, command) -> list[dict[str, str]]:
        """What each `!ok` to that command said."""
        lines = [item.text.split() for item in self.items if isinstance(item, Line)]
        return [
            dict(word.split("=", 1) for word in words[2:] if "=" in word)
            for words in lines
            if words[:2] == ["!ok", command]
        ]

    def log(self) -> dict[int, tuple[int, ...]]:
        """{number: (boot, event, a, b, t_ms)} of the event log that it sent."""
        entries: dict[int, tuple[int, ...]] = {}
        for fields in self.frames(schema.LOG):
            values = fields["values"]
            for at in range(len(values) // 4):
                entries[fields["number"] + at] = (fields["boot"], *values[4 * at : 4 * at + 4])
        return entries


def made_image(path: Path, config: bytes, files: dict[str, bytes] | None = None) -> Path:
    """A flash with firmware, a configuration, and what else is given."""
    write_image(path, compiled_firmware() | {CONFIG_PATH: config} | (files or {}))
    return path


def idle(soc: float, duration_s: float, temperature_degc: float = 25.0) -> Scenario:
    """A cell at rest on a board that nobody arms."""
    start = Start(soc_frac=soc, temperature_degc=temperature_degc, pressure_mpa=5.0)
    scenario = load_scenario("cccv_charge")
    # the regulator starts from nothing, so the stack relaxes faster than it may
    trips = ("pressure_rate",)
    return replace(
        scenario,
        host=Host(arm_at_s=None),
        start=start,
        loads=(),
        checks=(),
        duration_s=duration_s,
        expected_trips=trips,
    )


def live(
    image: Path,
    scenario: Scenario,
    cut: int | None = None,
    acts: Iterable[tuple[float, Act]] = (),
    cuts_from_s: float = 0.0,
) -> Life:
    """Power on, acts at their times, power off. `cut`: the flash operation after `cuts_from_s` at which power fails."""
    with open_session(scenario, flash=image) as session:
        armed = False
        before = 0

        def run_to(t_s: float) -> None:
            nonlocal armed, before
            if not armed and t_s >= cuts_from_s:
                if session.t_s < cuts_from_s:
                    session.run_to(cuts_from_s)
                before = int(session.dut.counters()["flash_operations"])
                session.dut.power_cut_at(cut)
                armed = True
            session.run_to(t_s)

        if not cuts_from_s:
            session.dut.power_cut_at(cut)
            armed = True
        session.start()
        for at_s, act in acts:
            run_to(at_s)
            act(session)
        run_to(scenario.duration_s)
        operations = int(session.dut.counters()["flash_operations"]) - before
        return Life(session.recorder, session.dut.powered, operations)


def leased(from_s: float, to_s: float) -> list[tuple[float, Act]]:
    """Armed, and its lease renewed every second."""
    return [(from_s, send("arm")), *((from_s + at, send("lease")) for at in range(1, int(to_s - from_s) + 1))]


def send(name: str, /, **keys: str | int) -> Act:
    """An act: one command line."""
    return lambda session: session.send(name, **keys)
