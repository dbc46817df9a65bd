"""OpenLineage's own client sends events to the server; the record is the same for any order."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.snapshot import difference, everything, recorded

from provmanager.client import ProvClient
from provmanager.logic.ingest import IngestPolicy
from provmanager.store.database import Database

openlineage = pytest.importorskip(
    "openlineage.client", reason="openlineage-python is not installed"
)

N_WORLDS = int(os.environ.get("PROV_TEST_WORLDS", "25"))
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
BASE = {"_producer": "https://example.org/etl", "_schemaURL": "https://example.org/facet.json"}


@pytest.fixture(params=[None, "gzip"])
def send(
    app_url: str, make_token: Callable[..., str], request: pytest.FixtureRequest
) -> Callable[..., None]:
    """Send events as a site that uses OpenLineage does: by its client, with an API key."""
    from openlineage.client.transport.http import (
        ApiKeyTokenProvider,
        HttpCompression,
        HttpConfig,
        HttpTransport,
    )

    config = HttpConfig(
        url=app_url,
        auth=ApiKeyTokenProvider({"apiKey": make_token("recorder")}),
        compression=HttpCompression(request.param) if request.param else None,
    )
    client = openlineage.OpenLineageClient(transport=HttpTransport(config))

    def emit(*events: Any) -> None:
        for event in events:
            client.emit(event)

    return emit


def run_events(name: str, minute: int, inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """Return START and COMPLETE of a run, made with the client's own classes."""
    from datetime import UTC, datetime, timedelta

    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import parent_run, processing_engine_run
    from openlineage.client.uuid import generate_static_uuid

    at = datetime(2026, 11, 21, 10, minute, tzinfo=UTC)
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=str(generate_static_uuid(at.replace(minute=0), b"dag"))),
        job=parent_run.Job(namespace="airflow", name="nightly"),
    )
    engine = processing_engine_run.ProcessingEngineRunFacet(version="3.5.1", name="Spark")
    run = Run(
        runId=str(generate_static_uuid(at, name.encode())),
        facets={"parent": parent, "processing_engine": engine},
    )
    job = Job(namespace="airflow", name=name)
    producer = "https://example.org/etl"
    return [
        RunEvent(eventType=RunState.START, eventTime=at.isoformat(), run=run, job=job,
                 producer=producer, inputs=inputs),
        RunEvent(eventType=RunState.COMPLETE, eventTime=(at + timedelta(seconds=30)).isoformat(),
                 run=run, job=job, producer=producer, outputs=outputs),
    ]  # fmt: skip


def test_what_the_real_client_sends_can_be_traced(
    send: Callable[..., None], client: ProvClient
) -> None:
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    raw = InputDataset(namespace="s3://raw", name="run1.fits")
    dl1 = ("s3://dl1", "run1.h5")
    first = run_events("calibrate", 1, [raw], [OutputDataset(*dl1)])
    second = run_events("reconstruct", 2, [InputDataset(*dl1)], [OutputDataset("s3://dl2", "r.h5")])
    send(*second, *reversed(first))
    found = client.lineage("s3://dl2/r.h5", direction="up")
    assert [a["name"] for a in found["activities"]] == ["calibrate", "reconstruct"]
    assert {e["location"] for e in found["entities"]} == {
        "s3://raw/run1.fits", "s3://dl1/run1.h5", "s3://dl2/r.h5"
    }  # fmt: skip
    assert {u["rule"] for u in found["used"]} == {"location", "location-version"}
    run = client.activity(found["activities"][1]["id"])
    assert run["status"] == "completed"
    assert [(p["name"], p["version"]) for p in run["environment"]["packages"]] == [
        ("Spark", "3.5.1")
    ]
    assert [p["name"] for p in run["part_of"]] == ["nightly"]


