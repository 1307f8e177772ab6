"""The firmware's regulator on a simulated rig, without a board between: press, stack, load cell, and what it believes.

The regulator and its actuators are the firmware's own code. What they believe of the rig is off by stated shares, as
after a step test (`BELIEF`).
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from assb.control.stack_pressure import StackPressure
from assb.drivers.electro_pneumatic import ElectroPneumatic
from assb.drivers.screw_press import ScrewPress
from assb.drivers.stepper import Stepper
from assb.protocol import schema
from assb_host.config import PackConfig, load_pack
from assb_host.config.board import load_board
from assb_host.config.locate import find
from assb_kernels import Pack, Sensor, SensorParams

from assb_hil.plant_file import PlantFile, load_plant
from assb_hil.press_tuning import TICK_S, deadband_kpa, integral_gain_per_s

DAC_CODES = 4095
MOTOR_BOARD = "virtual-screw"
FAST_MS = next(row[5] for row in schema.PARAMETERS if row[1] == "fast_period_ms")
FAST_TICKS = round(1000 * TICK_S / FAST_MS)


@dataclass(frozen=True)
class Belief:
    """What the firmware believes over what is: 1-sigma of a step test's result (assumptions)."""

    stiffness_frac: float = 0.05
    play_frac: float = 0.05
    swelling_frac: float = 0.05


BELIEF = Belief()


@dataclass(frozen=True)
class Rig:
    """A way to press: the bench, and whether the firmware regulates on it."""

    name: str
    bench: str
    regulated: bool = True


RIGS = (
    Rig("spring_pneumatic", "spring_pneumatic"),
    Rig("spring_stepper", "spring_stepper"),
    Rig("stiff_stepper", "stiff_stepper"),
)
FIXED_GAP = Rig("fixed_gap", "fixed_gap", False)
SPRING_ONLY = Rig("spring_only", "spring_stepper", False)  # the same springs, the screw left alone


class Dac:
    """Holds a code, as an MCP4725 does."""

    status = error_count = 0

    def __init__(self, code: int) -> None:
        self.code = code

    def write(self, code: int) -> bool:
        self.code = code
        return True


class Pin:
    """An output that nothing hangs on: the pulses are counted by `Stepper.position`."""

    def value(self, level: int) -> None:
        pass


def made_stepper(plant: PlantFile) -> Stepper:
    """The firmware's, with the rate and the ramp of `MOTOR_BOARD`, on the travel of the bench."""
    board, actuator = load_board(find("board", MOTOR_BOARD)).stepper, plant.stacks[0].actuator
    assert board
    rate = min(board.rate_per_s, int(actuator.steps_per_s_max))
    travel = [round(gap_um / actuator.um_per_step) for gap_um in (-actuator.gap_max_um, -actuator.gap_min_um)]
    return Stepper(Pin(), Pin(), Pin(), None, None, 0, rate, board.ramp_per_s2, FAST_MS, tuple(travel))


class PressedPack:
    """A pack in a rig. `step` moves everything by TICK_S; regulated or not, `pressure_kpa` is the truth."""

    def __init__(
        self, profile: str, rig: Rig, *, soc: float, seed: int, changes: Mapping[str, int] | None = None,
        temperature_degc: float | None = None,
    ):  # fmt: skip
        """Starts at nine tenths of the target where a regulator is to press it up, else at the target. `changes`: of
        the parameters that the firmware is given. Raises ConfigError where the bench does not reach the target."""
        self.plant: PlantFile = load_plant(profile, bench=rig.bench)
        limits = self.plant.limits
        start_mpa = (0.9 if rig.regulated else 1.0) * limits.pressure_mpa
        self.pack: Pack = self.plant.pack(soc=soc, temperature_degc=temperature_degc, pressure_mpa=start_mpa, seed=seed)
        self._start_kpa = round(1000 * start_mpa)
        self.parameters = {**believed(load_pack(profile), self.plant, seed), **(changes or {})}
        self.sensor = Sensor(load_cell(self.plant), seed, "pressure")
        self.regulator = self.actuator = None
        self._stepper: Stepper | None = None
        self._dac: Dac | None = None
        self.move_count = 0
        self.measured_kpa = self._start_kpa
        self.start = (self.pack.cells[0].soc, self.pack.cells[0].temperature_degc, start_mpa)
        self.aim_mpa, self.rate_per_s = math.nan, 0.0  # what the press was given for the last step
        if rig.regulated:
            self.actuator = self._made_actuator()
            self.regulator = StackPressure(self.parameters.__getitem__)
            self.regulator.start(self._start_kpa, self.actuator.commanded_kpa)

    def _made_actuator(self) -> ElectroPneumatic | ScrewPress:
        most_kpa = self.parameters["pressure_command_max_kpa"]
        if self.plant.bench.pneumatic:
            full_kpa = self.parameters["regulator_full_scale_kpa"]
            self._dac = Dac(round(self._start_kpa * DAC_CODES / full_kpa))
            return ElectroPneumatic(self._dac, full_kpa, most_kpa)
        self._stepper = made_stepper(self.plant)
        step_kpa = self.parameters["stack_stiffness_kpa_per_um"] * self.plant.stacks[0].actuator.um_per_step
        return ScrewPress(self._stepper, step_kpa, self._start_kpa)

    @property
    def pressure_kpa(self) -> float:
        return 1000.0 * self.pack.stacks[0].pressure_mpa

    @cached_property
    def quantum_kpa(self) -> float:
        """Smallest step of the actuator, as pressure that really moves."""
        actuator = self.plant.stacks[0].actuator
        if self._dac:
            return self.parameters["regulator_full_scale_kpa"] / DAC_CODES
        return 1000.0 * self.plant.stacks[0].stack.stiffness_mpa_per_um * actuator.um_per_step

    def step(self, current_a: float, ambient_degc: float) -> None:
        """Raises ValueError for what the plant refuses."""
        if self.regulator and self.actuator:
            self._regulate(current_a)
            if self._dac:
                self.aim_mpa = self._dac.code * self.quantum_kpa / 1000.0
            elif self._stepper:
                self.rate_per_s = self._turn(self._stepper)
        status = self.pack.step(current_a, TICK_S, ambient_degc, 0.0, None, self.aim_mpa, self.rate_per_s)
        if status:
            raise ValueError(f"the plant refused a step: status {status}, {current_a} A, {ambient_degc} degC")

    def _regulate(self, current_a: float) -> None:
        self.measured_kpa = measured_kpa = round(1000.0 * self.sensor.read(self.pack.stacks[0].pressure_mpa, TICK_S))
        cdegc = round(100.0 * self.pack.cells[0].temperature_degc)
        code = self._dac.code if self._dac else 0
        command_kpa = self.regulator.regulate(
            measured_kpa, round(1000.0 * current_a), cdegc, self.actuator.commanded_kpa, round(1000.0 * TICK_S)
        )
        self.actuator.command_kpa(command_kpa)
        self.move_count += self._dac is not None and self._dac.code != code

    def _turn(self, stepper: Stepper) -> float:
        """The fast ticks of a slow one; the mean rate of their pulses for the plant, which counts opening as +."""
        before = stepper.position
        for _ in range(FAST_TICKS):
            stepper.tick()
        self.move_count += stepper.position != before
        return (before - stepper.position) / TICK_S


