"""Faults of the press, of the stack in it, of the contactor, and of the cycler."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from assb_hil.faults.base import UPDATE_US, Fault, FaultRig, LastingFault, Positive, gradually

PNEUMATIC, STEPPER = "pneumatic", "stepper"
Pressure = Annotated[float, Meta(ge=-10.0, le=10.0)]


class MechanicalFault(Fault, frozen=True, kw_only=True):
    """Of all stacks."""

    group: ClassVar[str] = "mechanics"


class LastingMechanicalFault(LastingFault, frozen=True, kw_only=True):
    """One that can end."""

    group: ClassVar[str] = "mechanics"


class PressureStep(LastingMechanicalFault, frozen=True, kw_only=True):
    """The regulator's valve is off by `offset_mpa`, as after a knock; for a while only: an overshoot."""

    name: ClassVar[str] = "pressure_step"
    press: ClassVar[tuple[str, ...]] = (PNEUMATIC,)
    offset_mpa: Pressure

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.set_valve(offset_mpa=self.offset_mpa)

    def end(self, rig: FaultRig) -> None:
        rig.plant.set_valve(offset_mpa=0.0)


class PressRunsAway(LastingMechanicalFault, frozen=True, kw_only=True):
    """The regulator's valve opens by itself, evenly: its pressure leaves the command at this rate, up to its supply."""

    name: ClassVar[str] = "press_runs_away"
    press: ClassVar[tuple[str, ...]] = (PNEUMATIC,)
    rate_mpa_s: Annotated[float, Meta(ge=-10.0, le=10.0)]

    def begin(self, rig: FaultRig, now_us: int) -> None:
        last_us = None if self.for_s is None else now_us + round(self.for_s * 1e6)

        def open_further(at_us: int) -> bool:
            goes_on = last_us is None or at_us < last_us
            if goes_on:
                rig.plant.set_valve(offset_mpa=self.rate_mpa_s * (at_us - now_us) * 1e-6)
            return goes_on

        rig.every(now_us, UPDATE_US, open_further)

    def end(self, rig: FaultRig) -> None:
        rig.plant.set_valve(offset_mpa=0.0)


class SupplyLost(MechanicalFault, frozen=True, kw_only=True):
    """The air supply falls to a pressure (as felt by the stacks)."""

    name: ClassVar[str] = "supply_lost"
    press: ClassVar[tuple[str, ...]] = (PNEUMATIC,)
    supply_mpa: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.supply_mpa = self.supply_mpa


class RegulatorStalled(LastingMechanicalFault, frozen=True, kw_only=True):
    """The actuator is stuck: a regulator holds its pressure, a screw its place, whatever it is asked for."""

    name: ClassVar[str] = "regulator_stalled"
    press: ClassVar[tuple[str, ...]] = (PNEUMATIC, STEPPER)

    def begin(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.frozen = True

    def end(self, rig: FaultRig) -> None:
        for stack in rig.plant.stacks:
            stack.frozen = False


class StackSlips(MechanicalFault, frozen=True, kw_only=True):
    """The stack gives way by `slip_um` at once; an air press follows, a screw does not know of it."""

    name: ClassVar[str] = "stack_slips"
    slip_um: Annotated[float, Meta(ge=-1000.0, le=1000.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.gap_um += self.slip_um


class Creep(MechanicalFault, frozen=True, kw_only=True):
    """The stack loses height for good, evenly over `over_s`: lithium flows, a seal settles."""

    name: ClassVar[str] = "creep"
    creep_um: Annotated[float, Meta(gt=0.0, le=1000.0)]
    over_s: Positive

    def apply(self, rig: FaultRig, now_us: int) -> None:
        done_before = 0.0

        def flow(done: float) -> None:
            nonlocal done_before
            for stack in rig.plant.stacks:
                stack.creep_um += self.creep_um * (done - done_before)
            done_before = done

        gradually(rig, now_us, self.over_s, flow)


class SpringBreaks(MechanicalFault, frozen=True, kw_only=True):
    """Springs of the stack break: its stiffness falls to that share at once, and the pressure with it."""

    name: ClassVar[str] = "spring_breaks"
    left_frac: Annotated[float, Meta(gt=0.0, lt=1.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.stiffness_mpa_per_um *= self.left_frac


class LimitSwitch(MechanicalFault, frozen=True, kw_only=True):
    """A limit switch of the screw trips too early: it turns no further that way."""

    name: ClassVar[str] = "limit_switch"
    press: ClassVar[tuple[str, ...]] = (STEPPER,)
    at_end: Literal["closed", "open"]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.stop_at_gap(self.at_end == "closed")


class HeaterStuck(MechanicalFault, frozen=True, kw_only=True):
    """The heater's first switch, that of the PWM, stays closed (on) or open (off), as does a heater that is broken."""

    name: ClassVar[str] = "heater_stuck"
    stuck: Literal["on", "off"]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        if not rig.plant.heater_full_w:
            raise ValueError("this board has no heater")
        rig.plant.heater_stuck_share = float(self.stuck == "on")


class ContactorWelded(Fault, frozen=True, kw_only=True):
    """The contact no longer opens once it is closed."""

    name: ClassVar[str] = "contactor_welded"
    group: ClassVar[str] = "mechanics"

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.contactor.welded = True


class ContactorStuckOpen(Fault, frozen=True, kw_only=True):
    """The contact does not close, whatever its coil gets; one that is closed drops out."""

    name: ClassVar[str] = "contactor_stuck_open"
    group: ClassVar[str] = "mechanics"

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.contactor.drop_out()


class FeedbackStuck(LastingFault, frozen=True, kw_only=True):
    """The mirror contact stays at a level, whatever the main contact does."""

    name: ClassVar[str] = "feedback_stuck"
    group: ClassVar[str] = "mechanics"
    level: Annotated[int, Meta(ge=0, le=1)]

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.contactor.feedback_stuck_level = self.level

    def end(self, rig: FaultRig) -> None:
        rig.plant.contactor.feedback_stuck_level = None


class LoadShorted(LastingFault, frozen=True, kw_only=True):
    """What is connected draws current while it is precharged, as a resistor: the precharge current does not fall."""

    name: ClassVar[str] = "load_shorted"
    group: ClassVar[str] = "mechanics"
    load_ohm: Annotated[float, Meta(gt=0.0, le=1e4)]

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.precharge.load_s = 1.0 / self.load_ohm

    def end(self, rig: FaultRig) -> None:
        rig.plant.precharge.load_s = 0.0


class CyclerDisobeys(LastingFault, frozen=True, kw_only=True):
    """The cycler goes on as it was asked to by its load, whatever the board's lines and limits say."""

    name: ClassVar[str] = "cycler_disobeys"
    group: ClassVar[str] = "mechanics"

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.cycler.disobeys = True

    def end(self, rig: FaultRig) -> None:
        rig.plant.cycler.disobeys = False
