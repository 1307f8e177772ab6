"""A trial set up from its spec: the pack on its bench, its load and changes, and the readings that come of it."""

import math
from collections.abc import Callable
from dataclasses import replace

from assb_kernels import FilamentParams, Pack, SensorParams, Trial, TrialColumns, TrialSensors

from assb_hil.campaign.belief import believed_pack
from assb_hil.campaign.classes import Shorted, shorted
from assb_hil.campaign.confounders import aged, confounding
from assb_hil.campaign.loads import play_of
from assb_hil.campaign.mismatch import mismatched
from assb_hil.campaign.record import Observer, TrialSpec
from assb_hil.campaign.scene import Scene
from assb_hil.plant_parameters import drawn
from assb_hil.recorder import of_cell

FAST_TICK_S = 0.01  # the firmware reads voltage, current and pressure so often and takes means
BUS_QUANTUM_V = 195.3125e-6  # INA228 datasheet, table 7-1; a mean of ten readings has a tenth of it
SHUNT_QUANTUM_V = 312.5e-9  # likewise, on the shunt, ADCRANGE 0
TEMPERATURE_QUANTUM_K = 0.0078125  # TMP117 datasheet, 7.3.1
PRESSURE_QUANTUM_MPA = 0.001  # of the firmware's signal, kPa
UNKNOWN_GAP = math.nan
HALF_SOC = 0.005  # of the span over which the OCV's slope is taken


class TrialBench:
    """What a TrialSpec says, ready to run. `trial.pack` is the truth; natural filaments are off. `shorted_of`: makes
    the short of a scene, if it has one."""

    def __init__(self, spec: TrialSpec, shorted_of: Callable[[Scene], Shorted | None] = shorted) -> None:
        self.scene = scene = Scene(spec)
        self.shorted = shorted_of(scene)
        play = play_of(scene)
        self.pack = pack_of(scene, play.soc)
        changes = confounding(scene) + (self.shorted.changes if self.shorted else [])
        plant, bench = scene.plant, scene.plant.bench
        self.sensors = sensors_of(scene)
        self.samples = samples_of(spec)
        self.trial = Trial(
            self.pack,
            play.phases,
            self.sensors,
            changes,
            dt_s=spec.dt_s,
            seed=spec.seed,
            loop_from=play.loop_from,
            taps=plant.taps,
            samples=self.samples,
            aim_mpa=plant.limits.pressure_mpa,
            aim_gain=plant.regulator_full_scale_mpa(spec.seed) / bench.pneumatic.full_scale_mpa.value
            if bench.pneumatic
            else 1.0,
            um_per_step=bench.stepper.um_per_step.value if bench.stepper else UNKNOWN_GAP,
        )

    def run(self, columns: TrialColumns, rows: int) -> None:
        """`rows` readings more. Raises ValueError if the plant refuses something, and says in which trial."""
        try:
            self.trial.run(columns, rows)
        except ValueError as error:
            raise ValueError(f"{self.scene.spec}: {error}") from None

    def observer(self) -> Observer | None:
        """What could be known of the shorted unit at this moment; None without a short."""
        if self.shorted is None:
            return None
        view, params = self.pack.cells[self.shorted.unit], self.pack.cell_params[self.shorted.unit]
        middle = min(max(view.soc, HALF_SOC), 1.0 - HALF_SOC)  # charging may end a little beyond full
        low_v, high_v = (view.ocv_at_v(middle + away, view.temperature_degc) for away in (-HALF_SOC, HALF_SOC))
        voltage = self.sensors.voltage_v[0]
        scale = rc_scale(view, params)
        return Observer(
            noise_v=math.sqrt((voltage.noise_rms**2 + voltage.quantum**2 / 12.0) / self.samples),
            dt_s=self.scene.spec.dt_s,
            slope_v=(high_v - low_v) / (2.0 * HALF_SOC),
            capacity_ah=view.capacity_ah,
            ohm=(view.r0_ohm, *(scale * ohm for ohm in params.rc_ohm)),
            tau_s=(0.0, *params.rc_tau_s),
        )


def rc_scale(view, params) -> float:
    """What temperature, SOC and age make of the RC resistances."""
    place = min(max(view.soc, 0.0), 1.0) * (len(params.ocv_v) - 1)
    factors = params.rc_factor
    factor = factors if isinstance(factors, (int, float)) else factors[round(place)]
    cold_per_ev = (1.0 / (view.temperature_degc + 273.15) - 1.0 / params.reference_k) / 8.617333262e-5
    return factor * math.exp(params.rc_activation_ev * cold_per_ev) * (1.0 + view.resistance_growth_frac)


def pack_of(scene: Scene, soc: float) -> Pack:
    """At rest at the plant's usual temperature and pressure; a short is only what the trial puts in."""
    spec, plant, limits = scene.spec, scene.plant, scene.plant.limits
    cells = [
        replace(cell, filament=FilamentParams(), ageing=aged(scene, cell.ageing))
        for cell in mismatched(plant.cells(spec.seed), scene.luck("mismatch"))
    ]
    return Pack(
        cells,
        plant.stacks,
        plant.stack_of,
        soc=plant.start_soc(soc, spec.seed),
        temperature_degc=limits.temperature_degc,
        pressure_mpa=limits.pressure_mpa,
        seed=spec.seed,
    )


def samples_of(spec: TrialSpec) -> int:
    """Readings of the fast tick in a row of the trial."""
    return max(round(spec.dt_s / FAST_TICK_S), 1)


def sensors_of(scene: Scene) -> TrialSensors:
    """The bench's sensors as the rig draws them for this seed, read by the chips of the pack's board."""
    plant, seed = scene.plant, scene.spec.seed
    shunt_ohm = 1e-6 * believed_pack(scene.spec.profile).parameters["shunt_uohm"]

    def sensor(channel: str, place: int, quantum: float) -> SensorParams:
        name = of_cell(channel, place)
        return replace(drawn(plant.sensors[channel], name, seed), quantum=quantum)

    return TrialSensors(
        voltage_v=[sensor("voltage_v", lead, BUS_QUANTUM_V) for lead in range(scene.leads)],
        current_a=sensor("current_a", 0, SHUNT_QUANTUM_V / shunt_ohm),
        temperature_degc=sensor("temperature_degc", 0, TEMPERATURE_QUANTUM_K),
        pressure_mpa=[sensor("pressure_mpa", stack, PRESSURE_QUANTUM_MPA) for stack in range(plant.stack_count)],
    )
