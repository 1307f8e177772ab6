"""A pack's configuration as the firmware uses it; image.py reads and writes its bytes."""

from assb.const import const
from assb.protocol import tables

LAYOUT = 1  # of the config image
# A calibration may move its channel's zero by a twentieth of the nearest trip level (assumption): a load cell's zero
# lies within 2 % of its full scale, which is twice the trip at most. Of a current by half of what is no current at most
_ZERO_SHARE = const(20)
_NO_CURRENT_SHARE = const(2)
_OVERCURRENT = "charge_overcurrent charge_overcurrent_10s discharge_overcurrent discharge_overcurrent_10s"
ZEROS = ("load_cell_zero_shift_counts", "current_offset_ua")
_TRIP = const(6)  # column of a limit row's values


class Config:
    """A decoded image. `limits` come in the order of tables.LIMIT_ROWS, `devices` in the image's."""

    def __init__(self, names, parameters, limits, devices, estimator):
        self.names = names  # (board, pack, cell)
        self.parameters = parameters  # {name: int}
        self.limits = (
            limits  # (id, flags, recovery, trips_to_lockout, warn, derate, trip, reset, debounce_ms, recovery_ms)
        )
        self.devices = devices  # (kind name, instance, bus, address, pins, arguments)
        self.estimator = estimator  # array('f')
        self.crc = 0  # 30 bits, as HELLO reports it
        self.layout = LAYOUT

    def release(self):
        """Everything was taken over: let go of it. Names, estimator and CRC stay."""
        self.parameters = self.limits = self.devices = ()

    def parameter(self, name):
        return self.parameters[name]

    def zero_most(self, name):
        """The most that a calibration's shift of zero may be, either way, in its own unit."""
        if name == "current_offset_ua":
            nearest_ua = min([abs(self._trip(row)) for row in _OVERCURRENT.split()])
            no_current_ua = min(self._trip("weld_current"), self._trip("forbidden_current"))
            return min(nearest_ua // _ZERO_SHARE, no_current_ua // _NO_CURRENT_SHARE)
        ppb = self.parameter("load_cell_kpa_per_count_ppb")
        return min(tables.INT30_MAX, self._trip("pressure_high") * (1000000000 // _ZERO_SHARE) // ppb)

    def _trip(self, name):
        return self.limits[tables.position(tables.LIMIT_ROWS, name)][_TRIP]

    def devices_of(self, kind):
        """Devices of one kind, by instance."""
        return sorted([device for device in self.devices if device[0] == kind], key=lambda device: device[1])
