"""docs/assumptions.md: what the figures of the simulated cells rest on, counted from the files; what hangs on it."""

import re
from collections import Counter
from collections.abc import Iterator

from assb_hil.plant_file import find, plant_names, shipped_names
from assb_host.config.toml_reader import read_toml

HEAD = """\
# What is assumption

Counted from `hil_tests/assb_hil/plants/` by `make format`; `make check` fails when it is stale. No figure of the
simulated cells was measured by us. Each carries a mark; here a figure counts with its weakest one: **A** our
assumption, in full or in part, **K** from memory of a paper, unconfirmed, **C** calculated by us from molar volumes or
geometry, **V** confirmed in another text, **R** the review that the project starts from. A curve counts once. The
figures themselves: [cells.md](cells.md).

"""
# (conclusion, what it rests on, what follows)
HANGS = (
    (
        "R0 falls with pressure as P^-0.55",
        "V",
        "the direction and the exponent stand; how much of R0 is contact, and so the size of a pressure step in "
        "ohms, is A",
    ),
    (
        "R0 and overvoltage at a temperature",
        "A: all activation energies",
        "runs in the cold and the heat show how the software copes, not what a cell loses",
    ),
    (
        "pressure follows charge",
        "C: µm per mAh/cm² from molar volumes; Ag-C on top of lithium, hard carbon, TiS2 and every oxide but NMC811 "
        "are A",
        "the total is calculated, not measured; its shape over SOC, relaxation, creep and the stiffness of each press "
        "are A, and ΔP scales with the stiffness",
    ),
    (
        "lithium ≫ graphite > titanate in stress",
        "C: their swelling",
        "stands for any one press; the megapascals do not",
    ),
    (
        "stripping is even below 0.2 mA/cm² at 3 MPa and 1.0 at 7 MPa",
        "K",
        "the threshold is as good as that memory; how fast voids grow beyond it, and heal, is A",
    ),
    (
        "time to short against pressure",
        "K: the published times, V: the one at 5 MPa",
        "the law's pressure term is calibrated to these times: that it meets them validates nothing, and "
        "elsewhere than at 75 µA/cm², room temperature and Li6PS5Cl it is a guess",
    ),
    (
        "growth above the critical current, resistance, burn-out and deepening of a bridge",
        "V: the range of critical currents; the rest A",
        "how early a detector sees a bridge that the plant makes is a property of the law; shorts injected with a "
        "given resistance do not depend on it",
    ),
    (
        "admissible C-rates",
        "K (stripping) and V (plating) for lithium; R or K where a cell was run at that rate; else A",
        "a rate that a cell was run at is possible, not the most that is",
    ),
    (
        "SOC can be seen from voltage",
        "A: every OCV curve is drawn by hand through voltages that are K",
        "which chemistry is hard (flat: LTO and Li-S; wide hysteresis: silicon) stands; millivolts do not",
    ),
    (
        "capacity after n cycles",
        "R where the facts give an end (500, 1000, 3000, 62 500 cycles)",
        "that 80 % is of the first discharge, at the published rate or else the admissible one, with calendar loss and "
        "resistance in it, is our reading; the way there, a square root, and all calendar ageing are A",
    ),
    (
        "a pack drifts apart",
        "A: all spreads",
        "what a spread does to the estimator, not how wide it is",
    ),
    (
        "sensors, regulator, contactor, cycler",
        "A: classes of common parts",
        "replace them by your bench's, in `plants/benches/`",
    ),
)
READINGS = """\

Readings that could be wrong as a whole: `halide_ncm85` takes its 250 MPa (V) for the pressure during cycling, not of
pressing alone; `lis` takes "75 to 10 MPa" (V) for what it may be cycled between, and Li-In for its anode; `usi_nmc811`
puts 11 mAh/cm² and 500 cycles (R) into one cell, which may be of two; `liin_tis2` takes 2.44 mA/cm² (R) for 4C;
`bipolar_2s` has units of our choosing. Voltages against Li-In are 0.62 V (K) below those against lithium.

What the firmware believes (`board_configs/cells/`) was derived from the simulated cells and moved a few percent aside,
until a fit of a simulated characterisation replaces it: how wrong an estimator starts is an assumption as well, and
the OCV (about 1 mV off) is closer than a lab would get it. It shows that the software copes with such errors, no more.
"""
MARK = re.compile(r"(?:^|[;,] )([RVCKA])(?=[,:;]|$)")
WEAKEST_FIRST = "AKCVR"


def weakest(source: str) -> str:
    """The weakest mark of a source such as "K: cycled so; A: the window"."""
    return min(MARK.findall(source), key=WEAKEST_FIRST.index)


def sources(entry) -> Iterator[str]:
    """Of every figure and curve in a file."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get("source"), str):
        yield entry["source"]
    for inner in entry.values():
        yield from sources(inner)


def row(title: str, raws: list[dict]) -> tuple[str, Counter]:
    counts = Counter(weakest(source) for raw in raws for source in sources(raw))
    cells = " | ".join(str(counts[mark]) for mark in reversed(WEAKEST_FIRST))
    return f"| {title} | {cells} | {counts.total()} |", counts


def page() -> str:
    """The whole page as Markdown."""
    lines, total = ["| file | R | V | C | K | A | all |", "|---|---|---|---|---|---|---|"], Counter()
    parts = [(f"`{name}`", [read_toml(find("plant", name))]) for name in plant_names()]
    parts += [
        (f"{kind}s", [read_toml(find(kind, name)) for name in shipped_names(kind)]) for kind in ("format", "bench")
    ]
    for title, raws in parts:
        line, counts = row(title.replace("benchs", "benches"), raws)
        lines.append(line)
        total += counts
    lines.append("| **all** | " + " | ".join(str(total[m]) for m in reversed(WEAKEST_FIRST)) + f" | {total.total()} |")
    share = 100 * total["A"] / total.total()
    said = f"\nOf {total.total()} figures {total['A']} ({share:.0f} %) are assumptions in full or in part.\n"
    hangs = ["| conclusion | rests on | so |", "|---|---|---|", *("| " + " | ".join(cells) + " |" for cells in HANGS)]
    return HEAD + "\n".join(lines) + "\n" + said + "\n## What hangs on it\n\n" + "\n".join(hangs) + "\n" + READINGS
