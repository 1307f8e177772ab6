"""The decoder believes nothing that is damaged, and loses nothing silently, wherever the bytes are split."""

import pytest
from assb.protocol import schema
from assb.protocol.frame import FrameWriter
from assb_host.link.decoder import Decoder, Frame, Line
from assb_host.link.units import physical, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = {"B": (1, 0, 255), "b": (1, -128, 127), "H": (2, 0, 65535), "h": (2, -32768, 32767),
         "I": (4, 0, schema.INT30_MAX), "i": (4, schema.INT30_MIN, schema.INT30_MAX)}  # fmt: skip
TELEMETRY = [message for message in schema.MESSAGES if message[0] > schema.SCHEMA]
OTHER_SCHEMA_ID = schema.schema_id() ^ 0x55
PRINTING = st.characters(min_codepoint=32, max_codepoint=0x2FF).filter(str.isprintable)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", max_size=15)


@st.composite
def messages(draw, rows=tuple(TELEMETRY)):
    """(message row, {field: value}) with values anywhere in what the wire can carry."""
    message = draw(st.sampled_from(rows))
    values = {}
    for name, code in schema.layout(message):
        if code == "*i":
            values[name] = draw(st.lists(st.integers(*SIZES["i"][1:]), max_size=24))
        else:
            values[name] = draw(NAMES) if code.endswith("s") else draw(st.integers(*SIZES[code][1:]))
    return message, values


def wire_of(writer, message, values, t_ms=0):
    writer.begin(message[0], 0, t_ms)
    for name, code in schema.layout(message):
        if code.endswith("s"):
            text = values[name]
            writer.put_text(text, len(text.encode()) if code == "*s" else int(code[:-1]))
        elif code == "*i":
            for value in values[name]:
                writer.put(4, value)
        else:
            writer.put(SIZES[code][0], values[name])
    return bytes(writer.wire[: writer.end()])


def hello_wire(writer, **values):
    fields = {name: "" if code.endswith("s") else 0 for name, code in schema.layout(schema.MESSAGES[0])}
    return wire_of(writer, schema.MESSAGES[0], fields | {"schema_id": writer.schema_id} | values)


def event_wire(writer, t_ms, number=0):
    return wire_of(writer, schema.MESSAGES[schema.EVENT - 1], {"event": 16, "number": number, "a": 1, "b": 2}, t_ms)


def new_writer(schema_id=None):
    return FrameWriter(schema.schema_id() if schema_id is None else schema_id)


def chunks_of(draw, data):
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.data())
@settings(max_examples=150)
def test_frames_round_trip_wherever_the_bytes_are_split(data):
    sent = data.draw(st.lists(messages(), min_size=1, max_size=6))
    writer = new_writer()
    stream = b"".join(wire_of(writer, message, values) for message, values in sent)
    decoder = Decoder()
    frames = [item for chunk in chunks_of(data.draw, stream) for item in decoder.feed(chunk)]
    assert [(frame.name, frame.fields) for frame in frames] == [(message[1], values) for message, values in sent]
    assert (decoder.damaged_count, decoder.lost_count, decoder.undecoded_count) == (0, 0, 0)


@given(st.data())
@settings(max_examples=300)
def test_any_corruption_is_counted_and_never_believed(data):
    sent = data.draw(st.lists(messages(), min_size=1, max_size=4))
    writer = new_writer()
    stream = bytearray(b"".join(wire_of(writer, message, values) for message, values in sent))
    at = data.draw(st.integers(0, len(stream) - 1))
    flip = data.draw(st.integers(1, 255))
    stream[at] ^= flip
    decoder = Decoder()
    items = decoder.feed(bytes(stream)) + decoder.finish()
    frames = [item for item in items if isinstance(item, Frame)]
    good = [(message[1], values) for message, values in sent]
    assert all((frame.name, frame.fields) == good[frame.sequence] for frame in frames)
    if len(frames) < len(good):
        assert decoder.damaged_count + decoder.lost_count > 0


@given(st.data())
@settings(max_examples=100)
def test_cut_out_bytes_cost_only_the_frames_they_touch(data):
    sent = data.draw(st.lists(messages(), min_size=3, max_size=5))
    writer = new_writer()
    wires = [wire_of(writer, message, values) for message, values in sent]
    start = data.draw(st.integers(1, len(wires[1]) - 2))
    end = data.draw(st.integers(start + 1, len(wires[1]) - 1))
    wires[1] = wires[1][:start] + wires[1][end:]
    decoder = Decoder()
    frames = decoder.feed(b"".join(wires))
    assert [frame.sequence for frame in frames] == [0, *range(2, len(sent))]
    assert decoder.lost_count == 1


@given(st.binary(max_size=2000), st.integers(1, 64))
@settings(max_examples=200)
def test_noise_never_makes_a_frame_or_an_exception(noise, chunk):
    decoder = Decoder()
    items = [item for start in range(0, len(noise), chunk) for item in decoder.feed(noise[start : start + chunk])]
    assert not any(isinstance(item, Frame) for item in items + decoder.finish())


