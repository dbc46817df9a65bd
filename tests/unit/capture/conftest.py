"""Every test of capture runs in its own folder, in an environment that says nothing to it."""

import os
from pathlib import Path

import pytest
from capture_records import clean_environ


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - clean_environ().keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
