"""The grammar of lines between host and board: `!name id=7 key=value … *hhhh` and their one reply each.

`hhhh` is the CRC-16 (as in frame.py, init 0xFFFF) of everything before ` *`, in lower-case hex. A reply is
`!ok name id=7 …*hhhh` or `!err name id=7 reason=… *hhhh`. Both ends use this module.
"""

LINE_MAX = 120


class LineError(Exception):
    """A line that is not a command: `reason` is one word for the reply, `detail` a hint."""

    def __init__(self, reason, detail=""):
        super().__init__(reason + (": " + detail if detail else ""))
        self.reason = reason
        self.detail = detail


def checksum(crc16, text):
    data = text.encode()
    return "%04x" % crc16.update(data, 0, len(data))


def format_line(crc16, name, pairs):
    """`!name k=v … *hhhh` from (key, value) pairs; raises LineError when a key or value can't be written."""
    text = "!" + name
    for key, value in pairs:
        word = "%s=%s" % (key, value)
        if " " in word or "*" in word or "\n" in word or not value_is_plain(word):
            raise LineError("unwritable", word)
        text += " " + word
    if len(text) + 6 > LINE_MAX:
        raise LineError("too_long", "%d of %d characters" % (len(text) + 6, LINE_MAX))
    return text + " *" + checksum(crc16, text)


def value_is_plain(word):
    """Only printable ASCII travels in a line."""
    for character in word:
        if not 32 < ord(character) < 127:
            return False
    return True


def parse_line(crc16, text):
    """(name, {key: value}, checked) of one line without its newline; `checked` says that it carried a right CRC.

    Raises LineError: not_a_command, too_long, bad_crc, bad_word, repeated_key.
    """
    text = text.strip()
    if not text.startswith("!"):
        raise LineError("not_a_command", "no exclamation mark at its start")
    if len(text) > LINE_MAX:
        raise LineError("too_long", "%d characters, at most %d" % (len(text), LINE_MAX))
    body, checked = _checked_body(crc16, text)
    words = body[1:].split(" ")
    if not value_is_plain(words[0]):  # its echo in the reply would make that, and lines beside it, no text for the host
        raise LineError("bad_word", words[0])
    pairs = {}
    for word in words[1:]:
        key, mark, value = word.partition("=")
        if not mark or not key or not value or not value_is_plain(word):
            raise LineError("bad_word", word)
        if key in pairs:
            raise LineError("repeated_key", key)
        pairs[key] = value
    return words[0], pairs, checked


def parse_reply(crc16, text):
    """(True for ok, command name, {key: value}) of one reply line; raises LineError as `parse_line`, or no_crc."""
    body, checked = _checked_body(crc16, text.strip())
    if not checked:
        raise LineError("no_crc", text)
    words = body.split(" ")
    if words[0] not in ("!ok", "!err") or len(words) < 2:
        raise LineError("not_a_reply", text)
    pairs = {}
    for word in words[2:]:
        key, _, value = word.partition("=")
        pairs[key] = value
    return words[0] == "!ok", words[1], pairs


def _checked_body(crc16, text):
    at = text.rfind(" *")
    if at < 0:
        return text, False
    if text[at + 2 :].lower() != checksum(crc16, text[:at]):
        raise LineError("bad_crc", "got %s, the line gives %s" % (text[at + 2 :], checksum(crc16, text[:at])))
    return text[:at], True


def parse_int(text, key="value"):
    """An integer of at most 30 bits from a command's value; raises LineError(bad_number)."""
    try:
        value = int(text)
    except ValueError:
        raise LineError("bad_number", "%s=%s" % (key, text)) from None
    if not -(1 << 30) <= value < (1 << 30):
        raise LineError("bad_number", "%s=%s is beyond 30 bits" % (key, text))
    return value
