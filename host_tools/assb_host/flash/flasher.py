"""The flash of a board, step by step: identify, compare, write the slot that does not run, verify, put it on trial,
restart, hear it say that it confirmed itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from assb.protocol import schema

from assb_host.errors import (
    AssbError,
    FlashError,
    LinkError,
    MismatchError,
    NotRunningError,
    PortError,
    RolledBackError,
)
from assb_host.flash.board_files import NEW, BoardFiles
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import CONFIG, MANIFEST, SLOTS, placed, sha256
from assb_host.flash.identity import Identity, ask, refuse_mismatch, with_kernel
from assb_host.flash.native_kernel import BOARD_PATH, NATIVE
from assb_host.flash.plan import FlashPlan
from assb_host.flash.seal import KEY_FILE, SEAL, demand_key, hashes_in
from assb_host.flash.slots import FELL_BACK, ON_TRIAL, SLOT_FILE, Slots, other, read_slots, slot_of
from assb_host.link.console import ExclusiveConsole, open_port
from assb_host.link.decoder import Frame, Line
from assb_host.link.link import Link

HELLO_DEADLINE_S = 40.0  # three starts that hang until the watchdog of a trial bites, 8 s each, and the way back
HELLO_EVERY_S = 1.0
TRIAL_DEADLINE_S = 90.0  # until firmware on trial has confirmed itself: its self-test may wait for sensors for a minute
TRIAL_EVERY_S = 0.3
REOPEN_EVERY_S = 0.2
LAST_WORDS = 6  # lines of a board that did not come up: a traceback ends with the reason
SPARE_BYTES = 16 * 1024  # of flash, beyond the new files: littlefs needs room for its own
CRASHES = "/crashes"  # the count of crashes in a row: new firmware starts with a clean one
Progress = Callable[[str, int, int, str], None]  # (step, bytes done, bytes in all, path)


@dataclass
class FlashResult:
    """What was done; `hello` is what the board said about itself after the restart."""

    port: str
    identity: Identity
    slot: str = ""
    sent: dict[str, int] = field(default_factory=dict)  # path → bytes
    copied: list[str] = field(default_factory=list)  # from the other slot, on the board
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    hello: dict = field(default_factory=dict)
    wall_time_s: float = 0.0


def silent(_step, _done, _total, _path):
    """Progress that nobody watches."""


def flash(port: str, plan: FlashPlan, progress: Progress = silent, slot: str = "") -> FlashResult:
    """Flash the board on a port: into `slot`, or the one that it does not run. AssbError kinds: PortError, LinkError,
    MismatchError (nothing written), FlashError (the board runs what it ran; flash again), NotRunningError (written and
    proven, but the board does not say so), RolledBackError (it runs again what it ran before)."""
    with at_repl(port, progress) as (repl, result):
        refuse_mismatch(result.identity, plan, port)
        plan = with_kernel(result.identity, plan, port)
        write(repl, plan, result, progress, slot)
        restart(repl, progress)
        result.hello = hear_hello(repl.console, plan, result.slot)
    return result


def verify(port: str, plan: FlashPlan, progress: Progress = silent) -> FlashResult:
    """Compare the slot that runs, writing nothing: `sent` and `removed` are what a flash would send and remove."""
    with at_repl(port, progress) as (repl, result):
        refuse_mismatch(result.identity, plan, port)
        plan = with_kernel(result.identity, plan, port)
        files = BoardFiles(repl)
        present, slots = look(files, plan, progress)
        result.slot = slots.runs or SLOTS[0]
        demand_key(plan.key, present, port)
        change = sealed_change(plan, result.slot, slots.runs, present)
        result.sent = {path: len(change.wanted[path]) for path in change.changed}
        result.removed = change.stale
        result.unchanged = [path for path in change.wanted if path not in change.changed]
        files.forget()
        restart(repl, progress)
    return result


def roll_back(port: str, progress: Progress = silent) -> FlashResult:
    """Put what the other slot holds on trial. MismatchError when that is nothing whole."""
    with at_repl(port, progress) as (repl, result):
        files = BoardFiles(repl)
        _, slots = look(files, FlashPlan({}), progress)
        result.slot = other(slots.runs or SLOTS[1])
        if result.slot not in slots.whole:
            raise MismatchError(f"slot {result.slot} holds no whole firmware", port, "flash the version that you want")
        progress("commit", 0, 0, "")
        files.remove([CRASHES])
        files.say(SLOT_FILE, Slots(slots.runs).trial(result.slot))
        files.forget()
        restart(repl, progress)
        result.hello = hear_hello(repl.console, None, result.slot)
    return result


@contextmanager
def at_repl(port: str, progress: Progress) -> Iterator[tuple[BoardRepl, FlashResult]]:
    """(the board at its raw REPL, the result so far: who it is)."""
    start_s = time.monotonic()
    console = ExclusiveConsole(port, "assb flash")
    try:
        progress("identify", 0, 0, port)
        with BoardRepl(console) as repl:
            result = FlashResult(port, ask(repl))
            yield repl, result
        result.wall_time_s = time.monotonic() - start_s
    finally:
        console.close()


def look(files: BoardFiles, plan: FlashPlan, progress: Progress) -> tuple[dict[str, str], Slots]:
    """({path: SHA-256} of all that a flash may touch, the slots)."""
    progress("compare", 0, 0, "")
    outside = [path for path in plan.files if path.startswith("/")]
    roots = ("/a", "/b", KEY_FILE, *outside, *[path + NEW for path in (*outside, SLOT_FILE)])
    present = files.hashes(roots)
    return present, read_slots(files.text(SLOT_FILE), present)


class Change:
    """What lies between a slot as it is and the plan. All paths as on the board."""

    def __init__(self, plan: FlashPlan, slot: str, runs: str, present: dict[str, str]):
        """`present`: {path: SHA-256} of the board."""
        self.wanted = placed(plan.files, slot)
        hashes = {path: sha256(data) for path, data in self.wanted.items()}
        configuration = f"/{slot}/{CONFIG}"
        self.kept = {}  # path → where the board has it: without a new configuration it keeps its own
        if configuration not in self.wanted and f"/{runs}/{CONFIG}" in present:
            self.kept[configuration] = f"/{runs}/{CONFIG}"
        self.hashes = hashes | {path: present[source] for path, source in self.kept.items()}
        self.changed = [path for path in self.hashes if present.get(path) != self.hashes[path]]
        folders = {path[: at + 1] for path in self.hashes for at in range(1, len(path)) if path[at] == "/"}
        ours = [path for path in present if path.startswith(f"/{slot}/") or path.endswith(NEW)]
        self.stale = [path for path in ours if path not in self.hashes and path not in folders]
        self.new_folders = [folder for folder in folders if not any(path.startswith(folder) for path in present)]
        here = {path: f"/{runs}{path[2:]}" for path in self.changed if path.startswith(f"/{slot}/")}
        self.copies = {path: source for path, source in here.items() if present.get(source) == self.hashes[path]}
        self.to_send = {path: self.wanted[path] for path in self.changed if path not in self.copies}


def sealed_change(plan: FlashPlan, slot: str, runs: str, present: dict[str, str]) -> Change:
    """With the seal over all that the slot will hold, where the plan has a key. MismatchError when it would seal a
    configuration that it knows only from the board, which anybody may have put there."""
    change = Change(plan, slot, runs, present)
    if plan.key is None:
        return change
    for source in change.kept.values():
        if not plan.key.has_sealed(hashes_in(runs, present)):
            raise MismatchError("the configuration is to be kept, but the key has not sealed it", source, "name --pack")
    seal = plan.key.seal(hashes_in(slot, change.hashes))
    return Change(replace(plan, files=plan.files | {SEAL: seal}), slot, runs, present)


def write(repl: BoardRepl, plan: FlashPlan, result: FlashResult, progress: Progress, asked: str = "") -> None:
    """Bring a slot to the plan, sending only what the board has nowhere, prove every file, then put it on trial. The
    slot that runs is not touched; it is the one chosen when it is as planned already. /slot names it before the other
    one is touched, so that what is half-written is never started."""
    files = BoardFiles(repl)
    present, slots = look(files, plan, progress)
    demand_key(plan.key, present, result.port)
    target = runs = slots.runs
    writes = not runs or asked not in ("", runs) or slot_differs(sealed_change(plan, runs, runs, present), runs)
    if writes:
        target = slots.target(asked, result.port)
        present.pop(f"/{target}/{MANIFEST}", None)
    result.slot = target
    change = sealed_change(plan, target, runs, present)
    goes = change.stale + [path for path in change.changed if path in present and not is_shared(path)]
    demand_room(files, change, goes, result)
    files.remove([CRASHES])
    if writes:
        if slots.safe:
            files.say(SLOT_FILE, slots.safe)
        files.remove([f"/{target}/{MANIFEST}"])
    files.remove(goes)  # before anything is written: it may need the room
    send(files, change, result, progress)
    result.removed = change.stale
    result.unchanged = [path for path in change.hashes if path not in change.changed]
    progress("verify", 0, 0, "")
    prove(files.hashes(tuple(change.hashes)), change.hashes)
    progress("commit", 0, 0, "")
    if plan.key and KEY_FILE not in present:
        files.say(KEY_FILE, plan.key.text)
    if writes:
        files.say(SLOT_FILE, slots.trial(target))
    files.forget()


def is_shared(path: str) -> bool:
    """boot.py and main.py serve both slots: they are replaced in one piece."""
    return path.count("/") == 1


def slot_differs(change: Change, slot: str) -> bool:
    return any(path.startswith(f"/{slot}/") for path in (*change.changed, *change.stale))


def demand_room(files: BoardFiles, change: Change, goes: list[str], result: FlashResult) -> None:
    """FlashError, and nothing was touched, unless the change has room once these files are gone. littlefs gives a file
    whole blocks, and a folder two."""
    block = result.identity.block_bytes
    sizes = [len(change.wanted[path]) for path in change.changed if path in change.wanted]
    sizes += files.sizes([change.kept[path] for path in change.changed if path in change.kept])
    needed = in_blocks(sizes, block) + 2 * block * len(change.new_folders)
    free = result.identity.free_bytes + in_blocks(files.sizes([path for path in goes if path[-1] != "/"]), block)
    if needed + SPARE_BYTES > free:
        seen = f"{needed} bytes to write, {free} free, {SPARE_BYTES} to spare"
        raise FlashError(seen, result.port, "remove files from the board (`mpremote fs rm`)")


def in_blocks(sizes: list[int], block_bytes: int) -> int:
    """Bytes of the flash that files of these sizes take."""
    return block_bytes * sum(-(-size // block_bytes) for size in sizes)


def send(files: BoardFiles, change: Change, result: FlashResult, progress: Progress) -> None:
    """Copy what the board has, send the rest: files of the slot, its manifest, then what serves both slots."""
    total = sum(len(data) for data in change.to_send.values())
    files.make_folders(change.new_folders)
    manifest = f"/{result.slot}/{MANIFEST}"
    for path, source in change.copies.items():
        if path != manifest:
            progress("copy", 0, 0, path)
            files.copy(source, path)
    done = 0
    for path in sorted(change.to_send, key=lambda path: (is_shared(path), path == manifest)):

        def sent(count, path=path):
            nonlocal done
            done += count
            progress("write", done, total, path)

        (files.replace if is_shared(path) else files.write)(path, change.to_send[path], sent)
        result.sent[path] = len(change.to_send[path])
    if manifest in change.copies:
        files.copy(change.copies[manifest], manifest)
    result.copied = list(change.copies)


def prove(present: dict[str, str], wanted: dict[str, str]) -> None:
    """Every file of the plan reads back, on the board, as what it should be."""
    wrong = [path for path, digest in wanted.items() if present.get(path) != digest]
    if wrong:
        raise FlashError(f"{len(wrong)} files read back wrong", ", ".join(wrong[:3]), "flash again")


def restart(repl: BoardRepl, progress: Progress) -> None:
    """The reset that the firmware itself knows."""
    progress("restart", 0, 0, "")
    repl.run_away("import machine\nmachine.reset()")


def hear_hello(console: ExclusiveConsole, plan: FlashPlan | None, slot: str) -> dict:
    """HELLO fields once the board reports what was written, and that it is no longer on trial."""
    seen = first_hello(console, plan)
    end_s = console.now_s() + TRIAL_DEADLINE_S
    while seen["slot"] & ON_TRIAL and slot_of(seen) == slot and console.now_s() < end_s:
        seen = _next_hello(Link(console), [], console.now_s() + TRIAL_EVERY_S)[0] or seen
    if slot_of(seen) != slot and seen["slot"] & FELL_BACK:
        what = f"the board started slot {slot}, which did not confirm itself, and runs slot {slot_of(seen)} again"
        raise RolledBackError(what, console.name, "see why with `assb events` and `assb selftest`")
    if seen["slot"] & ON_TRIAL or slot_of(seen) != slot:
        what = f"slot {slot} has not confirmed itself in {TRIAL_DEADLINE_S:g} s"
        raise NotRunningError(what, console.name, "reset the board; it goes back by itself after three starts")
    wrong = differences(seen, plan) if plan else []
    if wrong:
        raise NotRunningError(f"the board reports {', '.join(wrong)}", console.name, "flash again")
    return seen


def first_hello(console: ExclusiveConsole, plan: FlashPlan | None) -> dict:
    """HELLO fields as soon as the board says any; who starts again and again says why, and is waited for. The port may
    vanish and come back: USB does."""
    last_s = console.now_s() + TRIAL_DEADLINE_S
    end_s = console.now_s() + HELLO_DEADLINE_S
    said: list[str] = []
    seen, at_prompt = None, False
    while seen is None and not at_prompt and console.now_s() < min(end_s, last_s):
        words = len(said)
        try:
            seen, at_prompt = _next_hello(Link(console), said, min(end_s, console.now_s() + HELLO_EVERY_S))
            if len(said) > words:
                end_s = console.now_s() + HELLO_DEADLINE_S
        except PortError:
            reopen(console, end_s)
    if seen:
        return seen
    what = "the firmware ended and left the board at its prompt" if at_prompt else f"no HELLO in {HELLO_DEADLINE_S:g} s"
    raise NotRunningError(what + last_words(said), console.name, "see what it says with `assb monitor --plain`")


def _next_hello(link: Link, said: list[str], end_s: float) -> tuple[dict | None, bool]:
    """(HELLO fields or None, whether the board sits at its prompt). Text on the way is kept: it tells why."""
    link.ask_hello()
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if isinstance(item, Frame) and item.type == schema.HELLO:
                return item.fields, False
            if isinstance(item, Line):
                said.append(item.text.strip())
        if link.stays_at_prompt:
            return None, True
    return None, False


def last_words(said: list[str]) -> str:
    """The end of what the board printed before its prompt, without our own traffic."""
    banner = next((at for at, line in enumerate(said) if line.startswith("MicroPython ")), len(said))
    lines = [line for line in said[:banner] if line and not line.startswith(("!", ">>>"))]
    return f"; it said: {' / '.join(lines[-LAST_WORDS:])}" if lines else ""


def differences(hello: dict, plan: FlashPlan) -> list[str]:
    """What a HELLO says otherwise than the plan; empty when the board runs what was written."""
    found = []
    version = (hello["version_major"], hello["version_minor"], hello["version_patch"])
    if version != plan.version:
        found.append("version {}.{}.{}".format(*version))
    if hello["schema_id"] != plan.schema_id:
        found.append(f"schema {hello['schema_id']:08x}, not {plan.schema_id:08x}")
    if BOARD_PATH in plan.files and hello["estimator"] != NATIVE:
        found.append("the twin: the native estimator does not load or fails its golden vector")
    if plan.config_crc is not None and (hello["config_status"], hello["config_crc"]) != (0, plan.config_crc):
        found.append(
            f"config {hello['config_crc']:08x} with status {hello['config_status']}, not {plan.config_crc:08x}"
        )
    return found


def reopen(console: ExclusiveConsole, end_s: float) -> None:
    """The same port, after it came back; waits for it until end_s."""
    console.port.close()
    while True:
        try:
            console.port = open_port(console.name)
            return
        except AssbError as error:
            if console.now_s() > end_s:
                raise LinkError(
                    "the port did not come back after the restart", console.name, "plug it in again"
                ) from error
            time.sleep(REOPEN_EVERY_S)
