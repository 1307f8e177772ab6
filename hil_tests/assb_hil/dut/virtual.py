"""The virtual board: a MicroPython VM in lockstep with a world, behind a pseudo-terminal, on a flash image."""

import fcntl
import os
import select
import tempfile
import time
from collections import Counter
from pathlib import Path
from time import perf_counter_ns

from assb_host.errors import AssbError

from assb_hil.dut.base import DUT_FEATURES, RESET_CAUSES, World
from assb_hil.dut.board_path import wire
from assb_hil.dut.bridge import SPIN_S, ConsoleBridge, Tap
from assb_hil.dut.cost import CostModel
from assb_hil.dut.find_micropython import find_micropython
from assb_hil.dut.flash_image import PICO_BLOCKS, block_count, create_blank, open_image
from assb_hil.dut.lockstep import Lockstep
from assb_hil.dut.paced import Paced
from assb_hil.dut.process import VmProcess
from assb_hil.dut.same_cpu import SameCpu
from assb_hil.dut.turns import Turns

PICO_2_HEAP_BYTES = 448 * 1024
QUIET_MS = 1  # no word from the VM for so long: look whether it waits for its console
HANG_S = 20.0  # processor time without a wait: after so much, it counts as hung
SILENT_MOST_S = 200.0  # on the wall clock, whatever the machine is busy with


class BoardHangsError(AssbError):
    """The VM does not start, or computes without ever waiting while no watchdog is armed: virtual time stands still."""


