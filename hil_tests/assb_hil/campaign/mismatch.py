"""How far a trial's cells are from what the estimator believes of their kind: one table, drawn once per trial.

The plant's file and the firmware's cell file differ already; this is what differs between the cell that was
characterised and the cells at hand. What differs within a pack is the plant file's own spread, on top.
"""

import math
import random
from dataclasses import dataclass, fields, replace

from assb_kernels import CellParams

SIGMAS_MOST = 3.0  # no draw goes further (assumption: what is further off is sorted out as a bad cell)
OCV_SIGMA_V = 0.001  # A: what a characterisation at C/50 leaves, see docs/fit.md
OCV_CORRELATION_SOC = 0.08  # A: the width of the features of an OCV curve


@dataclass(frozen=True)
class Spread:
    """1-sigma of a relative error that these parameters share; where a parameter has several values, each draws its
    own."""

    name: str
    sigma_frac: float
    parameters: tuple[str, ...]
    source: str


SPREADS = (
    Spread("capacity", 0.01, ("capacity_ah",), "A: hand-made cells"),
    Spread("ohmic resistance", 0.05, ("se_ohm_cm2", "contact_ohm_cm2"), "A: hand-made cells"),
    Spread("RC resistances", 0.15, ("rc_ohm",), "A: two pairs fitted to three"),
    Spread("RC times", 0.15, ("rc_tau_s",), "A: two pairs fitted to three"),
    Spread("hysteresis", 0.20, ("hysteresis_v",), "A: it depends on the cell's history"),
    Spread("heat capacity", 0.20, ("core_j_per_k", "surface_j_per_k"), "A: plates and leads are the rig's own"),
    Spread("cooling", 0.20, ("core_surface_w_per_k", "surface_ambient_w_per_k"), "A: the rig's own draught"),
    Spread(
        "activation energies",
        0.03,
        ("se_activation_ev", "contact_activation_ev", "rc_activation_ev"),
        "A: a fit over four temperatures",
    ),
    Spread("contact exponent", 0.05, ("contact_exponent",), "V: P^-0.5 to -0.6; A: so much between cells"),
    Spread("swelling", 0.05, ("swelling_um_per_mah_cm2",), "A: utilisation differs"),
)


def mismatched(cells: list[CellParams], luck: random.Random) -> list[CellParams]:
    """The cells of a pack, all changed by the same draw."""
    factors = {
        name: drawn for spread in SPREADS for name, drawn in zip(spread.parameters, _factors(spread, luck), strict=True)
    }
    error_v = ocv_error_v(len(cells[0].ocv_v), luck)
    return [_changed(cell, factors, error_v) for cell in cells]


def _factors(spread: Spread, luck: random.Random) -> list[tuple[float, ...]]:
    """For each parameter of the row, of each of its values."""
    defaults = {field.name: field.default for field in fields(CellParams)}
    several = isinstance(defaults[spread.parameters[0]], tuple)
    draws = tuple(1.0 + spread.sigma_frac * _normal(luck) for _ in range(3 if several else 1))
    return [draws] * len(spread.parameters)


def _normal(luck: random.Random) -> float:
    return min(max(luck.gauss(0.0, 1.0), -SIGMAS_MOST), SIGMAS_MOST)


def _changed(cell: CellParams, factors: dict[str, tuple[float, ...]], error_v: list[float]) -> CellParams:
    changes = {}
    for name, drawn in factors.items():
        value = getattr(cell, name)
        if isinstance(value, tuple | list):
            changes[name] = tuple(each * factor for each, factor in zip(value, drawn, strict=True))
        else:
            changes[name] = value * drawn[0]
    ocv_v = [volts + error for volts, error in zip(cell.ocv_v, error_v, strict=True)]
    return replace(cell, ocv_v=ocv_v, **changes)


def ocv_error_v(points: int, luck: random.Random) -> list[float]:
    """A smooth curve over SOC 0..1: rms OCV_SIGMA_V, Gaussian correlation exp(-d^2/(2 OCV_CORRELATION_SOC^2))."""
    width = OCV_CORRELATION_SOC / math.sqrt(2.0)
    centres = [width * k for k in range(-3, math.ceil(1.0 / width) + 4)]
    heights = [_normal(luck) for _ in centres]
    curve = []
    for k in range(points):
        shares = [math.exp(-0.5 * ((k / (points - 1) - centre) / width) ** 2) for centre in centres]
        norm = math.sqrt(sum(share * share for share in shares))
        total = sum(share * height for share, height in zip(shares, heights, strict=True))
        curve.append(OCV_SIGMA_V * total / norm)
    return curve
