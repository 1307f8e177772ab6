"""docs/cells.md from the plant files: every figure of every simulated cell with unit and source, and its picture."""

from collections.abc import Iterator

from assb_hil.plant_checks import plate_limit_ma_cm2, strip_limit_ma_cm2
from assb_hil.plant_figures import Figure, PlantTables
from assb_hil.plant_file import PlantFile, load_plant, plant_names
from assb_host.config.locate import find
from assb_host.config.toml_reader import read_toml

HEAD = """\
# The simulated cells

Made from `hil_tests/assb_hil/plants/` by `make format`; `make check` fails when it is stale. What the firmware
believes of the same cells stands in `board_configs/cells/` and is never read from these: OCV, hysteresis and how the RC
pairs follow SOC are fitted to runs of one drawn unit through sensors with errors (`host_tools/checks/cell_ocv.py`), the
other resistances were derived once and moved a few percent aside. Dots in the pictures show it.
**R** is the review that the project starts from, **V** confirmed in another text, **C** calculated by us from molar
volumes or geometry, **K** from memory of a paper (unconfirmed), **A** our assumption: nothing here was measured by us.
What hangs on the assumptions: [assumptions.md](assumptions.md). Positive current charges; µm are per layer, + is
thicker when charged.

Every plant runs in every format (`formats/`: sheet, pellet), and on every bench (`benches/`) that reaches its pressure:
the air supply and the motor's torque end at some MPa, and a bench that can't press a plant is refused.

A format makes a cell of areas: capacity = areal capacity · layers · layer area; separator resistance = thickness /
conductivity, plus the ionic resistance of the electrodes' depth; thermal expansion = ppm/K · layers · (separator +
electrodes). `[voids]` and `[filament]` hold what a cell has otherwise than lithium's own law, which stands at
`li_li_symmetric`; where neither table is there, nothing strips or plates lithium metal.

Published cycle lives (R) are met by the fit of `cycle_frac_per_rt_cycle`: at 80 % the discharge, from one voltage limit
to the other at the plant's usual temperature, yields 80 % of what the first one yielded, calendar loss and resistance
included. The rate is the published one where there is one, else the admissible one. Other lives are assumptions.

"""
# Ending of a key: unit; the first that fits
UNITS = (
    ("_mah_cm2", "mAh/cm²"),
    ("_um_per_mah_cm2", "µm per mAh/cm²"),
    ("_ms_per_cm", "mS/cm"),
    ("_ma_cm2", "mA/cm²"),
    ("_ohm_cm2", "Ω·cm²"),
    ("_mpa_per_um", "MPa/µm"),
    ("_um_per_s_mpa", "µm/s per MPa"),
    ("_um_per_step", "µm per step"),
    ("um_per_step", "µm"),
    ("_ppm_per_k", "ppm/K"),
    ("_um_per_s", "µm/s"),
    ("_j_per_k_cm2", "J/K per cm²"),
    ("_w_per_k_cm2", "W/K per cm²"),
    ("_frac_per_rt_day", "1/√day"),
    ("_frac_per_rt_cycle", "1/cycle^n"),
    ("_steps_per_s_max", "1/s"),
    ("steps_per_s_max", "1/s"),
    ("_a_per_s", "A/s"),
    ("_mpa_s", "MPa/s"),
    ("_per_s", "1/s"),
    ("_cm2", "cm²"),
    ("_sigma_ppm", "ppm"),
    ("_sigma_k", "K"),
    ("_ev", "eV"),
    ("_mpa", "MPa"),
    ("_degc", "°C"),
    ("_max_c", "C"),
    ("_max_a", "A"),
    ("_um", "µm"),
    ("_ohm", "Ω"),
    ("_uf", "µF"),
    ("_ms", "ms"),
    ("_v", "V"),
    ("_j", "J"),
    ("_s", "s"),
)
TABLES = ("cell", "creep", "voids", "filament", "ageing", "limits", "pack")
CURVES = ("ocv", "entropy", "swelling", "rc")


def unit_of(key: str) -> str:
    if key.endswith("um_per_mah_cm2"):
        return "µm per mAh/cm²"
    return next((unit for ending, unit in UNITS if key.endswith(ending)), "–")


def shown(value) -> str:
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def figure_row(key: str, figure: Figure) -> str:
    return f"| `{key}` | {shown(figure.value)} | {unit_of(key)} | {figure.source} |"


def rows(tables: PlantTables, own: dict) -> Iterator[str]:
    """One line per figure that stands in the plant's own file; curves are in the picture."""
    for name in ("sheet", "pellet", *TABLES):
        table = getattr(tables, name)
        for key in own.get(name, {}):
            yield figure_row(f"{name}.{key}", getattr(table, key))
    for name in CURVES:
        if name in own:
            points = len(own[name]["soc"])
            yield f"| `{name}` | curve of {points} points | – | {getattr(tables, name).source} |"


def table_of(lines) -> str:
    return "\n".join(["| key | value | unit | source |", "|---|---|---|---|", *lines]) + "\n\n"


