"""The tests of the tests are tested: each gate is shown to fail on what it is there to find."""

import subprocess
import sys
from pathlib import Path

import c_mutants
import cover
import fuzz
import kernel_build
import mutate
import pytest
import python_mutants
from kernel_target import KernelTarget
from mutants import Mutant
from python_target import PythonTarget

RUNS = 2000


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return fuzz.build(tmp_path_factory.mktemp("fuzz"))


def test_some_thousand_injured_inputs_break_nothing_and_are_those_of_their_seed(program):
    outcome, again, other = fuzz.run(program, RUNS, 1), fuzz.run(program, RUNS, 1), fuzz.run(program, RUNS, 2)
    assert not outcome.complaint
    assert outcome.numbers["kept"] > 100
    assert outcome.numbers["ways"] > 1000
    assert outcome.numbers == again.numbers != other.numbers


def test_the_fuzzer_comes_to_a_planted_fault_and_leaves_its_input(program):
    """Eight of eight seeds came to it within so many runs."""
    sick = fuzz.build(program.parent, "-DPLANTED")
    outcomes = (fuzz.run(sick, 30_000, seed) for seed in (7, 11))
    outcome = next((one for one in outcomes if one.complaint), None)
    assert outcome is not None
    assert "index 4 out of bounds" in outcome.complaint
    kept = program.with_name("input")
    kept.write_bytes(outcome.crash)
    assert "index 4 out of bounds" in fuzz.run(sick, 0, 1, [str(kept)]).complaint


def test_every_survivor_that_has_a_reason_is_a_mutant_that_there_is(tmp_path):
    for kind, target in (("kernel", KernelTarget(tmp_path)), ("rules", PythonTarget())):
        assert mutate.reasons(kind)
        assert set(mutate.reasons(kind)) <= {mutant.place for mutant in target.mutants}


C_FILE = """\
#include <stddef.h>
enum { LEAST = 2 };
static double held(double x, const double *table) { if (x > 1.5) x = table[LEAST - 1]; return -x; }
int acts(int n) { int sum = 0; for (int k = 0; k < n; k++) sum += k; return n >= LEAST && sum; }
"""


def test_every_operator_number_and_statement_of_a_c_file_has_its_mutants(tmp_path):
    source = tmp_path / "file.c"
    source.write_text(C_FILE)
    catalogue = c_mutants.Catalogue()
    text = c_mutants.instrumented(source, [], {"file.c"}, catalogue)
    changes = {f"{one.before} -> {one.after}" for one in catalogue.mutants}
    assert "x > 1.5 -> x >= 1.5" not in changes  # of a real number, and so no change
    assert {"x > 1.5 -> x <= 1.5", "1.5 -> 1.875", "-x -> x", "k < n -> k <= n",
            "n >= LEAST -> n > LEAST", "sum += k -> sum -= k", "sum += k -> (deleted)", "LEAST - 1 -> (LEAST - 1) + 1",
            "x = table[LEAST - 1] -> (deleted)", "(n >= LEAST) && sum -> (n >= LEAST) || sum"} <= changes  # fmt: skip
    assert text.count("assb_on(") - 1 == len(catalogue.mutants)  # and the macro itself
    c_mutants.instrumented(source, [], {"file.c"}, catalogue)
    assert text.count("assb_on(") - 1 == len(catalogue.mutants)  # another build of the file has the same numbers


def test_a_mutant_of_c_is_in_force_only_when_it_is_chosen(tmp_path):
    source = tmp_path / "file.c"
    source.write_text("int twice(int n) { return n + n; }\n")
    catalogue = c_mutants.Catalogue()
    text = c_mutants.instrumented(source, [], {"file.c"}, catalogue)
    main = "int main(int n, char **a) { assb_mutant = n - 2; return twice(3); }\n"
    (tmp_path / "main.c").write_text(f"{text}int assb_mutant; unsigned char assb_reached[9];\n{main}")
    kernel_build.run_compiler(["-std=c99", "main.c", "-o", "main"], tmp_path)
    codes = [subprocess.run([str(tmp_path / "main"), *["x"] * k], check=False).returncode for k in (0, 1)]
    assert codes == [6, 0]
    assert [one.after for one in catalogue.mutants] == ["n - n"]


PY_FILE = '''\
LEAST = 2
ROWS = ((LEAST, 0), (0, LEAST))
TEXT = """\\
1 cell_high cell voltage_uv high -5 10 open always
"""


def held(x, y):
    """What is said is not changed."""
    if not y:
        return None
    while x > LEAST and y:
        x -= 1
    return -x if y is None else x % 3
'''


