"""What a report is made of: named series on one time axis, events, checks, and where it all came from."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Series:
    """One quantity over time; `time_s` rises, both sequences have one length. The unit is the suffix of its name."""

    time_s: Sequence[float]
    values: Sequence[float]

    def at(self, time_s: float) -> float:
        """The newest value at or before `time_s`, NaN before the first."""
        position = bisect_right(self.time_s, time_s) - 1
        return self.values[position] if position >= 0 else float("nan")

    def all_at(self, times_s: Sequence[float]) -> list[float]:
        """`at` for many times that rise: one walk along both."""
        found, position, last = [], -1, len(self.time_s) - 1
        for time_s in times_s:
            while position < last and self.time_s[position + 1] <= time_s:
                position += 1
            found.append(self.values[position] if position >= 0 else float("nan"))
        return found


@dataclass(frozen=True)
class Event:
    """Something that happened: `source` is "board" (its own report), "rig" (the truth), "plant" (what a cell did by
    itself) or "host" (a command)."""

    t_s: float
    source: str
    name: str
    text: str = ""


@dataclass(frozen=True)
class Check:
    """A claim that was judged; `value` and `limit` are in `unit` (None where the claim has no number)."""

    name: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    unit: str


@dataclass
class Recording:
    """Series are looked up by name; those a recording does not have are left out of plots and tables.

    A second cell's series carry its number, as in `voltage_v[1]`; `of_cell` gives one cell's view.

    Names that the page knows: voltage_v, current_a, soc_frac, soc_sigma_frac, temperature_degc, pressure_mpa,
    pressure_target_mpa, pressure_command_mpa, charge_limit_a, leak_a, leak_sigma_a, short_ohm, dip_score, leak_score,
    stage, state, innovation_v; and the same with `true_` before them where a simulation knows the truth.
    """

    title: str
    summary: str = ""
    meta: dict[str, str] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)
    state_names: Sequence[str] = ()
    stage_names: Sequence[str] = ()
    events: list[Event] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Every check held, and there was at least one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def cells(self) -> int:
        """Cells whose voltage was recorded, at least one."""
        return max(1, sum(name.partition("[")[0] == "voltage_v" for name in self.series))

    def of_cell(self, cell: int) -> "Recording":
        """The recording with the series of that cell under the plain names."""
        if not cell:
            return self
        own = {
            name.removesuffix(f"[{cell}]"): series for name, series in self.series.items() if name.endswith(f"[{cell}]")
        }
        return replace(self, series=self.series | own)

    def has(self, *names: str) -> bool:
        """Whether every named series is there and not empty."""
        return all(name in self.series and len(self.series[name].time_s) > 0 for name in names)
