"""A real DiracX with three workers, once a session, and users of it."""

import sys
from pathlib import Path

import pytest
from grid_user import GridUser

from jobs.testbed import Options, bring_down, bring_up
from jobs.testbed.environment import make_environment

OPTIONS = Options(n_workers=3, heartbeat_s=1.2, stalled_s=4.0, kill_grace_s=2.0)


@pytest.fixture(scope="session")
def dirac_venv():
    """DiracX's environment: made once, and kept in the one that the tests run in."""
    folder = Path(sys.prefix) / "testbed"
    make_environment(folder, progress=lambda line: None)
    return folder


@pytest.fixture(scope="session")
def testbed(dirac_venv, tmp_path_factory):
    """A running testbed."""
    folder = tmp_path_factory.mktemp("testbed")
    yield bring_up(folder, OPTIONS, venv=dirac_venv)
    bring_down(folder)


@pytest.fixture
def user(testbed):
    """A normal user of it."""
    with GridUser(testbed, "user") as grid_user:
        yield grid_user