def test_every_operator_number_row_and_statement_of_a_module_has_its_mutants(tmp_path):
    path = tmp_path / "file.py"
    path.write_text(PY_FILE)
    module = python_mutants.Module(path, "file.py", ("TEXT",))
    for text in module.texts:
        assert text != PY_FILE
        compile(text, "file.py", "exec")
    changes = [f"{one.function}: {one.before} -> {one.after}" for one in module.mutants]
    assert len(set(one.place for one in module.mutants)) == len(changes)
    for change in ("held: x > LEAST -> x >= LEAST", "held: x > LEAST -> x <= LEAST", "held: x -= 1 -> (deleted)",
                   "held: x > LEAST and y -> x > LEAST or y", "held: not y -> y", "LEAST: 2 -> 3", "held: -x -> x",
                   "held: y is None -> y is not None", "held: x % 3 -> x * 3", "ROWS: (LEAST, 0) -> (row deleted)",
                   "held: return None -> (deleted)", "ROWS: LEAST -> 0"):  # fmt: skip
        assert change in changes
    rows = [one for one in changes if one.startswith("TEXT")]
    assert len(rows) == 3 * 2 + 4 + 1  # three numbers up and down, four words, the row itself
    assert not any("What is said" in one for one in changes)


TRIALS = """
import sys, pytest
sys.path.insert(0, "host_tools/checks/proof")
from python_target import Trial
for name in sys.argv[2:]:
    trial = Trial([f"{name}::test_a[4]", f"{name}::test_b"])
    options = ["-x", "--rootdir", sys.argv[1], "-c", sys.argv[1] + "/none.ini"]
    pytest.main([*options, f"{sys.argv[1]}/{name}"], plugins=[trial])
    print("killer", trial.killer)
"""


def test_a_changed_constant_is_killed_by_a_test_that_it_renames_too(tmp_path):
    """Once, such a test was not found, and the mutant was told as alive."""
    names = []
    for constant in (4, 5, 6):
        names.append(f"test_{constant}.py")
        (tmp_path / names[-1]).write_text(
            f"import pytest\nN = {constant}\n@pytest.mark.parametrize('n', [N])\ndef test_a(n): assert n < 6\n"
            "def test_b(): assert N != 5\ndef test_not_asked_for(): assert 0\n"
        )
    (tmp_path / "none.ini").write_text("")
    command = [sys.executable, "-c", TRIALS, str(tmp_path), *names]
    done = subprocess.run(command, cwd=Path(mutate.__file__).parents[3], capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("killer")]
    assert told == ["killer -1", "killer 1", "killer 0"], done.stdout[-3000:] + done.stderr[-2000:]


MUTANT = Mutant("file.c", 3, "held", "x > 1", "x >= 1", 0)


@pytest.mark.parametrize(
    ("fates", "accepted", "whole", "code"),
    [
        (["failed"] * 20, False, True, 0),
        (["survived"] + ["failed"] * 20, False, True, 1),
        (["survived"] + ["endless"] * 20, True, True, 0),
        (["not reached"] + ["failed"] * 20, False, False, 1),
        (["survived"] + ["crashed"] * 18, True, True, 1),  # fewer than 95 % are killed
        (["failed"] * 20, True, True, 1),  # a reason for one that is killed
        (["failed"] * 20, True, False, 0),
    ],
)
def test_the_mutation_run_fails_for_a_survivor_without_a_reason(monkeypatch, fates, accepted, whole, code):
    monkeypatch.setattr(mutate, "reasons", lambda kind: {MUTANT.place: "equal"} if accepted else {})
    others = [Mutant("file.c", 9, "held", "a", "b", nth) for nth in range(len(fates) - 1)]
    assert mutate.report("kernel", dict(zip([MUTANT, *others], fates, strict=True)), whole) == code


@pytest.mark.parametrize(
    ("gaps", "reasons", "left"),
    [
        ([], [], 0),
        (["a.c:3: if (x)"], [], 1),
        (["a.c:3: if (x)"], [{"file": "a.c", "text": "if (x)", "reason": "y"}], 0),
        (["a.c:3: if (x)"], [{"file": "b.c", "text": "if (x)", "reason": "y"}], 2),
        ([], [{"file": "a.c", "text": "if (x)", "reason": "y"}], 1),
    ],
)
def test_the_gate_fails_for_a_gap_without_a_reason_and_a_reason_without_a_gap(gaps, reasons, left):
    assert len(cover.unexplained(gaps, reasons)) == left


def test_every_reason_says_something():
    for name in ("uncovered.toml", "survivors.toml"):
        rows = cover.tomllib.loads((Path(cover.__file__).parent / name).read_text(encoding="utf-8"))
        for row in (row for kind in rows.values() for row in kind):
            assert len(row["reason"]) > 15, row
