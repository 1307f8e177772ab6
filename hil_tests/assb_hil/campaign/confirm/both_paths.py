"""One trial twice: through the whole firmware on the virtual board, then on the fast path with the very readings that
the board's chips gave.
"""

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from assb.estimation import flat_layout
from assb.protocol import schema
from assb.protocol.image import decode
from assb_host.config.image_builder import build_image, estimator_values
from assb_host.config.pack import PackConfig, load_pack
from assb_host.errors import AssbError
from assb_host.flash.native_kernel import NATIVE, KernelSource
from assb_host.link.decoder import Decoder, Frame
from assb_kernels.watch import Watch

from assb_hil.campaign.confirm.playback import ROW_US, SLOW_ROWS, Playback
from assb_hil.campaign.confirm.sample import HASTE, shorted_of
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.trial_bench import TrialBench
from assb_hil.session import virtual_board

SLOW_TICK_S, TICK_MS = 0.1, ROW_US // 1000
BOARD_OF_TWO = "virtual-2s"
SLOW_MS = 100
# The firmware is up, and has written what it makes room with on flash, for which ticks wait while nothing is connected
BOOT_US = 3_000_000
TELLS_AFTER_MS = 50  # in a slow tick, from the first cell's slice to the PACK message
STAGE_CHANGED = next(row[0] for row in schema.EVENTS if row[1] == "stage_changed")
Stage = tuple[float, int, int]  # time in the trial, cell, stage


class Confirmed(msgspec.Struct, frozen=True):
    """What both paths said of a trial; times in s since its first reading."""

    spec: TrialSpec
    board: tuple[Stage, ...]
    watch: tuple[Stage, ...]
    native: bool  # whether the board ran the native module

    @property
    def worst_s(self) -> float | None:
        """How far apart the same stage was called, at most; None: not the same stages in the same order."""
        if [stage[1:] for stage in self.board] != [stage[1:] for stage in self.watch]:
            return None
        return max((abs(board[0] - watch[0]) for board, watch in zip(self.board, self.watch, strict=True)), default=0.0)

    @property
    def agrees(self) -> bool:
        """Same stages in the same order, times within a slow tick."""
        return self.worst_s is not None and self.worst_s <= SLOW_TICK_S + 1e-6


class UnlikeReadingsError(AssbError):
    """The board did not see what the fast path was given."""


class Heard:
    """Of the console of a board: who it is, its stages as (ms on its clock, cell, stage), and its PACK messages."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self.hello: dict[str, Any] = {}
        self.stages: list[tuple[int, int, int]] = []
        self.packs: list[Frame] = []

    def hear(self, _now_us: int, data: bytes) -> None:
        for item in self._decoder.feed(data):
            if not isinstance(item, Frame):
                continue
            fields = item.fields
            if item.type == schema.HELLO:
                self.hello = fields
            elif item.type == schema.EVENT and fields["event"] == STAGE_CHANGED:
                self.stages.append((item.t_ms, fields["a"], fields["b"]))
            elif item.type == schema.PACK:
                self.packs.append(item)


def confirm(spec: TrialSpec, kernel: KernelSource | None = None) -> Confirmed:
    """Raises UnlikeReadingsError where the board's telemetry tells of other readings than the fast path was given."""
    pack = pack_of(spec.profile, spec.cells)
    bench = TrialBench(spec, shorted_of)
    columns = bench.trial.columns(round(spec.duration_s / spec.dt_s))
    bench.run(columns, columns.rows)
    image = build_image(pack)
    world, heard = Playback(decode(image), bench.scene.plant, columns), Heard()
    with virtual_board(world, pack, image, seed=spec.seed & 0x7FFFFFFF, kernel=kernel) as board:
        board.add_tap(heard.hear)
        board.power_on()
        board.run_until(BOOT_US)
        begin_ms = heard.packs[-1].t_ms + SLOW_MS
        world.begin(1000 * begin_ms)
        board.run_until(1000 * begin_ms + ROW_US * columns.rows)
    seen = Seen(world, columns["time_s"][0], begin_ms)
    demand_same(heard.packs, seen)
    return Confirmed(
        spec=spec,
        board=tuple((seen.time_s(at_ms), cell, stage) for at_ms, cell, stage in heard.stages),
        watch=tuple(watched(pack, seen, heard.packs)),
        native=heard.hello["estimator"] == NATIVE,
    )


