"""What stands for the drivers of sensors, press and heater while the host sends what sensors say, and for that of a
sensor that could not be made."""

from assb.drivers.registers import COUNT_MAX
from assb.drivers.status import BUS_ERROR, HELD, NOT_READY


class InjectedSensor:
    """Any sensor. `give` after its values were set; `lose`: its driver, on the host, could not read it."""

    def __init__(self):
        self.voltage_uv = self.current_ua = self.temperature_cdegc = self.pressure_kpa = 0
        self.voltage_code = self.current_code = self.code = 0  # what a channel that stands is known by
        self.alert_flags = self.error_count = 0
        self.status = NOT_READY
        self._new = False

    def give(self):
        self._new = True
        self.status = 0

    def hold(self):
        """Between two results of a converter that is slower than the tick."""
        self.status = HELD

    def lose(self):
        self._new = False
        self.status = BUS_ERROR
        if self.error_count < COUNT_MAX:
            self.error_count += 1

    def update(self) -> bool:
        """True when a value has come since the last call. Allocates nothing."""
        new = self._new
        self._new = False
        if not new and self.status == 0:
            self.status = NOT_READY
        return new

    def update_diagnostics(self) -> bool:
        return True

    def clear_alerts(self) -> None:
        pass

    def check_id(self) -> None:
        pass

    def restore(self) -> None:
        pass

    def calibrate(self, *_corrections) -> None:
        """What comes is in units already, and belongs to no sensor of this board."""


class InjectedPress:
    """A press of either kind. `commanded_kpa`: what was asked for, until the host says what its driver has applied."""

    error_count = 0

    def __init__(self):
        self.commanded_kpa = 0

    def command_kpa(self, kpa: int) -> bool:
        self.commanded_kpa = kpa
        return True

    def verify(self) -> bool:
        return True


class InjectedHeater:
    def __init__(self):
        self.permille = 0
        self.on = False

    def set(self, permille, on):
        self.permille = permille
        self.on = on
