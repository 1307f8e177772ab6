"""The process that runs the MicroPython VM, and what can be learnt about it from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from assb_hil.dut.vm_path import vm_path

# Variables that would change what the VM does: history, module path, inspection
STRIPPED = ("HOME", "MICROPYPATH", "MICROPYINSPECT")
# A datagram is whole or absent, so an interrupted request can't leave half a message; macOS has only DGRAM
DATAGRAM = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM
STOP_DEADLINE_S = 2
CPU_CLOCK = 2  # with the complement of a process's number: its clock (Linux, CPUCLOCK_SCHED in posix-timers.h)
# What `machine`, `time` and the lockstep take of the VM's heap. On a board they are in ROM, so they come on top of the
# board's heap. Measured as the difference of gc.mem_free() at boot.py with and without them; a test holds it.
SHIM_BYTES = 24000
# Objects of this 64-bit VM are up to twice as large as a 32-bit board's (a float takes 32 bytes for 16). See DESIGN.md
# for what a 32-bit build of the same VM was measured to take.
WORD_RATIO = 2


def processor_s(pid: int) -> float:
    """Processor time that a process has taken; wall time where the system does not tell."""
    try:
        return time.clock_gettime(~pid << 3 | CPU_CLOCK)
    except (AttributeError, OSError, OverflowError):
        return time.monotonic()


class VmProcess:
    """A running VM: `console` (its stdin, stdout and stderr) and `port` (the lockstep) are sockets."""

    def __init__(self, micropython: Path, heap_bytes: int, flash_fd: int):
        self.console, console_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.port, port_end = socket.socketpair(socket.AF_UNIX, DATAGRAM)
        self.console.setblocking(False)
        environment = {name: value for name, value in os.environ.items() if name not in STRIPPED}
        script = vm_path() / "vboot.py"
        # of equal length always: one digit more would move everything in the heap, and with it the trace
        descriptors = (f"{port_end.fileno():04d}", f"{flash_fd:04d}")
        heap = f"heapsize={heap_bytes * WORD_RATIO + SHIM_BYTES}"
        with console_end, port_end:
            self._process = subprocess.Popen(
                [micropython, "-X", heap, "-i", script, *descriptors],
                stdin=console_end.fileno(), stdout=console_end.fileno(),
                stderr=console_end.fileno(),
                pass_fds=(port_end.fileno(), flash_fd), env=environment, cwd="/", start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid
        self._stat = self._open_proc("stat")

    def _open_proc(self, name: str) -> int:
        try:
            return os.open(f"/proc/{self.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1

    def _state(self) -> str:
        """R running, S sleeping, T stopped, Z ended."""
        if self._stat >= 0:
            try:
                return os.pread(self._stat, 512, 0).rpartition(b")")[2].split()[0].decode()
            except ProcessLookupError:
                return "Z"
        seen = subprocess.run(["ps", "-o", "state=", "-p", str(self.pid)], capture_output=True, text=True, check=False)
        return seen.stdout.strip()[:1] or "Z"

    def computed_s(self) -> float:
        """Processor time that the VM has taken; wall time where the system does not tell."""
        return processor_s(self.pid)

    def sleeps(self) -> bool:
        """Whether the VM waits. Nothing unread in either socket afterwards means: for its standard input."""
        return self._state() in ("S", "I")

    def interrupt(self) -> bool:
        """Raises KeyboardInterrupt in the VM when it runs code; False at a prompt, where SIGINT would end the process.

        The VM is stopped for the question, so that the answer still holds when the signal is sent.
        """
        if self._stat < 0:
            return self._interrupt_blindly()
        self._process.send_signal(signal.SIGSTOP)
        try:
            deadline = time.monotonic() + STOP_DEADLINE_S
            while self._state() not in ("T", "Z"):
                if time.monotonic() > deadline:
                    return False
                os.sched_yield()
            if not self._catches_interrupt():
                return False
            self._process.send_signal(signal.SIGINT)
            return True
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _interrupt_blindly(self) -> bool:
        if self.sleeps():
            return False
        self._process.send_signal(signal.SIGINT)
        return True

    def catches_interrupt(self) -> bool:
        """Whether code runs that has not switched KeyboardInterrupt off with micropython.kbd_intr(-1)."""
        return self._stat < 0 or self._catches_interrupt()

    def _catches_interrupt(self) -> bool:
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def wait(self) -> int:
        """Exit status of a VM whose console has ended; negative for a signal."""
        return self._process.wait(STOP_DEADLINE_S)

    def kill(self) -> None:
        """Power gone: nothing is flushed, nothing is said."""
        self._process.kill()
        self._process.wait()
        self.console.close()
        self.port.close()
        if self._stat >= 0:
            os.close(self._stat)
            self._stat = -1
