"""What must hold after every run, whatever it was about: no surprise, no damage on the link, no reset, memory kept."""

from typing import TYPE_CHECKING

from assb_hil.checks import Verdict
from assb_hil.recorder import Recorder

if TYPE_CHECKING:
    from assb_hil.session import Session

# Events that say that something went wrong by itself; a scenario that provokes one lists it in expected_events
SURPRISES = ("self_test_failed", "lease_lapsed", "bus_error")

# What a sound run has none of → what it counts; a scenario that damages the link or resets the board lists it in
# expected_damage
DAMAGES = ("command_refused", "damaged_frame", "lost_frame", "watchdog_reset")


def health_verdicts(session: "Session") -> list[Verdict]:
    """The post-run checks; `session` is any finished run."""
    recorder, scenario = session.recorder, session.scenario
    counters = session.dut.counters()
    rows = sorted({e["row"] for e in recorder.events_named("limit_tripped", "board")} - set(scenario.expected_trips))
    surprises = sorted({e["name"] for e in recorder.events if e["name"] in SURPRISES} - set(scenario.expected_events))
    refused = [text for _, text in recorder.lines if text.startswith("!err")]
    link = session.rig.recorder.decoder
    damages = {
        "command_refused": Verdict("no command refused", not refused, refused[0] if refused else "none", "none", ""),
        "damaged_frame": Verdict("no damaged frame", link.damaged_count == 0, link.damaged_count, 0, "frames"),
        "lost_frame": Verdict("no lost frame", link.lost_count == 0, link.lost_count, 0, "frames"),
        "watchdog_reset": Verdict(
            "no watchdog reset", not counters["watchdog_resets"], counters["watchdog_resets"], 0, "resets"
        ),
    }
    begun = starts(recorder)
    return [
        Verdict("no unexpected trip", not rows, ", ".join(rows) or "none", "none", ""),
        Verdict("no unexpected event", not surprises, ", ".join(surprises) or "none", "none", ""),
        *(damages[name] for name in DAMAGES if name not in scenario.expected_damage),
        Verdict(
            "the board started once" if scenario.expected_starts == 1 else "the board started as often as expected",
            begun == scenario.expected_starts,
            begun,
            scenario.expected_starts,
            "starts",
        ),
        _heap(session),
    ]


def starts(recorder: Recorder) -> int:
    """Boots that the board tells of. HELLO frames do not count: it also says HELLO when it is asked to. Its own count
    tells of boots whose event was never sent; it begins above 1 on a board that was flashed over its port."""
    counts = [event["boot_count"] for event in recorder.events_named("boot", "board")]
    if not counts:
        return 0
    newest = recorder.hello.get("boot_count", counts[-1])
    return max(len(counts), (newest - counts[0] & 0xFFFF) + 1)


def _heap(session: "Session") -> Verdict:
    """The lowest free heap that the board has seen, by its newest word on it, above the scenario's low water."""
    _, low_b = session.recorder.window("heap_low_b", 0.0, session.duration_s)
    limit_b = session.scenario.heap_low_min_b
    value_b = low_b[-1] if low_b else None
    return Verdict("heap low water kept", value_b is not None and value_b >= limit_b, value_b, limit_b, "B")
