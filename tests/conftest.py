"""What all tests share: where the real data lie."""

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from data.crate_tools import CrateTools

    from jobs.testbed import RunningTestbed

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = Path(os.environ.get("PROV_TEST_DATA", ROOT.parent / "shared" / "data"))
NO_DATA = f"no test data at {TEST_DATA}: set PROV_TEST_DATA (CONTRIBUTING.md)"

# A slow machine is no failure, and what is new in one change is no failure of the next. To explore:
# pytest --hypothesis-profile=random
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile("same")

# Started in the background or by nohup, we ignore these; so would the processes that tests start.
for _number, _default in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real data sets; skips where it is absent."""
    if not TEST_DATA.is_dir():
        pytest.skip(NO_DATA)
    return TEST_DATA


@pytest.fixture(scope="session")
def prov_data(test_data: Path) -> Path:
    """Folder of the real provenance documents."""
    return test_data / "prov"


@pytest.fixture(scope="session")
def dirac_venv() -> Path:
    """DiracX's environment: made once, and kept in the one that the tests run in."""
    from jobs.testbed.environment import make_environment

    folder = Path(sys.prefix) / "testbed"
    make_environment(folder, progress=lambda line: None)
    return folder


@pytest.fixture(scope="session")
def crate_tools() -> "CrateTools":
    """roc-validator and runcrate, in an environment that is made once."""
    from data.crate_tools import make_crate_tools

    return make_crate_tools()


@pytest.fixture(scope="session")
def testbed(
    dirac_venv: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[RunningTestbed]":
    """A real DiracX with four workers, for the whole session."""
    from jobs.testbed import Options, bring_down, bring_up

    folder = tmp_path_factory.mktemp("testbed")
    options = Options(n_workers=4, heartbeat_s=1.2, stalled_s=12.0, owner_pid=os.getpid())
    yield bring_up(folder, options, venv=dirac_venv)
    bring_down(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put all tests that skip for want of the real data into one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_DATA in report.longrepr[2]:
        report.longrepr = (__file__, None, report.longrepr[2])  # type: ignore[assignment]
    return report
