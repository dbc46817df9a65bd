"""Searches of all real ctapipe records over HTTP, against the same questions to the raw JSON."""

import fnmatch
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from data.raw_ctapipe import Record, Truth, logs, read_truth

from provmanager.client import ProvClient
from provmanager.errors import UsageError


@pytest.fixture(scope="module")
def truth(prov_data: Path, client: ProvClient) -> Truth:
    """All real ctapipe logs: recorded, and as their raw JSON."""
    paths = logs(prov_data / "ctapipe-samples")
    items = list(client.record_many((path.name, path) for path in paths))
    assert all(item["error"] is None for item in items)
    return read_truth(paths)


def leaves(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        found |= leaves(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def packages(run: Record) -> set[tuple[str, str]]:
    return {(p["name"], p["version"]) for p in run["system"]["python"].get("packages", ())}


def started(run: Record) -> datetime:
    return datetime.fromisoformat(run["start"]["time_utc"]).replace(tzinfo=UTC)


STATUS = {"sub": "completed", "sub2": "completed", "ctx": "completed", None: "running"}
NIGHT = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)

# what is asked, the same question to a raw record, and whether it should find some and not all
QUESTIONS: list[tuple[dict[str, Any], Callable[[Record], bool]]] = [
    ({"name": "ctapipe-merge"}, lambda r: r["activity_name"] == "ctapipe-merge"),
    ({"name": "ctapipe-*"}, lambda r: r["activity_name"].startswith("ctapipe-")),
    ({"name": "*/bin/python"}, lambda r: r["activity_name"].endswith("/bin/python")),
    ({"version": "0.28.0"}, lambda r: r["system"]["ctapipe_version"] == "0.28.0"),
    ({"version": "0.17.*"}, lambda r: r["system"]["ctapipe_version"].startswith("0.17.")),
    ({"package": "astropy"}, lambda r: any(n == "astropy" for n, _ in packages(r))),
    ({"package": "Astropy==8.0.2"}, lambda r: ("astropy", "8.0.2") in packages(r)),
    ({"package": ["astropy==8.0.2", "numba"]},
     lambda r: ("astropy", "8.0.2") in packages(r) and any(n == "numba" for n, _ in packages(r))),
    ({"status": "error"}, lambda r: r.get("status") == "error"),
    ({"status": "interrupted"}, lambda r: r.get("status") == "interrupted"),
    ({"status": "completed"}, lambda r: STATUS.get(r.get("status"), r["status"]) == "completed"),
    ({"after": NIGHT.isoformat()}, lambda r: started(r) >= NIGHT),
    ({"before": "2026-11-21T01:20:00"}, lambda r: started(r) < NIGHT),
    ({"after": "2017-01-01", "before": "2019-12-31"},
     lambda r: started(r).year in (2017, 2018, 2019)),
    ({"host": "vm"}, lambda r: r["system"]["platform"]["node"] == "vm"),
    ({"host": "*.local*"}, lambda r: ".local" in r["system"]["platform"]["node"]),
    ({"parameter": "override_obs_id=3"},
     lambda r: any(n.endswith(".override_obs_id") and v == 3 for n, v in config(r))),
    ({"parameter": "MergeTool.HDF5Merger.overwrite=true"},
     lambda r: ("MergeTool.HDF5Merger.overwrite", True) in config(r)),
    ({"parameter": "log_level=20"},
     lambda r: any(n.endswith(".log_level") and v == 20 for n, v in config(r))),
    ({"parameter": ["log_level=30", "image_dtype=int32"]},
     lambda r: any(n.endswith(".log_level") and v == 30 for n, v in config(r))
     and any(n.endswith(".image_dtype") and v == "int32" for n, v in config(r))),
    ({"parameter": 'picture_threshold_pe=[["type", "*", 10.0]]'},
     lambda r: any(n.endswith(".picture_threshold_pe") and v == [["type", "*", 10.0]]
                   for n, v in config(r))),
    ({"parameter": "log_level=30", "status": "error"},
     lambda r: r.get("status") == "error"
     and any(n.endswith(".log_level") and v == 30 for n, v in config(r))),
    ({"parameter": "override_obs_id=null"},
     lambda r: any(n.endswith(".override_obs_id") and v is None for n, v in config(r))),
]  # fmt: skip


def config(run: Record) -> list[tuple[str, Any]]:
    return list(leaves(run.get("config") or {}).items())


@pytest.mark.parametrize(("asked", "holds"), QUESTIONS, ids=[str(q) for q, _ in QUESTIONS])
def test_a_search_finds_the_runs_and_products_that_the_raw_records_name(
    truth: Truth, client: ProvClient, asked: dict[str, Any], holds: Callable[[Record], bool]
) -> None:
    expected = {uuid for uuid, run in truth.runs.items() if holds(run)}
    found = client.search_activities(**asked, limit=1000)
    assert {item["id"] for item in found["items"]} == expected
    assert found["total"] == len(expected) == len(found["items"])
    assert found["next"] is None
    times = [item["started_at"] for item in found["items"]]
    assert times == sorted(times, reverse=True)
    wanted = {"activity" if name == "name" else name: value for name, value in asked.items()}
    products = client.search_products(**wanted, limit=1000)
    made = {file for run, file, _ in truth.generated if run in expected}
    assert products["total"] == len(made) == len(products["items"])
    assert {item["generated_by"] for item in products["items"]} <= expected


def test_every_question_finds_some_runs_and_not_all(truth: Truth) -> None:
    """A question that nothing answers proves nothing."""
    answers = [sum(map(holds, truth.runs.values())) for _, holds in QUESTIONS]
    assert all(n < len(truth.runs) for n in answers)
    assert all(n > 0 for n in answers), answers


@pytest.mark.parametrize("pattern", ["*.dl1.h5", "g1.dl1.h5", "mu_*", "*.h5", "?u2.dl1.h5"])
def test_products_are_found_by_their_name(truth: Truth, client: ProvClient, pattern: str) -> None:
    """Alone, the name finds what nobody is known to have made, too."""
    expected = sum(
        any(fnmatch.fnmatchcase(place[1].rpartition("/")[2], pattern) for place in places)
        for places in truth.places.values()
    )
    found = client.search_products(name=pattern, limit=1000)
    assert found["total"] == expected > 0
    assert all(fnmatch.fnmatchcase(item["name"], pattern) for item in found["items"])


def test_pages_go_through_everything_once(truth: Truth, client: ProvClient) -> None:
    whole = client.search_activities(limit=1000)
    seen: list[str] = []
    cursor = None
    while True:
        page = client.search_activities(limit=10, cursor=cursor)
        assert page["total"] == whole["total"] == len(truth.runs)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["items"]) == 10
    assert seen == [item["id"] for item in whole["items"]]