def load_cell(plant: PlantFile) -> SensorParams:
    """The bench's load cell, calibrated: its gain and offset are another error than the loop's."""
    spec = plant.sensors["pressure_mpa"]
    return SensorParams(noise_rms=spec.noise_rms, drift_per_rt_h=spec.drift_per_rt_h)


def press_lag_s(plant: PlantFile) -> float:
    """Of the press alone; a screw that turns fast enough has none."""
    stack, actuator = plant.stacks[0].stack, plant.stacks[0].actuator
    if not plant.bench.pneumatic:
        return 0.0
    return actuator.time_constant_s + 1.0 / (stack.stiffness_mpa_per_um * actuator.piston_um_per_s_mpa)


def believed(pack: PackConfig, plant: PlantFile, seed: int, belief: Belief = BELIEF) -> dict[str, int]:
    """The pack's parameters, with what a step test would find of this rig."""
    luck = random.Random(f"{seed} {plant.name} {plant.bench_name} belief")
    stack, actuator, limits = plant.stacks[0].stack, plant.stacks[0].actuator, plant.limits
    stiffness = 1000.0 * stack.stiffness_mpa_per_um
    play_mpa = actuator.hysteresis_mpa + 2.0 * actuator.piston_friction_mpa
    if actuator.kind == "stepper":
        play_mpa = actuator.backlash_um * stack.stiffness_mpa_per_um
    full_kpa = round(1000.0 * plant.bench.pneumatic.full_scale_mpa.value) if plant.bench.pneumatic else 1
    quantum_kpa = full_kpa / DAC_CODES if plant.bench.pneumatic else stiffness * actuator.um_per_step
    air = plant.bench.pneumatic is not None
    band_kpa = deadband_kpa(1000.0 * plant.sensors["pressure_mpa"].noise_rms, quantum_kpa, air)
    lag_s = press_lag_s(plant)

    def seen(value: float, sigma: float) -> float:
        return value * (1.0 + luck.gauss(0.0, sigma))

    return {
        **pack.parameters,
        "pressure_target_kpa": round(1000.0 * limits.pressure_mpa),
        "pressure_min_kpa": round(1000.0 * limits.pressure_min_mpa),
        "pressure_max_kpa": round(1000.0 * limits.pressure_max_mpa),
        "pressure_command_max_kpa": full_kpa if plant.bench.pneumatic else round(1200.0 * limits.pressure_max_mpa),
        "regulator_full_scale_kpa": full_kpa,
        "pressure_ki_ppm_s": round(1e6 * integral_gain_per_s(lag_s)),
        "pressure_lead_ms": round(1000.0 * (lag_s + TICK_S)),
        "pressure_deadband_kpa": band_kpa,
        "stack_stiffness_kpa_per_um": max(1, round(seen(stiffness, belief.stiffness_frac))),
        "pressure_play_kpa": round(seen(1000.0 * play_mpa, belief.play_frac)),
        "pressure_quantum_kpa": math.ceil(quantum_kpa),
        "pressure_by_position": int(actuator.kind == "stepper"),
        "swelling_nm_per_mah": round(seen(pack.parameters["swelling_nm_per_mah"], belief.swelling_frac)),
    }
