"""Users of the testbed."""

import pytest
from grid_user import GridUser


@pytest.fixture
def user(testbed):
    """A normal user of it."""
    with GridUser(testbed, "user") as grid_user:
        yield grid_user
