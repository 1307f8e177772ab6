"""What computing costs the board in time: the figures behind virtual time, read from a board file's `[cost]` table.

The virtual board's own speed says nothing about a microcontroller's, so the firmware's port layer announces each
stretch of computing and the clock moves by a figure from here plus seeded jitter (uniform).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from assb_host.errors import EXIT_CONFIG, AssbError

# Kinds that the firmware announces with time.board_cost(kind), in the order of their number
KINDS = ("unused", "fast", "estimator_slice", "other_slice", "gc")
LARGEST_US = 1_000_000_000


class CostError(AssbError):
    """A cost table that can't be used."""

    exit_code = EXIT_CONFIG


@dataclass(frozen=True)
class CostModel:
    """Times in µs of an RP2040 at 125 MHz running bytecode."""

    # Assumption until measured on the emulated board: a fast tick of some 2000 bytecodes at 1.2 µs each
    fast_us: int = 1800
    fast_jitter_us: int = 200
    # A 3-state EKF step took 621 µs as bytecode on an emulated RP2040; assumption: the 6-state step is four times that
    estimator_slice_us: int = 2500
    estimator_slice_jitter_us: int = 300
    other_slice_us: int = 800
    other_slice_jitter_us: int = 200
    # Assumption: mark and sweep of 192 kB
    gc_us: int = 4000
    gc_jitter_us: int = 1500
    ticks_call_us: int = 2
    pin_us: int = 2
    # Driver call and FIFO set-up around a transfer (assumption)
    i2c_overhead_us: int = 20
    # W25Q16JV datasheet, AC characteristics: sector erase 45 ms typical, page program 0.4 ms typical
    flash_erase_us: int = 45_000
    flash_page_us: int = 400
    # From power-on to boot.py: boot ROM, clocks, USB (assumption)
    boot_us: int = 150_000

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_US:
                raise CostError(
                    f"cost {name} = {value!r}", "[cost] of the board file", f"give whole µs in 0..{LARGEST_US}"
                )

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "CostModel":
        """From the board file's `[cost]`; a key that is left out keeps its default, an unknown one is an error."""
        figures = {key: value for key, value in table.items() if key != "source"}
        known = [field.name for field in fields(cls)]
        for key in figures:
            if key not in known:
                raise CostError(f"unknown key {key}", "[cost] of the board file", f"known keys: {', '.join(known)}")
        return cls(**figures)

    def at_worst(self) -> "CostModel":
        """Every stretch of computing as long as it can be, none at random."""
        figures = asdict(self)
        for kind in KINDS[1:]:
            figures[f"{kind}_us"] += figures[f"{kind}_jitter_us"]
            figures[f"{kind}_jitter_us"] = 0
        return CostModel(**figures)

    def pairs(self) -> list[tuple[int, int]]:
        """(base, jitter) in µs for each kind number."""
        return [(getattr(self, f"{kind}_us", 0), getattr(self, f"{kind}_jitter_us", 0)) for kind in KINDS]
