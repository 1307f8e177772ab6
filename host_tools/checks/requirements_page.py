"""docs/requirements.toml: each requirement of the safety core names its tests. The page for readers, and the check.

python host_tools/checks/requirements_page.py      exit 1 and one line per fault of the table, or test that is not there

That the tests also pass is the run's affair: conftest.py fails a run of all tests that leaves a requirement unproven.
"""

import ast
import sys
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "requirements.toml"
KEYS = {"id", "text", "why", "tests"}
HEAD = """\
# Requirements of the safety core, and what proves them

Made from [requirements.toml](requirements.toml) by `make format`. A run of all tests fails when a requirement has
no test that passed: see [safety.md](safety.md) for what they add up to, and what they do not.
"""


def requirements(path: Path = TABLE) -> list[dict[str, Any]]:
    """The rows, each with the name of its group."""
    groups = tomllib.loads(path.read_text(encoding="utf-8"))
    return [row | {"group": group} for group, rows in groups.items() for row in rows]


def faults(rows: Iterable[dict[str, Any]], root: Path = ROOT) -> list[str]:
    """What is wrong with the table itself, and tests that it names in vain."""
    found, seen = [], set()
    for row in rows:
        name = row.get("id", "?")
        if set(row) - {"group"} != KEYS or not row["tests"]:
            found.append(
                f"{name}: has {', '.join(sorted(set(row) - {'group'}))}; needs {', '.join(sorted(KEYS))} and a test"
            )
            continue
        if name in seen:
            found.append(f"{name}: stands twice")
        seen.add(name)
        found += [f"{name}: no such test: {test}" for test in row["tests"] if not exists(test, root)]
    return found


def exists(test: str, root: Path = ROOT) -> bool:
    file, _, function = test.partition("::")
    return bool(function) and function.partition("[")[0] in functions_of(root / file)


@lru_cache
def functions_of(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def unproven(rows: Iterable[dict[str, Any]], passed: set[str], others: set[str]) -> list[str]:
    """Requirements with a test that did not run, or did not pass. `passed` and `others` are node ids of a run; a
    test with parameters is proven by all of them."""
    bases = {node.partition("[")[0] for node in passed}
    failed = others | {node.partition("[")[0] for node in others}
    return [
        f"{row['id']}: {test}: {'did not pass' if test in failed else 'did not run'}"
        for row in rows
        for test in row["tests"]
        if test in failed or test not in passed | bases
    ]


def page() -> str:
    lines = [HEAD]
    group = ""
    for row in requirements():
        if row["group"] != group:
            group = row["group"]
            lines += [
                f"\n## {group.replace('_', ' ').capitalize()}\n",
                "| | requirement | why | proven by |",
                "|---|---|---|---|",
            ]
        tests = "<br>".join(_link(test) for test in row["tests"])
        lines.append(f"| {row['id']} | {row['text']} | {row['why']} | {tests} |")
    return "\n".join(lines) + "\n"


def _link(test: str) -> str:
    file, _, function = test.partition("::")
    return f"[{function.removeprefix('test_').replace('_', ' ')}](../{file})"


def main() -> int:
    found = faults(requirements())
    for line in found:
        print(f"docs/requirements.toml: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
