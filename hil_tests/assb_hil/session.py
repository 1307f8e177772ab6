"""One scenario on one device under test: sets the bench up, plays the host's part, judges, and hands back the result.

Everything that the host does, it does at virtual times that the scenario fixes; wall time only says how fast it went.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

from assb.protocol.commands import format_line
from assb.protocol.frame import Crc16
from assb.protocol.image import decode
from assb_host.config import PackConfig, budget_terms_ms, build_image, fault_time_budget_ms
from assb_host.errors import EXIT_USAGE, AssbError
from assb_host.flash.firmware_files import firmware_files, placed
from assb_host.flash.native_kernel import BOARD_PATH, KernelSource, board_architecture
from assb_host.flash.plan import CONFIG_PATH

from assb_hil.checks import Verdict
from assb_hil.dut.base import DUT_FEATURES, PLANT, SLOW_BOOT, Dut, World
from assb_hil.dut.cost import CostModel
from assb_hil.faults import DeviceFault
from assb_hil.health import health_verdicts
from assb_hil.loads import Rest
from assb_hil.recorder import Recorder
from assb_hil.rig import Rig
from assb_hil.scenario import Scenario
from assb_hil.wiring import plant_for

RESETS_MAX = 8  # a board that resets more often than this is in a loop: the run ends there
MUTE_S = 10.0  # a board that has not said HELLO by then never will
CONSOLE_LINES = 20
UNPRINTED = ("recorder", "pack", "checks")
STEP_US = 200_000  # how often progress is reported
Progress = Callable[["Session"], None]


class UnsupportedError(AssbError):
    """The device under test can't do what the scenario asks."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Offer:
    """A device that is not opened yet."""

    name: str
    features: frozenset[str]


@dataclass
class Result:
    """What `assb hil run --json` prints, and the recorder behind it."""

    scenario: str
    dut: str
    seed: int
    passed: bool
    sim_time_s: float
    wall_time_s: float
    speed_x: float
    checks: list[Verdict]
    events: list[dict[str, Any]]
    trace_sha256: str
    counters: dict[str, int | float] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)  # the first lines of text
    recorder: Recorder | None = None
    pack: PackConfig | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the recorder."""
        plain = {name: value for name, value in vars(self).items() if name not in UNPRINTED}
        return plain | {"checks": [asdict(check) for check in self.checks]}

    def to_json(self) -> str:
        return json.dumps(self.as_dict())


@lru_cache(maxsize=1)
def compiled_firmware() -> dict[str, bytes]:
    """The firmware's files, in slot a; compiled once per process."""
    return placed(firmware_files())


def native_files(kernel: KernelSource | None) -> dict[str, bytes]:
    """The native estimator for the virtual board's MicroPython, if there is one; see KernelSource."""
    if kernel is None:
        return {}
    from assb_hil.dut.find_micropython import find_micropython, mpy_number

    number = mpy_number(find_micropython())
    native = kernel.for_board(board_architecture(number), (number & 0xFF, number >> 8 & 3), "virtual board")
    return placed({BOARD_PATH: native.data}) if native else {}


