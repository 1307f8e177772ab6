"""What a cell file says of lithium's critical currents, and the tables that the image makes of it."""

import math
from pathlib import Path

import numpy as np
import pytest
from assb.estimation import flat_layout, parameters, power
from assb_host.config import ConfigError, load_pack, shipped_names
from assb_host.config.cell import load_cell
from assb_host.config.image_builder import build_config, estimator_values
from assb_host.config.locate import shipped_folder

CELL = "li_lpscl_nca"
NEITHER_PLATES_NOR_STRIPS = {"lto_nmc"}


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (shipped_folder("cell") / f"{CELL}.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    path = tmp_path / f"{CELL}.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def table(pack, name: str) -> np.ndarray:
    return np.reshape(estimator_values(pack)[name], (parameters.TEMPERATURE_POINTS, parameters.PRESSURE_POINTS))


def interpolated(pack, name: str, temperature_degc: float, pressure_mpa: float) -> float:
    """As the kernel reads it, in A."""
    values = estimator_values(pack)
    by_pressure = [np.interp(pressure_mpa, values["r0_pressure_mpa"], row) for row in table(pack, name)]
    return float(np.interp(temperature_degc, values["r0_temperature_degc"], by_pressure))


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ("stripping_ma_cm2 = [0.2, 1.0]", "stripping_ma_cm2 = [0.2]", "critical_current.stripping_ma_cm2", "2 values"),
        (
            "stripping_ma_cm2 = [0.2, 1.0]",
            "stripping_ma_cm2 = [0.2, -1.0]",
            "critical_current.stripping_ma_cm2[1]",
            "0",
        ),
        (
            "stripping_ma_cm2 = [0.2, 1.0]",
            "stripping_exponent = 1.0",
            "critical_current.stripping_exponent",
            "left out",
        ),
        ("pressure_mpa = [3.0, 7.0]", "pressure_mpa = [7.0, 3.0]", "critical_current.pressure_mpa[1]", "rises"),
        ("safety_frac = 0.9", "safety_frac = 1.1", "critical_current.safety_frac", "1"),
        ("safety_frac = 0.9", "safety_frac = 0.0", "critical_current.safety_frac", "0"),
        ("plating_activation_ev = 0.25", "plating_activation_ev = 25", "critical_current.plating_activation_ev", "1"),
        ("plating_activation_ev = 0.25", "plating_ev = 0.25", "critical_current.plating_ev", "plating_activation_ev"),
        (
            "plating_ma_cm2 = [0.85, 0.95]\nplating_activation_ev = 0.25\nstripping_ma_cm2 = [0.2, 1.0]\n",
            "",
            "critical_current",
            "both",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(tmp_path, old, new, key, allowed):
    with pytest.raises(ConfigError) as caught:
        load_cell(changed(tmp_path, old, new))
    assert caught.value.key == key
    assert allowed in caught.value.allowed


@pytest.mark.parametrize("name", shipped_names("pack"))
def test_every_shipped_pack_makes_limits_that_the_firmware_takes(name):
    power.Power(build_config(load_pack(name)).estimator)


@pytest.mark.parametrize("name", shipped_names("cell"))
def test_every_shipped_cell_says_what_lithium_stands_unless_nothing_plates(name):
    assert (load_cell(shipped_folder("cell") / f"{name}.toml").critical_current is None) == (
        name in NEITHER_PLATES_NOR_STRIPS
    )


def test_a_cell_without_the_table_has_no_such_limit():
    values = estimator_values(load_pack("lto_nmc"))
    assert "plating_limit_a" not in values
    flat = build_config(load_pack("lto_nmc")).estimator
    assert flat[parameters.offset("stripping_limit_a")] == flat_layout.NO_LIMIT_A


def test_given_points_come_back_at_their_temperature_and_pressure():
    """Of 200 cm2; straight lines on the grid lie at most 5 % above the law, well within the safety."""
    pack = load_pack(CELL)
    critical = pack.cell.critical_current
    for mpa, plating, stripping in zip(
        critical.pressure_mpa, critical.plating_ma_cm2, critical.stripping_ma_cm2, strict=True
    ):
        for name, ma_cm2 in (("plating_limit_a", plating), ("stripping_limit_a", stripping)):
            seen_a = interpolated(pack, name, critical.temperature_degc, mpa)
            assert 0.2 * ma_cm2 * 0.999 <= seen_a <= 0.2 * ma_cm2 * 1.05
            assert seen_a * critical.safety_frac < 0.2 * ma_cm2


def test_warmer_is_more_by_arrhenius_and_pressed_is_more():
    pack = load_pack(CELL)
    cool, warm = (interpolated(pack, "plating_limit_a", degc, 5.0) for degc in (25.0, 60.0))
    assert warm / cool == pytest.approx(math.exp(0.25 / 8.617e-5 * (1 / 298.15 - 1 / 333.15)), rel=0.02)
    for name in ("plating_limit_a", "stripping_limit_a"):
        assert (np.diff(table(pack, name), axis=1) > 0).all()
        assert (np.diff(table(pack, name), axis=0) >= 0).all()


def test_a_single_point_goes_by_its_exponent():
    pack = load_pack("liin_tis2")
    at, double = (interpolated(pack, "stripping_limit_a", 25.0, mpa) for mpa in (35.0, 70.0))
    assert double / at == pytest.approx(2.0, rel=0.02)


def test_the_windows_are_those_of_the_cell_and_the_hottest_is_the_rows_trip():
    pack = load_pack(CELL)
    values = estimator_values(pack)
    assert values["hot_zero_degc"] == 70.0 < pack.cell.temperature.max_degc
    assert (
        estimator_values(load_pack(CELL, changes={"limits.overtemperature.trip_degc": 80.0}))["hot_zero_degc"] == 80.0
    )
    assert (values["window_min_v"], values["window_max_v"]) == (2.5, 4.3)
    assert values["charge_zero_degc"] < values["charge_full_degc"] < values["hot_full_degc"]
    assert values["contact_full_mpa"] == 3.0
    assert values["pressed_full_mpa"] == 7.0
