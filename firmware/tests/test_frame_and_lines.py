"""Frames against independent libraries, and the grammar of command lines."""

import binascii
import struct

import pytest
from assb.protocol import schema
from assb.protocol.commands import LineError, format_line, parse_int, parse_line, parse_reply
from assb.protocol.frame import FROZEN_TYPES, Crc16, FrameWriter
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

CRC = Crc16()
SCHEMA_ID = schema.schema_id()
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="=*"), min_size=1, max_size=12)


def frame(frame_type, values, t_ms=0, schema_id=SCHEMA_ID):
    writer = FrameWriter(schema_id)
    writer.begin(frame_type, 0, t_ms)
    for size, value in values:
        writer.put(size, value)
    return bytes(writer.wire[: writer.end()])


@given(st.binary(max_size=300))
def test_crc_is_the_one_of_the_standard_library(data):
    assert CRC.update(data, 0, len(data)) == binascii.crc_hqx(data, 0xFFFF)


@settings(max_examples=300)
@given(
    st.integers(1, 8),
    st.integers(0, (1 << 30) - 1),
    st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(-(1 << 30), (1 << 30) - 1)), max_size=50),
)
def test_a_frame_is_what_struct_cobs_and_binascii_make_of_it(frame_type, t_ms, values):
    wire = frame(frame_type, values, t_ms)
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    raw = cobs.decode(wire[1:-1])
    payload = b"".join((value & ((1 << 8 * size) - 1)).to_bytes(size, "little") for size, value in values)
    assert raw[:-2] == struct.pack("<BBHI", frame_type, 0, 0, t_ms) + payload
    start = 0xFFFF if frame_type in FROZEN_TYPES else binascii.crc_hqx(bytes([SCHEMA_ID & 0xFF]), 0xFFFF)
    assert struct.unpack("<H", raw[-2:])[0] == binascii.crc_hqx(raw[:-2], start)


def test_another_schema_gives_another_crc_except_for_hello_and_schema():
    for frame_type in range(1, 9):
        same = frame(frame_type, []) == frame(frame_type, [], schema_id=SCHEMA_ID ^ 1)
        assert same == (frame_type in FROZEN_TYPES)


def test_every_message_fits_one_frame_and_its_schema_text_too():
    sizes = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "16s": 16, "*s": 0, "*i": 0}
    for message in schema.MESSAGES:
        assert 10 + sum(sizes[code] for _, code in schema.layout(message)) <= 250
        assert 10 + 2 + len(schema.message_text(message)) <= 250


def test_ids_are_unique_and_defaults_lie_in_range():
    for table in (
        schema.PACK_SIGNALS + schema.CELL_SIGNALS,
        schema.MESSAGES,
        schema.EVENTS,
        schema.PARAMETERS,
        schema.LIMIT_ROWS,
    ):
        assert len({row[0] for row in table}) == len({row[1] for row in table}) == len(table)
    for _, name, _, lowest, highest, default in schema.PARAMETERS:
        assert schema.INT30_MIN <= lowest <= default <= highest <= schema.INT30_MAX, name
    assert len(schema.LIMIT_ROWS) <= 2 * schema.BITS_PER_WORD


@given(st.dictionaries(WORD, WORD, max_size=4))
def test_a_line_comes_back_as_it_was_written(pairs):
    try:
        line = format_line(CRC, "set", pairs.items())
    except LineError as error:
        assert error.reason == "too_long"
        return
    assert parse_line(CRC, line) == ("set", pairs, True)


@settings(max_examples=300)
@given(st.integers(0, 200), st.integers(32, 126))
def test_one_changed_character_never_passes_for_a_checked_line(at, code):
    line = format_line(CRC, "set", (("name", "pressure_target_kpa"), ("value", 5000)))
    at %= len(line)
    changed = line[:at] + chr(code) + line[at + 1 :]
    if changed.lower() == line.lower():
        return
    try:
        _, _, checked = parse_line(CRC, changed)
    except LineError:
        return
    assert not checked


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_with_a_reason(text):
    try:
        parse_line(CRC, text)
    except LineError as error:
        assert error.reason


@pytest.mark.parametrize("text", ["1.5", "", "0x10", "1073741824", "-1073741825", "abc"])
def test_a_number_beyond_30_bits_or_not_an_integer_is_refused(text):
    with pytest.raises(LineError):
        parse_int(text)


def test_replies_are_parsed_where_lines_are():
    line = format_line(CRC, "ok get", (("id", 4), ("value", 5000)))
    assert parse_reply(CRC, line) == (True, "get", {"id": "4", "value": "5000"})
    with pytest.raises(LineError):
        parse_reply(CRC, line[:-1] + ("0" if line[-1] != "0" else "1"))
    with pytest.raises(LineError):
        parse_reply(CRC, "!ok get id=4")
