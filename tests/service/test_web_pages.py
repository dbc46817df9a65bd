"""The pages for auditors: HTML and JSON twin, on the real example chain and on hostile names."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from browser import Pages
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.model import ExportFormat
from provmanager.model.merkle import is_included, leaf_hash
from provmanager.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
CHAIN = ROOT / "examples" / "chain"


@pytest.fixture(scope="module")
def recorded(client: ProvClient) -> ProvClient:
    """The example chain with its descriptions, recorded."""
    client.put_descriptions((ROOT / "examples" / "ctapipe-descriptions.yaml").read_bytes())
    for path in sorted(CHAIN.iterdir()):
        client.record(path)
    return client


@pytest.fixture(scope="module")
def pages(recorded: ProvClient, app_url: str, token: str) -> Iterator[Pages]:
    """A browser (without JavaScript) that is signed in."""
    with Pages(app_url) as browser:
        browser.sign_in(token)
        yield browser


def id_of(client: ProvClient, ref: str) -> str:
    return str(client.resolve(ref)["id"])


def text_of(element: Any) -> str:
    return " ".join(element.text_content().split())


# --- search ---------------------------------------------------------------------------------------


def test_the_start_leads_to_the_search_with_the_newest_products(pages: Pages) -> None:
    html = pages.html("/")
    assert pages.path == "/search"
    names = [text_of(a) for a in html.cssselect("main td.first a")]
    assert names[0] == "mu_applied.dl2.h5"
    assert len(names) == 8
    assert "8 products of 6 activities" in text_of(html.cssselect("main")[0])


def test_part_of_a_name_finds_and_a_digest_or_path_says_what_it_is(pages: Pages) -> None:
    html = pages.html("/search?q=merged")
    assert [text_of(a) for a in html.cssselect("td.first a")] == ["mu_merged.dl1.h5"]
    html = pages.html("/search?q=/data/shift/runs/chain/energy.pkl")
    assert [text_of(a) for a in html.cssselect("#exact ~ ul a")] == ["energy.pkl"]


def test_filters_of_the_form_are_those_of_the_search(pages: Pages) -> None:
    html = pages.html("/search?kind=activities&package=scikit-learn&after=2026-11-21T02:16&q=")
    names = {text_of(a) for a in html.cssselect("td.first a")}
    assert names == {"ctapipe-apply-models", "ctapipe-train-energy-regressor"}
    assert html.get_element_by_id("f-package").get("value") == "scikit-learn"


def test_a_wrong_filter_is_told_on_a_page(pages: Pages) -> None:
    response = pages.get("/search?after=yesterday")
    assert response.status_code == 400
    assert "after is 'yesterday'; expected a day or time" in response.text.replace("&#39;", "'")


# --- a product and an activity --------------------------------------------------------------------


def test_a_product_page_tells_what_an_auditor_reads_first(
    pages: Pages, recorded: ProvClient
) -> None:
    html = pages.html(f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}")
    assert text_of(html.cssselect("h1")[0]) == "mu_applied.dl2.h5"
    badges = [text_of(b) for b in html.cssselect(".badge")]
    assert any("Lineage complete: every run is recorded, back to 2" in b for b in badges)
    assert any("Digests 0 of 7" in b for b in badges)
    headings = [text_of(h) for h in html.cssselect("h2")]
    assert headings == [
        "Identifiers", "Produced by", "Software", "Configuration", "Lineage", "Made from",
        "Used by", "Told by",
    ]  # fmt: skip


def test_each_box_of_the_drawing_leads_to_its_record_or_to_its_group(
    pages: Pages, recorded: ProvClient
) -> None:
    html = pages.html(f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}")
    boxes = html.cssselect("svg .lg-box")
    hrefs = [a.get("href") for box in boxes for a in box.cssselect("a")]
    assert len(boxes) == 10
    assert len(hrefs) == 9  # the focus leads nowhere
    for href in hrefs:
        assert pages.get(href).status_code == 200, href
    groups = [href for href in hrefs if href.startswith("/group/")]
    assert len(groups) == 2  # two runs of ctapipe-process, and their two products


def test_a_group_opens_as_a_table_from_which_a_record_is_pinned(
    pages: Pages, recorded: ProvClient
) -> None:
    product = id_of(recorded, "mu_applied.dl2.h5")
    table = pages.html(f"/group/{product}?kind=activity&step=ctapipe-process")
    rows = table.cssselect("tbody tr")
    assert len(rows) == 2
    pin = next(a for a in rows[0].cssselect("a") if a.text == "Pin").get("href")
    drawn = pages.html(pin)
    assert len(drawn.cssselect("svg .lg-pinned")) == 1
    # its own product, the merge, what was merged and the last run; the other run stands apart
    assert len(drawn.cssselect("svg .lg-between")) >= 4
    assert len(drawn.cssselect("svg .lg-box")) > 10
    assert "is drawn apart" in text_of(drawn.cssselect("#lineage")[0])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("depth=1", {"ctapipe-apply-models"}),
        ("depth=2", {"ctapipe-apply-models", "ctapipe-merge", "ctapipe-train-energy-regressor"}),
        ("direction=down", set()),
        ("group=version", {"ctapipe-apply-models", "ctapipe-merge", "ctapipe-process",
                           "ctapipe-train-energy-regressor"}),
        ("only=failed", set()),
    ],
)  # fmt: skip
def test_the_view_of_a_lineage_stands_in_the_address(
    pages: Pages, recorded: ProvClient, query: str, names: set[str]
) -> None:
    page = pages.json(f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}.json?{query}")
    shown = {b["name"] for b in page["lineage"]["boxes"] if b["kind"] == "activity"}
    assert shown == names


def test_the_table_of_a_lineage_says_what_its_drawing_says(
    pages: Pages, recorded: ProvClient
) -> None:
    path = f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}"
    html, drawn = pages.html(f"{path}?as=table"), pages.html(path)
    rows = html.cssselect("#lineage tbody tr")
    assert not html.cssselect("svg")
    assert len(rows) == len(drawn.cssselect("svg .lg-box"))
    hrefs = {a.get("href") for a in drawn.cssselect("svg a")}
    assert {a.get("href") for a in html.cssselect("#lineage td.first a")} == hrefs


def test_settings_that_differ_from_their_default_come_first(
    pages: Pages, recorded: ProvClient
) -> None:
    run = recorded.lineage("mu2.dl1.h5")["activities"][0]["id"]
    page = pages.json(f"/activity/{run}.json")
    states = [s["state"] for s in page["settings"]]
    assert states == sorted(states, key=["differs", "undescribed", "default"].index)
    html = pages.html(f"/activity/{run}")
    assert len(html.cssselect("tr.differs")) == states.count("differs")


def test_exports_and_documents_are_files_to_keep(pages: Pages, recorded: ProvClient) -> None:
    html = pages.html(f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}")
    exports = [a.get("href") for a in html.cssselect(".exports a")]
    documents = [a.get("href") for a in html.cssselect("#documents ~ ul a[href^='/document/']")]
    assert len(exports) == len(ExportFormat)
    for href in [*exports, *documents]:
        response = pages.get(href)
        assert response.status_code == 200, (href, response.text[:500])
        assert response.headers["content-disposition"].startswith("attachment")
        assert response.headers["x-content-type-options"] == "nosniff"
    source = (CHAIN / "06_apply_models.provenance.log").read_bytes()
    assert pages.get(documents[0]).content == source


# --- comparison, impact, agents, jobs, descriptions -----------------------------------------------


def test_a_comparison_names_the_first_point_at_which_two_histories_part(
    pages: Pages, recorded: ProvClient
) -> None:
    html = pages.html("/compare?a=mu2.dl1.h5&b=mu3.dl1.h5")
    points = html.cssselect("#partings ~ .card")
    assert len(points) == 1
    assert "other configuration" in text_of(points[0])
    assert "override_obs_id" in text_of(points[0])
    page = pages.json("/compare.json?a=mu2.dl1.h5&b=mu3.dl1.h5")["found"]
    sections = {s["name"]: s for s in page["sections"]}
    assert sections["software"]["n_differing"] == 0
    assert sections["inputs"]["n_differing"] == 0
    differing = {f["name"] for f in sections["configuration"]["fields"] if f["state"] != "equal"}
    assert all("obs_id" in n or "output" in n or "provenance_log" in n for n in differing)
    for section in html.cssselect("section.card"):  # equal parts are folded
        assert not [d for d in section.cssselect("details") if d.get("open") is not None]


def test_products_that_share_a_history_part_after_it(pages: Pages, recorded: ProvClient) -> None:
    page = pages.json("/compare.json?a=energy.pkl&b=mu_applied.dl2.h5")["found"]
    (point,) = page["partings"]["items"]
    assert point["reasons"] == ["step"]
    same = pages.json("/compare.json?a=energy.pkl&b=energy.pkl")["found"]
    assert same["is_same"]
    assert same["partings"]["items"] == []
    assert all(s["n_differing"] == 0 for s in same["sections"])


def test_what_can_be_compared_is_offered_and_what_cannot_is_told(
    pages: Pages, recorded: ProvClient
) -> None:
    html = pages.html("/compare?a=mu2.dl1.h5")
    offered = [text_of(a) for a in html.cssselect("#with ~ ul a")]
    assert sorted(offered) == ["mu.dl1.h5", "mu3.dl1.h5"]
    run = recorded.lineage("mu2.dl1.h5")["activities"][0]["id"]
    response = pages.get(f"/compare?a=mu2.dl1.h5&b={run}")
    assert response.status_code == 400
    assert "compare two products, or two" in response.text


def test_impact_says_by_step_and_status_what_came_of_a_file(
    pages: Pages, recorded: ProvClient
) -> None:
    page = pages.json("/impact.json?ref=lst_muons.simtel.zst")
    found = recorded.lineage("lst_muons.simtel.zst", direction="down")
    assert page["counts"]["activities"] == len(found["activities"]) == 6
    assert page["counts"]["products"] == len(found["entities"]) - 1
    assert page["statuses"] == {"completed": 6}
    steps = {s["name"]: s["count"] for s in page["steps"]}
    assert steps["ctapipe-process"] == 3
    html = pages.html("/impact?ref=lst_muons.simtel.zst")
    assert (
        next(text_of(a) for a in html.cssselect("#steps ~ table td.first a")) == "ctapipe-process"
    )
    assert "Nothing recorded came of it" in pages.get("/impact?ref=mu_applied.dl2.h5").text


def test_a_job_and_an_agent_list_their_activities_what_failed_first(
    pages: Pages, recorded: ProvClient
) -> None:
    for i, status in enumerate(["completed", "error", "completed"]):
        record = {
            "schema": "provmanager/activity.v1",
            "id": f"00000000-0000-4000-8000-0000000000c{i}",
            "name": "step",
            "status": status,
            "started_at": f"2026-10-01T00:00:0{i}Z",
            "job": {"system": "DIRAC", "id": "4711", "site": "LCG.X.org"},
            "agent": {"id": "mailto:a@example.org", "name": "A. Shifter", "role": "operator"},
        }
        recorded.record(json.dumps(record).encode())
    html = pages.html("/activity/00000000-0000-4000-8000-0000000000c0")
    for words, expected in (("DIRAC 4711", "DIRAC job"), ("A. Shifter", "Agent")):
        href = next(a for a in html.cssselect(".facts a") if text_of(a) == words).get("href")
        page = pages.html(href)
        assert expected in text_of(page.cssselect(".kind")[0])
        statuses = [text_of(td) for td in page.cssselect("td[data-label=Status]")]
        assert statuses == ["✗ error", "✓ completed", "✓ completed"]


def test_descriptions_are_listed_and_shown_with_the_newest_runs(
    pages: Pages, recorded: ProvClient
) -> None:
    html = pages.html("/descriptions")
    names = [text_of(a) for a in html.cssselect("#activities ~ ul a")]
    assert "ctapipe-process" in names
    page = pages.html("/description?name=ctapipe-process")
    words = text_of(page.cssselect("main")[0])
    assert "Calibrate and parametrise camera images" in words
    assert "ProcessorTool.force_recompute_dl1" in words
    said = pages.get("/description.json?name=ctapipe-process").json()["versions"][0]["said"]
    addresses = {a.get("href") for a in page.cssselect("dl.facts a")}
    assert addresses == {f"/document/{said['document']}", f"/log/document/{said['document']}"}
    assert "descriptions.v1" in recorded.document(said["document"]).decode()
    assert len(page.cssselect("#runs ~ table tbody tr")) == 3
    assert pages.get("/description?name=nobody").status_code == 404


# --- the JSON twin --------------------------------------------------------------------------------


def test_the_twin_of_a_page_is_the_object_that_it_shows(pages: Pages, recorded: ProvClient) -> None:
    product = id_of(recorded, "mu_applied.dl2.h5")
    run = recorded.lineage("mu_applied.dl2.h5")["activities"][0]["id"]
    for path in (
        "/search?q=mu", f"/product/{product}", f"/activity/{run}", f"/list/inputs/{run}",
        "/descriptions", "/description?name=ctapipe-process", "/impact?ref=train.yaml",
        "/compare?a=mu2.dl1.h5&b=mu3.dl1.h5",
        f"/group/{product}?kind=product&step=ctapipe-process&extension=.dl1.h5",
    ):  # fmt: skip
        html = pages.html(path)
        (twin,) = html.xpath("//link[@rel='alternate']/@href")
        by_path = pages.json(twin)
        assert pages.get(path, accept="application/json").json() == by_path
        words = text_of(html)
        for name in re.findall(r'"name": "([^"]+)"', json.dumps(by_path)):
            if "package" not in name and name in words:
                break
        else:
            raise AssertionError(f"nothing of the twin stands on {path}")


# --- hostile names --------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>.h5",
    '"><img src=x onerror=alert(1)>.h5',
    "{{ 7*7 }}{% raw %}.h5",
    "gpj.\u202eexe.h5",
    "x" * 2400 + ".h5",
    "a\tb\u200b\u0007.h5",
    "'); alert(1);//.h5",
]


@pytest.fixture(scope="module")
def hostile(recorded: ProvClient) -> str:
    """The id of a run that uses and generates files with such names, and has one itself."""
    run = "00000000-0000-4000-8000-0000000000bb"
    record = {
        "schema": "provmanager/activity.v1",
        "id": run,
        "name": HOSTILE[0],
        "version": HOSTILE[1],
        "status": "error",
        "exit_code": 3,
        "started_at": "2026-11-20T00:00:00Z",
        "ended_at": "2026-11-20T00:01:00Z",
        "command": {"arguments": [HOSTILE[0], HOSTILE[3]], "directory": "/tmp/<b>"},
        "configuration": {HOSTILE[0]: HOSTILE[1]},
        "environment": {"packages": [{"name": HOSTILE[0], "version": HOSTILE[1]}]},
        "host": {"name": "<b>host"},
        "agent": {"id": "javascript:alert(1)", "name": HOSTILE[1], "role": HOSTILE[0]},
        "inputs": [{"url": f"javascript:alert({i})", "name": n} for i, n in enumerate(HOSTILE)],
        "outputs": [
            {"product_id": f"ivo://example/hostile?{i}", "name": n} for i, n in enumerate(HOSTILE)
        ],
    }
    recorded.record(json.dumps(record).encode())
    return run


def test_hostile_text_stays_text(pages: Pages, hostile: str) -> None:
    page = pages.json(f"/activity/{hostile}.json")
    assert {i["name"] for i in page["inputs"]["items"]} >= {HOSTILE[0], HOSTILE[1]}
    paths = [f"/activity/{hostile}", "/search?q=%3Cscript%3E", "/search?q=%22%3E%3Cimg+src%3Dx%3E"]
    paths += [f"/product/{item['id']}" for item in page["outputs"]["items"]]
    paths += [f"/group/{hostile}?kind=activity&step=%3Cscript%3E", f"/list/inputs/{hostile}"]
    for path in paths:
        html = pages.html(path)
        assert [s.get("src", "").partition("?")[0] for s in html.cssselect("script")] == [
            "/assets/pages.js"
        ]
        assert not html.xpath("//img | //main//b")
        assert not html.xpath("//@*[starts-with(name(), 'on')]"), path
        assert not html.xpath("//*[@style]")
        for href in html.xpath("//@href"):
            assert href.startswith(("/", "#")), href
        visible = "".join(html.xpath("//body//text()"))
        assert "49" not in re.findall(r"\{\{.*", visible)
        found = re.search("[\u202a-\u202e\u2066-\u2069\u200b\u0007]", visible)
        assert not found, visible[found.start() - 60 : found.end() + 20]


def test_what_cannot_be_seen_in_a_name_is_shown(pages: Pages, hostile: str) -> None:
    words = text_of(pages.html(f"/activity/{hostile}"))
    assert "gpj.⟨U+202E⟩exe.h5" in words


def test_a_page_loads_nothing_from_elsewhere_and_runs_no_inline_script(pages: Pages) -> None:
    response = pages.get("/search")
    policy = dict(p.strip().split(" ", 1) for p in
                  response.headers["content-security-policy"].split(";"))  # fmt: skip
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "private, no-store"
    html = lxml.html.fromstring(response.text)
    assert not [s for s in html.cssselect("script") if s.text]
    for url in html.xpath("//link[@rel!='alternate']/@href | //script/@src"):
        assert url.startswith("/assets/")
        assert pages.get(url).status_code == 200
    css = pages.get("/assets/pages.css").text
    assert "url(" not in css
    assert "@import" not in css
    assert len(pages.get("/assets/pages.js").text.splitlines()) <= 100


def test_the_style_of_a_drawing_is_the_one_that_the_policy_admits(
    pages: Pages, recorded: ProvClient
) -> None:
    import base64
    import hashlib

    response = pages.get(f"/product/{id_of(recorded, 'mu_applied.dl2.h5')}")
    (style,) = lxml.html.fromstring(response.text).cssselect("svg style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["content-security-policy"]


# --- what is not there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/product/00000000-0000-4000-8000-00000000ffff", 404),
        ("/product/nonsense", 400),
        ("/activity/00000000-0000-4000-8000-00000000ffff", 404),
        ("/product/00000000-0000-4000-8000-00000000ffff?nonsense=1", 400),
        ("/document/" + "0" * 64, 404),
        ("/search?cursor=-1", 400),
        ("/assets/../../secrets", 404),
        ("/assets/secrets", 404),
    ],
)
def test_what_is_not_there_is_told_as_a_page_and_as_json(
    pages: Pages, path: str, status: int
) -> None:
    response = pages.get(path)
    assert response.status_code == status
    if not path.startswith("/assets/.."):
        assert lxml.html.fromstring(response.text).cssselect("main h1")
    twin = pages.get(path, accept="application/json")
    assert twin.status_code == status
    assert set(twin.json()) == {"code", "message", "details"}


# --- the log --------------------------------------------------------------------------------------


def test_the_log_leads_from_a_product_to_the_proof_of_its_document(
    pages: Pages, recorded: ProvClient
) -> None:
    recorded.log_checkpoint()
    html = pages.html(f"/product/{id_of(recorded, 'energy.pkl')}")
    (link,) = [a for a in html.cssselect("a") if text_of(a) == "in the log"][:1]
    leaf = pages.html(link.get("href"))
    assert "is what the log has of it" in text_of(leaf.cssselect("p.message")[0])
    twin = pages.json(link.get("href") + ".json")
    root = bytes.fromhex(twin["checkpoint"]["root"])
    steps = [bytes.fromhex(h) for h in twin["inclusion"]]
    hashed = leaf_hash(twin["entry"].encode())
    assert is_included(hashed, twin["index"], twin["checkpoint"]["size"], steps, root)
    shown = [text_of(code) for code in leaf.cssselect("#proof ~ ol code")]
    assert shown == twin["inclusion"]


def test_the_log_lists_checkpoints_and_shows_each_with_its_signature(
    pages: Pages, recorded: ProvClient, database: Database
) -> None:
    said = recorded.log_checkpoint()
    listed = pages.json("/log.json")
    assert [listed["origin"], listed["key"]] == [said["origin"], said["key"]]
    assert listed["items"][0]["root"] == said["root"]
    html = pages.html("/log")
    links = [a.get("href") for a in html.cssselect("td.first a")]
    assert links[0] == f"/log/{said['size']}"
    page = pages.html(links[0])
    assert text_of(page.cssselect("pre")[0]) == " ".join(said["note"].split())
    assert "Its signature is of this log's key" in text_of(page.cssselect("p.message")[0])
    with database.transaction() as session:
        session.execute(text("UPDATE prov.log_checkpoint SET note = replace(note, '—', '-')"))
    page = pages.html(links[0])
    assert "It does not hold" in text_of(page.cssselect("p.message.bad")[0])
    with database.transaction() as session:
        session.execute(text("TRUNCATE prov.log_checkpoint"))
    assert "None yet" in text_of(pages.html("/log").cssselect("main")[0])
    assert pages.get("/log/77").status_code == 404
    assert pages.get(f"/log/document/{'0' * 64}").status_code == 404
