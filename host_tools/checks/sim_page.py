"""docs/sim.md from the models of protocol files and the tables of columns, so that it can't fall behind them."""

from typing import Any

import config_page
import msgspec
from assb_hil.protocol_file import STEPS, End, Head, Start, Step
from assb_hil.protocol_ratings import OHMIC_WINDOW_FRAC
from assb_hil.simulation_cycles import CLOSED_FRAC
from assb_hil.simulation_files import JSON_ROWS_MAX, TRUTH_TABLE
from assb_hil.simulation_guard import (
    HIDDEN_MARGIN_V,
    PRESSURE_MARGIN_FRAC,
    SELF_COOLING_K,
    SELF_HEATING_K,
    VOLTAGE_MARGIN_V,
)
from assb_hil.simulation_rows import ROWS_MAX

FILES = (
    (
        "`cell0.bdf.csv`, …",
        "per unit a Battery Data Format table, as a lab would have it, and its `.meta.json`; with `--sensors` as the "
        "bench's sensors would show it",
    ),
    (
        "`cell0.truth.csv`, …",
        "per unit the truth, columns below; with `--sensors` also `sensor_` columns, one conversion a row of the "
        "sensors that the seed draws, as on the simulated rig: simulated too, and late by their delay",
    ),
    (
        "`stack.bdf.csv`",
        "in place of `cell0.bdf.csv`, …: a package without taps shows a lab its terminals' voltage only; temperature "
        "and pressure are means. Voltages of its units are in the tables of the truth alone",
    ),
    ("`cycles.csv`", "every cycle: sums, extreme values, what is lost"),
    (
        "`events.csv`",
        "`time_s`, `cell`, `kind`, `value`: every `bridge` (Ω), `deepened` (Ω, at each halving), `burn_out` (J), "
        "`hard_short` (Ω), `voided` (share of contact lost, when it passes 0.1), `untold` (how many more of a cell "
        "than 15 there were within one time step)",
    ),
    (
        "`plot.png`, `plot.svg`",
        "voltage and current, SOC, pressure, temperature, R0, filament and voids, ageing; events across all",
    ),
    (
        "`result.json`",
        f"the same object as `--json` prints; at most {JSON_ROWS_MAX} cycles, evenly taken, and the first "
        f"{JSON_ROWS_MAX} events, with the number of all",
    ),
)
PRESSURE_SAID = f"{100 * PRESSURE_MARGIN_FRAC:g}"
HEATING_SAID = f"+{SELF_HEATING_K:g} K, -{SELF_COOLING_K:g} K"
OHMIC_SAID = f"{100 * OHMIC_WINDOW_FRAC:g}"
CLOSED_SAID = f"{100 * CLOSED_FRAC:g}"
FILE_ROWS = "\n".join(["| file | content |", "|---|---|", *(f"| {name} | {content} |" for name, content in FILES), ""])
HEAD = f"""\
# Simulated cells and packs: `assb sim`

Made from the models in `hil_tests/assb_hil/` by `make format`; `make check` fails when it is stale.

    assb sim --list                                        # cells, protocols, formats, benches
    assb sim --cell li_lpscl_nca --protocol cccv           # a table of cycles
    assb sim --cell li_lpscl_nca --protocol cycle --days 30 --out out/month
    assb sim --cell usi_nmc811 --protocol drive --drive-file US06.csv --drive-sign - --out out/us06
    assb sim --cell bipolar_2s --protocol mine.toml --seed 7 --sensors --out out/mine

The plant in C runs without a firmware: what a cycler, a press and a climate chamber would do to the cell, and what only
a simulation can know. **Every number is simulated**, from figures that carry their source in the plant's file.

* `--cell` is a plant (`hil_tests/assb_hil/plants/`), by name or file; `--format`, `--bench`, `--units` replace its own.
* `--soc`, `--temperature`, `--pressure` say how it is found; otherwise the protocol, and after it the plant, do.
* `--cycles N` repeats the whole protocol, `--days N` repeats it for so long; a pass begins where the last one ended.
* `--dt` is the step of the simulation; a step of the protocol ends at its exact time or voltage nevertheless.
  `--every` is the interval of rows; each end of a step has one besides. Without it there are at most {ROWS_MAX} rows in
  all: ends of steps go before others, and where they alone are too many whole cycles are left out, evenly. It is said.
  Charge, energy and the figures of cycles come from every `--dt`, or from all rows, and don't depend on it.
* `--seed` is that of everything random: spread of the units, filaments, sensors. The same seed gives the same bytes.
* Steps end at the plant's window. The run itself is **stopped, with exit code 1**, by the margins below: it says which
  and when, and keeps what there is; `--no-limits` goes on. Ctrl-C keeps it too (exit code 130).

## Limits

| of | stops beyond the plant's window by | because |
|---|---|---|
| voltage of a unit | {VOLTAGE_MARGIN_V:g} V | a lab's cycler has its relay there (A) |
| the same in a package without taps | {HIDDEN_MARGIN_V:g} V | no step can look at a single unit there (A) |
| pressure of a stack | {PRESSURE_SAID} % of the highest one | presses have a deadband (A) |
| temperature of a core | {HEATING_SAID} | the window is the room's, cells heat themselves (A) |

Voltages, pressures and a start that the run could not get past are refused before it begins, with what is allowed;
with `--no-limits` they are said. So is what lies between window and margin. A press that can't hold what it is asked
for (the end of its travel, its supply, its motor) is said with the time, and stands under `press_stops` in the result.

**In the cold** a thick separator carries a plant's C-rates only on paper. What a plant admits, and with it each
`admissible_frac`, is therefore cut to the current at which R0 alone, at the temperature of the room and the pressure of
the start, takes {OHMIC_SAID} % of the voltage window (A). It is said when that happens. Currents given otherwise
are played as they are.

## Cycles

A cycle is a turn of a `repeat` with `as_cycles`, or a pass of the protocol; rests before the first turn are part of it.
**CE** is what came out, and what the units hold more at the end than at the beginning (SOC times capacity, which only a
simulation knows), over what went in. It is shown for a cycle that begins with a charge and ends within
{CLOSED_SAID} % of the charge of where it began. What it contains: capacity that fades while charge is in it,
and current through filaments. What it doesn't: a first-cycle loss, or any other side reaction. It is no forecast of a
measured CE.

## Drive cycles

`--drive-file` takes a CSV of two columns, time in s and current in A; lines that begin with `#` and one line of names
are skipped. `--drive-sign -` says that + discharges in it, as in most public files; here + charges. The current is
joined by straight lines and averaged over each step, so that no charge is lost. The shipped protocol `drive` scales
the file to what the cell admits and says by how much; `--drive-scale 1` plays it as it is. Times that don't rise,
numbers that are none and files of power are refused with their line.

## What `--out` leaves

{FILE_ROWS}
Each file is written beside its place and renamed when whole; tables of an earlier run in the same folder are replaced.

"""
STEPS_HEAD = """
## Protocol files

```toml
title = "Two cycles with a look at the resistance"
start = { soc_frac = 0.2 }

[[step]]
do = "repeat"             # a loop over the [[step.step]] tables that follow; [[step.step.step]] is a loop in it
times = 2
as_cycles = true

[[step.step]]
do = "charge"             # the word has the direction, the figure has no sign
c_rate = 0.1
until = { voltage = "max", time_h = 12.0 }

[[step.step]]
do = "hold"
voltage = "max"           # the plant's limit, or V per unit in series
c_rate = 0.1
until = { c_rate = 0.01 }

[[step.step]]
do = "rest"
pressure_mpa = "target"
until = { time_h = 1.0 }

[[step.step]]
do = "discharge"
admissible_frac = 0.5     # half of what the plant admits
until = { voltage = "min" }
```

A voltage is that of the first unit to reach it; where a package has no taps, that of the terminals divided by the
units in it, and then no single one is looked at but by the limits that stop the run. A step without a time ends at the
latest after 2.5 times the hours that the nominal capacity takes at its current (a hold after 24 h): a shorted cell may
never reach its voltage. More current than the plant admits is allowed, and said;
so is a step that had reached its voltage before it began. `pressure_window_frac` ends where the bench's reach does.

"""


