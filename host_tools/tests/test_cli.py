"""The command line: quick to start, errors that say what to do, exit codes that mean something."""

import signal
import subprocess
import sys

import click
import pytest
from assb import VERSION
from assb_host import cli, errors
from assb_host.commands import stop
from assb_host.errors import LinkError


def assb(*arguments):
    return subprocess.run([sys.executable, "-m", "assb_host", *arguments], capture_output=True, text=True, check=False)


def test_version_is_the_firmware_version():
    done = assb("--version")
    assert (done.returncode, done.stdout) == (0, "assb {}.{}.{}\n".format(*VERSION))


def test_starting_imports_no_command_and_nothing_heavy():
    """What `assb --help` costs is what it imports; `assb_host.cli` looks a command up by its name."""
    code = "import sys, assb_host.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert sorted(name for name in names if name.startswith("assb_host.")) == ["assb_host.cli", "assb_host.errors"]
    assert not names & {
        "matplotlib",
        "msgspec",
        "numpy",
        "rich",
        "serial",
        "mpremote",
        "assb_kernels",
        "assb_hil",
        "cffi",
    }


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_of_the_table_exists_and_is_explained(name):
    command = cli.cli.get_command(None, name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_an_unknown_command_is_a_usage_error():
    done = assb("frobnicate")
    assert done.returncode == errors.EXIT_USAGE
    assert done.stderr.startswith("assb: error: No such command 'frobnicate'")
    assert "assb --help" in done.stderr


@pytest.mark.parametrize("group", [(), ("config",)])
def test_a_bare_group_prints_its_help_and_no_error(group):
    done = assb(*group)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == assb(*group, "--help").stdout


def test_an_error_says_what_where_and_what_to_do():
    done = assb("send", "--port", "/dev/ttyABSENT7", "hello")
    assert done.returncode == errors.EXIT_PORT
    assert done.stderr.startswith("assb: error: no such port; /dev/ttyABSENT7; plug the board in")
    assert "Traceback" not in done.stderr


def test_exit_codes_are_distinct_and_listed_in_the_help():
    codes = [code for code, _ in errors.EXIT_CODES]
    assert len(set(codes)) == len(codes)
    kinds = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.AssbError)
    ]
    assert {kind.exit_code for kind in kinds} <= set(codes)
    done = assb("--help")
    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    for code, meaning in errors.EXIT_CODES:
        assert f"{code} {meaning}" in shown


class HardOfHearing:
    """A link whose board answers the `answers`-th time it is asked."""

    def __init__(self, answers):
        self.asked, self.answers = 0, answers

    def request(self, name):
        self.asked += 1
        if self.asked < self.answers:
            raise LinkError(f"no reply to `{name}` in 2 s")


def test_stop_is_sent_again_until_it_is_heard_three_times_at_most():
    for answers in (1, 3):
        link = HardOfHearing(answers)
        stop.ask(link)
        assert link.asked == answers
    with pytest.raises(LinkError):
        stop.ask(HardOfHearing(4))


TALKS_UNTIL_INTERRUPTED = """
import sys
from assb_host import cli
def run(arguments):
    try:
        while True:
            print("runs", flush=True)
            sys.stdin.readline()
    except KeyboardInterrupt:
        print("puts right", flush=True)
        sys.stdin.readline()
        return 130
cli.run = run
cli.main()
"""


def talking(**kwargs):
    command = [sys.executable, "-c", TALKS_UNTIL_INTERRUPTED]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **kwargs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_is_ended_by_a_signal_as_by_ctrl_c_and_not_broken_into_by_a_second_one(number):
    with talking() as process:
        assert process.stdout.readline() == "runs\n"
        process.send_signal(number)
        assert process.stdout.readline() == "puts right\n"
        for another in (signal.SIGTERM, signal.SIGHUP):
            process.send_signal(another)
        process.stdin.write("\n")
        assert process.wait(20) == errors.EXIT_INTERRUPTED


def test_a_command_under_nohup_outlives_its_terminal():
    with talking(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signal.SIGHUP)
        process.stdin.write("\n")
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "puts right\n"
        process.stdin.write("\n")
        assert process.wait(20) == errors.EXIT_INTERRUPTED
