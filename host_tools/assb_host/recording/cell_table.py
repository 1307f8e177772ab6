"""A cell's table in the Battery Data Format, written a line at a time; + charges.

The first columns have the format's machine names, those after them are ours. A line with times alone marks a gap.
"""

import os
from pathlib import Path

COLUMNS = (
    "test_time_second", "voltage_volt", "current_ampere", "unix_time_second", "temperature_t1_celsius",
    "applied_pressure_pa", "internal_resistance_ohm", "soc_frac", "soc_sigma_frac", "leak_a", "leak_sigma_a",
    "innovation_v", "stage", "state", "pressure_target_pa", "charge_limit_a",
)  # fmt: skip
FORM = "%.3f,%.6f,%s,%.3f,%s,%s,%s,%s,%s,%s,%s\n"
ESTIMATES = "%.6f,%.6f,%.6f,%.6f,%.6f,%.6f"  # R0 to the innovation
NO_ESTIMATES = ",,,,,"
NONE_BUT_TIMES = "%.3f,,,%.3f" + "," * (len(COLUMNS) - 4) + "\n"


class CellTable:
    """Lines go out with `flush`, whole."""

    def __init__(self, path: Path):
        self.path = path
        self.size = 0
        self.row_count = 0
        self._lines = [",".join(COLUMNS) + "\n"]
        self._file = path.open("xb", buffering=0)
        self.flush()

    def write(self, values: tuple) -> None:
        self._lines.append(FORM % values)
        self.row_count += 1

    def mark_gap(self, test_s: float, unix_s: float) -> None:
        self._lines.append(NONE_BUT_TIMES % (test_s, unix_s))

    def flush(self) -> None:
        if self._lines:
            data = memoryview("".join(self._lines).encode())
            self._lines.clear()
            self.size += len(data)
            while data:  # a disk that is nearly full takes a part
                data = data[self._file.write(data) :]

    def close(self) -> None:
        self.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def whole_lines(path: Path) -> tuple[list[str], str]:
    """(lines of a table, what was cut off or nothing): a line without its end is no line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    *lines, rest = text.split("\n")
    return lines, f"the last line is cut: {len(rest)} characters are no whole line" if rest else ""
