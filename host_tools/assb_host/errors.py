"""Errors for people: what was seen, where, what to do; and the exit code that tells a script which kind it was."""

EXIT_OK = 0
EXIT_FAILED = 1  # the command ran and what it checked did not hold
EXIT_USAGE = 2  # click's own code for a wrong command line
EXIT_CONFIG = 3
EXIT_PORT = 4
EXIT_LINK = 5
EXIT_REFUSED = 6
EXIT_MISMATCH = 7
EXIT_FLASH = 8
EXIT_NOT_RUNNING = 9
EXIT_TOOL = 10
EXIT_ROLLED_BACK = 11
EXIT_INTERRUPTED = 130

EXIT_CODES = (
    (EXIT_OK, "done, and every check held"),
    (EXIT_FAILED, "the command ran; a check did not hold"),
    (EXIT_USAGE, "wrong command line"),
    (EXIT_CONFIG, "wrong configuration: TOML file or config image"),
    (EXIT_PORT, "port absent, busy, or lost"),
    (EXIT_LINK, "the board did not answer, or not in a language that this host knows"),
    (EXIT_REFUSED, "the board refused a command"),
    (EXIT_MISMATCH, "flash: the board does not fit the image; nothing was written"),
    (EXIT_FLASH, "flash: writing or verifying failed; flash again to mend the board"),
    (EXIT_NOT_RUNNING, "flash: written and verified, but the board did not come up with it"),
    (EXIT_TOOL, "a program that is needed is missing: micropython, mpy-cross, a C compiler"),
    (EXIT_ROLLED_BACK, "flash: the board did not accept the new firmware and runs what it ran before"),
    (EXIT_INTERRUPTED, "interrupted: Ctrl-C, SIGTERM, a terminal that hangs up"),
)


class AssbError(Exception):
    """An error that a user can act on. `seen` is always there; `where` and `remedy` when they are known."""

    exit_code = EXIT_FAILED

    def __init__(self, seen: str, where: str = "", remedy: str = ""):
        super().__init__("; ".join(part for part in (seen, where, remedy) if part))
        self.seen = seen
        self.where = where
        self.remedy = remedy


class PortError(AssbError):
    """A port that is absent, busy or went away."""

    exit_code = EXIT_PORT


class LinkError(AssbError):
    """No answer within the deadline, or an answer that makes no sense."""

    exit_code = EXIT_LINK


class RefusedError(AssbError):
    """The board answered `!err`; `reason` is its word for why."""

    exit_code = EXIT_REFUSED

    def __init__(self, reason: str, where: str = "", remedy: str = ""):
        super().__init__(f"the board refused: {reason}", where, remedy)
        self.reason = reason


class MismatchError(AssbError):
    """The board can't run what would be written; it was left untouched."""

    exit_code = EXIT_MISMATCH


class FlashError(AssbError):
    """Writing or verifying failed."""

    exit_code = EXIT_FLASH


class NotRunningError(AssbError):
    """Everything is on the board, but it does not report the version, schema or configuration just written."""

    exit_code = EXIT_NOT_RUNNING


class RolledBackError(AssbError):
    """New firmware did not confirm itself on the board, which went back to the slot that it ran before."""

    exit_code = EXIT_ROLLED_BACK


class ToolError(AssbError):
    """A program that is needed is missing."""

    exit_code = EXIT_TOOL
