"""A folder for results: made and tried before anything long is computed for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from assb_host.errors import AssbError


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What goes wrong with files inside is raised as AssbError that names `folder`."""
    try:
        yield
    except OSError as error:
        said = f"can't write to {folder}: {error.strerror or error}"
        raise AssbError(said, remedy="choose another --out") from None


def make_folder(folder: Path) -> None:
    """Makes it, and a folder in it that goes away again. Raises AssbError where that can't be."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        Path(mkdtemp(prefix=".assb-", dir=folder)).rmdir()
