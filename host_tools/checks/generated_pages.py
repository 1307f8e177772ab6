"""Pages of docs/ that are made from the code: fail when one is stale, or write them.

python host_tools/checks/generated_pages.py [--write]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import config_page
import reference_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"reference.md": reference_page.page, "config.md": config_page.page}


def stale(docs: Path) -> list[str]:
    """Names of pages that differ from what the code makes now."""
    return [
        name
        for name, make in PAGES.items()
        if not (docs / name).is_file() or (docs / name).read_text(encoding="utf-8") != make()
    ]


def main(arguments: list[str]) -> int:
    names = stale(DOCS)
    if "--write" in arguments:
        for name in names:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        return 0
    for name in names:
        print(f"docs/{name} is stale; write it again with `make format`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
