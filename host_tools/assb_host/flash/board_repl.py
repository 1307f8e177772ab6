"""A board's raw REPL, by mpremote's transport, over a port that is already ours.

mpremote 1.29 is pinned; test_mpremote_contract.py says what is relied on. It does not say why it stopped waiting,
prints to standard output and raises struct.error from a dead board: all of that becomes an error for people here.
"""

import ast
import contextlib
import io
import struct
import time

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from assb_host.errors import FlashError, LinkError
from assb_host.link.console import ExclusiveConsole, lost
from assb_host.link.link import command_line

BYTE_DEADLINE_S = 10.0  # between two bytes of an answer: a copy of a file on a worn flash is silent for seconds
WHOLE_ANSWER_DEADLINE_S = 120.0  # of all its bytes: firmware that was started by a reset speaks for ever
ENTER_DEADLINE_S = 5
UPDATE_DEADLINE_S = 10.0  # from `update` to the prompt: outputs off, reset, boot
ANSWER_DEADLINE_S = 1.0
PROMPT = b">>> "
REMEDY = "reset the board by its button or power, then flash again; is MicroPython on it?"


class OpenedTransport(SerialTransport):
    """mpremote's transport on a port that is open already; its own constructor opens one, retries and prints."""

    def __init__(self, port: serial.Serial, whole_answer_s: float):
        self.whole_answer_s = whole_answer_s
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = port.port
        self.mounted = False
        self.serial = port
        # Read with the port's own timeout, not by polling every 10 ms: needed on a pseudo-terminal, quicker on all
        self.is_pty = True

    def read_until(self, min_num_bytes, ending, timeout: float | None = 10, data_consumer=None, timeout_overall=None):
        """mpremote waits ten seconds, or for ever, for the next byte, and for ever while bytes come; a board that is
        well answers sooner. Like there, what came instead is returned; the caller sees that the ending lacks."""
        end_s = time.monotonic() + min(timeout_overall or self.whole_answer_s, self.whole_answer_s)
        timeout = BYTE_DEADLINE_S if timeout is None else min(timeout, BYTE_DEADLINE_S)
        heard_s, data = time.monotonic(), b""
        while not data.endswith(ending) and time.monotonic() < min(heard_s + timeout, end_s):
            byte = self.serial.read(1)
            if byte:
                heard_s = time.monotonic()
                data = byte if data_consumer else data + byte
                if data_consumer:
                    data_consumer(byte)
        return data


class BoardError(FlashError):
    """Code on the board raised; `traceback` is what it printed."""

    def __init__(self, traceback: str, where: str):
        lines = traceback.strip().splitlines()
        super().__init__(f"the board raised {lines[-1] if lines else 'an exception'}", where, "flash again")
        self.traceback = traceback


class BoardRepl:
    """Use as a context: inside it the board is in its raw REPL, and it never stays there. An answer that still comes
    after `whole_answer_s` is given up on."""

    def __init__(self, console: ExclusiveConsole, whole_answer_s: float = WHOLE_ANSWER_DEADLINE_S):
        self.console = console
        console.port.timeout = BYTE_DEADLINE_S
        self.transport = OpenedTransport(console.port, whole_answer_s)

    def __enter__(self):
        self._ask_to_update()
        self._enter()
        return self

    def __exit__(self, *_):
        """Leave, whatever happened; a port that has gone can't be left any more."""
        with contextlib.suppress(serial.SerialException, OSError):
            if self.transport.in_raw_repl:
                self.console.port.write(b"\r\x03")  # whatever still runs there
                self.transport.exit_raw_repl()

    def run(self, code: str, where: str = "") -> bytes:
        """What the code printed. BoardError when it raised, LinkError when the board stopped answering."""
        with self._clear_errors(where):
            return self.transport.exec(code)

    def value(self, code: str, where: str = ""):
        """The literal that the code printed."""
        output = self.run(code, where)
        try:
            return ast.literal_eval(output.decode())
        except (ValueError, SyntaxError, UnicodeDecodeError) as error:
            raise LinkError(
                f"the board's answer makes no sense: {output[:80]!r}", self.console.name, "flash again"
            ) from error

    def run_away(self, code: str) -> None:
        """Start code that does not come back, such as a reset; the raw REPL is gone with it."""
        with self._clear_errors("restart"):
            self.transport.exec_raw_no_follow(code)
        self.transport.in_raw_repl = False

    def _ask_to_update(self):
        """Firmware that runs is asked to switch its outputs off and to stay at the REPL after a reset."""
        self.console.write(command_line("update", [("id", 1)]))
        heard = self._listen(ANSWER_DEADLINE_S, b"!ok update", PROMPT, b"SyntaxError")
        if b"!ok update" in heard and PROMPT not in heard:
            self._listen(UPDATE_DEADLINE_S, PROMPT)

    def _listen(self, deadline_s, *wanted) -> bytes:
        heard = b""
        end_s = self.console.now_s() + deadline_s
        while self.console.now_s() < end_s and not any(word in heard for word in wanted):
            heard += self.console.read(0.1)
        self.console.port.timeout = BYTE_DEADLINE_S
        return heard

    def _enter(self):
        """Ctrl-C twice and the raw REPL; then the same with a soft reset, which clears what a program left behind."""
        for soft_reset in (False, True):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    self.console.write(b"\r\x03\x03")
                    self.transport.enter_raw_repl(soft_reset=soft_reset, timeout_overall=ENTER_DEADLINE_S)
                return
            except (serial.SerialException, OSError) as error:
                raise lost(self.console.name, error) from error
            except TransportError:
                continue
        raise LinkError("the board does not come to its REPL", self.console.name, REMEDY)

    @contextlib.contextmanager
    def _clear_errors(self, where):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise BoardError(error.error_output, where) from error
        except (TransportError, struct.error) as error:
            raise LinkError(f"the board stopped answering ({error})", where or self.console.name, REMEDY) from error
        except (serial.SerialException, OSError) as error:
            raise lost(self.console.name, error) from error
