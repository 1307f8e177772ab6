"""From power-on to the main loop, in an order that keeps the heap low: the configuration is read, and its reader let
go, before the application is loaded.
"""

import io
import sys

from . import FOLDER
from .const import const
from .port.heap import collect

# Kinds of estimator, as HELLO says them
_TWIN = const(0)
_NATIVE = const(1)
# Their faults, and codes of the event self_test_failed; 1 and 2 are the configuration's
_NATIVE_WRONG = const(3)  # a native module is there, but does not load or fails its golden vector: the twin runs
_ALL_WRONG = const(4)  # the twin fails its golden vector as well: the self-test fails
_FILES_WRONG = const(5)  # a file of the firmware is not what was flashed: the self-test fails

# Ids of the wire, as in schema.py (a test compares)
_EV_INTERRUPTED = const(62)

_CTRL_C = const(3)
_ON_TRIAL = const(2)  # in HELLO's slot
_TRIAL_WATCHDOG_MS = const(8000)  # as in rootfs/main.py, which has started it and does not feed it (a test compares)

BOOT_LOOP = -3  # config_status after crashes in a row: the configuration was not even read, the state is MAINTENANCE


def read_config(path=""):
    """(Config, 0), or (None, status): -1 no file, -2 an image that this firmware can't use (why is printed)."""
    from .protocol import image

    try:
        with open(path or FOLDER + "/config.bin", "rb") as file:
            return image.decode(file.read()), 0
    except OSError:
        return None, -1
    except image.ImageError as error:
        print(error)
        return None, -2
    finally:
        _forget("assb.protocol.image")


def _forget(module):
    """Give back the heap of a module that is not needed again, if it was loaded."""
    package, name = module.rsplit(".", 1)
    sys.modules.pop(module, None)
    if hasattr(sys.modules[package], name):
        delattr(sys.modules[package], name)
    collect()


def choose_kernel():
    """(module with the estimators, kind, fault or 0): native where there is one, else the twin; each must make of the
    golden vector what it says. What was needed for the choice alone is let go.
    """
    from assb.estimation import golden

    native, why = _native(golden)
    if native:
        chosen = (native, _NATIVE, 0)
    else:
        from .estimation import twin

        chosen = (twin, _TWIN, _NATIVE_WRONG if why else 0)
        if why:
            print("assb: no native estimator:", why)
        if not golden.right(twin.Ekf(golden.cell())):
            chosen = (twin, _TWIN, _ALL_WRONG)
            print("assb: the estimator is wrong")
        _forget("assb.estimation.kernel")
        _forget("assb.detection.native")
        _forget("assb.estimation.assb_kernel")
    _forget("assb.estimation.golden")
    return chosen


def _native(golden):
    """(its face, ""), or (None, why the native module can't be used; "" when there is none)."""
    try:
        _import_module()
    except ImportError:  # alone: its absence is no fault
        return None, ""
    except Exception as error:  # built for another processor or MicroPython, or not whole: the twin does its work
        return None, error
    try:
        from assb.estimation import kernel

        kernel.demand_whole()
        if golden.right(kernel.Ekf(golden.cell())) and golden.detects(kernel):
            return kernel, ""
        return None, "wrong golden vector"
    except Exception as error:
        return None, error


def _import_module():
    """Beside a firmware that is part of the MicroPython image the module lies in the slot by itself."""
    try:
        import assb.estimation.assb_kernel  # noqa: F401 # pyright: ignore
    except ImportError:
        import assb_kernel  # pyright: ignore

        from . import estimation

        sys.modules["assb.estimation.assb_kernel"] = assb_kernel
        setattr(estimation, "assb_kernel", assb_kernel)  # noqa: B010 (a name that no stub knows)


def tested_kernel():
    """What choose_kernel gives, with another fault when a file of the firmware is not what was flashed."""
    kernel = choose_kernel()
    return (kernel[0], kernel[1], _FILES_WRONG) if files_differ() else kernel


def files_differ():
    """Whether a file of the firmware is not what was flashed. Without a list of them nobody knows: no."""
    from .storage.manifest import FileCheck

    check = FileCheck()
    while not check.step():
        pass
    _forget("assb.storage.manifest")
    if check.line:
        print("assb: line %d of the manifest: the file is not what was flashed" % check.line)
    return check.line != 0