def fields_of(struct) -> tuple[Any, ...]:
    return getattr(msgspec.inspect.type_info(struct), "fields", ())


def shared() -> set[str]:
    return {field.encode_name for field in fields_of(Step)}


def only(struct, leave: set[str]):
    """The type information of a struct without some of its fields."""
    info = msgspec.inspect.type_info(struct)
    return msgspec.structs.replace(info, fields=tuple(f for f in fields_of(struct) if f.encode_name not in leave))


def step_sections() -> str:
    text = "### Every `[[step]]`\n\n`do` is one of " + ", ".join(f"`{do}`" for do in STEPS) + ".\n\n"
    text += config_page.markdown(msgspec.inspect.type_info(Step)) + "\n"
    for do, struct in STEPS.items():
        leave = {"step"} | (shared() - {"name"} if do == "repeat" else shared())
        text += f'### `do = "{do}"`\n\n{struct.__doc__}\n\n'
        table = config_page.markdown(only(struct, leave))
        text += table + "\n" if table.count("\n") > 2 else ""
        ends = getattr(struct, "ends", ())
        text += f"`until`: {', '.join(f'`{end}`' for end in ends)}.\n\n" if ends else ""
    return text


def columns_section() -> str:
    lines = ["## Columns of the truth", "", "| column | unit and meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{row[0]}` | {row[5]} |" for row in TRUTH_TABLE)]) + "\n"


def page() -> str:
    """The whole page as Markdown."""
    text = HEAD + columns_section() + STEPS_HEAD
    text += config_page.markdown(only(Head, {"start", "step"})) + "\n"
    text += "### `start`\n\nThe command line goes before.\n\n"
    text += config_page.markdown(msgspec.inspect.type_info(Start)) + "\n"
    text += step_sections()
    text += "### `until`\n\nWhichever comes first; which of them a step can have stands there.\n\n"
    return text + config_page.markdown(msgspec.inspect.type_info(End))
