"""The pages as people use them, in a real browser: mouse, keyboard, narrow, without scripts."""

import importlib.resources
import re
from pathlib import Path
from typing import Any

import pytest

PRODUCT = "mu_applied.dl2.h5"


@pytest.fixture(scope="module")
def product(chain: Any) -> str:
    """Path of the page of the last product of the chain."""
    return f"/product/{chain.resolve(PRODUCT)['id']}"


def test_an_auditor_follows_a_product_to_its_runs_pins_one_compares_and_prints(
    open_page: Any, screenshots: Path
) -> None:
    page = open_page("/")
    page.screenshot(path=screenshots / "search-1280.png", full_page=True)
    page.locator("#q").fill("mu_applied")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=PRODUCT).first.click()
    page.get_by_role("heading", level=1, name=PRODUCT).wait_for()
    assert page.locator(".badge", has_text="Lineage complete").is_visible()
    page.screenshot(path=screenshots / "product-1280.png", full_page=True)
    product_url = page.url

    page.locator("#producer ~ dl").get_by_role("link", name="ctapipe-apply-models").click()
    page.get_by_role("heading", level=1, name="ctapipe-apply-models").wait_for()
    assert page.locator(".badge", has_text="completed, exit code 0").is_visible()
    page.screenshot(path=screenshots / "activity-1280.png", full_page=True)
    page.get_by_role("link", name=PRODUCT).first.click()

    box = page.get_by_role("link", name=re.compile("activity ctapipe-process: 2 runs"))
    box.click()
    page.get_by_role("heading", level=1, name="ctapipe-process").wait_for()
    assert page.locator("tbody tr").count() == 2
    page.screenshot(path=screenshots / "group-1280.png", full_page=True)
    page.get_by_role("link", name=re.compile("^Pin ")).first.click()
    page.get_by_text("is drawn apart").wait_for()
    assert page.locator("svg .lg-pinned").count() == 1
    assert "pin=" in page.url
    page.screenshot(path=screenshots / "pinned-1280.png", full_page=True)

    page.goto(product_url)
    page.get_by_role("link", name="Compare with…").click()
    page.get_by_label(re.compile("^B:")).fill("energy.pkl")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Where their histories part").wait_for()
    page.screenshot(path=screenshots / "comparison-1280.png", full_page=True)

    page.goto(product_url)
    pdf = page.pdf(path=screenshots / "product.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 10_000
    page.emulate_media(media="print")
    assert not page.locator("header.top").is_visible()
    assert page.locator("svg.lg").is_visible()
    assert page.problems == []


def test_the_view_of_a_lineage_changes_by_links_and_comes_back_with_the_browser(
    open_page: Any, product: str
) -> None:
    page = open_page(product)
    boxes = page.locator("svg .lg-box")
    assert boxes.count() == 10
    page.get_by_role("link", name="table", exact=True).click()
    assert page.locator("#lineage tbody tr").count() == 10
    page.get_by_role("link", name="1", exact=True).click()
    assert page.locator("#lineage tbody tr").count() == 4
    assert "depth=1" in page.url
    page.go_back()
    page.go_back()
    assert boxes.count() == 10
    assert page.problems == []


def test_pages_work_by_keyboard(open_page: Any, product: str) -> None:
    page = open_page(product)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("svg .lg-box a").first.focus()
    assert page.locator("svg .lg-lit").count() >= 1  # its arrows stand out
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: product not in url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("energy")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="energy.pkl").first.wait_for()
    assert page.problems == []


def test_identifiers_are_copied(open_page: Any, product: str) -> None:
    page = open_page(product, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the id").click()
    page.get_by_text("copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == product.rpartition("/")[2]


def test_a_wide_drawing_is_made_to_fit(open_page: Any, product: str) -> None:
    page = open_page(product, width=900)
    drawn = page.locator("svg.lg")
    canvas = page.locator(".canvas").bounding_box()
    assert drawn.bounding_box()["width"] > canvas["width"]
    page.get_by_role("button", name="Fit to width").click()
    assert drawn.bounding_box()["width"] <= canvas["width"]


PATHS = (
    "/search?q=mu",
    "/search?kind=activities&status=completed",
    "{product}",
    "{product}?as=table&direction=both",
    "{activity}",
    "/group/{id}?kind=activity&step=ctapipe-process",
    "/compare?a=mu2.dl1.h5&b=mu3.dl1.h5",
    "/impact?ref=lst_muons.simtel.zst",
    "/descriptions",
    "/description?name=ctapipe-process",
    "/productions",
    "/production?name=nightly",
    "/log",
    "/log/{size}",
    "/log/document/{document}",
    "/product/00000000-0000-4000-8000-00000000ffff",
)


@pytest.fixture(scope="module")
def paths(chain: Any, product: str) -> list[str]:
    """Addresses of one page of each kind."""
    run = chain.lineage(PRODUCT)["activities"][-1]["id"]
    given = {
        "product": product,
        "id": product.rpartition("/")[2],
        "activity": f"/activity/{run}",
        "size": chain.log_checkpoint()["size"],
        "document": chain.activity(run)["documents"][0]["sha256"],
    }
    return [path.format(**given) for path in PATHS]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(open_page: Any, paths: list[str], scheme: str) -> None:
    """In the dark only colours are others: there a few pages have all of them."""
    package = importlib.resources.files(pytest.importorskip("axe_playwright_python"))
    script = next(p for p in package.iterdir() if p.name == "axe.min.js").read_text("utf-8")
    page = open_page("/sign-in", is_signed_in=False, color_scheme=scheme)
    faults = axe(page, script, "/sign-in")
    page = open_page("/", color_scheme=scheme)
    for path in paths if scheme == "light" else paths[::3]:
        page.goto(path)
        faults += axe(page, script, path)
    assert faults == []


def axe(page: Any, script: str, path: str) -> list[str]:
    """Return what axe finds of WCAG 2 A and AA and best practice, moderate faults too."""
    page.evaluate(script)
    found = page.evaluate("axe.run()")
    return [
        f"{path}: {v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]}"
        for v in found["violations"]
        if v["impact"] in ("moderate", "serious", "critical")
    ]


def test_nothing_is_wider_than_a_telephone(
    open_page: Any, paths: list[str], screenshots: Path
) -> None:
    page = open_page("/", width=390)
    for i, path in enumerate(paths):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        name = re.split(r"[/?]", path)[1]
        page.screenshot(path=screenshots / f"{i:02d}-{name}-390.png", full_page=True)


def test_pages_work_without_javascript(open_page: Any, product: str, screenshots: Path) -> None:
    page = open_page("/", java_script_enabled=False)
    page.locator("#q").fill("mu_applied")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=PRODUCT).first.click()
    assert page.locator("svg .lg-box").count() == 10
    assert not page.locator("button.copy").first.is_visible()
    page.get_by_role("link", name=re.compile("2 runs")).click()
    page.get_by_role("link", name=re.compile("^Pin ")).first.click()
    assert page.locator("svg .lg-pinned").count() == 1
    page.screenshot(path=screenshots / "no-javascript-1280.png", full_page=True)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(product)
    page.get_by_role("heading", name="Sign in").wait_for()


def test_a_one_time_link_signs_in(open_page: Any, chain: Any) -> None:
    link = chain.sign_in_link()["path"]
    page = open_page(link, is_signed_in=False)
    page.get_by_role("heading", level=1, name="Search").wait_for()
    assert "code=" not in page.url
    again = open_page(link, is_signed_in=False)
    again.get_by_text("was used already").wait_for()