class Session:
    """A rig with a device in it. Use `open_session`; then `run()` once, or drive `dut` and `rig` by hand."""

    def __init__(self, scenario: Scenario, seed: int, pack: PackConfig, rig: Rig, dut: Any, image: bytes):
        """`image`: the configuration that is on its flash."""
        self.scenario = scenario
        self.seed = seed
        self.pack = pack
        self.rig = rig
        self.dut = dut
        self.image = image
        rig.device = dut
        self.wall_time_s = 0.0
        self._crc16 = Crc16()
        self._next_id = 1
        self._begun = False
        dut.add_tap(self._hear)

    # What checks look at (checks.RunFacts)

    @property
    def recorder(self) -> Recorder:
        return self.rig.recorder

    @property
    def duration_s(self) -> float:
        return self.scenario.duration_s

    def budget_ms(self, row: str) -> float:
        """The row's fault-time budget, from the configuration."""
        return fault_time_budget_ms(self.pack, row)

    def tick_and_debounce_ms(self, row: str) -> float:
        """The row's debounce and one fast tick with its work: from the register to the open command."""
        terms = budget_terms_ms(self.pack, row)
        return terms["debounce_ms"] + terms["tick_ms"]

    # Running

    def _hear(self, now_us: int, data: bytes) -> None:
        if SLOW_BOOT in self.dut.features and not self._begun:
            self._begin(now_us)
        self.rig.hear(now_us, data)

    @property
    def t_s(self) -> float:
        """Scenario time."""
        return 1e-6 * (self.dut.now_us - self.rig.origin_us)

    def send(self, name: str, /, **pairs: str | int) -> None:
        """One command line with id and CRC, now; it is delivered when the board next waits."""
        pairs = {"id": self._next_id, **pairs}
        self._next_id = self._next_id % 9999 + 1
        shown = " ".join(f"{key}={value}" for key, value in pairs.items() if key != "id")
        self.rig.event(self.dut.now_us, f"sent_{name}", "host", keys=shown)
        line = format_line(self._crc16, name, pairs.items()).encode() + b"\n"
        self.dut.write_console(self.rig.link.to_board(line))

    def put_files(self, files: dict[str, bytes]) -> None:
        """Onto the flash, while power is off."""
        from assb_hil.dut.flash_image import write_image

        write_image(self.dut.flash, files, keep=True)

    def start(self) -> None:
        """Scenario time begins with power on; where a boot takes seconds, with the board's first word."""
        if SLOW_BOOT not in self.dut.features:
            self.rig.begin(self.dut.now_us, self.scenario.faults)
            self.dut.power_on()
            return
        self.dut.power_on()
        while not self._begun and self.dut.now_us < 1e6 * MUTE_S:
            self.dut.run_until(self.dut.now_us + STEP_US // 10)
        if not self._begun:
            self._begin(self.dut.now_us)

    def _begin(self, now_us: int) -> None:
        self._begun = True
        self.rig.begin(now_us, self.scenario.faults)

    def run(self, progress: Progress | None = None) -> Result:
        """Start, play the scenario to its end and judge it."""
        started_s = perf_counter()
        self.start()
        for at_s, act in self._acts():
            self.run_to(min(at_s, self.scenario.duration_s), progress)
            if at_s <= self.scenario.duration_s:
                act()
        self.run_to(self.scenario.duration_s, progress)
        self.wall_time_s = perf_counter() - started_s
        return self.judge()

    def _acts(self) -> list[tuple[float, Callable[[], None]]]:
        """What is done to the device from outside, by time: commands of the host, and faults that are not the rig's."""
        acts = [(at_s, partial(self.send, name, **keys)) for at_s, name, keys in host_acts(self.scenario)]
        for fault in self.scenario.faults:
            if isinstance(fault, DeviceFault):
                acts.append(
                    (fault.at_s, partial(self.rig.tell_fault, fault, self.rig.origin_us + round(fault.at_s * 1e6)))
                )
                acts += [(at_s, partial(act, self)) for at_s, act in fault.acts()]
        return sorted(acts, key=lambda act: act[0])

    def run_to(self, t_s: float, progress: Progress | None = None) -> None:
        """Virtual time passes until scenario time t_s."""
        end_us = self.rig.origin_us + round(t_s * 1e6)
        while self.dut.now_us < end_us and not self.hopeless():
            self.dut.run_until(min(end_us, self.dut.now_us + STEP_US))
            if progress:
                progress(self)

    def hopeless(self) -> bool:
        """The board never spoke, or resets over and over: the rest of the scenario would tell nothing more."""
        mute = self.recorder.hello_count == 0 and self.t_s > MUTE_S
        return mute or resets(self.dut.counters()) > RESETS_MAX

    def judge(self) -> Result:
        """Verdicts on what was recorded so far."""
        checks = [verdict for check in self.scenario.checks for verdict in check.judge(self)]
        checks += health_verdicts(self)
        wall_s = self.wall_time_s or float("nan")
        return Result(
            scenario=self.scenario.name,
            dut=self.dut.name,
            seed=self.seed,
            passed=all(check.passed for check in checks),
            sim_time_s=round(self.t_s, 6),
            wall_time_s=round(wall_s, 3),
            speed_x=round(self.t_s / wall_s, 2),
            checks=checks,
            events=sorted(self.recorder.events, key=lambda event: event["t_s"]),
            trace_sha256=self.recorder.sha256,
            counters=self.dut.counters(),
            console=[text for _, text in self.recorder.lines if not text.startswith(("!ok", ">>> !"))][:CONSOLE_LINES],
            recorder=self.recorder,
            pack=self.pack,
        )


def resets(counters: dict[str, int | float]) -> int:
    """Resets of any kind since the first power-on."""
    return int(sum(counters[f"{kind}_resets"] for kind in ("hard", "soft", "watchdog")))


def host_acts(scenario: Scenario) -> Iterator[tuple[float, str, dict[str, str | int]]]:
    """(time, command, keys) of all that the host sends, in no order."""
    for command in scenario.commands:
        yield command.at_s, command.name, dict(command.keys)
    host = scenario.host
    if host.arm_at_s is None:
        return
    yield host.arm_at_s, "arm", {"lease_ms": host.lease_ms}
    end_s = scenario.duration_s if host.lease_until_s is None else host.lease_until_s
    at_s = host.arm_at_s + host.lease_every_s
    while at_s < end_s:
        yield at_s, "lease", {}
        at_s += host.lease_every_s


def features_of(dut: str) -> frozenset[str]:
    """What a device offers; raises UnsupportedError."""
    if dut not in DUT_FEATURES:
        remedy = f"there are: {', '.join(DUT_FEATURES)}"
        raise UnsupportedError(f"no device under test {dut!r} for scenarios", "", remedy)
    return DUT_FEATURES[dut]


def needs_of(scenario: Scenario) -> Iterator[tuple[str, frozenset[str]]]:
    """(part of the scenario, the features that it needs) of every part that needs any."""
    for fault in scenario.faults:
        yield f"fault {fault.name}", fault.needs
    for load in scenario.loads:
        if not isinstance(load, Rest):
            yield f"load {load.kind}", frozenset({PLANT})
    for check in scenario.checks:
        if check.of_plant:
            yield f"check {check.title or check.kind}", frozenset({PLANT})


def lacks(scenario: Scenario, features: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """(part of the scenario, what it needs beyond these features)."""
    return [(part, needs - features) for part, needs in needs_of(scenario) if needs - features]


def demand_features(scenario: Scenario, dut: "Dut | Offer") -> None:
    """Raises UnsupportedError for the first thing that the device can't have: nothing is silently skipped."""
    for part, missing in lacks(scenario, dut.features):
        needed = next(needs for name, needs in needs_of(scenario) if name == part)
        able = " or ".join(f"--dut {name}" for name, features in DUT_FEATURES.items() if needed <= features)
        raise UnsupportedError(f"{part} needs {', '.join(sorted(missing))}", f"device {dut.name}", f"use {able}")


@contextmanager
def virtual_board(
    world: World,
    pack: PackConfig,
    image: bytes,
    seed: int,
    flash: Path | None = None,
    kernel: KernelSource | None = None,
    worst_costs: bool = False,
) -> Iterator[Any]:
    """The pack's board in `world`, off; `flash` and `kernel` as in open_session, `worst_costs` as in a scenario."""
    from assb_hil.dut.flash_image import write_image
    from assb_hil.dut.virtual import VirtualBoard

    with ExitStack() as stack:
        if flash is None:
            flash = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assb-hil-"))) / "flash.bin"
            write_image(flash, compiled_firmware() | {CONFIG_PATH: image} | native_files(kernel))
        cost = CostModel.from_table(pack.cost.figures())
        cost = cost.at_worst() if worst_costs else cost
        heap_bytes = pack.board.memory.heap_bytes
        yield stack.enter_context(VirtualBoard(world, flash=flash, cost=cost, seed=seed, heap_bytes=heap_bytes))


@contextmanager
def open_session(
    scenario: Scenario,
    dut: str = "virtual",
    seed: int | None = None,
    flash: Path | None = None,
    kernel: KernelSource | None = None,
    keeps: bool = True,
    port: str = "",
    uf2: Path | None = None,
) -> Iterator[Session]:
    """A session on a fresh bench; the device is off. `flash`: an image to use as it is (made empty if absent); without
    one, firmware and configuration are put on a new image, and the native estimator that `kernel` has for it. `keeps`
    False: the recorder keeps the hash alone. `port`: of a device at a serial port, which has its firmware already;
    `uf2`: the MicroPython image of the emulated Pico."""
    demand_features(scenario, Offer(dut, features_of(dut)))
    seed = scenario.seed if seed is None else seed
    pack = scenario.load_pack()
    image = build_image(pack)
    start = scenario.start
    rig = Rig(
        decode(image), plant_for(pack, scenario.plant, scenario.plant_changes), seed,
        (start.soc_frac, start.temperature_degc, start.pressure_mpa), scenario.loads, keeps,
    )  # fmt: skip
    if dut == "virtual":
        device = virtual_board(rig, pack, image, seed, flash, kernel, scenario.worst_costs)
    elif dut == "pico-emulated":
        device = emulated_pico(rig, pack, image, flash, kernel, uf2)
    else:
        device = closing(serial_board(dut, port, rig))
    with device as board:
        yield Session(scenario, seed, pack, rig, board, image)


@contextmanager
def emulated_pico(
    world: World, pack: PackConfig, image: bytes, flash: Path | None, kernel: KernelSource | None, uf2: Path | None
) -> Iterator[Any]:
    """An emulated Pico in `world`, off; the firmware is staged unless it is part of the MicroPython image."""
    from assb_hil.dut.flash_image import write_image
    from assb_hil.dut.pico import EmulatedPico, find_image

    if pack.board.heater:
        raise UnsupportedError("a heater needs PWM", "device pico-emulated", "use --dut virtual")
    found = find_image(uf2)
    with ExitStack() as stack:
        if flash is None:
            flash = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assb-hil-"))) / "flash.bin"
            write_image(flash, pico_files(found, kernel) | {CONFIG_PATH: image})
        cost = CostModel.from_table(pack.cost.figures())
        yield stack.enter_context(EmulatedPico(world, uf2=found, flash=flash, cost=cost))


def pico_files(uf2: Path, kernel: KernelSource | None) -> dict[str, bytes]:
    """What a Pico with that MicroPython image needs in its file system beside a configuration."""
    from assb_hil.dut.pico import MPY_ABI, has_firmware

    files, module = compiled_firmware(), BOARD_PATH
    if has_firmware(uf2):  # a folder /a/assb would hide it
        files = {path: data for path, data in files.items() if path.count("/") == 1}
        module = Path(BOARD_PATH).name
    native = kernel and kernel.for_board("armv6m", MPY_ABI, "emulated Pico")
    return files | (placed({module: native.data}) if native else {})


def serial_board(dut: str, port: str, rig: Rig) -> Any:
    """The board at a port; nothing is sent to it yet. Raises PortError."""
    from assb_hil.dut.serial_board import InjectedSerialBoard, PlainSerialBoard

    return (PlainSerialBoard if dut == "serial" else InjectedSerialBoard)(port, rig, rig.config)


def run_scenario(
    scenario: Scenario,
    dut: str = "virtual",
    seed: int | None = None,
    progress: Progress | None = None,
    kernel: KernelSource | None = None,
    port: str = "",
    uf2: Path | None = None,
) -> Result:
    """Set up, run, judge, put away."""
    with open_session(scenario, dut, seed, kernel=kernel, port=port, uf2=uf2) as session:
        return session.run(progress)
