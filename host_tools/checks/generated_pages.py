"""Pages of docs/ that are made from the code: fail when one is stale, or write them.

python host_tools/checks/generated_pages.py [--write]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import assumptions_page
import boards_page
import cells_page
import cells_pictures
import config_page
import faults_page
import reference_page
import requirements_page
import sim_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {
    "reference.md": reference_page.page,
    "config.md": config_page.page,
    "sim.md": sim_page.page,
    "cells.md": cells_page.page,
    "assumptions.md": assumptions_page.page,
    "faults.md": faults_page.page,
    "requirements.md": requirements_page.page,
    **boards_page.PAGES,
}


def stale(docs: Path) -> list[str]:
    """Names of pages that differ from what the code makes now, and of pictures that would show something else."""
    pages = [
        name
        for name, make in PAGES.items()
        if not (docs / name).is_file() or (docs / name).read_text(encoding="utf-8") != make()
    ]
    return pages + cells_pictures.stale(docs)


def main(arguments: list[str]) -> int:
    names = stale(DOCS)
    if "--write" in arguments:
        for name in names:
            (DOCS / name).parent.mkdir(exist_ok=True)
            if name in PAGES:
                (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
            else:
                cells_pictures.write(DOCS, name)
        return 0
    for name in names:
        print(f"docs/{name} is stale; write it again with `make format`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
