"""A step test finds what a press is, whatever the firmware believed before; the report's bounds are what is seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
from assb.protocol import schema
from assb_hil import press_step_test
from assb_hil.commands.pressure import PressError, chosen_step_kpa, home_screw, pressure
from assb_hil.plant_file import load_plant
from assb_hil.press_report import of_board, of_frames, of_rig
from assb_hil.press_rigs import FIXED_GAP, RIGS, PressedPack, press_lag_s
from assb_hil.press_step_test import on_board, on_rig, wait_until_pressed
from assb_hil.press_tuning import TICK_S, Trace, expected_errors, find_press, integral_gain_per_s, settings, staircase
from assb_hil.scenario import Host, load_scenario
from assb_hil.session import open_session
from assb_host.errors import AssbError, LinkError
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from click.testing import CliRunner

PROFILE = "li_lpscl_nca"
AIR, SPRING, STIFF = RIGS


def step_tested(rig, **changes):
    pressed = PressedPack(PROFILE, rig, soc=0.5, seed=3, changes=changes)
    trace = on_rig(pressed, 400.0)
    screw = pressed.parameters["pressure_by_position"]
    return pressed, find_press(trace, float(pressed.parameters["stack_stiffness_kpa_per_um"]) if screw else None)


@pytest.mark.parametrize(("rig", "believed"), [(SPRING, 6), (SPRING, 15), (STIFF, 120), (STIFF, 300)])
def test_the_stiffness_and_the_backlash_of_a_screw_are_found_from_a_belief_that_is_far_off(rig, believed):
    pressed, press = step_tested(
        rig, stack_stiffness_kpa_per_um=believed, pressure_play_kpa=0, pressure_ki_ppm_s=150000
    )
    stack, actuator = pressed.plant.stacks[0].stack, pressed.plant.stacks[0].actuator
    assert press.stiffness_kpa_per_um == pytest.approx(1000.0 * stack.stiffness_mpa_per_um, rel=0.03)
    true_kpa = 1000.0 * stack.stiffness_mpa_per_um * actuator.backlash_um
    assert press.play_kpa == pytest.approx(true_kpa, abs=max(0.1 * true_kpa, pressed.quantum_kpa))
    assert press.noise_kpa == pytest.approx(1.5, abs=1.0)


def test_the_play_and_the_lag_of_an_air_press_are_found():
    pressed, press = step_tested(AIR, pressure_play_kpa=0, pressure_ki_ppm_s=150000)
    actuator = pressed.plant.stacks[0].actuator
    assert press.stiffness_kpa_per_um is None
    assert press.play_kpa == pytest.approx(
        1000.0 * (actuator.hysteresis_mpa + 2 * actuator.piston_friction_mpa), rel=0.1
    )
    assert press.lag_s == pytest.approx(press_lag_s(pressed.plant) + TICK_S, abs=0.2)
    keys = settings(press, pressed.quantum_kpa)
    assert keys["integral_gain_per_s"] == pytest.approx(integral_gain_per_s(press_lag_s(pressed.plant)), rel=0.2)
    assert "stiffness_mpa_per_um" not in keys


@pytest.mark.parametrize(("command", "gain", "says"), [
    (5000.0 + 0 * np.arange(600), 1.0, "too little"),
    (5000.0 + 300.0 * np.sin(np.arange(600) / 20.0), 0.0, "does not follow"),
])  # fmt: skip
def test_a_trace_that_shows_nothing_is_refused(command, gain, says):
    noise = np.random.default_rng(1).normal(0.0, 2.0, 600)
    with pytest.raises(ValueError, match=says):
        find_press(Trace(TICK_S, command, 5000.0 + gain * (command - 5000.0) + noise), 50.0)


def test_a_staircase_gives_each_ramp_its_time_and_ends_high():
    targets = list(staircase(4600.0, 5400.0, 200.0, 20.0, rounds=2))
    assert len(targets) == 5 * 240
    assert (targets[0], targets[300], targets[-1]) == (5400.0, 4600.0, 5400.0)


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.name)
def test_what_the_report_expects_is_what_the_load_cell_shows_within_a_factor_of_two(rig):
    found = of_rig(PressedPack("lto_nmc", rig, soc=0.05, seed=1))
    assert found.kind == "simulated"
    assert found.errors.rms_kpa / 2 <= found.rms_kpa <= 2 * found.errors.rms_kpa
    assert found.errors.bound == "actuator quantum"


@pytest.mark.parametrize(("changed", "bound"), [
    ({}, "actuator quantum"), ({"noise_kpa": 30.0}, "sensor noise"), ({"grows_kpa_s": 500.0}, "loop"),
])  # fmt: skip
def test_the_largest_bound_is_named(changed, bound):
    plain = {"quantum_kpa": 20.0, "noise_kpa": 1.5, "lag_s": 0.1, "play_kpa": 400.0, "grows_kpa_s": 0.1, "air": False}
    errors = expected_errors(**{**plain, **changed})
    assert errors.bound == bound
    assert errors.rms_kpa >= max(errors.quantum_kpa, errors.sensor_kpa, errors.loop_kpa)


def test_a_rig_that_is_not_regulated_is_refused():
    for call in (lambda pressed: on_rig(pressed, 100.0), of_rig):
        with pytest.raises(ValueError, match="not regulated"):
            call(PressedPack(PROFILE, FIXED_GAP, soc=0.5, seed=1))


@pytest.mark.bench(events=("lease_lapsed",), trips=("lease_lapsed",))
def test_a_board_is_tested_over_its_link_and_gets_its_target_back(dut, monkeypatch):
    link = Link(DutConsole(dut))
    link.hello(10.0)
    with pytest.raises(LinkError, match="SAFE, not pressed"):
        wait_until_pressed(link, 3.0)
    link.request("arm")
    link.keep_lease(1.0)
    wait_until_pressed(link, 60.0)
    monkeypatch.setattr(press_step_test, "HOLD_S", 8.0)
    trace = on_board(link, 300)
    assert link.request("get", name="pressure_target_kpa")["value"] == "5000"
    actuator = load_plant(PROFILE).stacks[0].actuator
    press = find_press(trace, None)
    assert press.play_kpa == pytest.approx(
        1000.0 * (actuator.hysteresis_mpa + 2 * actuator.piston_friction_mpa), abs=20
    )
    of_board(link, 15.0)  # on its way back
    listened = of_board(link, 15.0)
    assert listened.kind == "as the board tells it"
    assert listened.rms_kpa <= 30.0
    link.drop_lease()
    with pytest.raises(LinkError, match="in the middle of the test"):  # nobody renews the lease any more
        on_board(link, 300)
    asks = link.request

    def dies(command, **arguments):
        """After the first target of the test."""
        reply = asks(command, **arguments)
        if command == "set":
            link.request = unplugged
        return reply

    def unplugged(command, **arguments):
        raise LinkError("no reply", "the cable")

    link.request = dies
    with pytest.raises(LinkError, match=r"in the middle.* target of 5300 kPa.*params set pressure_target_kpa=5000"):
        on_board(link, 300)
    link.request = asks
    with pytest.raises(LinkError, match=r"target is 5300 kPa, not the 5000 kPa of its image.*pressure_target_kpa=5000"):
        on_board(link, 300)
    assert asks("get", name="pressure_target_kpa")["value"] == "5300"  # that refusal sets nothing


def test_a_pack_with_a_pressure_for_charge_and_one_for_discharge_is_judged_about_each_as_it_ramps():
    p = {
        "pressure_quantum_kpa": 2, "pressure_lead_ms": 1000, "pressure_play_kpa": 60, "swelling_nm_per_mah": 10000,
        "stack_stiffness_kpa_per_um": 10, "pressure_by_position": 0, "pressure_rate_max_kpa_s": 100,
    }  # fmt: skip
    noise_kpa = np.random.default_rng(1).normal(0.0, 2.0, 1200)
    frames, setpoint_kpa = [], 4700.0
    for k in range(1200):
        target_kpa = 4700 if k < 600 else 5300
        setpoint_kpa = min(setpoint_kpa + 10.0, target_kpa)
        fields = {
            "pressure_kpa": setpoint_kpa + noise_kpa[k], "pressure_command_kpa": setpoint_kpa, "current_ua": 0,
            "pressure_target_kpa": target_kpa,
        }  # fmt: skip
        frames.append(Frame(schema.PACK, "PACK", 0, k, 100 * k, 0, fields))
    found = of_frames("board", frames, p)
    assert found.target_kpa == 5300
    assert found.rms_kpa == pytest.approx(2.0, abs=0.5)
    assert found.peak_kpa < 20.0  # the frames' times are resampled by a tick at most


@pytest.mark.parametrize(
    ("low_kpa", "high_kpa", "step_mpa", "step_kpa"),
    [(4550, 5500, None, 360), (3000, 8000, None, 400), (4550, 5500, 0.45, 450), (4550, 5500, 0.451, None),
     (3000, 8000, 1.9, 1900), (5000, 5500, 0.01, None)],
)  # fmt: skip
def test_a_step_may_use_the_room_of_the_window_and_no_more(low_kpa, high_kpa, step_mpa, step_kpa):
    p = {"pressure_target_kpa": 5000, "pressure_min_kpa": low_kpa, "pressure_max_kpa": high_kpa}
    if step_kpa is None:
        with pytest.raises(PressError, match="leaves the window; a board; take at most 0"):
            chosen_step_kpa(p, step_mpa, "a board")
        return
    assert chosen_step_kpa(p, step_mpa, "a board") == step_kpa


def test_a_step_out_of_the_window_is_refused_on_a_simulated_rig_too():
    done = CliRunner().invoke(pressure, ["tune", "--profile", "lto_nmc", "--rig", "spring_stepper", "--step-mpa", "20"])
    assert isinstance(done.exception, PressError)


@pytest.mark.parametrize("command", ["tune", "report"])
def test_the_commands_print_json_and_leave_a_plot(command, tmp_path):
    options = [command, "--profile", "liin_tis2", "--rig", "spring_stepper", "--json", "--out", str(tmp_path)]
    done = CliRunner().invoke(pressure, options)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told == json.loads((tmp_path / f"pressure_{command}.json").read_text())
    assert (tmp_path / f"pressure_{command}.png").read_bytes().startswith(b"\x89PNG")
    plain = CliRunner().invoke(pressure, options[:5])
    assert "the limit is the" in plain.output
    refused = CliRunner().invoke(pressure, [command, "--profile", "lead_acid"])
    assert refused.exit_code == 2
    assert "li_lpscl_nca" in refused.output


def wait_for_safe(link):
    safe = schema.STATES.index("SAFE")
    link.wait_for(lambda item: getattr(item, "type", None) == schema.PACK and item.fields["state"] == safe, 10.0)


def test_a_screw_homes_in_safe_alone_and_opens_to_its_switch():
    scenario = replace(load_scenario("screw_press/holds"), host=Host(arm_at_s=None), loads=())
    with open_session(scenario) as session:
        session.start()
        link, stack = Link(DutConsole(session.dut)), session.rig.plant.stacks[0]
        wait_for_safe(link)
        link.request("arm")
        with pytest.raises(AssbError, match="not_safe"):
            home_screw(link, 1.0)
        link.request("stop")
        wait_for_safe(link)
        assert not stack.at_max
        home_screw(link, 120.0)
        assert stack.at_max
        assert stack.pressure_mpa < 25.0  # it stood at 47 MPa; this screw has 3 mm to open on 0.01 MPa/um


def event_of(item):
    return item.fields["event"] if getattr(item, "type", None) == schema.EVENT else None


def stands(stack, link):
    """Its pressure now and, seconds later, then."""
    before_mpa = stack.pressure_mpa
    for _ in range(3):
        link.wait_for(lambda item: getattr(item, "type", None) == schema.HEALTH, 5.0)
    return stack.pressure_mpa == pytest.approx(before_mpa, abs=0.05)


def test_homing_ends_with_the_command_that_asked_for_it_with_its_lease_and_when_no_switch_comes(monkeypatch):
    scenario = replace(load_scenario("screw_press/holds"), host=Host(arm_at_s=None), loads=())
    with open_session(scenario) as session:
        session.start()
        link, stack = Link(DutConsole(session.dut)), session.rig.plant.stacks[0]
        wait_for_safe(link)
        with pytest.raises(LinkError, match="no the open limit switch in 2 s"):
            home_screw(link, 2.0)
        assert stack.pressure_mpa < 46.0
        link.wait_for(lambda item: getattr(item, "type", None) == schema.HEALTH, 5.0)  # under way when it was stopped
        assert stands(stack, link)
        wait_for = link.wait_for

        def interrupted(wanted, deadline_s, what=""):
            if what == "the open limit switch":
                wait_for(lambda item: getattr(item, "type", None) == schema.HEALTH, deadline_s)
                raise KeyboardInterrupt
            return wait_for(wanted, deadline_s, what)

        monkeypatch.setattr(link, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            home_screw(link, 60.0)
        monkeypatch.undo()
        assert stands(stack, link)
        link.request("home")  # and nothing more: its cable is pulled
        link.wait_for(lambda item: event_of(item) == schema.EV_PRESS_NOT_HOMED, 7.0)
        assert stands(stack, link)
        session.rig.wiring.switch = lambda pin: 1 - session.rig.wiring.switch_level  # both open, for ever
        with pytest.raises(AssbError, match="without the open limit switch"):
            home_screw(link, 200.0)
        assert stands(stack, link)


def test_an_air_press_has_nothing_to_home(dut):
    link = Link(DutConsole(dut))
    wait_for_safe(link)
    with pytest.raises(AssbError, match="no_switch"):
        home_screw(link, 1.0)
