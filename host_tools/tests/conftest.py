"""Fixtures that several test files share."""

import pytest
from terminals import open_terminal


@pytest.fixture
def terminal():
    """(master descriptor, path of the other end) of a pseudo-terminal in the place of a board's port."""
    with open_terminal() as terminal:
        yield terminal
