"""TI BQ76952 at register level (TRM SLUUBY2B, datasheet SLUSE13B)."""

import struct
from collections.abc import Callable, Mapping

from assb_hil.chips.i2c_chip import NEVER, I2cChip

# Direct commands
SAFETY_STATUS_A, BATTERY_STATUS, CELL_1, STACK, CC2_CURRENT = 0x03, 0x12, 0x14, 0x34, 0x3A
SUBCOMMAND, BUFFER, CHECKSUM, LENGTH = 0x3E, 0x40, 0x60, 0x61
ALARM_STATUS, ALARM_RAW, ALARM_ENABLE, INT_TEMPERATURE, TS1 = 0x62, 0x64, 0x66, 0x68, 0x70
CFGUPDATE, SLEEP_EN, POR, FULLACCESS = 0x0001, 0x0004, 0x0008, 0x0100  # Battery Status
ADSCAN, FULLSCAN, CB, INITCOMP, SSA = 0x0002, 0x0080, 0x0004, 0x0200, 0x4000  # Alarm Status
CUV, COV, OCC, OCD1 = 0x04, 0x08, 0x10, 0x20  # Safety Status A
DEVICE_NUMBER, RESET, CB_ACTIVE_CELLS, SET_CFGUPDATE, EXIT_CFGUPDATE = 0x0001, 0x0012, 0x0083, 0x0090, 0x0092
SLEEP_ENABLE, SLEEP_DISABLE, DASTATUS5 = 0x0099, 0x009A, 0x0075
# Data memory with its defaults: address, bytes (13)
CC_GAIN, POWER_CONFIG, ENABLED_PROTECTIONS_A, TS1_CONFIG, DA_CONFIGURATION = 0x91A8, 0x9234, 0x9261, 0x92FD, 0x9303
VCELL_MODE, CUV_THRESHOLD, COV_THRESHOLD, OCC_THRESHOLD, OCD1_THRESHOLD = 0x9304, 0x9275, 0x9278, 0x9280, 0x9282
HYSTERESIS, BALANCE_INTERVAL = 0x927B, 0x9339
MEMORY_FIRST, MEMORY_LAST = 0x9180, 0x93FF
DEFAULTS = {
    CC_GAIN: struct.pack("<ff", 7.4768, 2230042.463),
    POWER_CONFIG: b"\x82\x29",
    ENABLED_PROTECTIONS_A: b"\x88",
    CUV_THRESHOLD: struct.pack("<BHBHBB", 50, 74, 86, 74, 2, 2),
    OCC_THRESHOLD: bytes((2, 4, 4, 1)),
    TS1_CONFIG: b"\x07\x00\x00",
    DA_CONFIGURATION: b"\x05",
    BALANCE_INTERVAL: bytes((20, 1)),
}
POWER_SLEEP, POWER_FASTADC = 0x0100, 0x0040

SLOT_US = 3000
LOOPS = 3  # in a full set: VC16, PACK and LD have their slot in one each
CC2_US = 3000
SLEEP_SCAN_US = 5_000_000  # Voltage Time, 13.4
INIT_US = 250_000  # POR to the end of initialisation (assumption)
SUBCOMMAND_US = 500  # to the answer in the transfer buffer: some 0.5 ms (12.3)
MODE_US = 2000  # SET_CFGUPDATE; EXIT takes half of it
CC_LSB_OHM_A = 7.5684e-6  # 16 bits of the coulomb counter: VREF2 / (5 * 2**15), 9.1
RAW_PER_CC_LSB = 256  # raw counts have 24 bits: VREF2 / (5 * 2**23)
VOLTAGE_RANGE_V = (-0.2, 5.5)
PROTECTION_STEP_V = 0.0506


