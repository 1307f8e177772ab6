"""Between the VM's console socket and its users: the pseudo-terminal, the taps, and what Ctrl-C means when."""

import select
import time
from collections.abc import Callable

from assb_hil.dut.console import PtyPort
from assb_hil.dut.process import VmProcess
from assb_hil.dut.repl import CTRL_C, SOFT_REBOOT, ReplWatch

INPUT_BYTES = 64 * 1024  # waiting for the board; beyond that the port's peer is held up
DRAIN_BYTES = 65536
SPIN_S = 0.5  # processor time without a request, more than any start takes: then Ctrl-C becomes a signal
SECOND_SIGNAL_S = 0.5  # code that swallowed the first Ctrl-C and still computes gets the next after so long

Tap = Callable[[int, bytes], None]


class ConsoleBridge:
    """Input waits here until the board can take it at a defined time; output gets the time of the request after it."""

    def __init__(self, poll: select.poll):
        self.port = PtyPort()
        self.taps: list[Tap] = []
        self.vm: VmProcess | None = None
        self.repl = ReplWatch()
        self.interactive = False
        self.input = bytearray()
        self.unstamped = bytearray()  # sent by the VM since its last request
        self.spoke_s = 0.0
        self._unread = bytearray()
        self._poll = poll
        self._polled = False
        self._interrupting = False

    def begin(self, vm: VmProcess, raw: bool) -> None:
        """A VM has started."""
        self.vm = vm
        self.repl = ReplWatch()
        self.repl.raw = raw
        self.interactive = False
        self._interrupting = False

    # From the board

    def drain(self) -> bool:
        """Takes all that the VM has sent; False when its end is closed."""
        while True:
            try:
                data = self.vm.console.recv(DRAIN_BYTES)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            if not data:
                return False
            self.spoke_s = time.monotonic()
            self.send_out(self.repl.see(data) if self.interactive else data)
            if len(data) < DRAIN_BYTES:
                return True

    def send_out(self, data: bytes) -> None:
        """To the port at once, to the taps when its time is known."""
        self.unstamped += data
        self.watch_port()
        self.port.write(data)

    def say_soft_reboot(self, now_us: int) -> None:
        self.send_out(SOFT_REBOOT)
        self.stamp(now_us)

    def stamp(self, now_us: int) -> None:
        """What was sent up to here was sent now."""
        if self.unstamped:
            data = bytes(self.unstamped)
            self.unstamped.clear()
            self._unread += data
            for tap in self.taps:
                tap(now_us, data)

    def take_unread(self) -> bytes:
        """What was sent since the last call."""
        data = bytes(self._unread)
        self._unread.clear()
        return data

    # From the port

    def watch_port(self) -> None:
        """Without a peer a pseudo-terminal always has an event: it is polled while it has one and room is left."""
        wanted = self.port.connected() and len(self.input) < INPUT_BYTES
        if wanted != self._polled:
            if wanted:
                self._poll.register(self.port.fd, select.POLLIN)
            else:
                self._poll.unregister(self.port.fd)
            self._polled = wanted

    def take_input(self) -> None:
        """The port has something to read, or its peer has gone."""
        self.input += self.port.read()
        self.watch_port()

    def forget_input(self) -> None:
        """As USB does: what had not arrived when power went, or was written while there was none, never will."""
        while self.port.read():
            pass
        self.input.clear()

    # To the board

    def feed(self, data: bytes) -> int:
        """Bytes that the VM's input has taken."""
        try:
            return self.vm.console.send(data)
        except (BlockingIOError, BrokenPipeError):
            return 0

    def heard(self) -> None:
        """The VM made a request or waits for input, so an interrupt that was sent has struck."""
        self._interrupting = False

    def main_ended(self) -> None:
        """The prompt comes next; the raw one when the soft reset came from there."""
        self.interactive = True
        if self.repl.raw:
            self.feed(self.repl.return_to_raw())

    def deliver_to_waiting(self) -> bool:
        """Input for a VM that is held in a wait; True when it is a Ctrl-C, which ends the wait."""
        while self.input:
            self._feed_up_to_interrupt()
            if not self.input.startswith(CTRL_C):
                return False
            if self.vm.catches_interrupt():
                del self.input[:1]
                return True
            if not self.feed(CTRL_C):
                return False
            del self.input[:1]
        return False

    def deliver(self, idle: bool, computing_s: float) -> bool:
        """Input for a VM outside a request: at its prompt or reading, at once; for code that computes, a Ctrl-C.

        True when a signal was sent.
        """
        if self.repl.busy:
            return False
        spins = computing_s > (SECOND_SIGNAL_S if self._interrupting else SPIN_S)
        if idle or spins or self.interactive:
            self._feed_up_to_interrupt()
            if self.input.startswith(CTRL_C) and (idle or spins):
                return self._press_ctrl_c(idle)
        return False

    def _feed_up_to_interrupt(self) -> None:
        ahead = self.input.find(CTRL_C)
        ahead = len(self.input) if ahead < 0 else ahead
        if ahead:
            del self.input[: self.feed(bytes(self.input[:ahead]))]

    def _press_ctrl_c(self, idle: bool) -> bool:
        """A signal for code that runs, a byte for a prompt. A second signal while one is pending would end the VM."""
        signalled = self.vm.interrupt()
        if signalled:
            self._interrupting = True
        elif not idle or not self.feed(CTRL_C):
            return False
        del self.input[:1]
        return signalled
