"""A real browser (Chromium, headless) on a real server with the example chain in it.

Screenshots stay in ``build/screenshots``, or where ``PROV_TEST_SCREENSHOTS`` says.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

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

ROOT = Path(__file__).resolve().parents[2]
NO_BROWSER = (
    "no Chromium here: install it (apt-get install chromium), or name one with PROV_TEST_BROWSER"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put all tests that skip for want of a browser into one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_BROWSER in report.longrepr[2]:
        report.longrepr = (__file__, None, report.longrepr[2])  # type: ignore[assignment]
    return report


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Folder in which the screenshots of the run are kept."""
    folder = Path(os.environ.get("PROV_TEST_SCREENSHOTS", ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")  # its event loop runs on while it is there: no longer than needed
def browser() -> Iterator[Any]:
    """A headless Chromium; skips where there is none."""
    found = os.environ.get("PROV_TEST_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), "")
    if not found:
        pytest.skip(NO_BROWSER)
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def chain(client: Any) -> Any:
    """The example chain with its descriptions, and a failed run, recorded."""
    client.put_descriptions((ROOT / "examples" / "ctapipe-descriptions.yaml").read_bytes())
    example = ROOT / "schemas" / "examples" / "production.v1.minimal.json"
    client.define_production("nightly", json.loads(example.read_text()))
    for path in sorted((ROOT / "examples" / "chain").iterdir()):
        client.record(path)
    return client


@pytest.fixture(scope="module")
def open_page(browser: Any, chain: Any, app_url: str, token: str) -> Iterator[Callable[..., Any]]:
    """Open a page in a window of its own, signed in: ``open_page("/search", width=390)``."""
    contexts: list[Any] = []

    def open_(path: str, *, width: int = 1280, is_signed_in: bool = True, **options: Any) -> Any:
        context = browser.new_context(
            base_url=app_url, viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console",
            lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.goto(path)
        if is_signed_in:
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(lambda url: "/sign-in" not in url)
        return page

    yield open_
    for context in contexts:
        context.close()
