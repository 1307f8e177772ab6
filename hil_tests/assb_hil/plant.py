"""The simulated world behind the sensors: pack, stacks, actuator, contactor, cycler and room, on one clock.

Cells, stacks and actuators are C (assb_kernels.Pack); here they are put on a bench.
"""

from assb_kernels import STATUS_TEXT

from assb_hil.chips.contactor import Contactor
from assb_hil.cycler import Cycler
from assb_hil.loads import Load
from assb_hil.plant_file import PlantFile

STEP_MAX_US = 10_000  # the pack is never stepped further at once
VALVE_FULL_V = 10.0  # input of an electro-pneumatic regulator at its full scale
# What the plant tells by itself → what its value is
PLANT_EVENTS = {
    "bridge": "rs_ohm",
    "deepened": "rs_ohm",
    "burn_out": "energy_j",
    "hard_short": "rs_ohm",
    "voided": "contact_lost_frac",
    "untold": "events",
}


class Plant:
    """`step_to` moves everything; the rig asks for it at each instant at which somebody looks."""

    def __init__(self, spec: PlantFile, seed: int, loads: tuple[Load, ...], start: tuple[float, float, float]):
        """`start`: SOC, temperature (cells and room, degC), stack pressure (MPa)."""
        soc_frac, self.ambient_degc, pressure_mpa = start
        self.pack = spec.pack(soc_frac, self.ambient_degc, pressure_mpa, seed)
        self.cells, self.stacks = self.pack.cells, self.pack.stacks
        self.leads = [[cell] for cell in self.cells] if spec.taps else [list(self.cells)]  # what a voltage lead spans
        self.short_s = [0.0] * spec.units  # injected; the cells' own filaments come on top
        self._bleed_s = [0.0] * spec.units  # balancing resistors; as a short, but for the cell's own small resistance
        self.full_scale_mpa = spec.regulator_full_scale_mpa(seed) if spec.bench.pneumatic else 0.0
        self._valve_v = self._valve_offset_mpa = 0.0
        self.aims_mpa: list[float] = []  # what the regulator is asked for, in each stack
        self.set_valve(0.0)
        self.board_turns_screw = False  # else the bench's own controller does, towards aims_mpa
        self._step_most_per_s = spec.stacks[0].actuator.steps_per_s_max
        self._pulses = 0.0  # that the motor has yet to follow, + opens
        self.heater_full_w = 0.0  # of the pack's, when both its switches are closed
        self.heater_share, self.heater_enabled = 0.0, True
        self.heater_stuck_share: float | None = None  # its first switch has failed: closed 1, open 0
        self.contactor = Contactor(*spec.contactor_times_us())
        self.precharge = spec.precharge_path()
        self.cycler = Cycler(spec.cycler, loads)
        self.origin_us = 0  # when the scenario began: the loads count from here
        self.now_us = 0
        self.current_a = 0.0

    def voltage_v(self, lead: int) -> float:
        """Between one voltage lead and the next."""
        return sum([cell.voltage_v for cell in self.leads[lead]])

    def bleed(self, cell: int, conductance_s: float) -> None:
        """A balancing resistor across a cell; 0: its switch is open. A cell that is not there has none."""
        if cell < len(self._bleed_s):
            self._bleed_s[cell] = conductance_s

    def set_valve(self, input_v: float | None = None, offset_mpa: float | None = None) -> None:
        """What the valve of the regulator gets, 0 to 10 V, and by how much it is off (a fault); None: as before."""
        self._valve_v = self._valve_v if input_v is None else input_v
        self._valve_offset_mpa = self._valve_offset_mpa if offset_mpa is None else offset_mpa
        asked_mpa = self._valve_v / VALVE_FULL_V * self.full_scale_mpa + self._valve_offset_mpa
        self.aims_mpa = [min(max(asked_mpa, 0.0), self.full_scale_mpa)] * len(self.stacks)

    def turn_screw(self, pulses: int) -> None:
        """Pulses for the motor, + opens; it follows at its own rate."""
        self._pulses += pulses

    @property
    def heater_w(self) -> float:
        share = self.heater_share if self.heater_stuck_share is None else self.heater_stuck_share
        return self.heater_full_w * share if self.heater_enabled else 0.0

    def _turned_per_s(self, dt_s: float) -> float:
        most = self._step_most_per_s * dt_s
        steps = min(max(self._pulses, -most), most)
        self._pulses -= steps
        return steps / dt_s

    def step_to(self, now_us: int) -> None:
        """Everything moves to now_us with the inputs of this moment."""
        pack, cycler, connected = self.pack, self.cycler, self.contactor.closed
        while self.now_us < now_us:
            next_us = min(now_us, self.now_us + STEP_MAX_US)
            dt_s = 1e-6 * (next_us - self.now_us)
            asked_a = cycler.step(next_us - self.origin_us, dt_s, pack, connected)
            self.current_a = current_a = asked_a + self.precharge.step(pack.voltage_v, connected, dt_s)
            across_s = [short_s + bleed_s for short_s, bleed_s in zip(self.short_s, self._bleed_s, strict=True)]
            aims_mpa = None if self.board_turns_screw else self.aims_mpa
            turns_per_s = self._turned_per_s(dt_s) if self._pulses else 0.0
            status = pack.step(current_a, dt_s, self.ambient_degc, self.heater_w, across_s, aims_mpa, turns_per_s)
            if status:
                raise ValueError(
                    f"the plant refused a step ({STATUS_TEXT[status]}) at {next_us} us: current {current_a} A, "
                    f"ambient {self.ambient_degc} degC, aim {self.aims_mpa} MPa, shorts {self.short_s} S"
                )
            self.now_us = next_us