def test_persons_are_found_by_part_of_their_name_or_address(
    client: ProvClient, prov_data: Path
) -> None:
    path = prov_data / "cwlprov/runcrate-tests/revsort-run-1/metadata/provenance"
    raw = json.loads((path / "primary.cwlprov.json").read_text())
    client.record(path / "primary.cwlprov.json")
    engines = {a for a, said in raw["agent"].items() if "SoftwareAgent" in str(said)}
    plans = {
        link["prov:activity"] for link in raw["wasAssociatedWith"].values()
        if link.get("prov:agent") in engines
    }  # fmt: skip
    found = client.search_activities(person="CWLTOOL")
    assert {f"id:{item['id']}" for item in found["items"]} == plans
    assert client.search_activities(person="nobody of that name")["total"] == 0


@pytest.mark.parametrize(
    ("query", "pointer", "message"),
    [
        ({"status": "success"}, "/query/status", "'completed', 'error', 'interrupted'"),
        ({"statsu": "error"}, "/query/statsu", "has no parameter 'statsu'; it has: activity,"),
        ({"status": ["error", "running"]}, "/query/status", "given 2 times, once is all"),
        ({"after": "yesterday"}, "/query/after", "yesterday"),
        ({"after": "2026"}, "/query/after", "expected a day or time such as 2026-11-21"),
        ({"limit": 0}, "/query/limit", "greater than or equal to 1"),
        ({"limit": 10**6}, "/query/limit", "less than or equal to 1000"),
        ({"limit": "ten"}, "/query/limit", "valid integer"),
        ({"cursor": "abc"}, None, "what `next` of the page before said"),
        ({"cursor": "9" * 30}, None, "what `next` of the page before said"),
        ({"package": "==1.0"}, None, "expected NAME or NAME==VERSION"),
        ({"parameter": "max_events"}, None, "expected PATH=VALUE"),
        ({"name": "a\x00b"}, "/query/name", "NUL character"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused(
    client: ProvClient, query: dict[str, Any], pointer: str | None, message: str
) -> None:
    for search in (client.search_activities, client.search_products):
        with pytest.raises(UsageError) as caught:
            search(**query)
        assert message in caught.value.message
        assert caught.value.details.get("pointer") == pointer
        assert caught.value.http_status == 400


def test_patterns_mean_what_they_say(truth: Truth, client: ProvClient) -> None:
    """Characters that SQL would take for its own are themselves."""
    for name in ("%", "_________", "ctapipe\\", "ctapipe%"):
        assert client.search_activities(name=name)["total"] == 0
    everything = client.search_activities()["total"]
    assert client.search_activities(name="*")["total"] == everything >= len(truth.runs)


def test_bytes_that_are_no_text_find_nothing(app_url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{app_url}/v1/search/products?name=%ff%fe", headers=headers)
    assert (answer.status_code, answer.json()["total"]) == (200, 0)
