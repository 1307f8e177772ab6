"""`assb campaign`: many seeded trials of the short detectors, counted."""

import json
from importlib import import_module
from pathlib import Path
from time import monotonic

import click
from assb_host.errors import EXIT_FAILED, EXIT_INTERRUPTED

PLAIN_EVERY_S = 20.0


@click.group()
def campaign():
    """Count detections and false alarms over many simulated hours."""


@campaign.command()
@click.option("--cell-hours", type=click.FloatRange(0, min_open=True), required=True, help="Simulated, all cells.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of all that is random.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the results.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile; may be repeated.")
@click.option("--watch-rests", is_flag=True, help="The watch may ask for rests, as a pack with [watch_rests] does.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes of this machine; default: this one alone.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="A Dask cluster, instead.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
def shorts(cell_hours, seed, out, profiles, watch_rests, workers, scheduler, as_json):
    """Internal shorts: which are seen how soon, and how often is one seen where there is none.

    Trials that the folder holds already are not run again: after Ctrl-C (130), a lost worker or a power cut the same
    command goes on. Leaves trials/*.parquet, summary.json and report.html. Definitions: docs/campaign.md.
    """
    if workers and scheduler:
        raise click.UsageError("--workers are processes here, --scheduler is a cluster: give one")
    from assb_hil.campaign.schedule import need_extra

    need_extra()
    from assb_hil.campaign import run
    from assb_hil.campaign.settings import Settings, fingerprint

    settings = Settings(cell_hours, seed, tuple(sorted(profiles)), fingerprint(), watch_rests)
    plan = run.planned(settings, fast_path("draw", "draw"))
    left = run.unfinished(out, settings, plan)
    ended = run_left(left, plan, out, workers or 1, scheduler)
    summary = run.count(out, settings, fast_path("classes", "CLASSES"), len(plan))
    click.echo(json.dumps(summary) if as_json else "\n".join(lines(summary, out)))
    return ended


@campaign.command()
@click.option("--sample", type=click.IntRange(1, 100_000), required=True, help="Trials.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of all that is random.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the results.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile; may be repeated.")
@click.option("--kernel", default="none", metavar="FILE|DIR|none", help="Native module of the board.")
@click.option("--workers", type=click.IntRange(1, 1024), default=1, help="Processes of this machine.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
def confirm(sample, seed, out, profiles, kernel, workers, as_json):
    """Do campaigns say what the firmware does? Short trials through all of it, and on the fast path.

    Same stages in the same order, times within one slow tick: else exit code 1. Leaves confirm.json, with what both
    paths said of every trial. A trial takes minutes of virtual time, of which 25 pass in one where nothing else runs.
    """
    from assb_hil.campaign.schedule import need_extra

    need_extra()
    from assb_host.flash.native_kernel import kernel_source

    from assb_hil.campaign.confirm.run import confirm_sample
    from assb_hil.out_folder import make_folder

    make_folder(out)
    summary = confirm_sample(out, sample, seed, tuple(sorted(profiles)), kernel_source(kernel), workers, told_trial)
    click.echo(json.dumps(summary) if as_json else "\n".join(confirmed_lines(summary, out)))
    return 0 if summary["agree"] == sample else EXIT_FAILED


def told_trial(text):
    click.echo(text, err=True)


def confirmed_lines(summary, out):
    """The summary for a reader in a terminal."""
    yield f"{summary['agree']} of {summary['trials']} trials agree, {summary['failed']} failed; simulated"
    yield f"{summary['stages']} stages in {summary['with_stages']} trials, at most {summary['worst_s']} s apart"
    yield from (
        f"trial {apart['spec']['number']}: board {apart['board']}, fast path {apart['watch']}"
        for apart in summary["disagreements"]
    )
    yield f"results: {out / 'confirm.json'}"


def fast_path(module, name):
    """What the trials are; imported late, as it brings the kernels along."""
    return getattr(import_module(f"assb_hil.campaign.{module}"), name)


def run_left(left, plan, out, workers, scheduler):
    """Exit code: 0, that of an interrupt, or that of trials that failed; all that finished is kept."""
    from assb_hil.campaign.run import run_trials
    from assb_hil.campaign.schedule import open_pool

    if not left:
        return 0
    with shown_progress(left, plan) as progress:
        try:
            with open_pool(workers, scheduler) as pool:
                failed = run_trials(out, left, fast_path("trial_run", "run"), pool, progress)
        except KeyboardInterrupt:
            click.echo("assb: interrupted; what finished is kept, and the same command goes on", err=True)
            return EXIT_INTERRUPTED
    for error in failed:
        click.echo(f"assb: failed: {error}", err=True)
    return EXIT_FAILED if failed else 0


def shown_progress(left, plan):
    """A bar on a terminal, else a line every now and then; on stderr, as stdout is for results."""
    from rich.console import Console

    console = Console(stderr=True)
    kind = Bar if console.is_terminal else Lines
    return kind(left, plan, console)


def hours(specs):
    return sum(spec.cells * spec.duration_s for spec in specs) / 3600.0


class Lines:
    """Context manager and progress callback."""

    def __init__(self, left, plan, console):
        self.total_h, self.left_h = hours(plan), hours(left)
        self.done_h = self.total_h - self.left_h
        self.console = console
        self._begun_s = self._told_s = monotonic()

    def __enter__(self):
        if self.done_h:
            self.console.print(f"{self.done_h:,.0f} of {self.total_h:,.0f} cell-hours are there already")
        return self

    def __exit__(self, *error):
        self.show()

    def __call__(self, result):
        self.done_h += result.cell_hours
        if monotonic() - self._told_s >= PLAIN_EVERY_S:
            self.show()

    def note(self):
        """How far, how fast, and how long still."""
        ran_h = self.done_h - (self.total_h - self.left_h)
        speed_h_s = ran_h / max(monotonic() - self._begun_s, 1e-3)
        left_s = max(self.total_h - self.done_h, 0.0) / speed_h_s if speed_h_s else 0.0
        done = f"{self.done_h:,.0f} of {self.total_h:,.0f} cell-hours"
        return f"{done}, {3600 * speed_h_s:,.0f} an hour, {left_s:,.0f} s left"

    def show(self):
        self._told_s = monotonic()
        self.console.print(self.note(), highlight=False)


class Bar(Lines):
    """The same as a bar."""

    def __enter__(self):
        from rich.progress import BarColumn, Progress, TextColumn

        super().__enter__()
        self._bar = Progress(BarColumn(bar_width=40), TextColumn("{task.fields[note]}"), console=self.console)
        self._task = self._bar.add_task("", total=self.total_h, completed=self.done_h, note="")
        self._bar.start()
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def __call__(self, result):
        self.done_h += result.cell_hours
        self._bar.update(self._task, completed=self.done_h, note=self.note())


def lines(summary, out):
    """The summary for a reader in a terminal."""
    from assb_hil.campaign.pages.tables import percent

    trials = f"{summary['trials']} of {summary['trials_planned']} trials"
    yield f"{summary['cell_hours']:,.0f} cell-hours in {trials}; simulated"
    for kind, key in (("false alarms", "ci95_per_1000h"), ("suspects", "suspects_ci95_per_1000h")):
        name = kind.replace(" ", "_")
        low, high = summary[key]
        each = f"{summary[f'{name}_per_1000h']:.3g} per 1000 cell-hours ({low:.3g} to {high:.3g})"
        yield f"{kind:15} {summary[name]:5}  {each}"
    for row in summary["classes"]:
        yield class_line(row)
    yield f"Rs within 2x: {percent(summary['rs_within_2x_frac'])} of detections"
    yield f"contact loss called a short: {percent(summary['contact_loss_confused_frac'])}"
    if summary["watch_rests"]:
        yield f"at rest as the watch asked: {percent(summary['rested_frac'])} of the time"
    yield f"{summary['cell_hours_per_core_hour'] or 0:,.0f} cell-hours per core-hour"
    yield f"report: {out / 'report.html'}"


def class_line(row):
    """How many were told how soon, and the best baseline."""
    from assb_hil.campaign.pages.tables import duration, percent, worded

    told = f"{percent(row['detected_frac'])} within {duration(row['deadline_s'])}"
    baseline = f"{worded(row['best_baseline'])} {duration(row['baseline_latency_p50_s'])}"
    return f"{worded(row['name']):15} {row['n']:5}  {told}, median {duration(row['latency_p50_s'])} ({baseline})"
