"""Invented worlds whose documents contradict each other: one record, whatever their order."""

import concurrent.futures
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.snapshot import difference, empty, recorded, snapshot
from service.worlds import RUNS, groupings, worlds
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import ProvError
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.logic.rebuilding import Scratch, copy_of
from provmanager.store.database import Database, open_database

N_WORLDS = int(os.environ.get("PROV_TEST_WORLDS", "0"))
"""How many random worlds to try in a long run (CONTRIBUTING.md)."""

SETTINGS = settings(
    derandomize=not N_WORLDS,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


@pytest.fixture(scope="module")
def policy() -> IngestPolicy:
    return IngestPolicy()


def check(
    database: Database,
    policy: IngestPolicy,
    world: Sequence[bytes],
    batches: Sequence[Sequence[bytes]],
) -> None:
    """One record, but for documents that give one UUID to two runs: the first to come stands."""
    found, refused = recorded(database, policy, batches)
    accepted = sorted(set(world) - refused)
    expected, refused_at_once = recorded(database, policy, [accepted])
    assert refused_at_once == set()
    assert difference(expected, found) == {}


def run(n: int, **fields: Any) -> bytes:
    """One record of run `n` in our capture format."""
    names = ["calibrate", "merge", "analyse"]
    record = {"schema": "provmanager/activity.v1", "id": RUNS[n - 1], "name": names[n - 1]}
    return json.dumps(record | fields).encode()


def prov(**sections: dict[str, Any]) -> bytes:
    """One W3C PROV-JSON document about the worlds' runs."""
    prefixes = {"run": "urn:uuid:", "lfn": "lfn:/vo/", "n1": "file://n1/data/"}
    return json.dumps({"prefix": prefixes} | sections).encode()


def product(number: int, **activity: Any) -> bytes:
    """What a product says of itself."""
    instance = {"id": f"0000000{number}-bbbb-4bbb-8bbb-bbbbbbbbbbbb"}
    return json.dumps(
        {"instance": instance, "data": {}, "contact": {}, "activity": activity}
    ).encode()


def header(number: int, name: str, **more: str) -> bytes:
    """What the header of a product of ctapipe says of the run that made it."""
    told = {"CTA PRODUCT ID": f"0000000{number}-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
            "CTA ACTIVITY ID": RUNS[1], "CTA ACTIVITY NAME": name}  # fmt: skip
    return json.dumps(told | more).encode()


SHA, OTHER_SHA, EMPTY_SHA = (
    "a" * 64,
    "b" * 64,
    ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
)
FOUND = {
    "two names of one agent": [
        run(1, agent={"email": "a@b", "name": "A"}),
        run(2, agent={"email": "a@b", "name": "B", "affiliation": "I"}),
    ],
    "a PROV document gives the run another name first": [
        prov(activity={f"run:{RUNS[0]}": {"prov:label": "other"}}),
        run(1),
    ],
    "a product's metadata, then the record of its run": [product(1, id=RUNS[0]), run(1)],
    "a name that is the file's, and another one": [
        prov(entity={"lfn:a.h5": {}}),
        run(1, inputs=[{"lfn": "lfn:/vo/a.h5", "name": "y"}]),
    ],
    "a run read what a part of it had generated": [
        run(2, parent=RUNS[0]),
        run(2, outputs=[{"digests": {"md5": "e" * 32}}]),
        run(1, inputs=[{"digests": {"md5": "e" * 32}}]),
    ],
    "a product's input by id and place, and a collection at that place": [
        product(1, id=RUNS[0], inputs=[{"uri": "file://n1/data/a.h5", "id": RUNS[1]}]),
        prov(hadMember={"_:r": {"prov:collection": "n1:a.h5"}}),
    ],
    "one path with bytes and without": [
        run(2, inputs=[{"url": "/b", "sha256": OTHER_SHA}, {"url": "/b", "sha256": EMPTY_SHA}]),
        run(3, outputs=[{"sha256": OTHER_SHA}]),
    ],
    "a place where a product was only read": [
        run(1, outputs=[{"url": "/a", "sha256": SHA}], ended_at="2026-03-01T20:01:00Z"),
        run(2, inputs=[{"url": "/b", "sha256": SHA}], started_at="2026-03-01T20:02:00Z"),
        run(3, inputs=[{"url": "/b"}], started_at="2026-03-01T20:03:00Z"),
    ],
    "a place where nothing was written into a file, and where a product was seen": [
        run(3, inputs=[{"url": "/a", "sha256": EMPTY_SHA}]),
        run(2, inputs=[{"url": "/a", "product_id": RUNS[0]}]),
    ],
    "a run told of again, that taught the product what was in it": [
        run(1, outputs=[{"url": "/b"}]),
        run(2, inputs=[{"url": "/b", "digests": {"md5": "d" * 32}}]),
        run(2),
    ],
    "one path with a product, with bytes, and written by who read both": [
        run(3, ended_at="2026-03-01T20:06:00Z", inputs=[{"url": "/b", "product_id": RUNS[0]}]),
        run(
            3,
            outputs=[{"url": "/b"}],
            inputs=[{"sha256": SHA, "product_id": RUNS[0]}, {"url": "/b", "sha256": OTHER_SHA}],
        ),
        run(1, started_at="2026-03-01T20:00:00Z", inputs=[{"url": "/b"}]),
    ],
    "what Python takes for equal": [
        run(1, inputs=[{"url": "/a", "more": True}], agent={"email": "a@b", "more": True}),
        run(3, inputs=[{"url": "/a", "more": 1}], agent={"email": "a@b", "more": 1}),
    ],
    "a file read under two names, of which only one was written": [
        run(1, outputs=[{"url": "/a"}]),
        run(2, inputs=[{"url": "/a", "lfn": "lfn:/vo/a.h5"}]),
        prov(
            wasDerivedFrom={
                "_:r": {"prov:generatedEntity": "lfn:a.h5", "prov:usedEntity": "lfn:b.h5"}
            },
            wasAssociatedWith={"_:s": {"prov:activity": f"run:{RUNS[1]}", "prov:agent": "lfn:x"}},
        ),
    ],
    "a word of the tool's own for when a file became invalid": [
        run(1, outputs=[{"url": "/a", "invalidated_at": "never"}]),
        run(2, outputs=[{"url": "/a"}]),
    ],
}


@pytest.mark.parametrize("name", sorted(FOUND))
def test_worlds_that_once_made_different_records(
    database: Database, policy: IngestPolicy, name: str
) -> None:
    world = FOUND[name]
    for order in itertools.permutations(world):
        check(database, policy, world, [[document] for document in order])


@pytest.mark.timeout(900)
@settings(SETTINGS, max_examples=50)
@given(data=st.data())
def test_worlds_in_any_order_and_grouping(
    database: Database, policy: IngestPolicy, data: st.DataObject
) -> None:
    world = data.draw(worlds)
    check(database, policy, world, data.draw(groupings(world)))


@pytest.mark.timeout(86400 if N_WORLDS else 900)
@settings(SETTINGS, max_examples=N_WORLDS or 15)
@given(data=st.data())
def test_random_worlds_in_any_order_and_grouping(
    database: Database, policy: IngestPolicy, data: st.DataObject
) -> None:
    world = data.draw(worlds)
    check(database, policy, world, data.draw(groupings(world)))


@settings(SETTINGS, max_examples=3)
@given(data=st.data())
def test_eight_clients_at_once_deliver_worlds(
    database: Database, policy: IngestPolicy, app_url: str, token: str, data: st.DataObject
) -> None:
    world = sorted(set(data.draw(worlds)) | set(data.draw(worlds)) | set(data.draw(worlds)))
    shares = [data.draw(st.permutations(world))[: len(world) // 2] + world[i::8] for i in range(8)]

    def deliver(mine: list[bytes]) -> set[bytes]:
        refused = set()
        with ProvClient(app_url, token, timeout_s=120) as client:
            for document in mine:
                try:
                    client.record(document)
                except ProvError:
                    refused.add(document)
        return refused

    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            refused = set().union(*pool.map(deliver, shares))
        with database.transaction() as session:
            found = snapshot(session)
    finally:
        empty(database)
    expected, refused_at_once = recorded(database, policy, [sorted(set(world) - refused)])
    assert refused_at_once == set()
    assert difference(expected, found) == {}


@pytest.fixture(scope="module")
def other_database(make_database_url: Callable[[], str]) -> Iterator[Database]:
    opened = open_database(make_database_url())
    yield opened
    opened.close()


@settings(SETTINGS, max_examples=N_WORLDS or 6)
@given(data=st.data())
def test_the_documents_of_a_lineage_decide_about_all_of_it(
    database: Database, other_database: Database, policy: IngestPolicy, data: st.DataObject
) -> None:
    """`prod-verify PRODUCT` replays a part of the documents, and finds no row that differs."""
    world = data.draw(st.permutations(sorted(data.draw(worlds))))
    check_lineages(
        (database, other_database),
        policy,
        world,
        lambda uuids: [None, *data.draw(st.permutations(uuids))[:3]],
    )


HEADERS = {
    "of a run that says otherwise of its input": [
        run(1, started_at="2026-03-01T20:03:00Z", outputs=[{"url": "/a"}]),
        product(1, id=RUNS[0], name="calibrate", inputs=[{"uri": "lfn:/vo/b.h5", "role": "x"}]),
    ],
    "of two products of a run that has no record of its own": [
        header(1, "analyse", **{"CTA ACTIVITY STOP TIME": "2026-03-01 20:02:00"}),
        header(2, "calibrate"),
    ],
}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_lineages_that_headers_once_made_differ(
    database: Database, other_database: Database, policy: IngestPolicy, name: str
) -> None:
    check_lineages((database, other_database), policy, HEADERS[name], lambda uuids: uuids)


def check_lineages(
    databases: tuple[Database, Database],
    policy: IngestPolicy,
    world: Sequence[bytes],
    wanted: Callable[[list[UUID]], Sequence[UUID | None]],
) -> None:
    """Each of the lineages `wanted` is the same made anew from the documents that are of it."""
    database, other_database = databases
    try:
        with database.transaction() as session:
            record(session, [Source(d, f"{i}.json") for i, d in enumerate(world)], policy=policy)
        with database.transaction() as session:
            query = text("SELECT entity_uuid FROM prov.entity ORDER BY 1")
            uuids = list(session.execute(query).scalars())
        for of in wanted(uuids):
            scratch = Scratch(other_database)
            with database.transaction() as session:
                told = copy_of(session, of)
                assert list(scratch.replay(told.documents, ())) == []
                found, _ = scratch.compare(told.rows, within=told.uuids, without=list)
            assert found == []
            empty(other_database)
    finally:
        empty(database)
        empty(other_database)
