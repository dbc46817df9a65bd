"""The service of tests/service, for the tests that send real data sets through it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "service"))  # what its conftest imports

from service.conftest import (
    app,
    app_url,
    client,
    database,
    database_url,
    make_database_url,
    make_token,
    open_folder,
    postgresql,
    settings,
    state_dir,
    template_database,
    token,
)

__all__ = [
    "app",
    "app_url",
    "client",
    "database",
    "database_url",
    "make_database_url",
    "make_token",
    "open_folder",
    "postgresql",
    "settings",
    "state_dir",
    "template_database",
    "token",
]