def shape_row(plant: PlantFile) -> str:
    cell, limits = plant.cell, plant.limits
    area_cm2 = cell.layers * cell.layer_area_cm2
    r0_mohm = 1000 * plant.pack().cells[0].r0_at_ohm(limits.temperature_degc, limits.pressure_mpa)
    rates = [f"{rate * cell.capacity_ah * 1000:.3g}" for rate in (limits.charge_max_c, limits.discharge_max_c)]
    package = f" (package of {plant.units}: {plant.units * r0_mohm:.4g})" if plant.units > 1 else ""
    return (
        f"| {plant.format_name} | {cell.layers:g} × {cell.layer_area_cm2:g} | {cell.capacity_ah * 1000:.4g} "
        f"| {r0_mohm:.4g}{package} | {r0_mohm * area_cm2 / 1000:.3g} | {' / '.join(rates)} |"
    )


def shapes(name: str) -> str:
    """What a format makes of one unit."""
    head = "| format | layers × cm² | capacity, mAh | R0 of a unit, mΩ | in Ω·cm² | admissible charge / discharge, mA |"
    lines = [shape_row(load_plant(name, format=kind)) for kind in ("sheet", "pellet")]
    return "\n".join([head, "|---|---|---|---|---|---|", *lines]) + "\n\n"


def lithium(tables: PlantTables) -> str:
    """In words, what keeps the admissible rates down."""
    limits = tables.limits
    pressure_mpa = limits.pressure_mpa.value
    strip = strip_limit_ma_cm2(tables, pressure_mpa)
    cold_degc = limits.temperature_min_degc.value
    plate = plate_limit_ma_cm2(tables, pressure_mpa, cold_degc)
    said = [
        f"{what} {most:.3g} mA/cm²"
        for what, most in (
            ("critical stripping current", strip),
            (f"critical plating current at {cold_degc:g} °C", plate),
        )
        if most < 1e9
    ]
    return f"At {pressure_mpa:g} MPa: {', '.join(said)}.\n\n" if said else "No lithium metal strips or plates.\n\n"


def breathing(tables: PlantTables) -> str:
    """In words, which way a layer goes on charge, and what of it the electrodes cancel."""
    anode_um = tables.cell.anode_um_per_mah_cm2.value
    cathode_um = tables.cell.cathode_um_per_mah_cm2.value
    total_um = anode_um + cathode_um
    way = "stays as thick" if total_um == 0 else f"gets {'thicker' if total_um > 0 else 'thinner'}"
    by = f" by {abs(total_um):.3g} µm per mAh/cm²" if total_um else ""
    return f"On charge a layer {way} in total{by}: anode {anode_um:+g}, cathode {cathode_um:+g}.\n\n"


def section(name: str) -> str:
    plant = load_plant(name)
    tables, own = plant.tables, read_toml(plant.path)
    text = (
        f"## `{name}`\n\n{tables.description}: {tables.chemistry}. Format {plant.format_name}, bench {plant.bench_name}"
    )
    text += f", {plant.units} units in series" if plant.units > 1 else ""
    text += f".\n\nKnown: {tables.facts}.\n\n![OCV, R0 and swelling of {name}](cells/{name}.svg)\n\n"
    return text + shapes(name) + breathing(tables) + lithium(tables) + table_of(rows(tables, own))


def parts_section(kind: str, name: str) -> str:
    """A format or a bench, read as it stands."""
    from assb_hil.plant_file import find as find_plant

    raw = read_toml(find_plant(kind, name))
    lines = []
    for key, entry in raw.items():
        if isinstance(entry, dict):
            lines += [raw_row(f"{key}.{inner}", value) for inner, value in figures_in(key, entry)]
    folder = {"format": "formats", "bench": "benches"}[kind]
    base = f" What is not here is that of `{raw['based_on']}`." if "based_on" in raw else ""
    return f"### `{folder}/{name}.toml`\n\n{raw['description']}.{base}\n\n" + table_of(lines)


def figures_in(key: str, entry: dict):
    if "value" in entry:
        return [("", entry)]
    if key == "sensors":
        return [
            (f"{channel}.{name}", {"value": value, "source": spec["source"]})
            for channel, spec in entry.items()
            for name, value in spec.items()
            if name != "source"
        ]
    return list(entry.items())


def raw_row(key: str, entry: dict) -> str:
    key = key.rstrip(".")
    unit = "of the channel" if key.startswith("sensors.") and not key.endswith(("_ppm", "_s")) else unit_of(key)
    return f"| `{key}` | {shown(entry['value'])} | {unit} | {entry['source']} |"


def believed(name: str):
    """The cell file of the same name, or None: the symmetric cell is no product."""
    from assb_host.config.cell import load_cell
    from assb_host.config.locate import shipped_names

    return load_cell(find("cell", name)) if name in shipped_names("cell") else None


def page() -> str:
    """The whole page as Markdown."""
    from assb_hil.plant_file import shipped_names

    text = HEAD + "".join(section(name) for name in plant_names())
    text += "## Formats and benches\n\n"
    for kind in ("format", "bench"):
        text += "".join(parts_section(kind, name) for name in shipped_names(kind))
    return text.rstrip("\n") + "\n"