class Seen:
    """What the registers gave to each fast tick, by the board's clock: the first row up to begin_ms, then each."""

    def __init__(self, world: Playback, first_s: float, begin_ms: int):
        self._world, self._first_s, self._begin_ms = world, first_s, begin_ms
        self.rows = len(world.current_a)
        self.leads = len(world.voltage_v) // self.rows

    def time_s(self, t_ms: int) -> float:
        """In the trial; negative before it began."""
        return self._first_s + 1e-3 * (t_ms - self._begin_ms)

    def row(self, t_ms: int) -> int:
        return max((t_ms - self._begin_ms) // TICK_MS, 0)

    def voltage_v(self, row: int) -> "array[float]":
        """Of each lead."""
        return self._world.voltage_v[row * self.leads : (row + 1) * self.leads]

    def current_a(self, row: int) -> float:
        return self._world.current_a[row]


@lru_cache(maxsize=32)
def pack_of(profile: str, cells: int) -> PackConfig:
    """The profile's own pack in haste; two cells on the board that has monitors for them."""
    if cells == 1:
        return load_pack(profile, changes=dict(HASTE))
    return load_pack(profile, board=BOARD_OF_TWO, changes={**HASTE, "cells_in_series": cells})


def demand_same(packs: Sequence[Frame], seen: Seen) -> None:
    """Each PACK message tells what the fast tick before it read, and ticks are whole once the trial has begun."""
    told = 0
    for frame in packs:
        time_s, row, fields = seen.time_s(frame.t_ms), seen.row(frame.t_ms), frame.fields
        if time_s < 0.0 or row >= seen.rows:
            continue
        board = (fields["pack_voltage_uv"], fields["current_ua"])
        given = (round(1e6 * sum(seen.voltage_v(row))), round(1e6 * seen.current_a(row)))
        if board != given:
            what = f"at {time_s:.2f} s the board read {board} uV, uA, and its chips gave {given}"
            raise UnlikeReadingsError(what, "virtual board", "a fast tick came late, or the chips publish otherwise")
        told += 1
    if told < seen.rows // SLOW_ROWS - 1:
        raise UnlikeReadingsError(f"{told} PACK messages over {seen.rows} readings", "virtual board")


def watched(pack: PackConfig, seen: Seen, packs: Sequence[Frame]) -> Iterator[Stage]:
    """The fast path, slow tick by slow tick of the board: its first step sets the clock, each later one takes the means
    of SLOW_ROWS fast ticks. Thermometer and press stand as the board says them, once in each."""
    flats = [flat_layout.pack(estimator_values(pack))] * seen.leads
    watch = Watch(
        flats,
        rows_per_step=SLOW_ROWS,
        initial_soc_sigma=pack.parameters["soc_initial_sigma_ppm"] / 1e6,
        collapse_v=pack.parameters["hard_short_drop_uv"] / 1e6,
        collapse_hold_s=pack.parameters["hard_short_debounce_ms"] / 1e3,
    )
    count = 1
    for frame in packs:
        end_ms = frame.t_ms - TELLS_AFTER_MS
        ticks_ms = [end_ms - TICK_MS * back for back in reversed(range(count))]
        rows = list(map(seen.row, ticks_ms))
        if rows[-1] >= seen.rows:
            return
        changes = watch.run(
            list(map(seen.time_s, ticks_ms)),
            [volt for row in rows for volt in seen.voltage_v(row)],
            list(map(seen.current_a, rows)),
            frame.fields["temperature_cdegc"] / 100,
            frame.fields["pressure_kpa"] / 1000,
            aim_mpa=frame.fields["pressure_command_kpa"] / 1000,
        )
        yield from ((change.time_s, change.cell, change.stage) for change in changes)
        count = SLOW_ROWS
