"""A full stream replayed on the host gives what the firmware had, bit for bit; and what differs is seen."""

import pytest
from assb.estimation import twin
from assb.protocol import schema
from assb_host.link.decoder import Decoder, Frame
from assb_host.replay.raw import Replay, native_kernel, replay_items
from bench import Bench
from test_watch_is_firmware import shorted

CHANGES = {"charge_settle_s": 20.0}


@pytest.fixture(params=["twin", "native"])
def kernel(request):
    """The firmware's own; native: the host's build of the same C."""
    return twin if request.param == "twin" else native_kernel()


def fed(bench, readings):
    for volts, current_a in readings:
        bench.board.voltages_uv = [round(1e6 * volt) for volt in volts]
        bench.board.current_ua = round(1e6 * current_a)
        bench.run(10)


def streamed(kernel, cells=1, seconds=70, lead_s=20):
    """(bench, frames): a pack that gets a hard short at the end, told in full after `lead_s`."""
    readings = shorted(cells)
    bench = Bench(cells, estimator=CHANGES, kernel=(kernel, 0, 0))
    fed(bench, readings[: 100 * lead_s])
    bench.send("stream", full=1)
    fed(bench, readings[100 * lead_s : 100 * (lead_s + seconds)] + readings[-300:])
    items = Decoder().feed(bytes(bench.console.wire))
    return bench, [item for item in items if isinstance(item, Frame)]


def outcome_of(bench, frames):
    return replay_items(bench.config, ((0.0, frame) for frame in frames))


@pytest.mark.parametrize("cells", [1, 3])
def test_the_replay_has_every_state_and_every_published_figure(kernel, cells):
    bench, frames = streamed(kernel, cells)
    outcome = outcome_of(bench, frames)
    assert outcome.first_difference == ""
    assert outcome.same and not outcome.gaps
    assert outcome.steps > 650 * cells and outcome.compared > 800 * cells
    assert {stage for _, _, stage in outcome.stages} >= {3}
    assert outcome.steps_left_out == 0


def test_a_lost_step_is_a_gap_and_nothing_is_guessed_behind_it(kernel):
    bench, frames = streamed(kernel)
    inputs = [at for at, frame in enumerate(frames) if frame.type == schema.INPUTS]
    del frames[inputs[200]]
    outcome = outcome_of(bench, frames)
    assert [(gap.cell, gap.missing, gap.until_s) for gap in outcome.gaps] == [(0, 1, None)]
    assert outcome.steps == 200 and outcome.steps_left_out == len(inputs) - 201


@pytest.mark.parametrize(("field", "by"), [("voltage_uv", 1), ("current_ua", 100), ("dt_ms", 1), ("flags", -4)])
def test_one_input_that_is_another_shows(kernel, field, by):
    bench, frames = streamed(kernel, seconds=10)
    frame = [frame for frame in frames if frame.type == schema.INPUTS][50]
    frame.fields[field] += by
    assert not outcome_of(bench, frames).same


def test_a_published_figure_that_is_another_shows(kernel):
    bench, frames = streamed(kernel, seconds=10)
    frame = [frame for frame in frames if frame.type == schema.CELL][-20]
    frame.fields["soc_ppm"] += 1
    outcome = outcome_of(bench, frames)
    assert not outcome.same and "soc_ppm of cell 0" in outcome.first_difference


def test_sensors_that_are_lost_and_come_back_replay_too(kernel):
    bench, _ = streamed(kernel, seconds=5)
    for name in ("voltage", "current", "temperature", "pressure"):
        bench.board.dead = {name}
        bench.run(700)
        bench.board.dead = set()
        bench.run(700)
    frames = [item for item in Decoder().feed(bytes(bench.console.wire)) if isinstance(item, Frame)]
    flags = {frame.fields["flags"] for frame in frames if frame.type == schema.INPUTS}
    assert len(flags) >= 5
    outcome = outcome_of(bench, frames)
    assert outcome.same, outcome.first_difference


def test_asked_again_it_goes_on_from_a_new_copy(kernel):
    bench, _ = streamed(kernel, seconds=5)
    bench.send("stream", full=1)
    bench.run(8000)
    frames = [item for item in Decoder().feed(bytes(bench.console.wire)) if isinstance(item, Frame)]
    outcome = outcome_of(bench, frames)
    assert outcome.same, outcome.first_difference
    assert (outcome.segments, outcome.gaps) == (2, [])


def test_nothing_is_told_unless_asked_nor_before_the_first_sample(kernel):
    bench = Bench(1, kernel=(kernel, 0, 0))
    bench.run(20)
    bench.send("stream", full=1)
    bench.run(20)
    assert b"reason=not_started" in bench.console.wire
    bench.run(2000)
    bench.send("stream", full=1)
    bench.run(2000)
    bench.send("stream", full=0)
    bench.run(200)
    at = len(bench.console.wire)
    bench.run(2000)
    names = {
        item.name for item in Decoder(mid_stream=True).feed(bytes(bench.console.wire[at:])) if isinstance(item, Frame)
    }
    assert "CELL" in names and not names & {"INPUTS", "SNAPSHOT"}


def test_without_a_copy_nothing_is_replayed():
    bench, frames = streamed(twin, seconds=5)
    outcome = outcome_of(bench, [frame for frame in frames if frame.type != schema.SNAPSHOT])
    assert (outcome.steps, outcome.same) == (0, False)
    assert outcome.steps_left_out > 40
    assert Replay(bench.config).finish().same is False
