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

from assb_hil.campaign.confirm.playback import SLOW_ROWS, Playback
from assb_hil.campaign.confirm.sample import HASTE, shorted_of
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.trial_bench import TrialBench
from assb_hil.session import virtual_board

SLOW_TICK_S = 0.1
BOARD_OF_TWO = "virtual-2s"
BOOT_US = 3_000_000  # the firmware is up, with its first writes to flash behind it
STRETCH_US = 1_000_000
TELLS_AFTER_TICKS = 5  # in a slow tick, from the first cell's slice to the PACK message
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
        world.first_tick = Ticks(world).at(heard.packs[-1].t_ms) + SLOW_ROWS
        while len(world.current_a) < columns.rows:
            board.run_until(board.now_us + STRETCH_US)
    ticks = Ticks(world)
    demand_same(heard.packs, ticks)
    return Confirmed(
        spec=spec,
        board=tuple((ticks.time_s(ticks.at(at_ms)), cell, stage) for at_ms, cell, stage in heard.stages),
        watch=tuple(watched(pack, ticks, heard.packs)),
        native=heard.hello["estimator"] == NATIVE,
    )


class Ticks:
    """Fast ticks of the board by number, and what the registers gave to each: the first row, then the others."""

    def __init__(self, world: Playback):
        self._world = world
        self._first = world.first_tick or 0
        # it looked at the clock before it asked for a voltage, which may be the millisecond before
        self._number = {at_us // 1000 - early: tick for early in (1, 0) for tick, at_us in enumerate(world.ticks_us)}
        self.rows = len(world.current_a)
        self.leads = len(world.voltage_v) // max(self.rows, 1)

    def at(self, t_ms: int) -> int:
        """The one that began then, by the board's clock. Raises UnlikeReadingsError where none did."""
        if t_ms not in self._number:
            raise UnlikeReadingsError(f"no fast tick at {t_ms} ms", "virtual board", "look at its [cost]")
        return self._number[t_ms]

    def time_s(self, tick: int) -> float:
        """Since the trial began; negative before."""
        return 1e-6 * (self._world.ticks_us[tick] - self._world.ticks_us[self._first])

    def row(self, tick: int) -> int:
        return max(tick - self._first, 0)

    def voltage_v(self, tick: int) -> "array[float]":
        """Of each lead."""
        row = self.row(tick)
        return self._world.voltage_v[row * self.leads : (row + 1) * self.leads]

    def current_a(self, tick: int) -> float:
        return self._world.current_a[self.row(tick)]


@lru_cache(maxsize=32)
def pack_of(profile: str, cells: int) -> PackConfig:
    """The profile's own pack in haste; two cells on the board that has monitors for them."""
    if cells == 1:
        return load_pack(profile, changes=dict(HASTE))
    return load_pack(profile, board=BOARD_OF_TWO, changes={**HASTE, "cells_in_series": cells})


def demand_same(packs: Sequence[Frame], ticks: Ticks) -> None:
    """Each PACK message tells what the fast tick before it read, and there are SLOW_ROWS ticks from one to the next."""
    before = None
    for frame in packs:
        tick, fields = ticks.at(frame.t_ms), frame.fields
        if ticks.row(tick) >= ticks.rows:
            return
        board = (fields["pack_voltage_uv"], fields["current_ua"])
        given = (round(1e6 * sum(ticks.voltage_v(tick))), round(1e6 * ticks.current_a(tick)))
        if before is not None and tick - before != SLOW_ROWS:
            what = f"at {ticks.time_s(tick):.2f} s {tick - before} fast ticks in a slow one"
            raise UnlikeReadingsError(what, "virtual board", "look at its [cost]: a fast tick came late")
        if ticks.row(tick) and board != given:
            what = f"at {ticks.time_s(tick):.2f} s the board read {board} uV, uA, and its chips gave {given}"
            raise UnlikeReadingsError(what, "virtual board", "a row has to be published before its tick")
        before = tick


def watched(pack: PackConfig, ticks: Ticks, packs: Sequence[Frame]) -> Iterator[Stage]:
    """The fast path, slow tick by slow tick of the board: its first step sets the clock, each later one takes the means
    of SLOW_ROWS fast ticks. Thermometer and press stand as the board says them, once in each."""
    flats = [flat_layout.pack(estimator_values(pack))] * ticks.leads
    watch = Watch(
        flats,
        rows_per_step=SLOW_ROWS,
        initial_soc_sigma=pack.parameters["soc_initial_sigma_ppm"] / 1e6,
        collapse_v=pack.parameters["hard_short_drop_uv"] / 1e6,
        collapse_hold_s=pack.parameters["hard_short_debounce_ms"] / 1e3,
    )
    count = 1
    for frame in packs:
        end = ticks.at(frame.t_ms) - TELLS_AFTER_TICKS
        window = range(end - count + 1, end + 1)
        if ticks.row(end) >= ticks.rows:
            return
        changes = watch.run(
            list(map(ticks.time_s, window)),
            [volt for tick in window for volt in ticks.voltage_v(tick)],
            list(map(ticks.current_a, window)),
            frame.fields["temperature_cdegc"] / 100,
            frame.fields["pressure_kpa"] / 1000,
            aim_mpa=frame.fields["pressure_command_kpa"] / 1000,
        )
        yield from ((change.time_s, change.cell, change.stage) for change in changes)
        count = SLOW_ROWS
