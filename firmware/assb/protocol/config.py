"""A pack's configuration as the firmware uses it; image.py reads and writes its bytes."""

LAYOUT = 1  # of the config image


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

    def devices_of(self, kind):
        """Devices of one kind, by instance."""
        return sorted([device for device in self.devices if device[0] == kind], key=lambda device: device[1])
