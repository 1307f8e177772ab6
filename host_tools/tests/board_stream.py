"""What a board would say, as bytes: a HELLO, then rounds of PACK, CYCLER, CELL and EVIDENCE, one round a tick."""

import random

from assb.protocol import schema
from assb.protocol.frame import FrameWriter
from test_decoder import hello_wire, wire_of

MESSAGES = {message[1]: message for message in schema.MESSAGES}
PERIOD_MS = 100


class BoardStream:
    """`frame()` gives the next one's bytes; `sent` has (sequence, name, fields) of all."""

    def __init__(self, seed=0, cells=1, period_ms=PERIOD_MS):
        self.writer = FrameWriter(schema.schema_id())
        self.random = random.Random(seed)
        self.period_ms = period_ms
        self.cells = cells
        self.sent = []
        self.t_ms = -period_ms
        self.per_round = 2 + 2 * cells
        self._names = self._order()

    def hello(self, boot_count=1):
        self.sent.append((self.writer.sequence, "HELLO", None))
        values = {"board": "bench", "pack": "bench", "cell": "bench", "boot_count": boot_count, "config_crc": 1234}
        return hello_wire(self.writer, cell_count=self.cells, **values)

    def _order(self):
        while True:
            self.t_ms += self.period_ms
            yield "PACK", None
            yield "CYCLER", None
            for cell in range(self.cells):
                yield "CELL", cell
                yield "EVIDENCE", cell

    def frame(self):
        name, cell = next(self._names)
        fields = {field: self._value(code) for field, code in schema.layout(MESSAGES[name])}
        if cell is not None:
            fields["cell"] = cell
        self.sent.append((self.writer.sequence, name, fields))
        return wire_of(self.writer, MESSAGES[name], fields, self.t_ms)

    def _value(self, code):
        return self.random.randrange(5_000_000) if code in "iI" else self.random.randrange(4)

    def bytes(self, frames):
        return b"".join(self.frame() for _ in range(frames))

    def round(self):
        """All frames of one tick."""
        return self.bytes(self.per_round)


def damaged(data: bytes, rate: float, rng: random.Random) -> bytes:
    """Each bit flipped with that probability."""
    out, at = bytearray(data), 0
    while True:
        at += 1 + int(rng.expovariate(rate))
        if at >= 8 * len(out):
            return bytes(out)
        out[at // 8] ^= 1 << at % 8
