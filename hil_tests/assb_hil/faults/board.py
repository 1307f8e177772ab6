"""Faults of the board itself: power, resets, a processor that is held up, a heap that is full, a clock that jumps."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from assb_hil.dut.base import POWER, POWER_CUT, STALL, WATCHDOG
from assb_hil.faults.base import DeviceFault, Fault, FaultRig, Positive

if TYPE_CHECKING:
    from assb_hil.session import Session

HANG_US = 60_000_000  # longer than any watchdog waits


class PowerLost(DeviceFault, frozen=True, kw_only=True):
    """The board's supply is gone for `for_s`; flash keeps what it has."""

    name: ClassVar[str] = "power_lost"
    group: ClassVar[str] = "board"
    needs: ClassVar[frozenset[str]] = frozenset({POWER})
    for_s: Positive = 0.5

    def acts(self) -> "Iterator[tuple[float, Callable[[Session], None]]]":
        yield self.at_s, lambda session: session.dut.power_off()
        yield self.at_s + self.for_s, lambda session: session.dut.power_on()


class PowerCut(DeviceFault, frozen=True, kw_only=True):
    """Power fails in the middle of the n-th flash operation from now on, and is back `back_s` after now."""

    name: ClassVar[str] = "power_cut"
    group: ClassVar[str] = "board"
    needs: ClassVar[frozenset[str]] = frozenset({POWER, POWER_CUT})
    operation: Annotated[int, Meta(ge=1)]
    back_s: Positive = 2.0

    def acts(self) -> "Iterator[tuple[float, Callable[[Session], None]]]":
        yield self.at_s, lambda session: session.dut.power_cut_at(self.operation)
        yield self.at_s + self.back_s, lambda session: session.dut.power_on()


class BoardReset(DeviceFault, frozen=True, kw_only=True):
    """The board is reset from outside, as by its button (hard), its brown-out detector (power_on), or Ctrl-D (soft)."""

    name: ClassVar[str] = "board_reset"
    group: ClassVar[str] = "board"
    needs: ClassVar[frozenset[str]] = frozenset({POWER})
    how: Literal["hard", "power_on", "soft"] = "hard"

    def acts(self) -> "Iterator[tuple[float, Callable[[Session], None]]]":
        yield self.at_s, lambda session: session.dut.reset(self.how)


class ProcessorFault(Fault, frozen=True, kw_only=True):
    """Of the processor while it runs."""

    group: ClassVar[str] = "board"
    needs: ClassVar[frozenset[str]] = frozenset({STALL})


class BoardHangs(ProcessorFault, frozen=True, kw_only=True):
    """The program stands still for good: only the watchdog ends it."""

    name: ClassVar[str] = "board_hangs"
    needs: ClassVar[frozenset[str]] = frozenset({STALL, WATCHDOG})

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.board.stall(HANG_US)


class SlowTick(ProcessorFault, frozen=True, kw_only=True):
    """Something holds the processor up for `stall_ms`, `count` times, `every_ms` apart."""

    name: ClassVar[str] = "slow_tick"
    stall_ms: Annotated[float, Meta(gt=0.0, le=10_000.0)]
    every_ms: Annotated[float, Meta(ge=1.0)] = 100.0
    count: Annotated[int, Meta(ge=1)] = 1

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for k in range(self.count):
            rig.schedule(now_us + round(1000 * self.every_ms * k), self._stall(rig))

    def _stall(self, rig: FaultRig) -> Callable[[int], None]:
        return lambda _at_us: rig.board.stall(round(1000 * self.stall_ms))


class GarbageCollected(ProcessorFault, frozen=True, kw_only=True):
    """A collection that nobody planned, `count` times, `every_ms` apart, as long as the board's cost table has one."""

    name: ClassVar[str] = "gc_forced"
    every_ms: Annotated[float, Meta(ge=1.0)] = 100.0
    count: Annotated[int, Meta(ge=1)] = 1

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for k in range(self.count):
            rig.schedule(
                now_us + round(1000 * self.every_ms * k), lambda _at_us: rig.board.stall(rig.board.gc_worst_us)
            )


class HeapFilled(ProcessorFault, frozen=True, kw_only=True):
    """So much of the heap is in use and stays so, as after a leak, until a reset. The firmware's own share is in it."""

    name: ClassVar[str] = "heap_filled"
    filled_frac: Annotated[float, Meta(gt=0.0, le=1.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.board.fill_heap(round((1.0 - self.filled_frac) * rig.board.heap_bytes))


class ClockJumps(ProcessorFault, frozen=True, kw_only=True):
    """The ticks of the board jump, forwards or backwards; time does not."""

    name: ClassVar[str] = "clock_jump"
    jump_s: Annotated[float, Meta(ge=-2e6, le=2e6)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.board.jump_clock(round(self.jump_s * 1e6))
        rig.follow_clock(self.jump_s)
