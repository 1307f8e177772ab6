"""From power-on to the main loop, in an order that keeps the heap low: the configuration is read, and its reader let
go, before the application is loaded.
"""

import sys

from .port.heap import collect


def read_config(path="/config.bin"):
    """(Config, 0), or (None, status): -1 no file, -2 an image that this firmware can't use (why is printed)."""
    from .protocol import image

    try:
        with open(path, "rb") as file:
            return image.decode(file.read()), 0
    except OSError:
        return None, -1
    except image.ImageError as error:
        print(error)
        return None, -2
    finally:
        _forget("assb.protocol.image")


def _forget(module):
    """Give back the heap of a module that is not needed again."""
    package, name = module.rsplit(".", 1)
    del sys.modules[module]
    delattr(sys.modules[package], name)
    collect()


def store(clock):
    """What gives the app its record of the learned state, on littlefs."""
    from .storage.learned import LAYOUT
    from .storage.records import Record

    return lambda body_bytes: Record("/learned", LAYOUT, body_bytes, clock.now_us)


def run(app):
    """The main loop; returns when a reset is wanted."""
    clock = app.clock
    while not app.reset_wanted:
        clock.sleep_until(app.step(clock.now_ms()))


def main():
    """Build everything from /config.bin and run until a reset. Whatever ends the loop, the outputs go off first."""
    from .port.boot_record import BootRecord

    record = BootRecord()  # before anything that can fail, so that a crash is counted
    board = watchdog = app = None
    try:
        config, status = read_config()
        from .board import Board, NoBoard

        collect()  # between the large imports: growing tables of names need room in one piece
        from .app import App

        collect()
        from .port.clock import Clock
        from .port.console import Console
        from .port.watchdog import Watchdog

        watchdog = Watchdog(config.parameter("watchdog_ms") if config else 0)
        board = Board(config) if config else NoBoard()
        watchdog.feed()
        clock = Clock()
        app = App(board, config, status, clock, Console(), watchdog, record, store(clock))
        if config:
            config.release()
        collect()
        run(app)
        app.keep()
        record.intend_reset()
    except KeyboardInterrupt:
        _outputs_off(board)
        if watchdog:
            watchdog.keep_alive()
        if app:
            app.keep()
        print("assb: stopped by Ctrl-C, outputs are off")
        return
    except Exception as error:
        _outputs_off(board)
        record.crashed()
        sys.print_exception(error)
    import machine

    machine.reset()


def _outputs_off(board):
    if board:
        board.off()
