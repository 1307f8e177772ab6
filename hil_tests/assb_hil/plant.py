"""The simulated world behind the sensors: cell, stack, piston, contactor, cycler and room, on one clock.

The cell itself is C (assb_kernels.Cell); here it is put on a bench.
"""

from assb_kernels import Cell

from assb_hil.chips.contactor import Contactor
from assb_hil.chips.electro_pneumatic import ElectroPneumaticRegulator
from assb_hil.cycler import Cycler
from assb_hil.loads import Load
from assb_hil.plant_file import PlantFile

STEP_MAX_US = 10_000  # the cell is never stepped further at once


class Plant:
    """`step_to` moves everything; the rig asks for it at each instant at which somebody looks."""

    def __init__(self, spec: PlantFile, seed: int, loads: tuple[Load, ...], start: tuple[float, float, float]):
        """`start`: SOC, temperature (cell and room, degC), stack pressure (MPa)."""
        soc_frac, temperature_degc, pressure_mpa = start
        self.cell = Cell(spec.cell, soc_frac, temperature_degc, pressure_mpa)
        self.ambient_degc = temperature_degc
        self.short_s = 0.0
        self.valve_input_v = 0.0  # 0 to 10 V, from the board
        self.valve_offset_mpa = 0.0
        self.regulator = ElectroPneumaticRegulator(
            self._valve_v, spec.regulator_full_scale_mpa(seed), **spec.regulator_settings()
        )
        self.regulator.pressure_mpa = pressure_mpa
        self.contactor = Contactor(*spec.contactor_times_us())
        self.cycler = Cycler(spec.cycler, loads)
        self.origin_us = 0  # when the scenario began: the loads count from here
        self.now_us = 0
        self.current_a = 0.0
        # A cell that was never stepped has no outcome yet: let it stand for a microsecond
        self.cell.step(0.0, 1e-6, temperature_degc, pressure_mpa, 0.0, 0.0)

    def _valve_v(self) -> float:
        return self.valve_input_v + 10.0 * self.valve_offset_mpa / self.regulator.full_scale_mpa

    def step_to(self, now_us: int) -> None:
        """Everything moves to now_us with the inputs of this moment."""
        while self.now_us < now_us:
            next_us = min(now_us, self.now_us + STEP_MAX_US)
            self._step(next_us, 1e-6 * (next_us - self.now_us))
            self.now_us = next_us

    def _step(self, next_us: int, dt_s: float) -> None:
        cell = self.cell
        self.current_a = self.cycler.step(next_us - self.origin_us, dt_s, cell.voltage_v, self.contactor.closed)
        regulator = self.regulator
        regulator.advance(next_us)
        drive_mpa = regulator.pressure_mpa
        status = cell.step(self.current_a, dt_s, self.ambient_degc, drive_mpa, 0.0, self.short_s)
        if status:
            raise ValueError(
                f"the plant refused a step (status {status}) at {next_us} us: current {self.current_a} A, "
                f"ambient {self.ambient_degc} degC, drive {drive_mpa} MPa, short {self.short_s} S"
            )
