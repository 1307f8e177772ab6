"""What a BQ76952 measures, each as the chips for one cell show it: a monitor of a cell, a thermometer."""

from assb.const import const
from assb.drivers.status import BUS_ERROR, CHIP_FAULT, HELD, NOT_READY, SATURATED

# 103AT's table (Semitec) goes from -50 to 110 degC: beyond it a wire is open (cold) or shorted (hot)
_COLDEST_CDEGC = const(-5000)
_HOTTEST_CDEGC = const(11000)


class StackCell:
    """Cell `at` of a BQ76952, as an INA228 shows one: voltage_uv, voltage_code, status; cell 0 moves the chip on, and
    has its current and its alerts."""

    def __init__(self, stack, at):
        self._stack = stack
        self._at = at
        self.voltage_uv = self.voltage_code = self.current_ua = self.current_code = 0
        self.alert_flags = 0
        self.status = NOT_READY
        self.check_id = stack.check_id if at == 0 else _nothing
        self.calibrate = stack.calibrate if at == 0 else _nothing
        self.restore = stack.restore if at == 0 else _nothing

    @property
    def error_count(self):
        return 0 if self._at else self._stack.error_count

    def update(self):
        """As INA228: True when voltage_uv is new; HELD: only the current is."""
        stack = self._stack
        if self._at == 0:
            stack.update()
            self.current_ua = stack.current_ua
            self.current_code = stack.current_code
        self.status = stack.status
        if self.status & ~SATURATED:
            return False
        self.voltage_uv = stack.voltage_uv[self._at]
        self.voltage_code = stack.scans
        return True

    def update_diagnostics(self):
        if self._at:
            return True
        right = self._stack.update_diagnostics()
        self.status = self._stack.status
        self.alert_flags = self._stack.alert_flags
        return right

    def clear_alerts(self):
        self._stack.clear_alerts()


class StackThermistor:
    """A thermistor at TS1 to TS3 (`pin` 0 to 2) of a BQ76952, as a TMP117 shows one."""

    error_count = 0  # the stack counts

    def __init__(self, stack, pin):
        self._stack = stack
        self._pin = pin
        self._seen = -1
        self.temperature_cdegc = self.code = 0
        self.status = NOT_READY

    def check_id(self):
        """The stack's first cell does."""

    def restore(self):
        """As above."""

    def update(self):
        """Slow tick: True when a scan has ended since. CHIP_FAULT: a wire is open or shorted."""
        stack = self._stack
        if stack.status & ~(SATURATED | HELD):
            self.status = stack.status
            return False
        if stack.scans == self._seen:
            self.status = NOT_READY
            return False
        cdegc = stack.thermistor_cdegc(self._pin)
        if cdegc is None:
            self.status = BUS_ERROR
            return False
        if not _COLDEST_CDEGC < cdegc < _HOTTEST_CDEGC:
            self.status = CHIP_FAULT
            return False
        self._seen = self.code = stack.scans
        self.temperature_cdegc = cdegc
        self.status = 0
        return True


def _nothing(*_):
    pass
