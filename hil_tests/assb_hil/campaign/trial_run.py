"""One trial from its spec to what came of it: readings in chunks to the watch and to the baselines."""

from collections.abc import Iterator
from math import inf
from time import process_time

from assb_kernels import TrialColumns
from assb_kernels.baselines import Baselines
from assb_kernels.watch import EVIDENCES, Change, Watch

from assb_hil.campaign.belief import believed
from assb_hil.campaign.record import Crossings, StageChange, TrialResult, TrialSpec, Truth
from assb_hil.campaign.resting import LOOK_S, Resting
from assb_hil.campaign.scene import Scene
from assb_hil.campaign.trial_bench import TrialBench

ROWS_AT_ONCE = 3000
SLOW_TICK_S = 0.1
WATCHED = ("time_s", "voltage_v", "current_a", "temperature_degc", "pressure_mpa", "gap_um", "aim_mpa")
Seen = list[tuple[tuple[float, ...], ...]]


def run(spec: TrialSpec) -> TrialResult:
    """Raises ValueError, with the spec, if the plant refuses something."""
    began_s = process_time()
    bench = TrialBench(spec)
    scene, short = bench.scene, bench.shorted
    watch, baselines = watchers(scene)
    columns = bench.trial.columns(ROWS_AT_ONCE)
    changes: list[Change] = []
    before: Seen = []
    observer = None
    onset_row = round(short.onset_s / spec.dt_s) if short else None
    rows = round(spec.duration_s / spec.dt_s)
    resting = Resting(bench, watch) if spec.watch_rests else None
    most = min(round(LOOK_S / spec.dt_s), ROWS_AT_ONCE) if resting else ROWS_AT_ONCE
    for row, count in chunks(rows, onset_row, most):
        if row == onset_row:
            before, observer = seen(watch, baselines), bench.observer()
            watch.begin_crossings(short.onset_s)
            baselines.begin_crossings(short.onset_s)
        bench.run(columns, count)
        given = [part(columns, name, count) for name in WATCHED]
        changes += watch.run(*given)
        baselines.run(*given)
        if resting:
            resting.look(given[WATCHED.index("current_a")], count * spec.dt_s)
    return TrialResult(
        spec=spec,
        changes=tuple(map(stage_change, changes)),
        crossings=joined(before, seen(watch, baselines), short.truth if short else None),
        truth=short.truth if short else None,
        observer=observer,
        wall_s=process_time() - began_s,
        refused=sum(watch.refused(cell) for cell in range(len(watch))),
        rested_s=resting.rested_s if resting else 0.0,
    )


def watchers(scene: Scene) -> tuple[Watch, Baselines]:
    """Ours and the baselines, with the same belief of the cells."""
    flats = [believed(scene.spec.profile)] * scene.leads
    units = scene.plant.units // scene.leads
    limits = scene.plant.limits
    watch = Watch(flats, max(round(SLOW_TICK_S / scene.spec.dt_s), 1))
    return watch, Baselines(
        flats, round(1.0 / scene.spec.dt_s), units * limits.voltage_min_v, units * limits.voltage_max_v
    )


def chunks(rows: int, onset_row: int | None, most: int = ROWS_AT_ONCE) -> Iterator[tuple[int, int]]:
    """(first row, count) of parts of `rows`, none longer than `most`; one of them begins at the onset."""
    row = 0
    while row < rows:
        end = rows if onset_row is None or row >= onset_row else onset_row
        count = min(most, end - row)
        yield row, count
        row += count


def part(columns: TrialColumns, name: str, count: int) -> memoryview:
    """The first `count` rows of a column."""
    values = memoryview(columns[name])
    return values[: count * (len(values) // columns.rows)]


def stage_change(change: Change) -> StageChange:
    bits = sum(1 << EVIDENCES.index(name) for name in change.evidence)
    rs_ohm = (change.rs_ohm, change.rs_low_ohm, change.rs_high_ohm)
    known = rs_ohm if change.rs_ohm > 0.0 else (inf, inf, inf)
    return StageChange(change.time_s, change.cell, change.stage, bits, change.confidence, *known)


def seen(watch: Watch, baselines: Baselines) -> Seen:
    """Per cell, in the order of SCORES: the first times at the thresholds, so far."""
    return [(tuple(watch.crossings(cell, "softness")), *baselines.crossings(cell)) for cell in range(len(watch))]


def joined(before: Seen, last: Seen, truth: Truth | None) -> tuple[tuple[Crossings, ...], ...]:
    """`before` the onset, and since then; without a short `last` is all there is. To a cell beside a shorted one the
    whole trial is one without a short."""
    if truth is None:
        return tuple(tuple(Crossings(first, ()) for first in cell) for cell in last)
    out = []
    for cell, pairs in enumerate(zip(before, last, strict=True)):
        scores = [
            Crossings(first, since) if cell == truth.cell else Crossings(whole(first, since, truth.onset_s), ())
            for first, since in zip(*pairs, strict=True)
        ]
        out.append(tuple(scores))
    return tuple(out)


def whole(first: tuple[float, ...], since: tuple[float, ...], onset_s: float) -> tuple[float, ...]:
    return tuple(min(early, onset_s + late) for early, late in zip(first, since, strict=True))
