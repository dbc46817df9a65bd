"""Documents that tell of one thing in several ways: every order makes the same record."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from snapshot import snapshot

from provmanager.formats.prov_document import read_prov
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import open_database

Snapshot = dict[str, list[dict[str, object]]]


@pytest.fixture
def recorded_as(make_database_url: Callable[[], str]) -> Callable[..., Snapshot]:
    """Record batches of documents in a database of their own, and return all that it then holds."""

    def record_all(batches: Iterable[Sequence[bytes]]) -> Snapshot:
        database = open_database(make_database_url())
        for batch in batches:
            with database.transaction() as session:
                outcomes = record(session, [Source(d) for d in batch], policy=IngestPolicy())
            assert all(o.error is None for o in outcomes)
        with database.transaction() as session:
            found = snapshot(session)
        database.close()
        return {relation: list(map(json.loads, rows)) for relation, rows in found.items()}

    return record_all


def orders(documents: Sequence[bytes]) -> Iterable[list[list[bytes]]]:
    """Return every order of the documents, one at a time and all at once."""
    for order in itertools.permutations(documents):
        yield [[document] for document in order]
        yield [list(order)]


def assert_same_in_any_order(
    recorded_as: Callable[..., Snapshot], documents: Sequence[bytes]
) -> Snapshot:
    first, *others = (recorded_as(order) for order in orders(documents))
    for other in others:
        for relation in first:
            assert other[relation] == first[relation], relation
    return first


def test_a_product_whose_header_names_a_run_with_a_record_of_its_own(
    recorded_as: Callable[..., Snapshot], prov_data: Path
) -> None:
    """Its own record says what the run made; the header's claim is kept beside it."""
    folder = prov_data / "ctapipe-samples"
    log = (folder / "generated/chain_c0320/04_merge.provenance.log").read_bytes()
    run = json.loads(log)[0]["activity_uuid"]
    product = json.loads((folder / "ctao-datamodel/product_example.json").read_text())
    product["activity"]["id"] = run
    header = json.dumps(product).encode()
    found = assert_same_in_any_order(recorded_as, [log, header])
    (told,) = (row for row in found["activity"] if row["activity"] == run)
    assert (told["name"], told["version"], told["status"]) == (
        "ctapipe-merge", "0.32.0", "completed",
    )  # fmt: skip
    (claim,) = (claim for claim in found["generation_claim"] if claim["activity"] == run)
    assert (claim["role"], claim["reason"]) == ("", "producer-claim")
    assert [use["role"] for use in found["used"]] == ["data product to merge"] * 2
    assert [(row["agent"], row["role"]) for row in found["was_attributed_to"]] == [
        ("mailto:a@example.org", "Contact")
    ]


def test_one_run_in_three_serializations(
    recorded_as: Callable[..., Snapshot], prov_data: Path
) -> None:
    folder = prov_data / "cwlprov/runcrate-tests/revsort-run-1/metadata/provenance"
    documents = [
        (folder / f"primary.cwlprov.{end}").read_bytes() for end in ("json", "provn", "xml")
    ]
    found = assert_same_in_any_order(recorded_as, documents)
    stated = read_prov(documents[0])
    assert len(found["used"]) == len(stated.used)
    assert len({row["entity"] for row in found["was_derived_from"]}) == len(
        {d.derived for d in stated.derived}
    )
