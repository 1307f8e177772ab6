"""Command lines from the host: parsed, checked, answered with one line each. Bad input changes nothing."""

from .const import const
from .control import supervisor as sv
from .control.protection import LOCKOUT as ROW_LOCKOUT
from .control.protection import NO_CHARGE, NO_DISCHARGE
from .protocol import tables
from .protocol.commands import LineError, format_line, parse_int, parse_line, value_is_plain
from .storage.event_dump import EventDump
from .storage.frame_dump import FrameDump

# Ids of the wire, as in schema.py (a test compares)
_EV_PARAMETER = const(15)
_EV_MARK = const(16)

_NOTE_MOST = const(80)  # as in storage/note.py (a test compares)
_LINES_PER_POLL = const(2)
_INJECTION_LEAST_MS = const(100)
_INJECTION_MOST_MS = const(60000)
_ON_TRIAL = const(2)  # in HELLO's slot
_BOTH = NO_CHARGE | NO_DISCHARGE


class ConsoleCommands:
    def __init__(self, app, console, crc16):
        self._app = app
        self._console = console
        self._crc16 = crc16
        self.command_count = 0
        self.error_count = 0

    def poll(self, now_ms):
        """Take and answer what the host has sent, at most a few lines per slice."""
        for _ in range(_LINES_PER_POLL):
            line = self._console.read_line()
            if line is None:
                return
            self.answer(line, now_ms)

    def answer(self, line, now_ms):
        name, pairs = "?", {}
        try:
            name, pairs, checked = parse_line(self._crc16, line)
            reply = self._run(name, pairs, checked, now_ms)
            self.command_count = (self.command_count + 1) & tables.INT30_MAX
            self.reply("ok", name, pairs, reply)
        except LineError as error:
            self.error_count = (self.error_count + 1) & tables.INT30_MAX
            self.reply("err", name, pairs, (("reason", error.reason),) + _detail(error.detail))

    def reply(self, kind, name, pairs, reply):
        head = (("id", pairs["id"]),) if "id" in pairs else ()
        try:
            text = format_line(self._crc16, kind + " " + name, head + tuple(reply))
        except LineError:
            text = format_line(self._crc16, kind + " ?", (("reason", "unwritable"),))
        self._console.write_text(text)

    def _run(self, name, pairs, checked, now_ms):
        needs_crc, keys = _command(name)
        for key in pairs:
            if key != "id" and key not in keys:
                raise LineError("unknown_key", key)
        if needs_crc and not checked:
            raise LineError("crc_needed", name)
        return getattr(self, "_" + name)(pairs, now_ms)

    def _help(self, pairs, now_ms):
        return (("commands", ",".join([row[0] for row in tables.rows(tables.COMMANDS)])),)

    def _hello(self, pairs, now_ms):
        self._app.send_hello()
        return ()

    def _schema(self, pairs, now_ms):
        self._app.send_schema()
        return ()

    def _get(self, pairs, now_ms):
        name = _needed(pairs, "name")
        try:
            return (("name", name), ("value", self._app.settings(name)), ("image", self._app.settings.image(name)))
        except KeyError:
            raise LineError("unknown_parameter", name) from None

    def _set(self, pairs, now_ms):
        app = self._app
        name, value = _needed(pairs, "name"), parse_int(_needed(pairs, "value"))
        refusal = app.settings.refusal(name, value)
        if refusal:
            raise LineError(refusal, name)
        if app.settings.needs_open(name):
            self._demand_off()
            if value != app.settings.image(name):  # back to which is the way out of a correction that reads as a weld
                self._demand_open(app.protection.trip_level("weld_current"))
        parameter = app.settings.set(name, value)
        app.tune()
        if app.kept.params:
            app.kept.params.changed()
        app.events.push(_EV_PARAMETER, parameter, value)
        return (("name", name), ("value", app.settings(name)))

    def _arm(self, pairs, now_ms):
        app = self._app
        lease_ms = parse_int(pairs["lease_ms"]) if "lease_ms" in pairs else app.settings("lease_ms")
        if not 1000 <= lease_ms <= app.settings("lease_ms"):
            raise LineError("out_of_range", "lease_ms_1000_to_%d" % app.settings("lease_ms"))
        if app.supervisor.state != sv.SAFE:
            raise LineError("not_safe", "state_" + self._state())
        if app.protection.blocked & _BOTH == _BOTH and not app.stack.warms_up():
            raise LineError("tripped", "rows_%d_%d" % (app.protection.trip_bits, app.protection.trip_bits_2))
        app.arm(lease_ms, now_ms)
        return (("lease_ms", lease_ms),)

    def _lease(self, pairs, now_ms):
        if not self._app.renew_lease(now_ms):
            raise LineError("no_lease", "arm_first")
        return ()

    def _stop(self, pairs, now_ms):
        self._app.stop()
        return ()

    def _clear(self, pairs, now_ms):
        self._app.clear()
        return (("left", self._app.protection.trip_bits), ("left_2", self._app.protection.trip_bits_2))

    def _mark(self, pairs, now_ms):
        number = parse_int(pairs.get("number", "0"))
        self._app.events.push(_EV_MARK, number, 0)
        return (("number", number),)

    def _capture(self, pairs, now_ms):
        number = self._app.capture.ask()
        if not number:
            raise LineError("no_capture", "capture_before_ms_and_capture_after_ms_are_0")
        return (("number", number),)

    def _stream(self, pairs, now_ms):
        full = parse_int(_needed(pairs, "full"), "full")
        if full not in (0, 1):
            raise LineError("out_of_range", "full_0_to_1")
        if not self._app.tell_all(full):
            raise LineError("not_started", "an_estimator_has_no_sample_yet")
        return (("full", full),)

    def _sync(self, pairs, now_ms):
        app, log = self._app, self._kept(self._app.kept.log)
        log.want()
        parameters = 1 if (app.kept.params and app.kept.params.pending) or app.kept.note.pending else 0
        frames = 1 if app.kept.frames.pending else 0
        said = (("stored", log.stored), ("next", log.next), ("lost", log.lost))
        return said + (("parameters", parameters), ("frames", frames))

    def _events(self, pairs, now_ms):
        log = self._kept(self._app.kept.log)
        since = parse_int(pairs.get("since", "0"), "since")
        if since < 0:
            raise LineError("bad_number", "since_%d" % since)
        self._app.dump = EventDump(log, since)
        return (("since", since), ("stored", log.stored), ("next", log.next), ("lost", log.lost))

    def _frames(self, pairs, now_ms):
        frames = self._kept(self._app.kept.frames)
        if "place" not in pairs:
            return (("ranks", ",".join([str(rank) for rank in frames.ranks])),)
        place = parse_int(pairs["place"], "place")
        if not (0 <= place < len(frames.ranks) and frames.ranks[place]):
            raise LineError("no_frame", "place_%d" % place)
        self._app.dump = FrameDump(frames.path(place), place)
        return (("place", place),)

    def _crash(self, pairs, now_ms):
        app = self._app
        if self._kept(app.crash).boot < 0:
            raise LineError("no_crash", "nothing_was_kept")
        app.telemetry.send_part(app.crash, 0, now_ms)
        return (("boot", app.crash.boot),)

    def _selftest(self, pairs, now_ms):
        app = self._app
        if self._state() not in ("SAFE", "FAULT", "LOCKOUT", "MAINTENANCE"):
            raise LineError("not_safe", "state_" + self._state())
        if app.self_test:
            raise LineError("busy", "it_runs")
        from .self_test import SelfTest

        app.self_test = SelfTest(app)
        return ()

    def _note(self, pairs, now_ms):
        note = self._kept(self._app.kept.note)
        if "text" in pairs:
            if len(pairs["text"]) > _NOTE_MOST:
                raise LineError("too_long", "%d of %d characters" % (len(pairs["text"]), _NOTE_MOST))
            note.put(pairs["text"])
        return (("text", note.text),) if note.text else ()

    def _home(self, pairs, now_ms):
        if self._state() not in ("SAFE", "MAINTENANCE"):
            raise LineError("not_safe", "state_" + self._state())
        self._demand_open(self._rest_ua())
        lease_ms = self._app.home(now_ms)
        if not lease_ms:
            raise LineError("no_switch", "not_fitted_or_not_found_since_the_start")
        return (("lease_ms", lease_ms),)

    def _inject(self, pairs, now_ms):
        app = self._app
        lease_ms, t_ms = parse_int(_needed(pairs, "lease_ms"), "lease_ms"), parse_int(pairs.get("t_ms", "0"), "t_ms")
        if not (_INJECTION_LEAST_MS <= lease_ms <= _INJECTION_MOST_MS and t_ms >= 0):
            raise LineError("out_of_range", "lease_ms_%d_to_%d" % (_INJECTION_LEAST_MS, _INJECTION_MOST_MS))
        if not app.config or parse_int(_needed(pairs, "config"), "config") != app.config.crc:
            raise LineError("wrong_config", "config_%d" % (app.config.crc if app.config else 0))
        if not app.board.injected:
            self._demand_idle()
        app.inject(lease_ms, t_ms)
        return (("lease_ms", lease_ms),)

    def _state(self):
        return tables.STATES.split()[self._app.supervisor.state]

    def _rest_ua(self):
        return 1000 * self._app.settings("rest_current_ma")

    def _demand_off(self):
        supervisor = self._app.supervisor
        if supervisor.main or supervisor.precharge or supervisor.regulate:
            raise LineError("not_safe", "state_" + self._state())

    def _demand_open(self, most_ua):
        """Nothing is connected, by what is measured: the contactor's feedback, and a current of at most `most_ua`. One
        that is not there is no reason before the self-test has passed: on a bare board it never is."""
        app = self._app
        if app.board.contactor_closed():
            raise LineError("not_open", "contactor")
        at = app.signals.pack("current_ua")
        if not app.signals.valid[at]:
            if app.ready:
                raise LineError("not_known", "current")
        elif abs(app.signals.value[at]) > most_ua:
            raise LineError("current_flows", "%d_ua" % app.signals.value[at])

    def _demand_idle(self):
        """Nothing is connected, no stack that somebody has to watch (its alarm would end), no firmware on trial.
        A board on which nothing is wired waits for its sensors, and then is locked out: it was never ready."""
        app = self._app
        if app.ready and self._state() not in ("SAFE", "MAINTENANCE"):
            raise LineError("not_safe", "state_" + self._state())
        if app.lockout and app.lockout.cause:
            raise LineError("locked_out", tables.LOCKOUT_CAUSES.split()[app.lockout.cause])
        if app.alarm.on or (app.ready and app.protection.blocked & ROW_LOCKOUT):
            raise LineError("not_safe", "alarm" if app.alarm.on else "a_lockout_row_is_tripped")
        self._demand_open(self._rest_ua())
        if app.record.slot & _ON_TRIAL:
            raise LineError("on_trial", "wait_until_the_firmware_has_confirmed_itself")

    def _sense(self, pairs, now_ms):
        raise LineError("not_injected", "inject_first")  # while it is, injection.py takes these lines

    def _kept(self, part):
        if part is None:
            raise LineError("nothing_kept", "no_storage")
        return part

    def _update(self, pairs, now_ms):
        self._app.safe()
        self._app.requests |= sv.UPDATE
        if not self._app.record.request_update():
            raise LineError("not_written", "flash_is_full_or_worn")
        self._app.reset_wanted = True
        return ()

    def _reset(self, pairs, now_ms):
        self._app.safe()
        self._app.reset_wanted = True
        return ()


def _command(name):
    """(needs its CRC, keys) of a command."""
    for row, needs_crc, keys in tables.rows(tables.COMMANDS):
        if row == name:
            return needs_crc, () if keys == "-" else keys.split(",")
    raise LineError("unknown_command", "help_lists_them")


def _needed(pairs, key):
    if key not in pairs:
        raise LineError("missing_key", key)
    return pairs[key]


def _detail(detail):
    """A hint as a key; what a line can't carry is left out rather than refused."""
    word = detail.replace(" ", "_").replace("*", "").replace("=", "_")[:40]
    return (("detail", word),) if word and value_is_plain(word) else ()
