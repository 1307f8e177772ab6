"""The table of requirements is checked, and the check is shown to fail."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest_plugins = ["pytester"]
TABLE = """\
[[limits]]
id = "L1"
text = "It trips."
why = "Or it burns."
tests = ["tests/test_it.py::test_trips"]
"""
TEST = "import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_trips(x):\n    {}\ndef test_other():\n    pass\n"


@pytest.fixture(scope="module")
def checks():
    spec = importlib.util.spec_from_file_location("page", ROOT / "host_tools/checks/requirements_page.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_sound_and_every_test_that_it_names_is_there(checks):
    rows = checks.requirements()
    assert checks.faults(rows) == []
    assert 40 <= len(rows) <= 80


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tests": []}, "needs"),
        ({"why": None}, "needs"),
        ({"id": "SAF-1"}, "stands twice"),
        ({"tests": ["host_tools/tests/test_requirements.py::test_that_nobody_wrote"]}, "no such test"),
        ({"tests": ["host_tools/tests/nowhere.py::test_x"]}, "no such test"),
        ({"tests": ["host_tools/tests/test_requirements.py"]}, "no such test"),
    ],
)
def test_a_faulty_row_is_told(checks, change, told):
    here = "host_tools/tests/test_requirements.py::test_a_faulty_row_is_told"
    sound = {"id": "SAF-1", "text": "x", "why": "y", "tests": [here], "group": "g"}
    assert checks.faults([sound]) == []
    changed = {key: value for key, value in (sound | {"id": "SAF-2"} | change).items() if value is not None}
    assert told in " ".join(checks.faults([sound, changed]))


@pytest.fixture
def project(pytester):
    """A project of one requirement and two tests, with this project's conftest."""
    (pytester.path / "docs").mkdir()
    (pytester.path / "tests").mkdir()
    (pytester.path / "docs/requirements.toml").write_text(TABLE)
    pytester.makeini("[pytest]\ntestpaths = tests\naddopts = -p no:cacheprovider -p no:assb_hil\n")
    conftest = (ROOT / "conftest.py").read_text()
    pytester.makeconftest(conftest.replace("Path(__file__).with_name", f"Path({str(ROOT / 'x')!r}).with_name"))

    def written(body):
        (pytester.path / "tests/test_it.py").write_text(TEST.format(body))
        return pytester

    return written


@pytest.mark.parametrize(
    ("body", "arguments", "code", "told"),
    [
        ("pass", [], 0, ""),
        ("pytest.skip('no') if x == 2 else None", [], 1, "L1: tests/test_it.py::test_trips: did not pass"),
        ("pytest.skip('no') if x == 2 else None", ["-k", "other"], 0, ""),
        ("pytest.skip('no')", ["tests/test_it.py"], 0, ""),
        ("assert False", [], 1, "failed"),
    ],
)
def test_a_whole_run_fails_without_every_proof_and_a_part_of_it_does_not(project, body, arguments, code, told):
    done = project(body).runpytest_subprocess(*arguments)
    assert done.ret == code
    assert told in done.stdout.str()


def test_a_requirement_whose_test_is_gone_fails_the_whole_run(project):
    pytester = project("pass")
    file = pytester.path / "tests/test_it.py"
    file.write_text(file.read_text().replace("test_trips", "test_trops"))
    done = pytester.runpytest_subprocess()
    assert done.ret == 1
    assert "L1: tests/test_it.py::test_trips: did not run" in done.stdout.str()