def event(run: int, kind: str, minute: int, **more: Any) -> dict[str, Any]:
    facets = more.pop("facets", {})
    return {
        "eventType": kind,
        "eventTime": f"2026-11-21T10:{minute:02}:00Z",
        "producer": "https://example.org/etl",
        "schemaURL": SCHEMA,
        "run": {"runId": f"00000000-0000-4000-8000-{run:012}", "facets": facets},
        "job": {"namespace": "n", "name": f"step {run}"},
        **more,
    }


@pytest.fixture
def post(app_url: str, token: str) -> Callable[..., httpx.Response]:
    def send(body: Any, path: str = "") -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return httpx.post(f"{app_url}/api/v1/lineage{path}", content=data, headers=headers)

    return send


def test_the_same_event_again_changes_nothing(
    post: Callable[..., httpx.Response], database: Database
) -> None:
    one = event(1, "COMPLETE", 5, outputs=[{"namespace": "s3://x", "name": "y"}])
    assert post(one).status_code == 201
    before = everything(database)
    again = post(one)
    assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")
    assert everything(database) == before


def test_a_batch_takes_each_event_by_itself(
    post: Callable[..., httpx.Response], client: ProvClient
) -> None:
    good, bad = event(2, "START", 1), event(3, "DONE", 2)
    answer = post(
        b" [ %s ,\n%s ]" % (json.dumps(good).encode(), json.dumps(bad).encode()), "/batch"
    )
    assert answer.status_code == 200
    told = answer.json()
    assert (told["recorded"], told["refused"]) == (1, 1)
    assert told["items"][1]["error"]["details"]["pointer"] == "/eventType"
    stored = client.document(told["items"][0]["receipt"]["document"])
    assert stored == json.dumps(good).encode()


@pytest.mark.parametrize(("body", "path", "status", "words"), [
    (event(4, "DONE", 1), "", 422, "one of COMPLETE"),
    ([event(4, "START", 1), event(5, "DONE", 1)], "", 422, "/1/eventType"),
    ({"entity": {"ex:a": {}}, "prefix": {"ex": "http://e/"}}, "", 415, "send it to /v1/documents"),
    (b'{"eventTime": ', "", 400, "not JSON"),
    ({"temperature": 12}, "", 415, "OpenLineage events"),
    (event(6, "START", 1), "/batch", 400, "one JSON array"),
    (b"[", "/batch", 400, "not JSON"),
])  # fmt: skip
def test_what_is_no_event_is_refused_and_leaves_no_trace(
    post: Callable[..., httpx.Response], database: Database, body: Any, path: str, status: int,
    words: str,
) -> None:  # fmt: skip
    before = everything(database)
    answer = post(body, path)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert everything(database) == before


@pytest.mark.parametrize(("pack", "status", "words"), [
    (lambda d: d, 400, "said to be gzip, and is not"),
    (lambda d: gzip.compress(d)[:-12], 400, "broke off"),
    (lambda d: gzip.compress(d + b" " * 70_000_000), 413, "the limit is"),
])  # fmt: skip
def test_a_packed_body_that_cannot_be_unpacked(
    app_url: str, token: str, database: Database, pack: Any, status: int, words: str
) -> None:
    before = everything(database)
    headers = {"authorization": f"Bearer {token}", "content-encoding": "gzip"}
    body = pack(json.dumps(event(7, "START", 1)).encode())
    answer = httpx.post(f"{app_url}/api/v1/lineage", content=body, headers=headers)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert everything(database) == before


def test_a_reader_may_not_send_events(app_url: str, make_token: Callable[..., str]) -> None:
    headers = {"authorization": f"Bearer {make_token('reader')}"}
    for path in ("", "/batch"):
        answer = httpx.post(f"{app_url}/api/v1/lineage{path}", content=b"{}", headers=headers)
        assert answer.status_code == 403
        assert httpx.post(f"{app_url}/api/v1/lineage{path}", content=b"{}").status_code == 401


DATASETS = st.sampled_from([{"namespace": "s3://b", "name": n} for n in ("x", "y", "z")])
VERSIONS = st.sampled_from([None, "1", "2"])


