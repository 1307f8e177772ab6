"""Where the reference data lies that is not ours and not part of the product: a folder beside the repository, or the
one that ASSB_REFERENCE_DATA names. Tests that need it skip without it."""

import os
from pathlib import Path

import pytest

ENVIRONMENT = "ASSB_REFERENCE_DATA"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


def data_folder(name: str) -> Path:
    """Folder `name` of the reference data; skips the test, with the reason, where it is not."""
    folder = Path(os.environ.get(ENVIRONMENT) or BESIDE) / name
    if not folder.is_dir():
        pytest.skip(f"no reference data {name} in {folder.parent}: name its folder in {ENVIRONMENT}")
    return folder
