"""The rig: what a device under test is wired to. It keeps virtual time for plant, sensors, chips and faults.

Everything that happens, happens on one timeline. Between two instants at which somebody looks (a chip publishes a
result, a contact moves, a fault begins, a truth row is due) nothing is stepped, so a quiet rig costs little.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assb.protocol import schema
from assb.protocol.image import Config
from assb_host.link.decoder import Frame

from assb_hil.chips.i2c_chip import NEVER
from assb_hil.crossings import VBUS, VSHUNT, Crossings
from assb_hil.faults import DeviceFault, Fault
from assb_hil.link_line import LinkLine
from assb_hil.loads import Load
from assb_hil.plant import PLANT_EVENTS, Plant
from assb_hil.plant_file import PlantFile
from assb_hil.recorder import Recorder, truth_names
from assb_hil.wiring import ON_PINS, Wiring

TRUTH_PERIOD_US = 100_000
NOT_BEGUN_US = 1 << 60


class Rig:
    """Implements `assb_hil.dut.base.World`. Times are virtual microseconds since the device's first power-on."""

    def __init__(
        self,
        config: Config,
        plant: PlantFile,
        seed: int,
        start: tuple[float, float, float],
        loads: Sequence[Load] = (),
        keeps: bool = True,
    ):
        """`start`: SOC, temperature in degC, stack pressure in MPa. `keeps`: record everything."""
        self.config = config
        self.seed = seed
        self.now_us = 0
        self.origin_us = NOT_BEGUN_US
        self.plant = Plant(plant, seed, tuple(loads), start)
        self.plant.origin_us = NOT_BEGUN_US
        self.recorder = Recorder(keeps, truth_names(plant.units, len(self.plant.leads)))
        self.wiring = Wiring(config, plant, self.plant, seed)
        self.sensors = self.wiring.sensors
        self.link = LinkLine()
        self.hung: dict[int, int | None] = {}  # bus: clocks of SCL until it is let go, None: never
        self.listeners: list[Callable[[float, Frame], None]] = []  # called with each frame and when it came
        self.device: Any = None  # what the rig is wired to, for faults of the board and of the link
        self._chips = self.wiring.chips
        self._crossings = Crossings(config, self.wiring.kinds.get("ina228", []))
        self._monitors = frozenset(map(id, self.wiring.kinds.get("ina228", [])))
        self._timeline: list[tuple[int, int, Callable[[int], None]]] = []
        self._scheduled = 0
        self._looks = [0] * len(self._chips)
        self._next_look_us = 0
        self._acks: frozenset[tuple[int, int]] = frozenset()
        self._pins: dict[int, int] = {}
        # what peek said of a place, by (write, read_n); good until its time, or until somebody talks to the chip
        self._peeked: dict[tuple[int, int], dict[tuple[bytes, int], tuple[bytes, int]]] = {}
        self.wiring.on_bleed = self._bleed
        self.every(0, TRUTH_PERIOD_US, self._record_truth)
        self._refresh()

    # The scenario's side

    def begin(self, now_us: int, faults: Sequence[Fault] = ()) -> None:
        """The scenario begins: loads, faults and the recorder count from now."""
        self._settle(now_us)
        self.origin_us = self.plant.origin_us = now_us
        self.recorder.clock_offset_s = -1e-6 * now_us
        for fault in faults:
            if isinstance(fault, DeviceFault):
                continue  # the session's affair
            self.schedule(now_us + round(fault.at_s * 1e6), lambda at_us, fault=fault: self.inject(fault, at_us))

    def inject(self, fault: Fault, now_us: int | None = None) -> None:
        """Apply a fault, now."""
        at_us = self.now_us if now_us is None else now_us
        self.tell_fault(fault, at_us)
        fault.apply(self, at_us)

    def tell_fault(self, fault: Fault, at_us: int) -> None:
        """The truth log has what was injected."""
        fields = {key: value for key in fault.__struct_fields__ if (value := getattr(fault, key)) is not None}
        fields.pop("at_s")
        self.event(at_us, "fault_applied", fault=fault.name, **fields)

    def event(self, now_us: int, name: str, source: str = "rig", /, **fields: Any) -> None:
        """A line of the truth log; before begin() nothing is recorded."""
        if now_us >= self.origin_us:
            self.recorder.rig_event(round(1e-6 * (now_us - self.origin_us), 6), name, source, fields)

    def hear(self, now_us: int, data: bytes) -> None:
        """Console bytes of the board: what the link lets through is recorded, and the cycler takes its limits there."""
        if now_us < self.origin_us:
            return
        t_s = 1e-6 * (now_us - self.origin_us)
        for frame in self.recorder.console(t_s, self.link.to_host(data)):
            for listener in self.listeners:
                listener(t_s, frame)
            if frame.type == schema.CYCLER:
                self._tell_cycler(now_us, frame)

    def _tell_cycler(self, now_us: int, frame: Frame) -> None:
        charge_a, discharge_a = 1e-3 * frame.fields["charge_limit_ma"], 1e-3 * frame.fields["discharge_limit_ma"]
        self.schedule(
            now_us,
            lambda at_us: self.plant.cycler.set_limits(at_us - self.origin_us, charge_a, discharge_a),
        )

    # What faults use (faults.FaultRig)

    def chips_of(self, device: str) -> list[Any]:
        """Chip models of that kind; raises ValueError when the board has none."""
        if device not in self.wiring.kinds:
            raise ValueError(f"this board has no {device}; it has {', '.join(sorted(self.wiring.kinds))}")
        return self.wiring.kinds[device]

    def chips_on(self, bus: int) -> list[Any]:
        """Chip models on that bus."""
        return [chip for (at_bus, _), chip in self._chips.items() if at_bus == bus]

    @property
    def board(self) -> Any:
        """The device under test; raises ValueError on a bench without one."""
        if self.device is None:
            raise ValueError("this rig has no device under test; open it with open_session")
        return self.device

    def schedule(self, at_us: int, call: Callable[[int], None]) -> None:
        """call(at_us) when virtual time gets there."""
        self._scheduled += 1
        heapq.heappush(self._timeline, (at_us, self._scheduled, call))

    def every(self, now_us: int, period_us: int, call: Callable[[int], bool]) -> None:
        """call(at_us) each period, from one period on, until it returns False."""

        def again(at_us: int) -> None:
            if call(at_us):
                self.schedule(at_us + period_us, again)

        self.schedule(now_us + period_us, again)

    def follow_clock(self, jump_s: float) -> None:
        """The board's clock has jumped; the recorder goes on in scenario time."""
        self.recorder.clock_offset_s = (self.recorder.clock_offset_s or 0.0) - jump_s

    def fault_random(self, name: str) -> random.Random:
        """The chance of a fault, drawn from the seed."""
        return random.Random(f"{self.seed} fault {name}")

    # The device's side (dut.base.World)

    def advance(self, now_us: int) -> None:
        while True:
            at_us = self._timeline[0][0]
            look = self._next_look_us < at_us
            if look:
                at_us = self._next_look_us
            if at_us > now_us:
                break
            if look:
                self._look(at_us)
            else:
                self._happen(at_us)
        self.now_us = now_us

    def i2c(self, bus: int, address: int, write: bytes, read_n: int) -> bytes | None:
        place = (bus, address)
        chip = self._chips.get(place)
        if chip is None:
            return None
        self._peeked[place].clear()
        if len(write) < 2:
            return chip.i2c(write, read_n)
        self._settle(self.now_us)
        data = chip.i2c(write, read_n)
        self._refresh()
        return data

    def peek(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        place = (bus, address)
        chip = self._chips.get(place)
        if chip is None:
            return None
        known = self._peeked[place]
        seen = known.get((write, read_n))
        if seen is None or seen[1] <= self.now_us:
            seen = chip.peek(write, read_n)
            if seen is not None:
                known[write, read_n] = seen
        return seen

    def preview(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        chip = self._chips.get((bus, address))
        return None if chip is None else chip.preview(write, read_n)

    def acks(self) -> frozenset[tuple[int, int]]:
        return self._acks

    def hung_buses(self) -> Mapping[int, int | None]:
        return self.hung

    def pin_read(self, pin: int) -> int:
        if pin == self.wiring.feedback_pin:
            return self.plant.contactor.feedback
        if pin in (self.wiring.closed_switch_pin, self.wiring.open_switch_pin):
            return self.wiring.switch(pin)
        if pin in self.wiring.bus_data_pins:
            return 0 if self.wiring.bus_data_pins[pin] in self.hung else 1  # its pull-up
        chip = self.wiring.data_pins.get(pin)
        return self._pins.get(pin, 0) if chip is None else chip.dout

    def pin_peek(self, pin: int) -> tuple[int, int] | None:
        if pin in (self.wiring.closed_switch_pin, self.wiring.open_switch_pin) or pin in self.wiring.bus_data_pins:
            return None
        if pin in self.wiring.data_pins:
            chip = self.wiring.data_pins[pin]
            return (1, chip.next_change_us) if chip.idle else None
        if pin != self.wiring.feedback_pin:
            return self._pins.get(pin, 0), NEVER
        contactor = self.plant.contactor
        soonest_us = self.now_us + min(contactor.operate_us, contactor.release_us)
        return contactor.feedback, min(contactor.next_change_us, soonest_us)

    def pin_write(self, pin: int, level: int) -> None:
        if self._pins.get(pin, 0) == level:
            return
        self._pins[pin] = level
        wiring = self.wiring
        if pin == wiring.drive_pin:
            self._settle(self.now_us)
            self.plant.contactor.drive(level)
            self.event(self.now_us, "coil_switched", closed=level)
            self._refresh()
        elif pin == wiring.precharge_pin:
            self._settle(self.now_us)
            self.plant.precharge.on = bool(level)
            self.event(self.now_us, "precharge_switched", level=level)
            self._refresh()
        elif pin in (wiring.charge_pin, wiring.discharge_pin):
            self._enable(pin == wiring.charge_pin, level)
        elif pin in wiring.bleed_pins:
            self._settle(self.now_us)
            self._bleed(wiring.bleed_pins[pin], level == 1)
            self._refresh()
        elif pin == wiring.step_pin:
            if level:
                self._settle(self.now_us)
                self.plant.turn_screw(-1 if self._pins.get(wiring.direction_pin) else 1)
        elif pin in wiring.bus_clock_pins:
            self._clock_bus(wiring.bus_clock_pins[pin], level)
        elif pin in wiring.clock_pins:
            self._clock(wiring.clock_pins[pin], level)
        elif pin == wiring.heater_enable_pin:
            self._settle(self.now_us)
            self.plant.heater_enabled = bool(level)
            self.event(self.now_us, "heater_enabled", level=level)
            self._refresh()
        elif pin == wiring.alarm_pin:
            self.event(self.now_us, "alarm_sounded", level=level)

    def _clock(self, chip: Any, level: int) -> None:
        """A pulse of a chip that is read by hand; only one that was powered down has another time to be looked at."""
        chip.advance(self.now_us)
        due_us = chip.next_change_us
        chip.sck(level)
        if chip.next_change_us != due_us:
            self._refresh()

    def _clock_bus(self, bus: int, level: int) -> None:
        """A pulse by hand: whoever holds SDA low in the middle of a byte shifts out another bit (UM10204, 3.1.16)."""
        left = self.hung.get(bus)
        if level or left is None:
            return
        self.hung[bus] = left - 1
        if left == 1:
            self.let_go(bus)
            self._refresh()
            self.event(self.now_us, "bus_let_go", bus=bus)

    def let_go(self, bus: int) -> None:
        """Nobody holds the bus low any more."""
        self.hung.pop(bus, None)
        for chip in self.chips_on(bus):
            chip.acking = True

    def _bleed(self, cell: int, on: bool) -> None:
        self.plant.bleed(cell, on / self.wiring.bleed_ohm)
        self.event(self.now_us, "bleed_switched", cell=cell, level=int(on))

    def adc_read_u16(self, pin: int) -> int:
        self.plant.step_to(self.now_us)
        return self.wiring.adc_u16(pin)

    def pwm_write(self, pin: int, duty_u16: int, frequency_hz: int) -> None:
        """A heater is slow: it takes the mean of its pulses."""
        if pin == self.wiring.heater_pin and self.plant.heater_share != duty_u16 / 65535:
            self._settle(self.now_us)
            self.plant.heater_share = duty_u16 / 65535
            self._refresh()

    def on_reset(self) -> None:
        """Pins become inputs; gate resistors pull coil and enable lines low."""
        for pin in list(self._pins):
            self.pin_write(pin, 0)
        self.pwm_write(self.wiring.heater_pin, 0, 0)

    def _enable(self, charge: bool, level: int) -> None:
        """The cycler sees its enable input change; when it obeys is its own affair (assb_cycler.h)."""
        name = "charge_enabled" if charge else "discharge_enabled"
        self._settle(self.now_us)
        cycler = self.plant.cycler
        setattr(cycler, name, bool(level))
        self.event(self.now_us, "enable_switched", line=name, level=level)
        self.schedule(self.now_us + cycler.enable_delay_us, lambda _at_us: None)  # a step of the plant begins then
        self._refresh()

    # Time

    def _look(self, at_us: int) -> None:
        """Chips that are due see the plant as it is now."""
        self.plant.step_to(at_us)
        next_us = self.plant.contactor.next_change_us
        if next_us <= at_us:
            self._move_contact(at_us)
            next_us = self.plant.contactor.next_change_us
        looks = self._looks
        for position, chip in enumerate(self._chips.values()):
            if looks[position] <= at_us:
                chip.advance(at_us)
                looks[position] = self._due_us(chip, at_us)
            next_us = min(next_us, looks[position])
        self._next_look_us = next_us

    def _due_us(self, chip: Any, at_us: int) -> int:
        """When the chip wants the plant next. A monitor's result is an average of rounds: only its publication counts,
        as long as nothing jumps (each jump of the timeline settles all chips first)."""
        if id(chip) not in self._monitors:
            return chip.next_change_us
        bus, shunt = chip.peek(VBUS, 3), chip.peek(VSHUNT, 3)
        if bus is None or shunt is None:
            return chip.next_change_us
        self._crossings.look(chip, bus[0], shunt[0], at_us, self.event)
        return bus[1]

    def _move_contact(self, at_us: int) -> None:
        contactor = self.plant.contactor
        before = contactor.closed
        contactor.advance(at_us)
        if contactor.closed != before:
            self.event(at_us, "contact_moved", closed=int(contactor.closed))

    def _happen(self, at_us: int) -> None:
        """What the timeline holds for this instant."""
        self._settle(at_us)
        while self._timeline[0][0] <= at_us:
            heapq.heappop(self._timeline)[2](at_us)
        self._refresh()

    def _settle(self, now_us: int) -> None:
        """Everything stands at now: what changes next changes from here on."""
        self.plant.step_to(now_us)
        self._move_contact(now_us)
        for chip in self._chips.values():
            chip.advance(now_us)
        self.now_us = now_us

    def _refresh(self) -> None:
        """After a change from outside: who acknowledges, what the DAC drives, when to look next."""
        self._acks = frozenset(place for place, chip in self._chips.items() if chip.acking and place[0] != ON_PINS)
        self._peeked = {place: {} for place in self._chips}
        self.wiring.follow_dac()
        self._looks = [self._due_us(chip, self.now_us) for chip in self._chips.values()]
        self._next_look_us = min(*self._looks, self.plant.contactor.next_change_us)

    def _record_truth(self, at_us: int) -> bool:
        if at_us >= self.origin_us:
            self._tell_plant_events()
            plant = self.plant
            values = [plant.current_a, plant.ambient_degc, *map(plant.voltage_v, range(len(plant.leads)))]
            apart = len(plant.cells) != len(plant.leads)
            for cell in plant.cells:
                values += (
                    cell.soc, cell.surface_degc, cell.pressure_mpa, cell.short_a, cell.short_s, cell.r0_ohm, cell.theta,
                    cell.filament_length,
                )  # fmt: skip
                if apart:
                    values.append(cell.voltage_v)
            self.recorder.truth(round(1e-6 * (at_us - self.origin_us), 6), tuple(values))
        return True

    def _tell_plant_events(self) -> None:
        """What the cells did by themselves since the last row of truth, at the times at which they did it."""
        for told in self.plant.pack.drain_events():
            value = {PLANT_EVENTS[told.kind]: float(f"{told.value:.6g}")}
            self.event(round(told.time_s * 1e6), told.kind, "plant", cell=told.cell, **value)
