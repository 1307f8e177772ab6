"""Every row that a user can meet has its words, and no words are left over."""

import pytest
from assb.protocol import schema, schema_text


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (schema_text.SIGNAL_TEXT, [row[1] for row in schema.PACK_SIGNALS + schema.CELL_SIGNALS]),
        (schema_text.PARAMETER_TEXT, [row[1] for row in schema.PARAMETERS]),
        (schema_text.LIMIT_TEXT, [row[1] for row in schema.LIMIT_ROWS]),
        (schema_text.EVENT_TEXT, [row[1] for row in schema.EVENTS]),
        (schema_text.COMMAND_TEXT, [row[0] for row in schema.COMMANDS]),
        (schema_text.STATE_TEXT, list(schema.STATES)),
        (schema_text.BOUND_TEXT, list(schema.BOUNDS)),
        (schema_text.EVIDENCE_TEXT, list(schema.EVIDENCES)),
    ],
)
def test_words_and_rows_have_the_same_names(words, names):
    assert list(words) == names


def test_every_limit_row_says_what_to_do():
    for name, (what, remedy) in schema_text.LIMIT_TEXT.items():
        assert what and remedy.endswith("."), name