@given(st.data())
@settings(max_examples=150)
def test_text_between_frames_arrives_whole(data):
    writer = new_writer()
    lines = data.draw(st.lists(st.text(PRINTING, max_size=20), min_size=1, max_size=4))
    stream, frame_count = b"", 0
    for line in lines:
        encoded = (line + "\r\n").encode()
        if data.draw(st.booleans()):  # a frame may even cut a line in two (at a character, not inside one)
            at = len(line[: data.draw(st.integers(0, len(line)))].encode())
            encoded = encoded[:at] + event_wire(writer, 0) + encoded[at:]
            frame_count += 1
        stream += encoded
    decoder = Decoder()
    items = [item for chunk in chunks_of(data.draw, stream) for item in decoder.feed(chunk)]
    assert [item.text for item in items if isinstance(item, Line)] == lines
    assert decoder.frame_count == frame_count
    assert decoder.damaged_count == 0


def test_a_line_needs_no_zero_after_it_and_a_prompt_is_pending():
    decoder = Decoder()
    assert decoder.feed(b"!ok stop id=1 *abcd\r\n>>> ") == [Line("!ok stop id=1 *abcd")]
    assert decoder.pending_text == ">>> "


def test_lost_frames_are_counted_across_the_wrap_of_the_sequence():
    writer = new_writer()
    writer.sequence = 0xFFFE
    wires = [event_wire(writer, t_ms) for t_ms in range(6)]
    decoder = Decoder()
    decoder.feed(wires[0] + wires[4] + wires[5])
    assert (decoder.frame_count, decoder.lost_count, decoder.restart_count) == (3, 3, 0)


def test_ticks_are_unwrapped_at_their_period():
    writer = new_writer()
    decoder = Decoder()
    last = schema.TICKS_PERIOD_MS - 10
    frames = decoder.feed(event_wire(writer, last) + event_wire(writer, 5) + event_wire(writer, 1005))
    assert [frame.t_ms - last for frame in frames] == [0, 15, 1015]


@pytest.mark.parametrize("ticks_go_on", [True, False])
def test_a_restart_is_no_loss(ticks_go_on):
    writer = new_writer()
    decoder = Decoder()
    for t_ms in range(5000, 5003):
        decoder.feed(event_wire(writer, t_ms))
    writer = new_writer()
    stream = hello_wire(writer) if ticks_go_on else event_wire(writer, 7)
    (frame,) = decoder.feed(stream)
    assert (decoder.lost_count, decoder.restart_count, frame.boot) == (0, 1, 1)


def test_another_schema_is_read_after_its_schema_frames():
    writer = new_writer(OTHER_SCHEMA_ID)
    decoder = Decoder()
    (hello,) = decoder.feed(hello_wire(writer, board="thing"))
    assert hello.fields["board"] == "thing"
    assert not decoder.schema_known
    assert decoder.feed(event_wire(writer, 0)) == []
    assert decoder.undecoded_count == 1
    for index, text in enumerate(["1 HELLO ignored:B", "9 NEW gap_um:i", "8 EVENT event:B number:H a:i b:i"]):
        decoder.feed(wire_of(writer, schema.MESSAGES[1], {"index": index, "count": 3, "text": text}))
    assert decoder.schema_known
    (frame,) = decoder.feed(event_wire(writer, 0, number=77))
    assert frame.fields["number"] == 77


def test_a_frame_of_another_schema_is_damage_to_a_host_that_was_not_told():
    writer = new_writer(OTHER_SCHEMA_ID)
    decoder = Decoder()
    assert decoder.feed(event_wire(writer, 0)) == []
    assert decoder.damaged_count == 1


def test_listening_from_the_middle_skips_the_first_half_frame_only():
    writer = new_writer()
    half = event_wire(writer, 0)[7:]
    decoder = Decoder(mid_stream=True)
    (frame,) = decoder.feed(half + event_wire(writer, 1))
    assert (frame.t_ms, decoder.damaged_count, decoder.lost_count) == (1, 0, 0)
    assert decoder.skipped_bytes > 0


def test_a_wrong_length_payload_is_not_guessed_at():
    writer = new_writer()
    writer.begin(schema.EVENT, 0, 0)
    writer.put(1, 3)
    decoder = Decoder()
    assert decoder.feed(bytes(writer.wire[: writer.end()])) == []
    assert decoder.undecoded_count == 1


def test_endless_noise_without_a_zero_is_bounded():
    decoder = Decoder()
    for _ in range(100):
        decoder.feed(b"\xff" * 1000)
    assert decoder.damaged_count > 0
    assert decoder.pending_text == ""


def test_units_follow_the_suffix():
    assert physical({"voltage_uv": 3_700_000, "current_ua": -1500, "pressure_kpa": 5000, "temperature_cdegc": 2512,
                     "soc_ppm": 500_000, "stage": 2, "dip_score_milli": 1500}) == pytest.approx(
        {"voltage_v": 3.7, "current_a": -0.0015, "pressure_mpa": 5.0, "temperature_degc": 25.12, "soc_frac": 0.5,
         "stage": 2, "dip_score": 1.5})  # fmt: skip


def test_bits_name_their_limit_rows():
    assert rows_of(0b101) == [schema.LIMIT_ROWS[0][1], schema.LIMIT_ROWS[2][1]]


def test_a_stretch_that_was_missed_is_loss_and_no_damage():
    writer = new_writer()
    first, second, third, fourth = (event_wire(writer, t_ms) for t_ms in (1, 2, 3, 4))
    decoder = Decoder()
    assert len(decoder.feed(first + second[:7])) == 1
    decoder.rejoin()
    assert [item.t_ms for item in decoder.feed(third[9:] + fourth)] == [4]
    assert (decoder.lost_count, decoder.damaged_count) == (2, 0)
