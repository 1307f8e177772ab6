"""The firmware's own drivers on the host, for a board at the other end of a cable: they read the rig's chip models, and
drive its outputs as the board says."""

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assb.drivers.status import NOT_READY
from assb.protocol import schema
from assb.protocol.image import Config
from assb.signals import Events, Signals

from assb_hil.dut.machine_models import Interpreter

if TYPE_CHECKING:
    from assb_hil.rig import Rig

LOST = "-"
EVENT_ROWS = {row[0]: (row[1], row[2:]) for row in schema.EVENTS}


class _NoCell:
    """The estimator is on the board."""

    def add_sample(self, voltage_uv: int, current_ua: int, now_ms: int) -> None:
        pass


class HostDrivers:
    """Making them takes the time that their set-up takes on a board: the rig stands later then."""

    def __init__(self, config: Config, rig: "Rig"):
        self._rig = rig
        self._slow_ms = config.parameter("slow_period_ms")
        cell_count = config.parameter("cells_in_series")
        self._interpreter = Interpreter(rig, lambda us: rig.advance(rig.now_us + us), lambda: rig.now_us)
        with self._interpreter:
            from assb.board import Board

            self._board: Any = Board(config)
        self._signals = signals = Signals(cell_count)
        self._events, self._event = Events(), array("i", bytes(20))
        self._board.attach(signals, [_NoCell()] * cell_count, self._events)
        self._voltages = [signals.cell(cell, "voltage_uv") for cell in range(cell_count)]
        self._current, self._pressure = signals.pack("current_ua"), signals.pack("pressure_kpa")
        self._disagreement = signals.pack("pressure_disagreement_kpa")

    def sense(self, t_ms: int) -> list[tuple[str, int | str]]:
        """What the sensors say now, as the pairs of a `sense` line (SPEC.md)."""
        with self._interpreter:
            return self._sense(t_ms)

    def _sense(self, t_ms: int) -> list[tuple[str, int | str]]:
        board, signals = self._board, self._signals
        board.sample(t_ms)
        pairs: list[tuple[str, int | str]] = [
            ("t", t_ms),
            ("v", ",".join(self._voltage(at, t_ms) for at in self._voltages)),
            ("i", signals.value[self._current]),
        ]
        pairs += self._bridge("p", self._pressure, board._load_cell, t_ms)
        pairs += self._bridge("q", self._disagreement, board._check_cell, t_ms)
        if not t_ms % self._slow_ms:
            board.sample_slow(t_ms)
            pairs += self._temperatures(t_ms)
        return [*pairs, ("k", board.contactor_closed()), ("a", board.applied_kpa())]

    def _voltage(self, at: int, t_ms: int) -> str:
        if not self._signals.valid[at]:
            return LOST
        return str(self._signals.value[at]) if self._signals.stamp_ms[at] == t_ms else ""

    def _bridge(self, key: str, at: int, cell: Any, t_ms: int) -> list[tuple[str, str]]:
        """Nothing between two conversions; pressure in kPa and the converter's code; or that it is lost."""
        if cell is None:
            return []
        if self._signals.valid[at] and self._signals.stamp_ms[at] == t_ms:
            return [(key, f"{cell.pressure_kpa},{cell.code}")]
        return [] if self._signals.valid[at] or not self._signals.stamp_ms[at] else [(key, LOST)]

    def _temperatures(self, t_ms: int) -> list[tuple[str, str]]:
        board = self._board
        words = []
        for chip, heard_ms in zip(board._thermometers, board._heard_ms, strict=True):
            quiet = "" if chip.status == NOT_READY else LOST
            words.append(str(chip.temperature_cdegc) if heard_ms == t_ms else quiet)
        return [("c", ",".join(words))] if any(words) else []

    def events(self) -> Iterator[tuple[str, dict[str, int]]]:
        """(name, fields) of what the drivers noticed since the last call, as the board would say it."""
        while self._events.take(self._event):
            name, fields = EVENT_ROWS[self._event[0]]
            yield name, {field: self._event[2 + at] for at, field in enumerate(fields) if field}

    def obey(self, outputs: dict[str, str]) -> None:
        """The pairs of the reply, on the rig's pins and its press, now."""
        with self._interpreter:
            self._obey(outputs)

    def _obey(self, outputs: dict[str, str]) -> None:
        bits, board = int(outputs["o"]), self._board
        board.apply(*(bits >> place & 1 for place in range(4)))
        board.sound(bits >> 4 & 1)
        board.bleed(int(outputs["b"]))
        board.heat(int(outputs["h"]), bits >> 5 & 1 == 1)
        if int(outputs["a"]) != board.applied_kpa():
            board.command_kpa(int(outputs["a"]))