@st.composite
def worlds(draw: st.DrawFn) -> list[bytes]:
    """Draw events of three runs on three data sets, some versioned, nested, unended."""
    events: list[dict[str, Any]] = []
    for run in range(101, draw(st.integers(102, 103)) + 1):
        begin = draw(st.integers(0, 20))
        facets: dict[str, Any] = {}
        if run > 101 and draw(st.booleans()):
            job = {"namespace": "n", "name": "step 101"}
            facets["parent"] = {"run": {"runId": f"00000000-0000-4000-8000-{101:012}"}, "job": job}
            facets["parent"] |= BASE
        kinds = ["START", "RUNNING", draw(st.sampled_from(["COMPLETE", "FAIL", "OTHER"]))]
        for kind, minute in zip(kinds, (begin, begin + 1, begin + 9), strict=True):
            if draw(st.integers(0, 4)) == 0:
                continue  # it got lost
            sides = {
                side: draw(st.lists(versioned(), max_size=2)) for side in ("inputs", "outputs")
            }
            events.append(event(run, kind, minute, facets=facets, **sides))
    return [json.dumps(e).encode() for e in events]


@st.composite
def versioned(draw: st.DrawFn) -> dict[str, Any]:
    dataset, version = dict(draw(DATASETS)), draw(VERSIONS)
    if version is not None:
        dataset["facets"] = {"version": {"datasetVersion": version} | BASE}
    return dataset


@settings(
    max_examples=N_WORLDS,
    deadline=None,
    derandomize=N_WORLDS == 25,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(worlds(), st.randoms(use_true_random=False))
def test_events_in_any_order_make_the_same_record(
    database: Database, documents: list[bytes], rng: Any
) -> None:
    policy = IngestPolicy()
    at_once, refused = recorded(database, policy, [documents])
    shuffled = rng.sample(documents, len(documents))
    twice = shuffled + rng.sample(documents, len(documents) // 2)
    one_by_one, _ = recorded(database, policy, [[d] for d in twice])
    assert refused == set()
    assert difference(without_rules(at_once), without_rules(one_by_one)) == {}


def without_rules(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out which rule a use names, which docs/identity.md#limits says may differ."""
    used = ({k: v for k, v in json.loads(row).items() if k != "rule"} for row in record["used"])
    return record | {"used": sorted({json.dumps(row, sort_keys=True) for row in used})}


def test_events_in_one_file_make_the_record_of_the_events_alone(database: Database) -> None:
    x, y = ({"namespace": "s3://b", "name": n} for n in "xy")
    events = [
        event(201, "START", 1, inputs=[x]),
        event(201, "RUNNING", 2, facets={"nominalTime": {"nominalStartTime": "x"} | BASE}),
        event(201, "COMPLETE", 3, outputs=[y]),
        event(202, "START", 4, inputs=[y]),
        event(202, "FAIL", 5, facets={"errorMessage": {"message": "disk full"} | BASE}),
    ]
    alone, _ = recorded(database, IngestPolicy(), [[json.dumps(e).encode() for e in events]])
    for file in (b"\n".join(json.dumps(e).encode() for e in events), json.dumps(events).encode()):
        together, _ = recorded(database, IngestPolicy(), [[file]])
        assert difference(alone, together).keys() <= {"document", "activity_document"}
    assert any("step 202" in row and "disk full" in row for row in alone["activity"])


def test_ndjson_files_are_taken_by_the_command(
    tmp_path: Path, client: ProvClient, app_url: str, token: str
) -> None:
    from click.testing import CliRunner

    from client_scripts.add_prov import main

    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(json.dumps(event(9, kind, 9)) for kind in ("START", "COMPLETE")))
    env = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token}
    result = CliRunner().invoke(main, [str(path)], env=env)
    assert result.exit_code == 0, result.output
    assert client.activity(event(9, "START", 9)["run"]["runId"])["status"] == "completed"
