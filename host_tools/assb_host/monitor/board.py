"""A thread for each board that is watched: it hears the board, keeps the trends, carries out commands."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from assb.protocol import schema

from assb_host.errors import AssbError, PortError
from assb_host.link.decoder import Frame
from assb_host.link.units import physical, word
from assb_host.monitor.history import History
from assb_host.monitor.limit_levels import Levels, levels_of
from assb_host.monitor.watched import Watched

PAUSE_S = 0.03  # between two looks at a board that talks all the time
RENEWALS_PER_LEASE = 4  # so that two lost lines in a row cost nothing
PARAMETERS = ("pressure_min_kpa", "pressure_max_kpa")
ASK_AGAIN_S = 10.0
TREND_OF_PACK = ("current_a", "pressure_mpa", "temperature_degc")
TREND_OF_CELL = ("voltage_v", "soc_frac")
OFF = ("SAFE", "FAULT", "LOCKOUT", "MAINTENANCE")
# command → (what it does, what is asked before)
COMMANDS = {
    "arm": ("Arm", "Press the stack to its target and close the contactor? The lease is kept from here."),
    "stop": ("Stop", ""),  # the safe way: at once
    "clear": ("Clear", "Clear the tripped limits? Look for their cause first."),
    "mark": ("Mark", "Put a numbered mark into the record?"),
}


class WatchedBoard:
    """Everything that the views need; they read under `lock`."""

    def __init__(self, watched: Watched, pack: str = ""):
        self.watched = watched
        self.lock = threading.Lock()
        self.history = History()
        self.parameters: dict[str, float] = {}  # pressure window in MPa
        self.levels: list[Levels] = []
        self.levels_unknown = "the board has not said which pack it has"
        self.said = ""  # what came of the newest command
        self.armed_here = False
        self._pack = pack
        self._asked: tuple = ()  # HELLO fields that the parameters and levels belong to
        self._ask_at_s = 0.0
        self._mark_number = 0
        self._begun = False  # the armed board has left the states that are off
        self._commands: SimpleQueue[tuple[str, Callable[[str], None]]] = SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {watched.path}", daemon=True)

    def start(self) -> "WatchedBoard":
        self._thread.start()
        return self

    def close(self) -> None:
        """Stops a board that was armed from here, because nobody would keep its lease."""
        self._ending.set()
        if self._thread.ident:
            self._thread.join()

    def command(self, name: str, told: Callable[[str], None] = lambda _said: None) -> None:
        """Have it carried out; `told` is called in the board's thread with what came of it."""
        self._commands.put((name, told))

    def _run(self):
        try:
            while not self._ending.is_set():
                self._turn()
                self._ending.wait(PAUSE_S)
        finally:
            if self.armed_here and self.watched.link:
                self._carry_out("stop")
            self.watched.close()

    def _turn(self):
        gaps = len(self.watched.gaps), bool(self.watched.absent)
        frames = self.watched.see()
        with self.lock:
            if (len(self.watched.gaps), bool(self.watched.absent)) != gaps:
                self.history.end_lines(time.time())
            self._keep(frames)
        self._learn_board()
        self._obey()

    def _keep(self, frames: list[Frame]):
        if not frames:
            return
        now_s, newest_ms = time.time(), frames[-1].t_ms
        for frame in frames:
            at_s = now_s - 1e-3 * (newest_ms - frame.t_ms)
            if frame.type == schema.PACK:
                fields = physical(frame.fields)
                for name in TREND_OF_PACK:
                    self.history.add(name, at_s, fields[name] if not self.watched.picture.config_hint else None)
                self._follow_lease(word(schema.STATES, frame.fields["state"]))
            elif frame.type == schema.CELL:
                fields = physical(frame.fields)
                for name in TREND_OF_CELL:
                    self.history.add(f"{name}[{fields['cell']}]", at_s, fields[name])

    def _follow_lease(self, state):
        """A board that left operation by itself, or by a stop from elsewhere, gets no lease from here any more."""
        if self.armed_here and state not in OFF:
            self._begun = True
        elif self.armed_here and self._begun:
            self._drop_lease(f"the board is in {state}; its lease is not kept any more")

    def _drop_lease(self, said):
        self.armed_here = self._begun = False
        self.said = said
        if self.watched.link and self.watched.console:
            self.watched.link.drop_lease()
            self.watched.console.lends = True

    def _learn_board(self):
        """The pressure window and the levels of the limits, once for each board and configuration."""
        hello, link = self.watched.picture.hello, self.watched.link
        key = tuple(hello.get(name) for name in ("boot_count", "config_crc", "pack", "config_status"))
        if not hello or link is None or key == self._asked or time.monotonic() < self._ask_at_s:
            return
        self._ask_at_s = time.monotonic() + ASK_AGAIN_S
        try:
            said = {name: int(link.request("get", name=name)["value"]) for name in PARAMETERS}
        except AssbError:
            return  # asked again
        levels, unknown = ([], "no configuration") if hello["config_status"] else levels_of(hello, self._pack)
        with self.lock:
            self.parameters = {name.replace("_kpa", "_mpa"): 1e-3 * value for name, value in said.items()}
            self.levels, self.levels_unknown, self._asked = levels, unknown, key

    def _obey(self):
        try:
            name, told = self._commands.get_nowait()
        except Empty:
            return
        said = self._carry_out(name)
        with self.lock:
            self.said = said
        told(said)

    def _carry_out(self, name) -> str:
        link, console = self.watched.link, self.watched.console
        if link is None or console is None:
            return f"{name}: {self.watched.absent}"
        try:
            pairs = {}
            if name == "mark":
                self._mark_number += 1
                pairs = {"number": self._mark_number}
            reply = link.request(name, **pairs)
        except PortError as error:
            return f"{name}: {error}"
        except AssbError as error:
            return f"{name}: {error.seen}" + (f"; {error.remedy}" if error.remedy else "")
        if name == "arm":
            lease_s = int(reply["lease_ms"]) / 1000
            link.keep_lease(lease_s / RENEWALS_PER_LEASE)
            console.lends = False
            self.armed_here, self._begun = True, False
            return f"armed; lease {lease_s:g} s, kept from here"
        if name == "stop":
            self._drop_lease("")
        return " ".join([f"{name}: done", *(f"{key}={value}" for key, value in reply.items())])
