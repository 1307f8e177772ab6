"""What must hold between the levels of limit rows that belong together, and the rates of the chips behind them."""

from assb.protocol import schema

from assb_host.config.errors import ConfigError
from assb_host.config.limit_keys import unit_of
from assb_host.config.pack import PackConfig

# Stale long after two of its periods is no protection; a hundred is a second of the fastest (assumption)
STALE_PERIODS_MAX = 100
STALE_MIN_MS = 500  # a channel is not stale for one slow tick or a garbage collection
STUCK_SAMPLES_MIN = 20  # a working converter repeats its code a few times by chance


def level_key(row, level: str = "trip") -> str:
    unit = unit_of(row)
    return f"limits.{row[1]}" + (f".{level}{unit[0]}" if unit else "")


def row_of(name: str):
    return next(row for row in schema.LIMIT_ROWS if row[1] == name)


def written(pack: PackConfig, key: str):
    """The value at a dotted key of the pack file, in the file's own unit."""
    value = pack.file
    for step in key.split("."):
        value = getattr(value, step)
    return value


def fail(pack: PackConfig, key: str, allowed: str, remedy: str = "") -> ConfigError:
    return ConfigError(pack.path, key, written(pack, key), allowed, remedy)


def channel_periods_ms(pack: PackConfig) -> dict[str, float]:
    """Time between two samples of a quantity, by its stale row: the sensor's own, or that of the tick that asks it."""
    board, fast_ms, slow_ms = pack.board, pack.parameters["fast_period_ms"], pack.parameters["slow_period_ms"]
    periods_ms = {
        "voltage_stale": max(fast_ms, board.voltage_cycle_us(fast_ms) / 1000),
        "current_stale": max(fast_ms, board.current_cycle_us() / 1000),
        "temperature_stale": max(slow_ms, board.temperature_cycle_ms(fast_ms)),
    }
    if board.bridges:
        periods_ms["pressure_stale"] = max(fast_ms, board.pressure_cycle_us(fast_ms) / 1000)
    return periods_ms


def check_staleness(pack: PackConfig) -> None:
    """Stale after two of the channel's own periods, not before: an honest late sample is no fault. Nor long after."""
    for name, period_ms in channel_periods_ms(pack).items():
        limit, key = pack.limits[name], f"limits.{name}.trip_ms"
        if limit.enabled and limit.trip < 2 * period_ms:
            raise fail(pack, key, f"at least {2 * period_ms:g}, two periods of the channel")
        most_ms = max(STALE_PERIODS_MAX * period_ms, STALE_MIN_MS)
        if limit.enabled and limit.trip > most_ms:
            raise fail(pack, key, f"at most {most_ms:g}, {STALE_PERIODS_MAX} periods of the channel")


def check_pack_voltage(pack: PackConfig) -> None:
    """The pack's rows lie inside what its cells' rows allow together: beyond that they could never trip first."""
    cells = pack.file.cells_in_series
    for name, cell_name, sign in (
        ("pack_overvoltage", "cell_overvoltage", 1),
        ("pack_undervoltage", "cell_undervoltage", -1),
    ):
        most_uv = cells * pack.limits[cell_name].trip
        if pack.limits[name].enabled and sign * (pack.limits[name].trip - most_uv) > 0:
            side = "at most" if sign > 0 else "at least"
            raise fail(pack, f"limits.{name}.trip_v", f"{side} {most_uv / 1e6:g}, {cells} times that of {cell_name}")


def check_plausibility(pack: PackConfig) -> None:
    """What is judged impossible must be beyond what is wanted."""
    p, v = pack.parameters, pack.limits
    span_ua = 1000 * (p["charge_current_max_ma"] + p["discharge_current_max_ma"])
    if v["current_jump"].enabled and v["current_jump"].trip <= span_ua:
        raise fail(
            pack, "limits.current_jump.trip_a", f"more than {span_ua / 1e6:g}, from one current limit to the other"
        )
    if v["pressure_rate"].enabled and v["pressure_rate"].trip <= p["pressure_rate_max_kpa_s"]:
        allowed = f"more than pressure.rate_max_mpa_s ({p['pressure_rate_max_kpa_s'] / 1000:g})"
        raise fail(pack, "limits.pressure_rate.trip_mpa_s", allowed)
    if v["open_wire"].trip >= v["cell_undervoltage"].trip:
        raise fail(pack, "limits.open_wire.trip_v", "less than limits.cell_undervoltage.trip_v")
    periods_ms = channel_periods_ms(pack)
    code_ms = max(periods_ms["current_stale"], pack.board.current_code_ms(p["slow_period_ms"]))
    for row in schema.LIMIT_ROWS:
        period_ms = code_ms if row[3] == "current_still_ms" else periods_ms.get(row[9])
        if (
            row[3].endswith("_still_ms")
            and v[row[1]].enabled
            and period_ms
            and v[row[1]].trip < STUCK_SAMPLES_MIN * period_ms
        ):
            least_s = STUCK_SAMPLES_MIN * period_ms / 1000
            raise fail(pack, level_key(row), f"at least {least_s:g}, {STUCK_SAMPLES_MIN} periods of the channel")


def check_escalation(pack: PackConfig) -> None:
    """A current that must end is forbidden only after the time that ending it takes."""
    v, rest_ua = pack.limits, 1000 * pack.parameters["rest_current_ma"]
    for name, least_ms, what in (
        ("forbidden_current", pack.cycler_stop_ms, "cycler.stop_ms"),
        ("weld_current", pack.contactor_open_ms, "contactor.open_ms"),
    ):
        if v[name].debounce_ms < least_ms:
            raise fail(pack, f"limits.{name}.debounce_ms", f"at least {what} ({least_ms:g})")
        if v[name].trip <= rest_ua:
            raise fail(pack, f"limits.{name}.trip_a", f"more than current.rest_a ({rest_ua / 1e6:g})")


def check_hard_short(pack: PackConfig) -> None:
    """image.py has the same of the trip alone, which is all that an image knows."""
    trip_v = pack.limits["cell_undervoltage"].trip / 1e6
    least_v = min(pack.cell.voltage.min_v, trip_v)
    if 2 * pack.parameters["hard_short_drop_uv"] > 1e6 * least_v:
        allowed = f"up to {least_v / 2:g}, half the least of voltage.min_v of cell {pack.cell.name} and "
        remedy = "a cell at its lowest voltage can't drop by so much: a hard short would not be called"
        raise fail(pack, "detection.hard_short_drop_v", allowed + "limits.cell_undervoltage.trip_v", remedy)
    hot = pack.limits["overtemperature"].reset
    if pack.parameters["cold_cdegc"] >= hot:
        allowed = f"less than limits.overtemperature.reset_degc ({hot / 100:g})"
        raise fail(pack, "detection.cold_degc", allowed, "the alarm of a hard short ends once the stack is cold")
