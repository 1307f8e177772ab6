"""Fixtures that several test files share."""

import pytest
from flashed_boards import flash_image, running_copy


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The bytes of a flash with firmware and the configuration of a pack."""
    return flash_image(tmp_path_factory.mktemp("image") / "flash.bin").read_bytes()


@pytest.fixture
def running(image, tmp_path):
    """A board that runs it in the background, with nothing wired to it."""
    with running_copy(image, tmp_path) as board:
        yield board