def _crc8(data: bytes) -> int:
    """x8 + x2 + x + 1 from 0 (SLUSE13B 14.1)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


def _none() -> float:
    return 0.0


def _room() -> float:
    return 25.0


class BQ76952(I2cChip):
    """Inputs: cells_v by VC number (1 to 16; the others are shorted), shunt_v (SRP minus SRN), thermistors_degc by pin
    (1 to 3), die_degc, stack_v (at VC16). `bleed(mask)` is told which inputs are balanced; bit 0 is VC1. `with_crc`: as
    the part has it.

    Simplifications: all cells of a scan, and its thermistors, are sampled as it ends, the stack in the first of three
    scans; SLEEP is a scan every 5 s while SLEEP_EN is set, whatever the current; protections recover without a delay of
    their own, and without the FETs; no permanent failures, no SPI or HDQ, no OTP; the die gives its temperature without
    its own error; a mask that is sent again does not start the balancing timer anew.
    """

    def __init__(
        self,
        cells_v: Mapping[int, Callable[[], float]] | None = None,
        shunt_v: Callable[[], float] = _none,
        thermistors_degc: Mapping[int, Callable[[], float]] | None = None,
        die_degc: Callable[[], float] = _room,
        bleed: Callable[[int], None] = lambda _mask: None,
        address: int = 0x08,
        with_crc: bool = True,
        stack_v: Callable[[], float] = _none,
    ) -> None:
        self.cells_v = dict(cells_v or {})
        self.stack_v = stack_v
        self.shunt_v = shunt_v
        self.thermistors_degc = dict(thermistors_degc or {})
        self.die_degc = die_degc
        self.bleed = bleed
        self.address = address
        self.with_crc = with_crc
        self.balanced = 0
        super().__init__()

    def power_on_reset(self) -> None:
        self._direct = bytearray(0x100)
        self._memory = bytearray(MEMORY_LAST - MEMORY_FIRST + 1)
        for address, data in DEFAULTS.items():
            self._put_memory(address, data)
        self._put(BATTERY_STATUS, POR | SLEEP_EN | FULLACCESS)
        self._put(ALARM_ENABLE, 0xF800)
        self._pending: tuple[int, int] | None = None  # (when, subcommand)
        self._command = 0
        self._beyond_us: dict[int, int] = {}
        self._scans = self._raw_counts = 0
        self._balance(0)
        self._restart(INIT_US)

    # Time

    @property
    def loop_us(self) -> int:
        """18 slots, and one for each thermistor up to three (SLUSE13B 10.1.1)."""
        pins = sum(config & 0x0C == 0x04 for config in self._get_memory(TS1_CONFIG, 3))
        config = int.from_bytes(self._get_memory(POWER_CONFIG, 2), "little")
        return (18 + pins) * (SLOT_US // 2 if config & POWER_FASTADC else SLOT_US)

    def _restart(self, delay_us: int = 0) -> None:
        self._cc2_us = self.now_us + delay_us + CC2_US
        self._scan_us = self.now_us + delay_us + self.loop_us
        self._schedule()

    def _schedule(self) -> None:
        pending_us = self._pending[0] if self._pending else NEVER
        self.next_change_us = min(self._cc2_us, self._scan_us, pending_us, self._balanced_until_us)

    def _change(self, now_us: int) -> None:
        due_us = self.next_change_us
        if due_us == self._balanced_until_us:
            self._balance(0)
        elif self._pending and due_us == self._pending[0]:
            number, self._pending = self._pending[1], None
            self._carry_out(number)
        elif due_us == self._cc2_us:
            self._cc2_us += ((now_us - due_us) // CC2_US + 1) * CC2_US
            self._sample_current()
        else:
            period_us = SLEEP_SCAN_US if self._word(BATTERY_STATUS) & SLEEP_EN else self.loop_us
            self._scan_us += ((now_us - due_us) // period_us + 1) * period_us
            self._scan()
        self._schedule()

    def _scan(self) -> None:
        for number in range(1, 17):
            volts = self.cells_v[number]() if number in self.cells_v else 0.0
            millivolts = round(1000 * max(VOLTAGE_RANGE_V[0], min(VOLTAGE_RANGE_V[1], volts)))
            self._put(CELL_1 + 2 * (number - 1), millivolts)
        first, self._scans = self._scans == 0, (self._scans + 1) % LOOPS
        if first:
            self._put(STACK, round(100 * self.stack_v()))
        self._put(INT_TEMPERATURE, round(10 * (self.die_degc() + 273.15)))
        for pin in range(1, 4):
            if self._get_memory(TS1_CONFIG + pin - 1, 1)[0] & 0x0C == 0x04:
                degc = self.thermistors_degc[pin]() if pin in self.thermistors_degc else -273.15
                self._put(TS1 + 2 * (pin - 1), max(0, round(10 * (degc + 273.15))))
        self._judge_voltages()
        self._alarm(ADSCAN if self._scans else ADSCAN | FULLSCAN)

    def _sample_current(self) -> None:
        """Counts times CC Gain are milliamperes; USER_AMPS says in which unit they are told (9.1, 13.3)."""
        shunt_v = self.shunt_v()
        counts = max(-0x8000, min(0x7FFF, round(shunt_v / CC_LSB_OHM_A)))
        self._raw_counts = max(-0x800000, min(0x7FFFFF, round(RAW_PER_CC_LSB * shunt_v / CC_LSB_OHM_A)))
        gain = struct.unpack("<f", self._get_memory(CC_GAIN, 4))[0]
        unit_ma = (0.1, 1.0, 10.0, 100.0)[self._get_memory(DA_CONFIGURATION, 1)[0] & 3]
        self._put(CC2_CURRENT, max(-0x8000, min(0x7FFF, round(counts * gain / unit_ma))))
        for bit, address, sign in ((OCC, OCC_THRESHOLD, 1), (OCD1, OCD1_THRESHOLD, -1)):
            threshold, delay = self._get_memory(address, 2)
            self._judge(bit, sign * shunt_v >= 0.002 * threshold, 3300 * (delay + 2))

    def _judge_voltages(self) -> None:
        cuv, cuv_delay, cov, cov_delay, cuv_back, cov_back = struct.unpack(
            "<BHBHBB", self._get_memory(CUV_THRESHOLD, 8)
        )
        mode = int.from_bytes(self._get_memory(VCELL_MODE, 2), "little")
        used = [self._signed(CELL_1 + 2 * at) / 1000 for at in range(16) if mode >> at & 1 or not mode]
        status = self._direct[SAFETY_STATUS_A]
        low = (cuv + (cuv_back if status & CUV else 0)) * PROTECTION_STEP_V
        high = (cov - (cov_back if status & COV else 0)) * PROTECTION_STEP_V
        self._judge(CUV, min(used) < low, 3300 * cuv_delay)
        self._judge(COV, max(used) > high, 3300 * cov_delay)

    def _judge(self, bit: int, beyond: bool, delay_us: int) -> None:
        """A protection triggers when its condition has lasted for its delay."""
        if not beyond or not self._get_memory(ENABLED_PROTECTIONS_A, 1)[0] & bit:
            self._beyond_us.pop(bit, None)
            self._direct[SAFETY_STATUS_A] &= ~bit
        elif self.now_us - self._beyond_us.setdefault(bit, self.now_us) >= delay_us:
            self._direct[SAFETY_STATUS_A] |= bit
            self._alarm(SSA)

    def _alarm(self, bits: int) -> None:
        self._put(ALARM_STATUS, self._word(ALARM_STATUS) | bits & self._word(ALARM_ENABLE))

    def _balance(self, mask: int) -> None:
        interval_us = self._get_memory(BALANCE_INTERVAL, 1)[0] * 1_000_000
        if mask != self.balanced or not mask:
            self._balanced_until_us = self.now_us + interval_us if mask else NEVER
            self.balanced = mask
            self.bleed(mask)

    # Subcommands

    def _carry_out(self, number: int) -> None:
        """The subcommand has been processed: its answer is in the buffer, or it has done what it does."""
        status = self._word(BATTERY_STATUS)
        if MEMORY_FIRST <= number <= MEMORY_LAST:
            self._answer(number, self._get_memory(number, 32))
        elif number == DEVICE_NUMBER:
            self._answer(number, struct.pack("<H", 0x7695))
        elif number == CB_ACTIVE_CELLS:
            self._answer(number, struct.pack("<H", self.balanced))
        elif number == DASTATUS5:
            self._answer(number, bytes(24) + struct.pack("<ii", self._raw_counts, 0))
        elif number == SET_CFGUPDATE:
            self._put(BATTERY_STATUS, status | CFGUPDATE)
            self._cc2_us = self._scan_us = NEVER
        elif number == EXIT_CFGUPDATE and status & CFGUPDATE:
            sleeps = int.from_bytes(self._get_memory(POWER_CONFIG, 2), "little") & POWER_SLEEP
            self._put(BATTERY_STATUS, status & ~(CFGUPDATE | POR | SLEEP_EN) | (SLEEP_EN if sleeps else 0))
            self._restart()
        elif number in (SLEEP_ENABLE, SLEEP_DISABLE):
            self._put(BATTERY_STATUS, status & ~SLEEP_EN | (SLEEP_EN if number == SLEEP_ENABLE else 0))
            self._restart()
        elif number == RESET:
            self.power_on_reset()
            return
        self._put(SUBCOMMAND, number)

    def _answer(self, number: int, data: bytes) -> None:
        self._direct[BUFFER : BUFFER + 32] = data.ljust(32, b"\0")
        self._direct[CHECKSUM] = ~(sum(data) + (number & 0xFF) + (number >> 8)) & 0xFF
        self._direct[LENGTH] = len(data) + 4

    def _begin(self) -> None:
        number = self._word(SUBCOMMAND)
        takes_us = {SET_CFGUPDATE: MODE_US, EXIT_CFGUPDATE: MODE_US // 2}.get(number, SUBCOMMAND_US)
        self._command = number
        self._pending = (self.now_us + takes_us, number)

    def _store(self) -> None:
        """0x61 was written: data memory, or a subcommand's argument, if the checksum is right."""
        number, length = self._command, self._direct[LENGTH] - 4
        if not 0 < length <= 32:
            return
        data = bytes(self._direct[BUFFER : BUFFER + length])
        if self._direct[CHECKSUM] != ~(sum(data) + (number & 0xFF) + (number >> 8)) & 0xFF:
            return
        self._pending = None
        if MEMORY_FIRST <= number <= MEMORY_LAST - 31:
            if self._word(BATTERY_STATUS) & CFGUPDATE:
                self._put_memory(number, data)
        elif number == CB_ACTIVE_CELLS and length == 2:
            self._balance(int.from_bytes(data, "little"))
        self._put(SUBCOMMAND, number)

    # The bus

    def i2c(self, write: bytes, read_n: int) -> bytes | None:
        if not self.acking:
            return None
        if write:
            self._pointer = write[0]
            data = self._unframed(write)
            if data is None:
                return None  # it does not acknowledge the CRC
            if data:
                self._write(self._pointer, data)
        return self._content(self._pointer, read_n) if read_n else b""

    def _unframed(self, write: bytes) -> bytes | None:
        """Data of a write; None when a CRC is wrong."""
        if not self.with_crc or len(write) == 1:
            return write[1:]
        data, sums = write[1::2], write[2::2]
        if len(data) != len(sums):
            return None
        start = bytes((self.address << 1, write[0]))
        right = all(_crc8(start * (not at) + data[at : at + 1]) == sums[at] for at in range(len(data)))
        return data if right else None

    def _write(self, register: int, data: bytes) -> None:
        begins = False
        for at, byte in enumerate(data, register):
            if at in (ALARM_STATUS, ALARM_STATUS + 1):
                self._direct[at] &= ~byte
            elif SUBCOMMAND <= at <= LENGTH or at in (ALARM_ENABLE, ALARM_ENABLE + 1):
                self._direct[at] = byte
            begins = begins or at == SUBCOMMAND + 1
        if begins:
            self._begin()
        if CHECKSUM <= register <= LENGTH < register + len(data):
            self._store()
        elif begins:
            self._direct[SUBCOMMAND : SUBCOMMAND + 2] = b"\xff\xff"  # until it has been processed (3.1)
        self._schedule()

    def _content(self, register: int, read_n: int) -> bytes:
        if not self.with_crc:
            return bytes(self._direct[register : register + read_n]).ljust(read_n, b"\xff")
        data = bytes(self._direct[register : register + -(-read_n // 2)])
        start = bytes((self.address << 1, register, self.address << 1 | 1))
        framed = b"".join(bytes((byte, _crc8(start * (not at) + bytes((byte,))))) for at, byte in enumerate(data))
        return framed[:read_n].ljust(read_n, b"\xff")

    def _valid_until(self, register: int, read_n: int) -> int:
        return self.next_change_us

    # Memory

    def _put(self, register: int, value: int) -> None:
        self._direct[register : register + 2] = (value & 0xFFFF).to_bytes(2, "little")

    def _word(self, register: int) -> int:
        return int.from_bytes(self._direct[register : register + 2], "little")

    def _signed(self, register: int) -> int:
        return int.from_bytes(self._direct[register : register + 2], "little", signed=True)

    def _put_memory(self, address: int, data: bytes) -> None:
        self._memory[address - MEMORY_FIRST : address - MEMORY_FIRST + len(data)] = data

    def _get_memory(self, address: int, count: int) -> bytes:
        return bytes(self._memory[address - MEMORY_FIRST : address - MEMORY_FIRST + count])