class VirtualBoard(Paced):
    """A `Dut`. One thread drives it (run_until), or its own inside background(); other calls are safe from any."""

    features = DUT_FEATURES["virtual"]

    def __init__(
        self,
        world: World,
        *,
        name: str = "virtual",
        flash: str | Path | None = None,
        cost: CostModel | None = None,
        seed: int = 0,
        micropython: str | Path | None = None,
        heap_bytes: int = PICO_2_HEAP_BYTES,
        flash_blocks: int = PICO_BLOCKS,
    ):
        self.name = name
        self.world = world
        self.seed = seed
        self.heap_bytes = heap_bytes
        self.micropython = find_micropython(micropython)
        self._scratch = None if flash else tempfile.TemporaryDirectory(prefix="assb-board-")
        self.flash = Path(flash) if flash else Path(self._scratch.name) / "flash.bin"
        if not self.flash.exists():
            create_blank(self.flash, flash_blocks)
        blocks = block_count(self.flash)
        self._flash_fd = open_image(self.flash)
        self.lockstep = Lockstep(world, cost or CostModel(), blocks, unique_id=0xA55B << 32 | seed & 0xFFFFFFFF)
        self.resets = Counter()
        self.crashes = 0
        self.firmware_ns = 0
        self.serve_ns = 0
        self._vm: VmProcess | None = None
        self._starts = 0
        self._turns = Turns()
        self._poll = select.poll()
        self._poll.register(self._turns.wake_fd, select.POLLIN)
        self._bridge = ConsoleBridge(self._poll)
        self._same_cpu = SameCpu()

    # What a user of the board calls

    @property
    def now_us(self) -> int:
        """Virtual time since the first power-on."""
        return self.lockstep.now_us

    @property
    def console_port(self) -> str:
        return self._bridge.port.path

    @property
    def powered(self) -> bool:
        return self._vm is not None

    def power_on(self) -> None:
        with self._turns.guest():
            if self._vm is None:
                self._bridge.forget_input()
                self._start("power_on")

    def power_off(self) -> None:
        """At any moment, in the middle of a flash operation as well."""
        with self._turns.guest():
            self._stop()
            self._bridge.forget_input()
            self.world.on_reset()

    def reset(self, kind: str = "hard") -> None:
        with self._turns.guest():
            self._restart(kind)

    @property
    def gc_worst_us(self) -> int:
        """The longest collection of garbage, by its cost table."""
        return self.lockstep.cost.gc_us + self.lockstep.cost.gc_jitter_us

    def power_cut_at(self, operation: int | None) -> None:
        """Power fails at that flash operation (erase or program) from now, 1 = the next; None: never."""
        with self._turns.guest():
            self.lockstep.power_cut_at = None if operation is None else self.lockstep.flash_operations + operation

    def stall(self, us: int) -> None:
        """The processor does nothing for so long, from its next wait on: interrupts, flash, a collection of garbage."""
        self.lockstep.stall(us)

    def fill_heap(self, left_b: int) -> None:
        """Memory is taken until so many bytes are free, and is not given back before a reset."""
        self.lockstep.order(wire.FILL, left_b)

    def jump_clock(self, us: int) -> None:
        """The ticks of the board jump, either way; time does not."""
        self.lockstep.order(wire.JUMP, us)

    def write_console(self, data: bytes) -> None:
        with self._turns.guest():
            self._bridge.input += data

    def read_console(self) -> bytes:
        with self._turns.guest():
            return self._bridge.take_unread()

    def add_tap(self, tap: Tap) -> None:
        self._bridge.taps.append(tap)

    def run_until(self, now_us: int) -> None:
        """Runs board and world up to a virtual time; the board then stands still until the next call."""
        with self._turns.guest():
            self._serve(now_us, None)

    def counters(self) -> dict[str, int | float]:
        """What a test checks after a run, and where the wall time went."""
        lockstep = self.lockstep
        return {
            "watchdog_resets": self.resets["watchdog"],
            "soft_resets": self.resets["soft"],
            "hard_resets": self.resets["hard"],
            "crashes": self.crashes,
            "requests": lockstep.requests,
            "predicted_reads": lockstep.predicted,
            "posted_nacks": lockstep.posted_nacks,
            "flash_operations": lockstep.flash_operations,
            "console_dropped_bytes": self._bridge.port.dropped_bytes,
            "wall_firmware_s": self.firmware_ns / 1e9,
            "wall_world_s": lockstep.world_ns / 1e9,
            "wall_link_s": (self.serve_ns - self.firmware_ns - lockstep.world_ns) / 1e9,
        }

    def close(self) -> None:
        with self._turns.guest():
            self._stop()
            self._bridge.port.close()
            fcntl.flock(self._flash_fd, fcntl.LOCK_UN)  # closing leaves it to a child that was forked just now
            os.close(self._flash_fd)
            self._turns.close()
            if self._scratch:
                self._scratch.cleanup()

    def __enter__(self) -> "VirtualBoard":
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    # Power and resets

    def _start(self, kind: str, raw: bool = False) -> None:
        """raw: after a soft reset from the raw REPL, which runs boot.py alone, as on a board."""
        self._starts += 1
        self.lockstep.begin(RESET_CAUSES[kind], not raw, self.seed * 1_000_003 + self._starts * 7919)
        self.world.on_reset()
        vm = self._vm = VmProcess(self.micropython, self.heap_bytes, self._flash_fd)
        self._poll.register(vm.console, select.POLLIN)
        self._poll.register(vm.port, select.POLLIN)
        self._same_cpu.follow(vm.pid)
        self._bridge.begin(vm, raw)
        self._heard_s = time.monotonic()
        self._silent_since = (0.0, 0.0)  # when it was heard last, and its processor time a moment later
        self._booting = True

    def _stop(self) -> None:
        if self._vm is None:
            return
        self._bridge.drain()
        self._bridge.stamp(self.now_us)
        self._poll.unregister(self._vm.console)
        self._poll.unregister(self._vm.port)
        self._vm.kill()
        self._vm = None
        self._same_cpu.forget()
        self.lockstep.operation = 0

    def _restart(self, kind: str) -> None:
        raw = kind == "soft" and self._bridge.repl.raw
        self._stop()
        self.resets[kind] += 1
        if kind == "soft":
            self._bridge.say_soft_reboot(self.now_us)
        self._start(kind, raw)

    def _power_fails(self) -> None:
        self._stop()
        self.lockstep.power_cut_at = None
        self.world.on_reset()

    def _process_ended(self) -> None:
        """Ctrl-D and SystemExit end the process: the port's soft reset. A signal ended it: a crash, as a hard fault."""
        status = self._vm.wait()
        if self._booting:
            raise self._does_not_start(f"ended with {status}")
        crashed = status < 0
        self.crashes += crashed
        self._restart("hard" if crashed else "soft")

    # Serving the VM

    def _busy(self) -> bool:
        """It runs its program, or code from the prompt that waits for a time or its flash."""
        return self._vm is not None and not (self.lockstep.interactive and not self.lockstep.operation)

    def _serve(self, limit_us: int, until_s: float | None) -> None:
        """Runs the board up to limit_us, or until the wall clock says until_s."""
        started = self._resumed_ns = perf_counter_ns()
        self._paced = until_s is not None  # a hung board is then left to its user, as a real one would be
        try:
            with self._same_cpu:
                while self._vm is not None:
                    self._same_cpu.make_room()
                    if not (self._answer(limit_us) if self.lockstep.operation else self._listen(limit_us)):
                        return
                    if until_s is not None and time.monotonic() > until_s:
                        return
                self.lockstep.advance(limit_us)
        finally:
            self.serve_ns += perf_counter_ns() - started

    def _answer(self, limit_us: int) -> bool:
        """Works on the request under way; False when it has to wait for more time than the limit allows."""
        lockstep = self.lockstep
        waits = lockstep.operation in (wire.WAIT, wire.SYNC)
        if waits and self._bridge.input and self._bridge.deliver_to_waiting():
            lockstep.interrupt()
        if self._bridge.unstamped:
            if not lockstep.reach(limit_us):
                return False
            self._bridge.stamp(self.now_us)
        if not lockstep.progress(limit_us):
            return False
        if lockstep.bitten():
            self._restart("watchdog")
        elif lockstep.operation in (wire.RESET, wire.SOFT_RESET):
            self._restart("hard" if lockstep.operation == wire.RESET else "soft")
        elif lockstep.operation == wire.HALT:
            self._power_fails()
        else:
            operation = lockstep.operation
            reply = lockstep.answer()
            self._resumed_ns = perf_counter_ns()  # the VM may run before send returns
            self._vm.port.send(reply)
            self._heard_s = time.monotonic()
            if operation == wire.INTERACTIVE:
                self._bridge.main_ended()
        return True

    def _listen(self, limit_us: int) -> bool:
        """Waits for the VM's next word; False when it waits for its console and time has reached the limit."""
        if self._bridge.input and not self._booting and self._bridge.deliver(False, self._computing_s()):
            self._heard_s = time.monotonic()
        events = self._poll.poll(QUIET_MS)
        now_ns = perf_counter_ns()
        self.firmware_ns += now_ns - self._resumed_ns
        self._resumed_ns = now_ns
        if not events:
            return self._quiet(limit_us)
        self._handle(events)
        return True

    def _computing_s(self) -> float:
        """Processor time that the VM has taken since its last word, but for a first moment. Not wall time: a machine
        that is busy elsewhere would have input come early, and two runs differ."""
        if self._vm is None or time.monotonic() - self._heard_s <= SPIN_S:
            return 0.0
        if self._silent_since[0] != self._heard_s:
            self._silent_since = (self._heard_s, self._vm.computed_s())
        return self._vm.computed_s() - self._silent_since[1]

    def _handle(self, events: list[tuple[int, int]]) -> None:
        vm = self._vm
        readable = dict(events)
        if self._bridge.port.fd in readable:
            self._bridge.take_input()
        if self._turns.wake_fd in readable:
            self._turns.awake()
        if vm is None:
            return
        console, port = vm.console.fileno(), vm.port.fileno()
        if readable.get(port, 0) & select.POLLIN and not self.lockstep.operation:
            try:
                message = vm.port.recv(8 * wire.REQUEST_WORDS)
            except ConnectionResetError:  # the process was killed while an answer to it was unread
                message = b""
            # What was printed before a request belongs to its time; both sockets are local, so all of it is there
            self._bridge.drain()
            if message:
                self._booting = False
                self._bridge.heard()
                self.lockstep.take(message)
                return
        if console in readable and not self._bridge.drain():
            self._process_ended()

    def _quiet(self, limit_us: int) -> bool:
        """The VM has said nothing for a while: it waits for input, or it computes."""
        bridge = self._bridge
        bridge.watch_port()
        bridge.port.flush()
        if not self._booting and self._vm.sleeps() and not self._vm_spoke():
            self._heard_s = time.monotonic()
            bridge.heard()
            bridge.stamp(self.now_us)
            if not bridge.input:
                return self._idle(limit_us)
            bridge.deliver(True, 0.0)
        silent_s = time.monotonic() - max(self._heard_s, bridge.spoke_s if bridge.interactive else 0.0)
        if silent_s > HANG_S and (self._computing_s() > HANG_S or silent_s > SILENT_MOST_S):
            return self._hangs(limit_us)
        return True

    def _vm_spoke(self) -> bool:
        sockets = (self._vm.console.fileno(), self._vm.port.fileno())
        return any(fd in sockets for fd, _ in self._poll.poll(0))

    def _idle(self, limit_us: int) -> bool:
        """At the prompt, or hung: time passes for the world alone, and a watchdog that was started bites."""
        lockstep = self.lockstep
        if lockstep.watchdog_us and lockstep.watchdog_us <= limit_us:
            lockstep.advance(lockstep.watchdog_us)
            self._restart("watchdog")
            return True
        lockstep.advance(limit_us)
        return False

    def _hangs(self, limit_us: int) -> bool:
        """Virtual time stands still, so the watchdog's deadline is the next thing that happens."""
        if self._booting:
            raise self._does_not_start(f"says nothing for {HANG_S:.0f} s")
        if not self.lockstep.watchdog_us and not self._paced:
            seen = f"the firmware has computed for {HANG_S:.0f} s without a wait, and no watchdog is armed"
            raise BoardHangsError(seen, self.name, "look for a loop that neither sleeps nor asks for the time")
        return self._idle(limit_us)

    def _does_not_start(self, seen: str) -> BoardHangsError:
        said = bytes(self._bridge.unstamped[-500:]).decode(errors="replace").strip()
        return BoardHangsError(
            f"the VM {seen}", f"{self.micropython}: {said or 'no output'}", "try another MicroPython"
        )

    def _await_events(self, seconds: float) -> None:
        """Nothing may happen on the board before the wall clock has caught up; the port's peer may still speak."""
        self._bridge.watch_port()
        self._handle(self._poll.poll(seconds * 1000))
