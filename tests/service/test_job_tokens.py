"""A token that is bound to a job speaks for that job's activities and for nothing else."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import AuthorisationError
from provmanager.store.database import Database

JOB = "4711"


def run(number: int, job: str | None, **changes: Any) -> dict[str, Any]:
    """Return the record of a run as provmanager.capture writes it."""
    record: dict[str, Any] = {
        "schema": "provmanager/activity.v1",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "name": f"step {number}",
        "status": "completed",
        "started_at": "2026-11-21T02:00:00Z",
        "ended_at": "2026-11-21T02:01:00Z",
        "inputs": [{"url": "lfn:/vo/raw.fits"}],
        "outputs": [{"url": f"lfn:/vo/{number}.fits"}],
    }
    if job is not None:
        record["job"] = {"system": "DIRAC", "id": job}
    return record | changes


def sent(*records: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


@pytest.fixture(scope="module")
def node(app_url: str, make_token: Callable[..., str]) -> Iterator[ProvClient]:
    """A worker node of job 4711."""
    with ProvClient(app_url, make_token("recorder", job=JOB)) as client:
        yield client


def counts(client: ProvClient) -> tuple[int, int, int]:
    info = client.info()
    return info["documents"], info["activities"], info["entities"]


def test_it_records_its_own_job(node: ProvClient, client: ProvClient, database: Database) -> None:
    receipt = node.record(sent(run(1, JOB), run(2, JOB)))
    assert [a["outcome"] for a in receipt["activities"]] == ["new", "new"]
    with database.transaction() as session:
        (sender,) = session.execute(text("SELECT received_from FROM prov.document")).one()
    assert sender.startswith("recorder")
    assert client.activity(receipt["activities"][0]["id"])["job"]["id"] == JOB


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (sent(run(11, "4712")), "4712"),
        (sent(run(11, None)), None),
        (sent(run(11, JOB), run(12, "4712")), "4712"),
        (sent(run(11, JOB + "0")), JOB + "0"),
        (b'{"prefix": {"e": "http://e.org/"}, "activity": {"e:a": {}}}', None),
        (b'{"prefix": {"e": "http://e.org/"}, "entity": {"e:x": {}, "e:y": {}},'
         b' "wasDerivedFrom": {"_:d": {"prov:generatedEntity": "e:x", "prov:usedEntity": "e:y"}}}',
         None),
    ],
    ids=["another job", "no job", "its own and another", "a longer id", "PROV", "no activity"],
)  # fmt: skip
def test_it_is_refused_for_anything_else(
    node: ProvClient, client: ProvClient, document: bytes, found: str | None
) -> None:
    before = counts(client)
    with pytest.raises(AuthorisationError, match=f"may record for job {JOB} only") as caught:
        node.record(document)
    assert (caught.value.http_status, caught.value.exit_code) == (403, 4)
    assert caught.value.details["expected"] == JOB
    assert caught.value.details.get("found") == found
    assert counts(client) == before


def test_the_log_of_a_tool_that_knows_no_job_is_refused(node: ProvClient, prov_data: Path) -> None:
    log = prov_data / "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
    with pytest.raises(AuthorisationError, match="of no job"):
        node.record(log)


def test_it_does_not_speak_for_a_run_that_another_recorded(
    node: ProvClient, client: ProvClient
) -> None:
    """Even if it says that the run is of its job: the record has it otherwise."""
    client.record(sent(run(21, "4712", status="running", ended_at=None)))
    client.record(sent(run(22, None, status="running", ended_at=None)))
    for number in (21, 22):
        before = counts(client)
        with pytest.raises(AuthorisationError, match=f"may record for job {JOB} only"):
            node.record(sent(run(number, JOB, status="error", exit_code=1)))
        assert counts(client) == before
        held = client.activity(run(number, None)["id"])
        assert (held["status"], held["exit_code"], held["contradictions"]) == ("running", None, [])


def test_what_began_in_the_job_may_be_ended_by_it(node: ProvClient, client: ProvClient) -> None:
    node.record(sent(run(31, JOB, status="running", ended_at=None)))
    receipt = node.record(sent(run(31, JOB, exit_code=0)))
    assert receipt["activities"][0]["outcome"] == "completed"
    assert client.activity(run(31, JOB)["id"])["status"] == "completed"


def test_it_serves_all_attempts_of_a_job_that_is_rescheduled(
    node: ProvClient, client: ProvClient
) -> None:
    def told(job: str, attempt: int, **changes: Any) -> bytes:
        named = {"system": "DIRAC", "id": job, "attempt": attempt}
        return sent(run(33, job, **changes) | {"job": named})

    node.record(told(JOB, 0, status="error"))
    later = {"started_at": "2026-11-21T03:00:00Z", "ended_at": "2026-11-21T03:01:00Z"}
    node.record(told(JOB, 1, **later))
    held = client.activity(run(33, JOB)["id"])
    assert (held["status"], held["contradictions"]) == ("completed", [])
    assert held["job"]["attempt"] == 1
    with pytest.raises(AuthorisationError):
        node.record(told("4712", 2, **later))


def test_of_many_documents_only_its_own_are_recorded(node: ProvClient) -> None:
    documents = [("own", sent(run(41, JOB))), ("other", sent(run(42, "4712"))),
                 ("empty log", b"[]")]  # fmt: skip
    answer = node.record_batch(documents)
    assert [item["outcome"] for item in answer["items"]] == ["recorded", "refused", "recorded"]
    assert answer["items"][1]["error"]["code"] == "not_authorised"


def test_it_may_read_but_not_describe_or_make_tokens(node: ProvClient) -> None:
    assert node.resolve("lfn:/vo/1.fits")["name"] == "1.fits"
    with pytest.raises(AuthorisationError):
        node.put_descriptions(b"schema: descriptions.v1")
    with pytest.raises(AuthorisationError):
        node.create_token("mine", "recorder")
