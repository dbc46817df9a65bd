"""Real documents with some bytes or words changed: recorded whole, or refused with nothing left."""

import os
import re
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.snapshot import check_edges, everything, snapshot

from provmanager.ids import sha256_hex
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import Database

N_MUTATIONS = int(os.environ.get("PROV_TEST_MUTATIONS", "60"))
_EXAMPLES = Path(__file__).resolve().parents[2] / "schemas/examples"
_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|\w{3,}')
_STRANGE = [
    b'""', b'"\\u0000"', b'"\\ud800"', b'"2026-02-30T25:61:00"', b'"9999-12-31T23:59:59.9999999"',
    b'"0000-00-00"', b'"urn:uuid:"', b'"file://[x/"', b'"lfn:"', b'"' + b"x" * 3000 + b'"', b"-1",
    b"1e400", b"123456789012345678901234567890", b"true", b"null", b"[]", b"{}", b'["a", {"b": 1}]',
    b'"sha256:zz"', b'"2026-11-21T01:16:10.528"', b"0001-01-01T00:00:00+14:00", b"\xff", b"\x00",
]  # fmt: skip
_PATTERNS = (
    "ctapipe-samples/generated/*/*",
    "ctapipe-samples/ctao-datamodel/*.json",
    "lstosa/*.log",
    "cwlprov/runcrate-tests/*/metadata/provenance/*",
    "cwlprov/runcrate-tests/*/ro-crate-metadata.json",
    "workflow-run-crate/*/*/ro-crate-metadata.json",
    "openlineage/spec/tests/example_full_event.json",
)
_EVENT = b"""{"eventType": "COMPLETE", "eventTime": "2026-11-21T01:16:10.528Z",
 "producer": "https://example.org/etl", "schemaURL": "https://openlineage.io/spec/2-0-2/x.json",
 "run": {"runId": "0190c0d2-7a3e-7f66-8b3d-3f1c1a2b3c4d", "facets": {
  "parent": {"run": {"runId": "0190c0d2-0000-7000-8000-000000000001"},
             "job": {"namespace": "n", "name": "dag"}},
  "executionParameters": {"parameters": [{"key": "sigma", "value": "5"}]}}},
 "job": {"namespace": "n", "name": "merge", "facets": {
  "ownership": {"owners": [{"name": "team:dl", "type": "MAINTAINER"}]}}},
 "inputs": [{"namespace": "s3://b", "name": "x", "facets": {"version": {"datasetVersion": "1"}}}],
 "outputs": [{"namespace": "s3://b", "name": "y", "facets": {
  "symlinks": {"identifiers": [{"namespace": "hive://h", "name": "t", "type": "TABLE"}]},
  "lifecycleStateChange": {"lifecycleStateChange": "RENAME",
   "previousIdentifier": {"namespace": "s3://b", "name": "z"}}}}]}"""
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)


@pytest.fixture(scope="module")
def originals(prov_data: Path) -> list[bytes]:
    """Small documents of all formats."""
    real = [p for pattern in _PATTERNS for p in sorted(prov_data.glob(pattern))]
    paths = [*sorted(_EXAMPLES.glob("activity*")), *real]
    found = [p.read_bytes() for p in paths if p.is_file() and p.stat().st_size < 60_000]
    found += [_EVENT] * 6  # as the others come in numbers
    assert len(found) > 20
    return found


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> tuple[bytes, bytes]:
    """A document, and what became of it after some changes of bytes and words."""
    original = originals[draw(st.integers(0, len(originals) - 1))]
    data = original
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["word", "word", "word", "swap", "cut", "repeat", "byte"]))
        if kind in ("word", "swap"):
            words = list(_WORD.finditer(data)) or [re.search(rb"", data)]
            word = words[draw(st.integers(0, len(words) - 1))]
            other = words[draw(st.integers(0, len(words) - 1))]
            new = other[0] if kind == "swap" else draw(st.sampled_from(_STRANGE))
            data = data[: word.start()] + new + data[word.end() :]
            continue
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        if kind == "cut":
            data = data[:start] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:]
        else:
            data = data[:start] + draw(st.binary(max_size=3)) + data[start + 1 :]
    return original, data


@pytest.mark.timeout(600 + N_MUTATIONS)
@settings(SETTINGS, max_examples=N_MUTATIONS, derandomize=N_MUTATIONS == 60)
@given(data=st.data())
def test_a_changed_document_is_recorded_whole_or_not_at_all(
    database: Database, originals: list[bytes], data: st.DataObject
) -> None:
    original, changed = data.draw(mutated(originals))
    with database.transaction() as session:
        record(session, [Source(original, "run.json")], policy=IngestPolicy())
        before = snapshot(session)
        (outcome,) = record(session, [Source(changed, "run.json")], policy=IngestPolicy())
        after = snapshot(session)
        check_edges(session)
        session.rollback()
    if outcome.error is not None:
        assert outcome.error.http_status < 500
        assert len(outcome.error.message) > 20
    if outcome.outcome == "recorded":
        assert any(sha256_hex(changed) in row for row in after["document"])
    else:
        assert after == before


@settings(SETTINGS, max_examples=20, derandomize=True)
@given(data=st.data())
def test_a_changed_document_never_breaks_the_server(
    database: Database,
    originals: list[bytes],
    app_url: str,
    token: str,
    data: st.DataObject,
) -> None:
    _, changed = data.draw(mutated(originals))
    before = everything(database)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/octet-stream"}
    answer = httpx.post(f"{app_url}/v1/documents", content=changed, headers=headers, timeout=60)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == {"code", "message", "details"}
        assert everything(database) == before
