"""What `assb replay` does with a recording of raw frames."""

from pathlib import Path
from typing import Any

from assb.protocol import schema
from assb.protocol.image import Config, decode

from assb_host.errors import AssbError
from assb_host.link.decoder import Frame
from assb_host.recording.image_file import image_of
from assb_host.recording.reader import StoredRecording
from assb_host.replay.raw import Outcome, replay_items

NO_FULL = "it has no copy of the estimators' state: record with `assb record --full`"


def is_raw(path: Path) -> bool:
    """A folder that `assb record` wrote, or one of its files of raw frames."""
    return path.is_dir() or path.suffix == ".frames"


def replay_folder(path: Path, pack: str = "") -> tuple[StoredRecording, Outcome]:
    """Raises AssbError when it is no recording, has no raw frames, or its configuration is not to be had."""
    stored = StoredRecording(path if path.is_dir() else path.parent)
    if not path.is_dir():
        stored.frame_files = [path]
    if not stored.frame_files:
        raise AssbError("there are no raw frames", str(path), "`assb log` keeps none; record with `assb record --full`")
    return stored, replay_items(config_of(stored, pack), stored.items())


def config_of(stored: StoredRecording, pack: str = "") -> Config:
    return decode(config_bytes(stored, pack))


def config_bytes(stored: StoredRecording, pack: str = "") -> bytes:
    """The image of the configuration that the board had."""
    hello = next((i.fields for _, i in stored.items() if isinstance(i, Frame) and i.type == schema.HELLO), None)
    stored.forget()
    if hello is None:
        raise AssbError("no HELLO was recorded: nobody knows which configuration it was", str(stored.folder))
    kept = stored.image
    if kept and not pack and decode(kept).crc == hello["config_crc"]:
        return kept
    image = image_of(hello, pack)
    if image is None:
        seen = f"the board ran pack {hello['pack']} with CRC {hello['config_crc']:08x}, which can't be built here"
        raise AssbError(seen, pack or str(stored.folder), "--pack FILE names the pack that was flashed")
    return image


def facts_of(stored: StoredRecording, outcome: Outcome) -> dict[str, Any]:
    """JSON-ready."""
    told = {"recording": str(stored.folder), "counts": stored.counts, "cut": stored.cut, **outcome.as_dict()}
    return told | ({} if outcome.segments else {"why_not": NO_FULL})


def lines_of(facts: dict[str, Any]) -> list[str]:
    counts = facts["counts"]
    lines = [f"{facts['recording']}: {counts['frame_count']} frames, {counts['lost_count']} lost, "
             f"{counts['damaged_count']} damaged, {counts['restart_count']} restarts"]  # fmt: skip
    lines += [f"  {cut}" for cut in facts["cut"]]
    if "why_not" in facts:
        return [*lines, f"  not replayed: {facts['why_not']}"]
    verdict = "the same, bit for bit" if facts["same"] else f"DIFFERENT, first {facts['first_difference']}"
    if facts["same"] and "single" in facts["kernel"]:
        verdict = f"SOC within {facts['soc_apart_ppm']} ppm (single against double precision)"
    lines.append(
        f"  {facts['steps']} steps of the {facts['kernel']} and {facts['compared']} published frames: {verdict}"
    )
    for gap in facts["gaps"]:
        until = "to the end" if gap["until_s"] is None else f"to {gap['until_s']:.1f} s"
        lines.append(
            f"  gap at {gap['t_s']:.1f} s: cell {gap['cell']} lacks {gap['missing']} steps; not replayed {until}"
        )
    for t_s in facts["other_configuration_s"]:
        lines.append(f"  the board ran another configuration from {t_s:.1f} s on (its clock): not replayed")
    if facts["steps_left_out"]:
        lines.append(f"  {facts['steps_left_out']} steps are recorded that could not be replayed")
    lines += [f"  regression test: {facts['test']}"] if "test" in facts else []
    lines += [f"  {stage['t_s']:.3f} s: cell {stage['cell']} {stage['stage']}" for stage in facts["stages"]]
    return lines
