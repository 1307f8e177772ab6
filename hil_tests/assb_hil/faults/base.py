"""What every fault is: a checked row of a scenario that acts on the rig, or on the device under test, at its time."""

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import msgspec
from msgspec import Meta

from assb_hil.dut.base import CHIP_MODELS
from assb_hil.link_line import LinkLine
from assb_hil.plant import Plant
from assb_hil.sensors import Channel

if TYPE_CHECKING:
    from assb_hil.session import Session

Seconds = Annotated[float, Meta(ge=0.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
Unit = Annotated[int, Meta(ge=0)]
UPDATE_US = 50_000  # how often a gradual fault moves on


class FaultRig(Protocol):
    """What a fault may touch. `every` calls back now and then at that period until the callback returns False."""

    plant: Plant
    sensors: dict[str, Channel]
    link: LinkLine
    hung: dict[int, int | None]  # buses that are held low, and how many clocks end it

    @property
    def board(self) -> Any:
        """The device under test; raises ValueError on a bench without one."""
        ...

    def chips_of(self, device: str) -> list[Any]: ...

    def chips_on(self, bus: int) -> list[Any]: ...

    def let_go(self, bus: int) -> None:
        """Nobody holds the bus low any more."""
        ...

    def schedule(self, at_us: int, call: Callable[[int], None]) -> None: ...

    def every(self, now_us: int, period_us: int, call: Callable[[int], bool]) -> None: ...

    def follow_clock(self, jump_s: float) -> None:
        """What the board says from now on is dated by a clock that has jumped."""
        ...

    def fault_random(self, name: str) -> random.Random: ...

    def event(self, now_us: int, name: str, source: str = "rig", /, **fields: Any) -> None: ...


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Begins at `at_s`. `needs`: features of a device under test; `press`: kinds of press that can have it."""

    at_s: Seconds
    name: ClassVar[str] = ""
    group: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({CHIP_MODELS})
    press: ClassVar[tuple[str, ...]] = ()

    def apply(self, rig: FaultRig, now_us: int) -> None:
        """Do it, now."""
        raise NotImplementedError


class LastingFault(Fault, frozen=True, kw_only=True):
    """For good, or for `for_s`."""

    for_s: Positive | None = None

    def apply(self, rig: FaultRig, now_us: int) -> None:
        self.begin(rig, now_us)
        if self.for_s is not None:
            rig.schedule(now_us + round(self.for_s * 1e6), lambda at_us: self._over(rig, at_us))

    def _over(self, rig: FaultRig, at_us: int) -> None:
        self.end(rig)
        rig.event(at_us, "fault_ended", fault=self.name)

    def begin(self, rig: FaultRig, now_us: int) -> None:
        raise NotImplementedError

    def end(self, rig: FaultRig) -> None:
        """As it was before."""
        raise NotImplementedError


class DeviceFault(Fault, frozen=True, kw_only=True):
    """Done to the device from outside, between two stretches of its time: power, resets, what is on its flash."""

    def acts(self) -> Iterator[tuple[float, "Callable[[Session], None]"]]:
        """(scenario time, what is done then)."""
        raise NotImplementedError


def gradually(
    rig: FaultRig, now_us: int, over_s: float, move: Callable[[float], None], goes_on: Callable[[], bool] = lambda: True
) -> None:
    """move(share done) every UPDATE_US from now on until all is done."""

    def again(at_us: int) -> bool:
        done = min((at_us - now_us) * 1e-6 / over_s, 1.0)
        if goes_on():
            move(done)
        return done < 1.0 and goes_on()

    rig.every(now_us, UPDATE_US, again)
