"""What all tests share: where the real data lie."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = Path(os.environ.get("PROV_TEST_DATA", ROOT.parent / "shared" / "data"))
NO_DATA = f"no test data at {TEST_DATA}: set PROV_TEST_DATA (CONTRIBUTING.md)"


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put all tests that skip for want of the real data into one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_DATA in report.longrepr[2]:
        report.longrepr = (__file__, None, report.longrepr[2])  # type: ignore[assignment]
    return report
