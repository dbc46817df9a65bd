"""What was said of products afterwards goes out in every export, and is kept by an empty server."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from service.snapshot import empty

from provmanager.client import ProvClient
from provmanager.errors import AuthorisationError
from provmanager.model import ExportFormat
from provmanager.store.database import Database

READ_AGAIN = (
    ExportFormat.PROV_JSON,
    ExportFormat.PROV_N,
    ExportFormat.PROV_XML,
    ExportFormat.OPENLINEAGE,
    ExportFormat.RO_CRATE,
)
ADA = {"id": "mailto:ada@example.org", "name": "Ada"}


def run_record(name: str, source: str, made: str) -> bytes:
    def flow(file: str) -> dict[str, str]:
        return {
            "url": f"file://n1/data/{file}",
            "sha256": hashlib.sha256(file.encode()).hexdigest(),
        }

    told = {
        "schema": "provmanager/activity.v1", "id": str(uuid4()), "name": name,
        "status": "completed", "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:01:00Z", "inputs": [flow(source)], "outputs": [flow(made)],
    }  # fmt: skip
    return json.dumps(told).encode()


def assessment(kind: str, at: str, **more: Any) -> dict[str, Any]:
    head = {"schema": "provmanager/assessment.v1", "id": str(uuid4()), "kind": kind}
    return head | {"at": f"2026-02-{at}T00:00:00Z", "agent": ADA} | more


@pytest.fixture
def assessed(client: ProvClient, database: Database) -> Iterator[dict[str, dict[str, Any]]]:
    """Three files in a row: the first was taken for bad, the second is, the third was checked."""
    client.record(run_record("make", "raw.fits", "made.fits"))
    client.record(run_record("end", "made.fits", "last.fits"))
    ids = {name: client.resolve(name)["id"] for name in ("raw.fits", "made.fits", "last.fits")}
    bad = assessment("invalidation", "02", reason="lid closed",
                     entities=[{"id": ids["made.fits"]}])  # fmt: skip
    wrong = assessment("invalidation", "01", reason="wrong run", entities=[{"id": ids["raw.fits"]}])
    back = assessment("revocation", "03", reason="it was run 13", revokes=wrong["id"])
    old = assessment("verification", "04",
                     entities=[{"id": ids["last.fits"], "outcome": "ok"}])  # fmt: skip
    new = assessment("verification", "05",
                     entities=[{"id": ids["last.fits"], "outcome": "differs"}])  # fmt: skip
    told = {"bad": bad, "wrong": wrong, "back": back, "old": old, "new": new}
    for document in told.values():
        client.record(json.dumps(document).encode())
    yield told
    empty(database)


def document_of(client: ProvClient, format: ExportFormat) -> bytes:
    exported = client.export("last.fits", export_format=format)
    if format is not ExportFormat.RO_CRATE:
        return exported
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        return archive.read("ro-crate-metadata.json")


def assessments_of(client: ProvClient, name: str) -> list[dict[str, Any]]:
    fields = ("assessment_uuid", "kind", "assessed_at", "reason", "agent_iri", "agent_name",
              "outcome", "revoked_by", "revoked_at", "revoked_reason", "revoked_agent")  # fmt: skip
    found = client.entity(client.resolve(name)["id"])["assessments"]
    return [{field: a[field] for field in fields} for a in found]


@pytest.mark.parametrize("format", READ_AGAIN)
def test_an_empty_server_that_reads_the_export_knows_the_same_marks(
    assessed: dict[str, Any], client: ProvClient, database: Database, format: ExportFormat
):
    names = ("raw.fits", "made.fits", "last.fits")
    before = {name: assessments_of(client, name) for name in names}
    invalid = client.lineage("last.fits")["invalid"]
    assert [i["reason"] for i in invalid] == ["lid closed"]
    exported = document_of(client, format)
    empty(database)
    client.record(exported, name="lineage")
    kept = {name: assessments_of(client, name) for name in names}
    before["last.fits"] = before["last.fits"][:1]  # of verifications, the last one goes out
    assert kept == before
    told = client.lineage("last.fits")["invalid"]
    assert [i["assessment"] for i in told] == [i["assessment"] for i in invalid]
    client.record(document_of(client, format), name="again")
    assert {name: assessments_of(client, name) for name in names} == before


def test_a_recorder_cannot_bring_in_marks(
    assessed: dict[str, Any], client: ProvClient, database: Database, make_token: Callable[..., str]
):
    exported = client.export("last.fits")
    empty(database)
    with (
        ProvClient(client.url, make_token("recorder")) as recorder,
        pytest.raises(AuthorisationError, match="needs a token of role curator"),
    ):
        recorder.record(exported)
