"""One cell's slow work: means of its fast samples → estimator → evidences → stage, back onto the blackboard."""

from .const import const
from .estimation.mean import Means
from .protocol import tables
from .short_watch import ShortWatch
from .signals import CELL_COUNT, PACK_COUNT
from .ticks import elapsed_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .slow_stream import SlowStream

_NOT_STARTED = const(-100)  # estimator_status until the first valid sample
_NONE_YET = const(-1)  # before the first step, which only sets the clock: nobody knows what its samples span
# Places after charge_2s_ma, in the order of tables.CELL_SIGNALS (a test compares)
_TEN_S = const(1)
_TEN_S_MW = const(3)
_BOUND = const(4)
_DISCHARGE = const(5)
_UNKNOWN = const(-1)  # no limit can be worked out
# Places in the flat layout (a test compares)
_HOT_FULL_DEGC = const(589)
_CONTACT_FULL_MPA = const(592)
# Places in what learning exports (a test compares)
_RESISTANCE = const(0)
_CAPACITY = const(3)


class CellWatch:
    """Cell number `cell`; `step(now_ms)` is its slice of the slow tick, `add_sample` its part of the fast tick."""

    def __init__(self, cell, kernel, flat, settings, signals, events, columns, power, pack):
        """`kernel`: module with the estimators, twin or native; `flat`: their parameters. `columns`: {name: position}
        of the cell signals; `power`: a Power; `pack`: a Pack of its. All cells share these."""
        self.cell = cell
        self.flat = flat
        self.ekf = kernel.Ekf(flat)
        self.learning = kernel.Learning(flat, self.ekf)
        self._initial_sigma = settings("soc_initial_sigma_ppm") / 1e6
        self._signals = signals
        self.means = Means(2)
        self.started = False
        self.estimates = False  # whether the last sample was taken
        self.kept = None  # what a record says of this cell, until its first sample
        self._power = power
        self.step_ms = _NONE_YET
        self.stream: "SlowStream | None" = None  # while the host wants every step
        self._rest_ua = 1000 * settings("rest_current_ma")
        self._columns = columns
        self._base = PACK_COUNT + cell * CELL_COUNT
        self._s_voltage = self._at("voltage_uv")
        self._s_current = signals.pack("current_ua")
        self._s_temperature = signals.pack("temperature_cdegc")
        self._s_coldest = signals.pack("temperature_low_cdegc")
        self._s_pressure = signals.pack("pressure_kpa")
        self.shorts = ShortWatch(cell, flat, self.ekf, settings, signals, events, self._at, pack)
        self._put("estimator_status", _NOT_STARTED, 0)
        signals.lose(self._at("estimator_status"))

    def add_sample(self, voltage_uv, current_ua, now_ms):
        """From the fast tick; allocates nothing."""
        self.means.add(0, voltage_uv)
        self.means.add(1, current_ua)
        self.shorts.add_sample(voltage_uv, current_ua, now_ms)

    def step(self, now_ms):
        signals = self._signals
        value = signals.value
        dt_ms = 0 if self.step_ms == _NONE_YET else elapsed_ms(now_ms, self.step_ms)
        self.step_ms = now_ms
        voltage_uv = self.means.take(0, value[self._s_voltage])
        current_ua = self.means.take(1, value[self._s_current])
        if (
            dt_ms
            and signals.valid[self._s_voltage]
            and signals.valid[self._s_current]
            and signals.valid[self._s_temperature]
        ):
            self._see(voltage_uv, current_ua, dt_ms, now_ms)
        else:  # the estimator's age grows, its last status stands; stale rows act on the sensors themselves
            self._blind(current_ua, dt_ms)
        if self.stream:
            self.stream.tell(self, now_ms, dt_ms, voltage_uv, current_ua)

    def _see(self, voltage_uv, current_ua, dt_ms, now_ms):
        value = self._signals.value
        voltage_v, current_a = voltage_uv / 1e6, current_ua / 1e6
        temperature_degc, dt_s = value[self._s_temperature] / 100, dt_ms / 1000
        if not self.started:
            self._start(voltage_v, temperature_degc, abs(current_ua) <= self._rest_ua)
        status = self.ekf.step(voltage_v, current_a, temperature_degc, self._pressure_mpa(), dt_s)
        self.estimates = status == 0
        self._put("estimator_status", status, now_ms)
        if status == 0:
            self._learn(voltage_v, current_a, temperature_degc, dt_s)
            self._publish_estimate(now_ms)
            self.shorts.step(voltage_uv, current_ua, temperature_degc, dt_s, now_ms)
        else:
            self.learning.lose()
            self.shorts.blind()

    def _learn(self, voltage_v, current_a, temperature_degc, dt_s):
        """Without a pressure R0 is not known, and what is missing would be taken for age."""
        if self._signals.valid[self._s_pressure]:
            self.learning.update(voltage_v, current_a, temperature_degc, dt_s)
        else:
            self.learning.lose()

    def _blind(self, current_ua, dt_ms):
        """A sensor is lost: charge is counted as long as the current is known, and nothing is learned."""
        signals = self._signals
        value = signals.value
        self.estimates = False
        self.learning.lose()
        self.shorts.blind()
        if self.started and signals.valid[self._s_current] and signals.valid[self._s_temperature]:
            temperature_degc = value[self._s_temperature] / 100
            self.ekf.predict(current_ua / 1e6, temperature_degc, self._pressure_mpa(), dt_ms / 1000)

    def _pressure_mpa(self):
        """A pressure that is not known is taken for the lower end of the window, as the limits of current do."""
        if self._signals.valid[self._s_pressure]:
            return self._signals.value[self._s_pressure] / 1000
        return max(self.flat[_CONTACT_FULL_MPA], 0.0)

    def _start(self, voltage_v, temperature_degc, at_rest):
        """First sample: from what a record says of the cell, if it is the same cell; else from its voltage."""
        self.started = True
        kept, self.kept = self.kept, None
        if not (kept and kept.begin(self, voltage_v, temperature_degc, at_rest)):
            self.start_afresh(self.ekf.rested_soc(voltage_v, temperature_degc))

    def start_afresh(self, soc):
        """A SOC that is known within the configured sigma: the cell is taken to be at rest, its voltage for its OCV."""
        self.ekf.reset(min(max(soc, 0.0), 1.0), self._initial_sigma)
        self.learning.reset()

    def _publish_estimate(self, now_ms):
        ekf = self.ekf
        self._put("soc_ppm", int(ekf.soc * 1e6), now_ms)
        self._put("soc_sigma_ppm", int(self.learning.soc_sigma() * 1e6), now_ms)
        self._put("leak_ua", _int30(ekf.leak_a * 1e6), now_ms)
        self._put("leak_sigma_ua", _int30(ekf.leak_sigma_a * 1e6), now_ms)
        self._put("r0_uohm", _int30(ekf.r0_ohm * 1e6), now_ms)
        self._put("innovation_uv", _int30(ekf.innovation_v * 1e6), now_ms)
        self._put("innovation_sigma_uv", _int30(ekf.innovation_sigma_v * 1e6), now_ms)

    def restore(self, values):
        """Take over what learning.export gave before a power cycle. False for values that it can't have given."""
        if not self.learning.restore(values):
            return False
        self.ekf.resistance_scale = values[_RESISTANCE]
        self.ekf.capacity_scale = values[_CAPACITY]
        return True

    def health(self, now_ms):
        """State of health, once in a while."""
        if not self.started:
            return
        at = self._at("soh_capacity_ppm")
        for value, sigma, count, missing in self.learning.soh():
            self._signals.put(at, _int30(value * 1e6), now_ms)
            self._signals.put(at + 1, _int30(sigma * 1e6), now_ms)
            self._signals.put(at + 2, min(count, 65535), now_ms)
            self._signals.put(at + 3, missing, now_ms)
            at += 4

    def limit(self, charging, now_ms):
        """One direction of the cell's limits, rounded down; 0 where they can't be worked out. A slice of its own."""
        if not self.started:
            return
        signals, power = self._signals, self._power
        value, put = signals.value, signals.put
        known = signals.valid[self._s_pressure]
        status = _UNKNOWN
        if self.estimates and signals.valid[self._s_temperature]:
            status = power.limits(
                self.ekf, charging, self._limiting_degc(charging), value[self._s_pressure] / 1000, known
            )
        at = self._at("charge_2s_ma") + (0 if charging else _DISCHARGE)
        for k in range(3):
            put(at + k, _int30(power.current_a[k] * 1e3) if status == 0 else 0, now_ms)
        put(at + _TEN_S_MW, _int30(power.power_w[_TEN_S] * 1e3) if status == 0 else 0, now_ms)
        put(at + _BOUND, power.bound[_TEN_S] if status == 0 else 0, now_ms)

    def _limiting_degc(self, charging):
        """Of the coldest place on charge, where lithium plates first, unless the hottest is one that heat limits."""
        value = self._signals.value
        hottest_degc = value[self._s_temperature] / 100
        if charging and hottest_degc <= self.flat[_HOT_FULL_DEGC]:
            return value[self._s_coldest] / 100
        return hottest_degc

    def limit_ma(self, charging):
        """The largest current for the next 10 s; 0 until it is known."""
        return self._signals.value[self._at("charge_2s_ma") + _TEN_S + (0 if charging else _DISCHARGE)]

    def _put(self, name, value, now_ms):
        self._signals.put(self._at(name), value, now_ms)

    def _at(self, name):
        return self._base + self._columns[name]


def _int30(value):
    return int(min(max(value, tables.INT30_MIN), tables.INT30_MAX))
