"""What the host refuses between limit rows that belong together, on both sides of each bound; and what each row's
fault-time budget is made of."""

import pytest
from assb.protocol import schema
from assb_host.config import load_pack
from assb_host.config.budget import budget_terms_ms
from assb_host.config.errors import ConfigError

LIS_UV = load_pack("lis").limits["cell_undervoltage"].trip / 1e6
ONE, TWO, HOT = "li_lpscl_nca", "li_lpscl_nca_2s", "samsung_agc_hot"
UNHEATED = {"limits.heater_unanswered.enabled": False}


@pytest.mark.parametrize(
    ("pack", "taken", "refused", "says"),
    [
        (
            ONE,
            {"limits.voltage_stale.trip_ms": 1000, "limits.voltage_stale.allowed_ms": 2000},
            {"limits.voltage_stale.trip_ms": 1001, "limits.voltage_stale.allowed_ms": 2000},
            "100 periods",
        ),
        (
            ONE,
            {"limits.pressure_stale.trip_ms": 25, "limits.pressure_stale.reset_ms": 10},
            {"limits.pressure_stale.trip_ms": 24, "limits.pressure_stale.reset_ms": 10},
            "two periods",
        ),
        (ONE, {"limits.current_jump.trip_a": 1.81}, {"limits.current_jump.trip_a": 1.8}, "from one current limit"),
        (
            ONE,
            {"limits.pressure_rate.trip_mpa_s": 0.6, "limits.pressure_rate.reset_mpa_s": 0.1},
            {
                "limits.pressure_rate.trip_mpa_s": 0.2,
                "limits.pressure_rate.warn_mpa_s": 0.15,
                "limits.pressure_rate.reset_mpa_s": 0.1,
            },
            "rate_max_mpa_s",
        ),
        (
            "lis",
            {"limits.open_wire.trip_v": LIS_UV - 0.01, "limits.open_wire.reset_v": 2.5},
            {"limits.open_wire.trip_v": LIS_UV, "limits.open_wire.reset_v": 2.5},
            "less than limits.cell_undervoltage",
        ),
        (
            ONE,
            {"limits.voltage_stuck.trip_s": 0.2, "limits.voltage_stuck.reset_s": 0.05},
            {"limits.voltage_stuck.trip_s": 0.19, "limits.voltage_stuck.reset_s": 0.05},
            "20 periods",
        ),
        ("li_lpscl_nca_3s", {"limits.current_stuck.trip_s": 4.0}, {"limits.current_stuck.trip_s": 3.9}, "20 periods"),
        (
            ONE,
            {"limits.forbidden_current.debounce_ms": 100},
            {"limits.forbidden_current.debounce_ms": 99},
            "cycler.stop_ms",
        ),
        (ONE, {"limits.weld_current.debounce_ms": 20}, {"limits.weld_current.debounce_ms": 19}, "contactor.open_ms"),
        (
            ONE,
            {"limits.weld_current.trip_a": 0.006, "limits.weld_current.reset_a": 0.001},
            {"limits.weld_current.trip_a": 0.005, "limits.weld_current.reset_a": 0.001},
            "current.rest_a",
        ),
        (ONE, {}, {"limits.cell_spread.enabled": True}, "nothing to be apart from"),
        (ONE, {}, {"limits.pack_mismatch.enabled": True}, "monitor of the whole pack"),
        (ONE, {}, {"limits.pressure_disagreement.enabled": True}, "second nau7802"),
        (TWO, {"limits.cell_spread.enabled": True}, {"limits.pack_overvoltage.trip_v": 8.71}, "2 times"),
        (TWO, {"limits.pack_overvoltage.trip_v": 8.7}, {"limits.pack_undervoltage.trip_v": 4.79}, "2 times"),
        *[
            (ONE, {f"pressure.{state}_mpa": 5.5}, {f"pressure.{state}_mpa": 5.51}, f"{state}_mpa <= max_mpa")
            for state in ("recovery", "charge", "discharge", "contact")
        ],
        (ONE, {}, {"heater.max_degc": 40.0}, "has no heater"),
        (ONE, {}, {"limits.heater_overtemperature.enabled": True}, "has no heater"),
        (HOT, {"heater.target_degc": 66.0}, {"heater.target_degc": 66.01}, "at most heater.max_degc"),
        (HOT, {"heater.max_degc": 67.99}, {"heater.max_degc": 68.0}, "less than limits.heater_overtemperature"),
        (HOT, {"heater.power_max_w": 80.0}, {"heater.power_max_w": 80.1}, "the power of the board's heater"),
        (
            HOT,
            {"limits.heater_overtemperature.trip_degc": 75.0},
            {"limits.heater_overtemperature.trip_degc": 75.1},
            "at most limits.overtemperature",
        ),
        (HOT, {"heater.max_degc": 0.0, "heater.target_degc": 0.0} | UNHEATED, UNHEATED, "this rig is heated"),
        (ONE, {}, {"supervision.precharge_ms": 50}, "without a precharge path"),
        (ONE, {}, {"supervision.precharge_current_a": 0.1}, "without supervision.precharge_ms"),
        (ONE, {}, {"supervision.precharge_retries": 1}, "more than supervision.precharge_ms"),
        (ONE, {}, {"balancing.start_v": 0.01}, "no bleed switch for each of 1 cells"),
        (TWO, {"balancing.stop_v": 0.0099}, {"balancing.stop_v": 0.01}, "less than balancing.start_v"),
        (TWO, {"balancing.least_v": 4.29}, {"balancing.least_v": 4.3}, "the window of cell"),
        (TWO, {"balancing.hot_degc": 70.0}, {"balancing.hot_degc": 70.1}, "overtemperature"),
        (
            ONE,
            {"watch_rests.most_s": 900},
            {"watch_rests.most_s": 899},
            r"watch_rests.most_s.*at least .*rest_s \(900\)",
        ),
        (
            ONE,
            {"watch_rests.every_s": 900},
            {"watch_rests.every_s": 899},
            r"watch_rests.every_s.*at least .*rest_s \(900\)",
        ),
        (ONE, {"limits.cell_overvoltage.debounce_ms": 60}, {"limits.cell_overvoltage.debounce_ms": 1001}, "1000"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused_and_the_edge_is_taken(pack, taken, refused, says):
    load_pack(pack, changes=taken)
    with pytest.raises(ConfigError, match=says):
        load_pack(pack, changes=refused)


TERMS = ["sample_age_ms", "filter_ms", "debounce_ms", "tick_ms", "slice_ms", "gc_ms", "actuator_ms"]


@pytest.mark.parametrize("row", schema.LIMIT_ROWS, ids=lambda row: row[1])
def test_every_row_has_a_budget_whose_terms_are_named_and_none_is_less_than_nothing(row):
    terms = budget_terms_ms(load_pack(TWO), row[1])
    assert list(terms) == TERMS
    assert all(value >= 0 for value in terms.values())
    makes_itself = ("contactor_mismatch", "self_test_failed", "lease_lapsed")
    assert (terms["sample_age_ms"] > 0) == (row[1] not in makes_itself)
    assert (terms["actuator_ms"] > 0) == (row[7] != "log")


def test_a_quantity_that_is_a_time_has_passed_its_level_only_after_that_time():
    pack = load_pack(ONE)
    assert budget_terms_ms(pack, "voltage_stuck")["sample_age_ms"] > 30000
    assert budget_terms_ms(pack, "voltage_stale")["sample_age_ms"] == 100
    assert budget_terms_ms(pack, "deadline_overrun")["sample_age_ms"] == 50
    assert budget_terms_ms(load_pack("li_lpscl_nca_3s"), "current_stuck")["sample_age_ms"] == 4200


def test_a_jump_takes_two_samples_and_a_rate_its_filter():
    pack = load_pack(ONE)
    one_ms = budget_terms_ms(pack, "cell_overvoltage")["sample_age_ms"]
    assert budget_terms_ms(pack, "voltage_jump")["sample_age_ms"] == 2 * one_ms
    assert budget_terms_ms(pack, "pressure_rate")["filter_ms"] == 1000
