"""The self-test that the host asks for, with the outputs off: a part in each slice. Loaded when it is asked for.

What fails is an event check_failed with the check and a code; self_tested ends it.
"""

import binascii

from . import FOLDER
from .const import const
from .port.heap import collect
from .protocol import tables
from .storage.manifest import FileCheck

# Ids of the wire, as in schema.py (a test compares)
_EV_CHECK_FAILED = const(55)
_EV_SELF_TESTED = const(56)

# Checks, in the order of tables.CHECKS
_FILES = const(0)
_CONFIGURATION = const(1)
_GOLDEN_VECTOR = const(2)
_SENSORS = const(3)
_PLAUSIBILITY = const(4)

# Codes of the golden vector, as schema_text says them
_WRONG = const(1)
_NOT_RUN = const(2)  # no heap for it: nothing is known

_HEADER_BYTES = const(22)  # of the config image: its CRC is the last four
_TEMPERATURE_LEAST_CDEGC = const(-4000)  # what a TMP117 measures but for its last degrees
_TEMPERATURE_MOST_CDEGC = const(12500)


class SelfTest:
    def __init__(self, app, root=""):
        """`root`: where the file system is, for tests."""
        self._app = app
        self._config_path = root + FOLDER + "/config.bin"
        self._files = FileCheck(root)
        self._checks = [self._configuration, self._golden_vector, self._sensors, self._plausibility]
        self._failed = 0

    def step(self):
        """One slice; True when the test is over."""
        if self._files:
            if self._files.step():
                if self._files.line or not self._files.listed:
                    self._fail(_FILES, self._files.line)
                self._files = None
            return False
        if self._checks:
            self._checks.pop(0)()
            return False
        self._app.events.push(_EV_SELF_TESTED, self._failed, 0)
        return True

    def _fail(self, check, code):
        self._failed |= 1 << check
        self._app.events.push(_EV_CHECK_FAILED, check, code)

    def _configuration(self):
        """The image on flash is whole, and is the one that the board runs with."""
        try:
            with open(self._config_path, "rb") as file:
                head = file.read(_HEADER_BYTES)
                crc = 0
                while True:
                    part = file.read(256)
                    if not part:
                        break
                    crc = binascii.crc32(part, crc)
        except OSError:
            self._fail(_CONFIGURATION, 1)
            return
        config = self._app.config
        said = int.from_bytes(head[_HEADER_BYTES - 4 :], "little")
        if said != crc & 0xFFFFFFFF or not config or config.crc != said & tables.INT30_MAX:
            self._fail(_CONFIGURATION, 2)

    def _golden_vector(self):
        try:
            from .estimation import golden

            collect()  # its cell is one piece of 3.3 kB
            right = golden.right(self._app.kernel[0].Ekf(golden.cell()))
        except MemoryError:
            self._fail(_GOLDEN_VECTOR, _NOT_RUN)
            return
        except Exception:  # whatever is wrong with it, it does not give the vector
            right = False
        if not right:
            self._fail(_GOLDEN_VECTOR, _WRONG)

    def _sensors(self):
        for number in self._app.board.absent():
            self._fail(_SENSORS, number)

    def _plausibility(self):
        """With the contactor open no current flows, a stack is between -40 and 125 degC, and a cell has a voltage."""
        app = self._app
        value, valid = app.signals.value, app.signals.valid
        current, temperature = app.signals.pack("current_ua"), app.signals.pack("temperature_cdegc")
        if not valid[current] or abs(value[current]) > 1000 * app.settings("rest_current_ma"):
            self._fail(_PLAUSIBILITY, current)
        if not valid[temperature] or not _TEMPERATURE_LEAST_CDEGC <= value[temperature] <= _TEMPERATURE_MOST_CDEGC:
            self._fail(_PLAUSIBILITY, temperature)
        for cell in range(app.cell_count):
            voltage = app.signals.cell(cell, "voltage_uv")
            if not valid[voltage] or value[voltage] <= 0:
                self._fail(_PLAUSIBILITY, voltage)
