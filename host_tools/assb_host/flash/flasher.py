"""The flash of a board, step by step: identify, compare, write, verify, commit, verify all, restart, hear it say so."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from assb.protocol import schema

from assb_host.errors import AssbError, FlashError, LinkError, NotRunningError, PortError
from assb_host.flash.board_files import NEW, UNFINISHED, BoardFiles
from assb_host.flash.board_repl import PROMPT, BoardRepl
from assb_host.flash.firmware_files import SLOT, sha256
from assb_host.flash.identity import Identity, ask, refuse_mismatch, with_kernel
from assb_host.flash.native_kernel import BOARD_PATH, NATIVE
from assb_host.flash.plan import CONFIG_PATH, FlashPlan
from assb_host.link.console import SerialConsole
from assb_host.link.decoder import Frame, Line
from assb_host.link.link import Link

HELLO_DEADLINE_S = 20.0
HELLO_EVERY_S = 1.0
REOPEN_EVERY_S = 0.2
LAST_WORDS = 6  # lines of a board that did not come up: a traceback ends with the reason
SPARE_BYTES = 16 * 1024  # of flash, beyond the new files: littlefs needs room for its own
CRASHES = "/crashes"  # main.py's count of crashes in a row: new firmware starts with a clean one
Progress = Callable[[str, int, int, str], None]  # (step, bytes done, bytes in all, path)


@dataclass
class FlashResult:
    """What was done; `hello` is what the board said about itself after the restart."""

    port: str
    identity: Identity
    sent: dict[str, int] = field(default_factory=dict)  # path → bytes
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    hello: dict = field(default_factory=dict)
    wall_time_s: float = 0.0


def silent(_step, _done, _total, _path):
    """Progress that nobody watches."""


def flash(port: str, plan: FlashPlan, progress: Progress = silent) -> FlashResult:
    """Flash the board on a port. AssbError kinds: PortError, LinkError, MismatchError (nothing written), FlashError
    (flash again to mend), NotRunningError (written and proven, but the board does not say so)."""
    start_s = time.monotonic()
    console = SerialConsole(port, "assb flash")
    try:
        progress("identify", 0, 0, port)
        with BoardRepl(console) as repl:
            result = FlashResult(port, ask(repl))
            refuse_mismatch(result.identity, plan, port)
            plan = with_kernel(result.identity, plan, port)
            write(repl, plan, result, progress)
            progress("restart", 0, 0, "")
            restart(repl)
        console, result.hello = hear_hello(console, plan)
    finally:
        console.close()
    result.wall_time_s = time.monotonic() - start_s
    return result


def write(repl: BoardRepl, plan: FlashPlan, result: FlashResult, progress: Progress) -> None:
    """Bring the board's files to the plan, sending only what differs, and prove every one of them."""
    files = BoardFiles(repl)
    progress("compare", 0, 0, "")
    wanted = {path: sha256(data) for path, data in plan.files.items()}
    present = files.hashes(managed_roots(plan))
    changed = [path for path in plan.files if present.get(path) != wanted[path]]
    stale = stale_paths(present, plan.files)
    result.unchanged = [path for path in plan.files if path not in changed]
    result.removed = [path for path in stale if not path.endswith(NEW)]
    send(files, {path: plan.files[path] for path in changed}, present, result, progress)
    progress("commit", 0, 0, "")
    if changed or stale or UNFINISHED in present:
        files.commit(changed, stale)
    progress("verify", 0, 0, "")
    prove(files.hashes(tuple(plan.files)), wanted)
    files.forget()


def managed_roots(plan: FlashPlan) -> tuple[str, ...]:
    """What a flash looks at: its own files, the slot, what an interrupted flash may have left. Never the rest."""
    outside = [path for path in (*plan.files, CONFIG_PATH) if not path.startswith(f"/{SLOT}/")]
    return (f"/{SLOT}", *dict.fromkeys([*outside, *[path + NEW for path in outside]]), UNFINISHED, CRASHES)


def stale_paths(present: dict[str, str], wanted) -> list[str]:
    """Files and folders (these end in /) that the plan does not know; without a new configuration the old stays."""
    keep = {*wanted, CONFIG_PATH}
    folders = {path[: at + 1] for path in keep for at in range(len(path)) if path[at] == "/"}
    return [path for path in present if path not in keep and path not in folders and path != UNFINISHED]


def send(files: BoardFiles, contents: dict[str, bytes], present, result: FlashResult, progress: Progress) -> None:
    total = sum(len(data) for data in contents.values())
    if total + SPARE_BYTES > result.identity.free_bytes:
        seen = f"{total} bytes to write, {result.identity.free_bytes} free, {SPARE_BYTES} to spare"
        raise FlashError(seen, result.port, "remove files from the board (`mpremote fs rm`)")
    files.make_folders(contents, present)
    done = 0
    for path, data in contents.items():

        def sent(count, path=path):
            nonlocal done
            done += count
            progress("write", done, total, path)

        files.write_new(path, data, sent)
        result.sent[path] = len(data)


def prove(present: dict[str, str], wanted: dict[str, str]) -> None:
    """Every file of the plan reads back, on the board, as what it should be."""
    wrong = [path for path, digest in wanted.items() if present.get(path) != digest]
    if wrong:
        raise FlashError(f"{len(wrong)} files read back wrong", ", ".join(wrong[:3]), "flash again")


def restart(repl: BoardRepl) -> None:
    """The reset that the firmware itself knows; a raw REPL without `machine` gets a soft one."""
    repl.run_away("import machine\nmachine.reset()")


def hear_hello(console: SerialConsole, plan: FlashPlan) -> tuple[SerialConsole, dict]:
    """(console, HELLO fields) once the board reports what was written. The port may vanish and come back: USB does."""
    end_s = console.now_s() + HELLO_DEADLINE_S
    said: list[str] = []
    seen, at_prompt = None, False
    while seen is None and not at_prompt and console.now_s() < end_s:
        try:
            seen, at_prompt = _next_hello(Link(console), said, min(end_s, console.now_s() + HELLO_EVERY_S))
        except PortError:
            console = _reopened(console, end_s)
    wrong = differences(seen, plan) if seen else []
    if seen and not wrong:
        return console, seen
    words = last_words(said)
    if wrong:
        raise NotRunningError(f"the board reports {', '.join(wrong)}{words}", console.name, "flash again")
    what = "the firmware ended and left the board at its prompt" if at_prompt else f"no HELLO in {HELLO_DEADLINE_S:g} s"
    raise NotRunningError(what + words, console.name, "see what it says with `assb monitor --plain`")


def _next_hello(link: Link, said: list[str], end_s: float) -> tuple[dict | None, bool]:
    """(HELLO fields or None, whether the board sits at its prompt). Text on the way is kept: it tells why."""
    link.ask_hello()
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if isinstance(item, Frame) and item.type == schema.HELLO:
                return item.fields, False
            if isinstance(item, Line):
                said.append(item.text.strip())
        if link.decoder.pending_text.endswith(PROMPT.decode()):
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


def _reopened(console: SerialConsole, end_s: float) -> SerialConsole:
    """The same port, after it came back; waits for it until end_s."""
    console.close()
    while True:
        try:
            return SerialConsole(console.name, "assb flash")
        except AssbError as error:
            if console.now_s() > end_s:
                raise LinkError(
                    "the port did not come back after the restart", console.name, "plug it in again"
                ) from error
            time.sleep(REOPEN_EVERY_S)
