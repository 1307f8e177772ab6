"""A freeze frame or a full recording as a pytest file, with its data in a folder of the same name."""

import csv
import re
import shutil
from math import isnan
from pathlib import Path
from typing import Any

from assb.protocol import schema
from assb.protocol.image import Config, decode
from assb.slow_stream import TWIN

from assb_host.errors import AssbError
from assb_host.link.capture import LEAD, Capture
from assb_host.recording.image_file import IMAGE_NAME, image_of
from assb_host.recording.reader import StoredRecording
from assb_host.recording.recorder import META_NAME
from assb_host.replay.raw import Cells, Outcome, replay_items

FRAME_NAME = "frame.csv"
REST_CDEGC = 2500  # a freeze frame has no temperature
TEMPLATE = '''"""{title} It must replay as it did when it was written; made by `assb {command} --as-test`."""

from pathlib import Path

from assb_host.replay.regression import {function}

EXPECTED = {expected}


def test_{name}_replays_as_it_did():
    assert {function}(Path(__file__).with_suffix("")) == EXPECTED
'''


def image_for(hello: dict[str, Any], pack: str = "") -> bytes:
    """Raises AssbError when the configuration of the board can't be built here."""
    image = image_of(hello, pack)
    if image is None:
        seen = f"the configuration {hello['config_crc']:08x} of the board can't be built here"
        raise AssbError(seen, pack or hello["pack"], "--pack FILE names the pack that was flashed")
    return image


def write_frame_test(folder: Path, frame: Capture, image: bytes) -> Path:
    """Raises AssbError when it is there already."""
    data = new_folder(folder, f"test_frame_{frame.name}")
    (data / FRAME_NAME).write_text(frame.csv(), encoding="utf-8")
    (data / IMAGE_NAME).write_bytes(image)
    title = f"Freeze frame {frame.name.replace('_', ' ')} of a board."
    return write_test(data, title, "capture", "replayed_frame", replayed_frame(data))


def write_recording_test(folder: Path, stored: StoredRecording, outcome: Outcome, pack: str) -> Path:
    """Raises AssbError when nothing could be replayed: such a test could not fail."""
    from assb_host.replay.raw_command import config_bytes

    if not outcome.steps:
        raise AssbError("nothing of the recording could be replayed, so no test", str(stored.folder))
    data = new_folder(folder, f"test_{re.sub('[^a-z0-9]+', '_', stored.folder.resolve().name.lower())}")
    for path in (*stored.frame_files, stored.folder / META_NAME):
        shutil.copy(path, data)
    (data / IMAGE_NAME).write_bytes(config_bytes(stored, pack))
    title = re.sub(r'["\\\\]', "_", stored.folder.resolve().name)
    return write_test(data, f"Recording {title}.", "replay", "replayed_recording", replayed_recording(data))


def new_folder(folder: Path, name: str) -> Path:
    data = folder / name
    try:
        data.mkdir(parents=True)
    except OSError as error:
        raise AssbError(f"the test's folder can't be made: {error.strerror}", str(data), "name another") from error
    return data


def write_test(data: Path, title: str, command: str, function: str, expected: dict[str, Any]) -> Path:
    path = data.with_suffix(".py")
    name = data.name.removeprefix("test_")
    path.write_text(TEMPLATE.format(title=title, command=command, function=function, expected=expected, name=name))
    return path


def replayed_recording(data: Path) -> dict[str, Any]:
    """What came out of a full recording, now."""
    stored = StoredRecording(data)
    outcome = replay_items(decode((data / IMAGE_NAME).read_bytes()), stored.items())
    return {
        "same": outcome.same,
        "steps": outcome.steps,
        "compared": outcome.compared,
        "stages": [[t_s, cell, schema.STAGES[stage]] for t_s, cell, stage in outcome.stages],
    }


def replayed_frame(data: Path) -> dict[str, Any]:
    """What the firmware makes of a freeze frame's fast samples, begun at its first one: stages, and last figures."""
    config = decode((data / IMAGE_NAME).read_bytes())
    with (data / FRAME_NAME).open(encoding="utf-8") as file:
        rows = [[float(value) if value else float("nan") for value in row] for row in list(csv.reader(file))[1:]]
    return FrameReplay(config).run(rows)


class FrameReplay:
    """The cells of a configuration, fed fast samples."""

    def __init__(self, config: Config):
        self.cells = Cells(config, TWIN, recorded=False)
        self._slow = config.parameter("slow_period_ms") // config.parameter("fast_period_ms")
        signals = self.cells.signals
        self._names = [signals.pack("current_ua"), signals.pack("pressure_kpa")]
        self._names += [signals.cell(cell, "voltage_uv") for cell in range(signals.cell_count)]
        self._units = (1e6, 1e3, *[1e6] * signals.cell_count)

    def run(self, rows: list[list[float]]) -> dict[str, Any]:
        signals, watches = self.cells.signals, self.cells.watches
        stages = [0] * len(watches)
        changes = []
        for at, (time_s, *values) in enumerate(rows):
            now_ms = round(1e3 * (time_s - rows[0][0]))
            signals.put(signals.pack("temperature_cdegc"), REST_CDEGC, now_ms)
            self._put(values, now_ms)
            for watch, volts in zip(watches, values[LEAD - 1 :], strict=True):
                if not isnan(volts) and not isnan(values[0]):
                    watch.add_sample(round(1e6 * volts), round(1e6 * values[0]), now_ms)
                if at % self._slow == self._slow - 1:
                    watch.step(now_ms)
                stage = watch.shorts.fusion.stage
                if stage != stages[watch.cell]:
                    stages[watch.cell] = stage
                    changes.append([round(time_s, 3), watch.cell, schema.STAGES[stage]])
        figures = ("soc_ppm", "innovation_uv", "r0_uohm")
        last = [[signals.value[signals.cell(cell, name)] for name in figures] for cell in range(len(watches))]
        return {"rows": len(rows), "stages": changes, "last": last}

    def _put(self, values, now_ms):
        for index, value, unit in zip(self._names, values, self._units, strict=True):
            if isnan(value):
                self.cells.signals.lose(index)
            else:
                self.cells.signals.put(index, round(unit * value), now_ms)
