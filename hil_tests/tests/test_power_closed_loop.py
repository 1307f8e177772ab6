"""A fast charge as fast as lithium allows: the simulated cell, asked for 4C, under the firmware's limits.

The plant's parameters are not the firmware's, so the margins here are those of the profile and not of an identity.
"""

import math

import pytest
from assb_hil.plant_file import load_plant
from assb_host.config import load_pack
from assb_host.config.image_builder import build_config
from assb_kernels import Estimator, Power

ASKED_C = 4.0
BOLTZMANN_EV_PER_K, ZERO_K, REFERENCE_K = 8.617333262e-5, 273.15, 298.15
PLATING_SHARE_MOST = 0.9  # of the plant's own critical current
VOLTAGE_MARGIN_V = 0.010
TICK_S, LIMIT_TICKS = 0.1, 10


def plating_limit_ma_cm2(params, temperature_degc: float, pressure_mpa: float) -> float:
    """The plant's own law, and where voids crowd the current, less (assb_filament.c)."""
    filament = params.filament
    kelvin = temperature_degc + ZERO_K
    warm = math.exp(filament.ccd_activation_ev / BOLTZMANN_EV_PER_K * (1 / REFERENCE_K - 1 / kelvin))
    return filament.ccd_ma_cm2 * warm * (pressure_mpa / filament.pressure_mpa) ** filament.ccd_pressure_exponent


class Charge:
    """For some seconds; keeps the worst that the plant saw, and the currents that were let through."""

    def __init__(self, temperature_degc: float, soc: float, seconds: float, limits_apply: bool = True):
        plant = load_plant("li_lpscl_nca")
        self.params = plant.cell
        self.pack = plant.pack(soc, temperature_degc, 5.0, 1)
        flat = list(build_config(load_pack("li_lpscl_nca")).estimator)
        self.estimator, self.power = Estimator(flat), Power(flat)
        self.estimator.reset(soc, 0.02)
        self.limits_apply = limits_apply
        self.temperature_degc = temperature_degc
        self.asked_a = ASKED_C * self.params.capacity_ah
        self.plating_share, self.highest_v, self.given_a, self.bounds = 0.0, 0.0, [], set()
        self.run(round(seconds / TICK_S))

    def run(self, ticks: int) -> None:
        current_a, cell, stack = 0.0, self.pack.cells[0], self.pack.stacks[0]
        area_cm2 = self.params.layers * self.params.layer_area_cm2
        for tick in range(ticks):
            seen = (self.pack.voltage_v, current_a, cell.surface_degc, stack.pressure_mpa, TICK_S)
            assert self.estimator.step(*seen) == 0
            if tick % LIMIT_TICKS == 0:
                limit = self.power.limits(self.estimator, True, seen[2], seen[3])
                current_a = min(self.asked_a, limit.current_a[1]) if self.limits_apply else self.asked_a
                self.bounds.add(limit.bound[1])
                self.given_a.append(current_a)
            self.pack.step(current_a, TICK_S, self.temperature_degc, aim_mpa=5.0)
            critical = plating_limit_ma_cm2(self.params, cell.temperature_degc, stack.pressure_mpa)
            plating_ma_cm2 = 1000 * current_a / area_cm2 * (1 + self.params.filament.void_focus * cell.theta)
            self.plating_share = max(self.plating_share, plating_ma_cm2 / critical)
            self.highest_v = max(self.highest_v, cell.voltage_v)


@pytest.mark.parametrize("temperature_degc", [25.0, 60.0])
def test_a_charge_asked_for_at_4c_stays_below_what_the_plant_plates_evenly(temperature_degc):
    charge = Charge(temperature_degc, 0.3, 600)
    assert 0.5 < charge.plating_share <= PLATING_SHARE_MOST
    assert "plating" in charge.bounds
    assert min(charge.given_a) > 0


def test_warm_lithium_is_charged_more_than_twice_as_fast():
    cool, warm = (sum(Charge(t, 0.3, 120).given_a) for t in (25.0, 59.0))
    assert warm > 2 * cool


@pytest.mark.parametrize("temperature_degc", [25.0, 60.0])
def test_near_full_the_voltage_stays_in_its_window(temperature_degc):
    charge = Charge(temperature_degc, 0.97, 900)
    assert charge.highest_v <= load_pack("li_lpscl_nca").cell.voltage.max_v + VOLTAGE_MARGIN_V
    assert charge.bounds & {"voltage", "soc"}
    assert 0.5 < charge.plating_share <= PLATING_SHARE_MOST


def test_without_the_limit_the_same_charge_breaks_both():
    charge = Charge(25.0, 0.97, 30, limits_apply=False)
    assert charge.plating_share > 6
    assert charge.highest_v > load_pack("li_lpscl_nca").cell.voltage.max_v + VOLTAGE_MARGIN_V
