"""docs/faults.md: every fault that can be injected, and the cases that show what the board does about it."""

from assb_hil.dut.virtual import VirtualBoard
from assb_hil.fault_listing import fault_rows, needs_text, parameter_text
from assb_hil.faults import GROUPS
from assb_hil.scenario import load_scenario, scenario_names

HEAD = """\
# Faults that can be injected

Made from the code and the shipped scenarios; `assb hil faults` prints the same, `--json` for programs. A key in
brackets may be left out; `for_s` ends a fault after so long; `place` and `cell` count from 0. A fault that a device
under test or a bench cannot have is an error before anything runs. Cases run by name: `assb hil run
faults_sensor/bus_hang`, or a whole file: `assb hil run faults_sensor`. Everything but the firmware is simulated.
"""
TITLES = {
    "sensor": "Sensors and their buses",
    "cell": "Cells",
    "mechanics": "Press, stack, contactor",
    "board": "The board itself",
    "link": "Link between host and board",
    "configuration": "Configuration on flash",
}


def page() -> str:
    rows = fault_rows(VirtualBoard.features)
    parts = [HEAD]
    for group in GROUPS:
        parts.append(f"## {TITLES[group]}\n")
        parts.append(_faults([row for row in rows if row["kind"] == group]))
        parts.append(_cases(f"faults_{group}"))
    return "\n".join(parts)


def _faults(rows) -> str:
    lines = ["| fault | keys | what happens | needs | shown by |", "|---|---|---|---|---|"]
    for row in rows:
        keys = " ".join(f"`{parameter_text(key)}`".replace("|", "\\|") for key in row["parameters"])
        shown = ", ".join(name.rpartition("/")[2] for name in row["scenarios"]) or "no shipped scenario"
        lines.append(f"| `{row['name']}` | {keys} | {row['does']} | {needs_text(row)} | {shown} |")
    return "\n".join(lines) + "\n"


def _cases(file: str) -> str:
    lines = ["| case | what it shows | limits |", "|---|---|---|"]
    for name in scenario_names():
        if name.startswith(f"{file}/"):
            scenario = load_scenario(name)
            limits = "; ".join(WORDS[check.kind](check) for check in scenario.checks if check.kind in WORDS)
            lines.append(f"| `{name.rpartition('/')[2]}` | {scenario.title} | {limits} |")
    return "\n".join(lines) + "\n"


def _fields(check) -> str:
    return " ".join([check.event, *map(str, check.fields.values())])


def _range(check) -> str:
    least = f"{check.min:g} <= " if check.min is not None else ""
    most = f" <= {check.max:g}" if check.max is not None else ""
    return f"{least}{check.statistic} {check.signal}{most}"


# A check in a few words
WORDS = {
    "reacts": lambda check: f"{check.act.replace('_', ' ')} within {check.within_ms:g} ms",
    "holds": lambda check: "stays closed",
    "event": _fields,
    "no_event": lambda check: f"no {_fields(check)}",
    "reaction": lambda check: f"within the budget of {check.row}",
    "signal": _range,
    "soc_error": lambda check: f"SOC within {check.max_frac:g}",
}
