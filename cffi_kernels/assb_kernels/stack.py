"""Stacks and what presses them. Equations stand in assb_stack.h and assb_actuator.h."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from assb_kernels._kernels import lib

KINDS: dict[str, int] = {
    "fixed_gap": lib.ASSB_FIXED_GAP,
    "pneumatic": lib.ASSB_PNEUMATIC,
    "stepper": lib.ASSB_STEPPER,
}


@dataclass(frozen=True)
class StackParams:
    """Frame, spring and contents in series; a spring stack is a low stiffness. Defaults are assumptions.

    Creep ends at `creep_most_um`, the height of lithium metal in the stack: 0 without any; infinite: no end.
    """

    stiffness_mpa_per_um: float = 0.02
    viscous_frac: tuple[float, float] = (0.10, 0.15)
    viscous_tau_s: tuple[float, float] = (600.0, 2e4)
    creep_um_per_s: float = 0.0
    creep_pressure_mpa: float = 5.0
    creep_exponent: float = 6.6
    creep_most_um: float = math.inf


@dataclass(frozen=True)
class ActuatorParams:
    """What moves the gap: `kind` "fixed_gap", "pneumatic" or "stepper"; the fields of another kind have no effect.

    The screw's limit switches stand `gap_min_um` (<= 0) and `gap_max_um` (>= 0) from the gap at reset; infinite: none.
    Defaults are assumptions; 0.5 % hysteresis of 10 MPa is the class of common electro-pneumatic regulators.
    """

    kind: str = "fixed_gap"
    um_per_step: float = 0.1
    backlash_um: float = 0.0
    steps_per_s_max: float = 100.0
    gap_min_um: float = -math.inf
    gap_max_um: float = math.inf
    stall_mpa: float = 100.0
    deadband_mpa: float = 0.0
    supply_mpa: float = 9.0
    hysteresis_mpa: float = 0.05
    time_constant_s: float = 0.25
    slew_mpa_s: float = 4.0
    piston_um_per_s_mpa: float = 60.0
    piston_friction_mpa: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"actuator kind {self.kind!r} is none of {', '.join(KINDS)}")


@dataclass(frozen=True)
class Stack:
    """One stack and its actuator."""

    stack: StackParams = field(default_factory=StackParams)
    actuator: ActuatorParams = field(default_factory=ActuatorParams)


def stack_values(params: StackParams) -> dict[str, Any]:
    """As cffi fills an assb_stack_params."""
    return {entry.name: getattr(params, entry.name) for entry in fields(params)}


def actuator_values(params: ActuatorParams) -> dict[str, Any]:
    """As cffi fills an assb_actuator_params."""
    return {entry.name: getattr(params, entry.name) for entry in fields(params)} | {"kind": KINDS[params.kind]}


class StackView:
    """One stack of a pack, as it stands now. What may be set are faults."""

    def __init__(
        self, owner: Any, stack_params: Any, state: Any, actuator: Any, actuator_input: Any, params: Any
    ) -> None:
        self._owner = owner  # keeps the memory
        self._stack_params = stack_params
        self._state = state
        self._actuator = actuator
        self._input = actuator_input
        self._params = params

    @property
    def pressure_mpa(self) -> float:
        return self._state.pressure_mpa

    @property
    def height_um(self) -> float:
        """Of its contents, free of load, against SOC 0 at the reference temperature."""
        return self._state.height_um

    @property
    def creep_um(self) -> float:
        """Height that has flown away for good."""
        return self._state.creep_um

    @creep_um.setter
    def creep_um(self, value: float) -> None:
        self._state.creep_um = value

    @property
    def stiffness_mpa_per_um(self) -> float:
        """Of frame, spring and contents in series."""
        return self._stack_params.stiffness_mpa_per_um

    @stiffness_mpa_per_um.setter
    def stiffness_mpa_per_um(self, value: float) -> None:
        if not 1e-6 <= value < 1e6:
            raise ValueError(f"stiffness_mpa_per_um is {value}, needs 1e-6 to 1e6")
        self._stack_params.stiffness_mpa_per_um = value

    @property
    def viscous_mpa(self) -> tuple[float, ...]:
        return tuple(self._state.viscous_mpa)

    @property
    def gap_um(self) -> float:
        return self._actuator.gap_um

    @gap_um.setter
    def gap_um(self, value: float) -> None:
        self._actuator.gap_um = value

    def stop_at_gap(self, closed_end: bool) -> None:
        """A limit switch of the screw that trips here and now: no step goes further that way."""
        name = "gap_min_um" if closed_end else "gap_max_um"
        setattr(self._params, name, self._actuator.gap_um - self._actuator.home_um)

    @property
    def drive_mpa(self) -> float:
        """What a regulator gives its cylinder; 0 without one."""
        return self._actuator.drive_mpa

    @property
    def steps(self) -> int:
        """Pulses sent to a stepper since reset, + opens; a stalled or jammed screw has not followed them."""
        return int(self._actuator.steps)

    @property
    def at_min(self) -> bool:
        """The last move was stopped by the limit switch of the closed end."""
        return bool(self._actuator.at_min)

    @property
    def at_max(self) -> bool:
        return bool(self._actuator.at_max)

    @property
    def stalled(self) -> bool:
        """The last move was not, or not all, followed by the screw."""
        return bool(self._actuator.stalled)

    @property
    def frozen(self) -> bool:
        """The regulator holds its pressure; the screw is jammed."""
        return bool(self._input.frozen)

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._input.frozen = int(value)

    @property
    def supply_mpa(self) -> float:
        """Stack pressure that the air supply reaches."""
        return self._params.supply_mpa

    @supply_mpa.setter
    def supply_mpa(self, value: float) -> None:
        if not 0.0 <= value < math.inf:
            raise ValueError(f"supply_mpa is {value}, needs a finite pressure of 0 or more")
        self._params.supply_mpa = value
