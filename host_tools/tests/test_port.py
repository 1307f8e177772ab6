"""A port has one holder, and whoever comes second, or to a port that is not there, is told in plain words."""

import os
import pty

import pytest
from assb_host.errors import PortError
from assb_host.link.console import SerialConsole, open_port
from assb_host.link.target import open_target
from terminals import holder


def test_bytes_pass_both_ways(terminal):
    master, path = terminal
    with SerialConsole(path) as console:
        os.write(master, b"\x00\x03abc")
        assert console.read(5.0) == b"\x00\x03abc"
        console.write(b"\x00x\n\x03")
        assert os.read(master, 10) == b"\x00x\n\x03"


def test_the_second_process_is_told_who_has_the_port_alone(terminal):
    _, path = terminal
    process = holder("ExclusiveConsole", path, "assb flash")
    try:
        with pytest.raises(PortError, match=rf"busy: assb flash \(process {process.pid}, since .*{path}"):
            SerialConsole(path)
    finally:
        process.communicate("")
    SerialConsole(path).close()


def test_a_port_is_free_again_after_its_holder_was_killed(terminal):
    _, path = terminal
    process = holder("ExclusiveConsole", path, "assb flash")
    process.kill()
    process.communicate()
    SerialConsole(path).close()


def test_a_port_held_by_a_foreign_program_is_busy(terminal):
    import serial

    _, path = terminal
    with serial.Serial(path, exclusive=True), pytest.raises(PortError, match="busy: another program"):
        SerialConsole(path)


def test_a_port_is_free_after_close_though_a_forked_child_has_it_still(terminal):
    _, path = terminal
    port = open_port(path)
    in_child = os.dup(port.fileno())  # what a fork leaves until its exec
    port.close()
    open_port(path).close()
    os.close(in_child)


@pytest.mark.parametrize(
    ("path", "seen"), [("/dev/ttyABSENT7", "no such port"), ("/etc/hostname", "not a serial port|can't be opened")]
)
def test_an_absent_or_wrong_port_is_named(path, seen):
    with pytest.raises(PortError, match=seen) as caught:
        SerialConsole(path)
    assert path in str(caught.value)


def test_a_port_that_goes_away_is_a_clear_error():
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    with SerialConsole(path) as console:
        os.close(master)
        with pytest.raises(PortError, match="went away"):
            console.read(5.0)


def test_an_unknown_device_under_test_lists_the_known_ones():
    with pytest.raises(PortError, match="no such device under test; nonsense; known: "), open_target(dut="nonsense"):
        pass


def test_a_port_and_a_device_under_test_exclude_each_other():
    with pytest.raises(PortError, match="both"), open_target(port="/dev/ttyACM0", dut="virtual"):
        pass
