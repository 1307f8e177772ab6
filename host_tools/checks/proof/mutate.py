"""Mutation run: every change of the firmware's rules and of the kernels' C must make a test fail.

python host_tools/checks/proof/mutate.py [rules|kernel] [--only TEXT] [--sample N] [--seed N] [--jobs N] [--short]

Changed are levels, delays, hysteresis, comparisons, operators, numbers and rows; statements are deleted. Who survives
must stand in survivors.toml with a reason. Exit 1 when another one survives, or when fewer than 95 % are killed.

Own code, as no tool fits: mutmut 3 changes function bodies only, not rows and constants; cosmic-ray starts Python for
every mutant and does not know which test reaches it; neither knows C.
"""

import argparse
import json
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import kernel_target
import mutation_run
import python_target
from mutants import Mutant

HERE = Path(__file__).parent
OUT = HERE.parents[2] / "out" / "mutation"
LEAST_KILLED = 0.95
KINDS = ("rules", "kernel")


def reasons(kind: str) -> dict[str, str]:
    """{place: reason} of the survivors that are accepted."""
    rows = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8")).get(kind, [])
    return {place: row["reason"] for row in rows for place in row["places"]}


def run(kind: str, options: argparse.Namespace, tell) -> dict[Mutant, str]:
    if kind == "kernel":
        of, target, without = kernel_target, kernel_target.KernelTarget(OUT / "kernel"), kernel_target.WITHOUT
    else:
        of, target, without = python_target, python_target.PythonTarget(), ""
    first, then = of.SHORT_TESTS, of.TESTS[len(of.SHORT_TESTS) :]
    chosen = mutation_run.choose(target.mutants, options.only, options.sample, options.seed)
    known = killed_before(kind) if options.resume else {}
    fate = {target.mutants[number]: known[target.mutants[number].place] for number in chosen
            if target.mutants[number].place in known}  # fmt: skip
    chosen = [number for number in chosen if target.mutants[number] not in fate]
    tell(f"{kind}: {len(chosen)} of {len(target.mutants)} mutants, {len(fate)} known from before")

    def keep(more: dict[Mutant, str]) -> None:
        rows = [{"place": one.place, "line": one.line, "fate": told} for one, told in (fate | more).items()]
        (OUT / f"{kind}.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")

    fate |= mutation_run.run(target, chosen, first, without, options.jobs, options.budget, tell, keep)
    left = [number for number in chosen if fate[target.mutants[number]] in mutation_run.ALIVE]
    accepted = reasons(kind)
    left = [number for number in left if target.mutants[number].place not in accepted]
    if left and then and not options.short:
        tell(f"{len(left)} left, against the other tests")
        fate |= mutation_run.run(target, left, then, without, options.jobs, options.budget, tell, keep)
    keep({})
    return fate


def killed_before(kind: str) -> dict[str, str]:
    """{place: fate} of those that an earlier run has killed."""
    path = OUT / f"{kind}.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return {row["place"]: row["fate"] for row in rows if row["fate"] not in mutation_run.ALIVE}


def report(kind: str, fate: dict[Mutant, str], whole: bool) -> int:
    """Prints what happened; 1 when a survivor is not accepted, or (of a whole run) too few are killed."""
    counts = Counter(fate.values())
    accepted = reasons(kind)
    alive = [mutant for mutant in fate if fate[mutant] in mutation_run.ALIVE]
    new = [mutant for mutant in alive if mutant.place not in accepted]
    killed = 1 - len(alive) / max(1, len(fate))
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{kind}: {100 * killed:.1f} % of {len(fate)} mutants killed ({told}); {len(new)} survivors without a reason")
    for mutant in sorted(new, key=lambda one: (one.file, one.line)):
        print(f"  {fate[mutant]} {mutant.file}:{mutant.line}  {mutant.place}")
    stale = sorted(set(accepted) - {mutant.place for mutant in alive}) if whole else []
    for place in stale:
        print(f"  in survivors.toml, but killed or gone: {place}")
    return int(bool(new or stale) or killed < LEAST_KILLED * whole)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mutate")
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("--only", default="", help="mutants whose name contains this text")
    parser.add_argument("--sample", type=int, default=0, help="so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--budget", type=float, default=6.0, help="seconds of tests per mutant")
    parser.add_argument("--short", action="store_true", help="the short tests only")
    parser.add_argument("--resume", action="store_true", help="leave out what the last run has killed")
    options = parser.parse_args(arguments)
    begun_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun_s:6.0f} s  {text}", file=sys.stderr, flush=True)

    result = 0
    OUT.mkdir(parents=True, exist_ok=True)
    for kind in [options.kind] if options.kind else KINDS:
        fate = run(kind, options, tell)
        result |= report(kind, fate, not (options.only or options.sample))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
