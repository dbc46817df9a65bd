"""What all tests share: where the real data lie."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = Path(os.environ.get("PROV_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real data sets; skips where it is absent."""
    if not TEST_DATA.is_dir():
        pytest.skip(f"no test data at {TEST_DATA}: set PROV_TEST_DATA")
    return TEST_DATA


@pytest.fixture(scope="session")
def prov_data(test_data: Path) -> Path:
    """Folder of the real provenance documents."""
    return test_data / "prov"
