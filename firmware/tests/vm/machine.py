"""`machine` for heap tests on the VM: registers that answer like configured chips and allocate nothing while they do.

Not a chip model (those are in hil_tests): values are constant, so whatever is allocated was allocated by the firmware.
"""

PWRON_RESET = 1


def reset_cause():
    return PWRON_RESET


class Pin:
    IN, OUT, OPEN_DRAIN = 0, 1, 2
    PULL_UP = 1

    def __init__(self, number, mode=IN, pull=-1, value=0):
        self._level = 1 if pull == Pin.PULL_UP else value

    def value(self, level=None):
        if level is None:
            return self._level
        self._level = level


class WDT:
    def __init__(self, timeout):
        pass

    def feed(self):
        pass


def _file(width, values):
    return {register: bytearray(value.to_bytes(width, "big")) for register, value in values.items()}


INA228, NAU7802, TMP117, MCP4725 = 0x40, 0x2A, 0x48, 0x60


class I2C:
    def __init__(self, bus, sda=None, scl=None, freq=0, timeout=0):
        self.fail = 0  # 1: no chip acknowledges
        self._error = OSError(19)
        self._files = {
            # DIAG_ALRT with CNVRF and MEMSTAT set; manufacturer and device id
            INA228: _file(2, {0x06: 0x0C80, 0x0B: 3, 0x3E: 0x5449, 0x3F: 0x2281}),
            # PU_CTRL always ready (CR, PUR), revision 0xF
            NAU7802: _file(1, {0x00: 0xBE, 0x01: 0, 0x02: 0, 0x15: 0, 0x1C: 0, 0x1F: 0x0F}),
            TMP117: _file(2, {0x00: 0x0C80, 0x01: 0x2000, 0x0F: 0x0117}),
        }
        self._files[INA228][0x05] = bytearray((0x48, 0x00, 0x00))
        self._files[INA228][0x07] = bytearray((0x00, 0x10, 0x00))
        self._files[NAU7802][0x12] = bytearray((0x32, 0xDC, 0xD5))

    def readfrom_mem_into(self, address, register, buffer):
        if self.fail:
            raise self._error
        data = self._files[address][register]
        for at in range(len(buffer)):
            buffer[at] = data[at]

    def writeto_mem(self, address, register, buffer):
        if self.fail:
            raise self._error
        file = self._files[address]
        if address == NAU7802 and register == 0:
            return  # stays ready
        if address == INA228 and register == 0x0B:
            file[register][0] = buffer[0]  # the flags in the low byte stay: converted, memory intact
            return
        if register not in file:
            file[register] = bytearray(len(buffer))
        for at in range(len(buffer)):
            file[register][at] = buffer[at]
        if address == NAU7802 and register == 0x02:
            file[register][0] &= 0xF0  # calibration ends at once
        if address == TMP117 and register == 0x01:
            file[register][0] |= 0x20  # data ready

    def writeto(self, address, buffer):
        if self.fail:
            raise self._error

    def readfrom_into(self, address, buffer):
        if self.fail:
            raise self._error
        buffer[0] = 0x80  # RDY, code 0
        for at in range(1, len(buffer)):
            buffer[at] = 0