def traceback_text(error):
    """The traceback as text, or the kind of exception when there is no heap for more."""
    try:
        text = io.StringIO()
        sys.print_exception(error, text)  # pyright: ignore
        return text.getvalue()  # pyright: ignore
    except MemoryError:
        return type(error).__name__


def run(app):
    """The main loop; returns when a reset is wanted."""
    clock = app.clock
    while not app.reset_wanted:
        clock.sleep_until(app.step(clock.now_ms()))


def main(slot=0):
    """Build everything from the configuration and run until a reset. Whatever ends the loop, the outputs go off first.
    `slot`: bits of HELLO's slot.
    """
    import micropython

    from .port.boot_record import BootRecord

    record = BootRecord(slot)  # before anything that can fail, so that a crash is counted
    board = watchdog = app = crash = injection = None
    try:
        from .port.clock import Clock
        from .port.watchdog import Watchdog
        from .storage.crash import CrashRecord
        from .storage.records import Store

        watchdog = Watchdog(_TRIAL_WATCHDOG_MS if slot & _ON_TRIAL else 0)  # so that Ctrl-C leaves none that starves
        clock = Clock()
        store = Store(clock.now_us)
        crash = CrashRecord(store)
        config, status = (None, BOOT_LOOP) if record.loops else read_config()
        kernel = tested_kernel()
        from .board import Board, NoBoard

        collect()  # between the large imports: growing tables of names need room in one piece
        from .app import App

        collect()
        from .port.console import Console

        watchdog.start(_watchdog_ms(config, slot))
        board = Board(config) if config else NoBoard()
        watchdog.feed()
        console = Console()
        app = App(board, config, status, clock, console, watchdog, record, kernel, store, crash)
        watchdog.feed()
        if config:
            config.release()
        collect()
        micropython.kbd_intr(-1)  # from here on the console says which Ctrl-C is meant
        run(app)
        app.keep()
        while app.injection:
            request, app, board, injection = app.injection, None, None, None  # their heap
            injection = _injection(request, clock, console, watchdog, record, kernel)
            app, board = injection.app, injection.board
            injection.run()
        record.intend_reset()
    except KeyboardInterrupt:
        _to_prompt(board, app, watchdog, record)
        return
    except Exception as error:
        _outputs_off(board)
        lockout, log = (app.lockout, app.kept.log) if app else (None, None)
        app = board = injection = None  # their heap: if it ended the loop, not even the crash could be counted
        _crashed(error, record, crash, lockout, log)
    import machine

    machine.reset()


def _watchdog_ms(config, slot):
    configured_ms = config.parameter("watchdog_ms") if config else 0
    return configured_ms or (_TRIAL_WATCHDOG_MS if slot & _ON_TRIAL else 0)


def _injection(request, clock, console, watchdog, record, kernel):
    """The firmware anew, on what the host sends; its code is loaded once it is asked for."""
    watchdog.feed()  # before each piece that takes an RP2040 most of a second
    collect()
    from .injection import Injection

    return Injection(read_config()[0], request, clock, console, watchdog, record, kernel)


def _crashed(error, record, crash, lockout, log):
    """Outputs are off: what is known is kept, the worst first. Whatever fails in it, the reset comes."""
    collect()
    if lockout:
        _keep(lockout.keep)
    _keep(record.crashed)
    sys.print_exception(error)  # pyright: ignore
    collect()
    if crash:
        _keep(lambda: crash.write(record.boot_count, traceback_text(error)))
    if log:
        _keep(log.keep)


def _to_prompt(board, app, watchdog, record):
    import micropython

    _outputs_off(board)
    _interrupted(app, watchdog, record)
    micropython.kbd_intr(_CTRL_C)


def _interrupted(app, watchdog, record):
    """Outputs are off: what is known is kept, and the prompt may last. An `update` whose reset the Ctrl-C came before
    is done with: its host has the prompt."""
    record.forget_update()
    _keep(record.intend_reset)  # by a watchdog that a soft reset at the prompt leaves without its feeder
    if watchdog:
        _keep(watchdog.keep_alive)
    if app:
        app.events.push(_EV_INTERRUPTED, 0, 0)
        app.keep()
    print("assb: stopped by Ctrl-C, outputs are off")


def _keep(write):
    """It may be what has failed before."""
    try:
        write()
    except Exception as error:
        print("assb: not written:", error)


def _outputs_off(board):
    """And no Ctrl-C ends what is done next: it is a key for the prompt."""
    import micropython

    micropython.kbd_intr(-1)
    if board:
        board.off()
