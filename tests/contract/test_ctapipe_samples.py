"""Every real ctapipe record: counts against counts made from the raw files alone."""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from provmanager.errors import ProvError, UnrecognisedFormatError
from provmanager.formats import read
from provmanager.model import Document, Status

Key = tuple[str, str | None]

REFUSED = {
    "MANIFEST.md": "plain text, beginning '# Samples — origin and licence'",
    "sanguillon_muons_provRFC.txt": (
        "plain text, beginning 'Provenance working example - CTA ctapipe-display-muons'"
    ),
    "sanguillon_prov_muons.ipynb": "a Jupyter notebook",
    "ctao-datamodel/LICENSE": "plain text, beginning 'BSD 3-Clause License'",
    "ctao-datamodel/Product.schema.json": "a JSON Schema",
}
PRODUCTS = {
    "ctao-datamodel/product_example.json",
    "ctao-datamodel/product_example.fits_header.txt",
}


@pytest.fixture(scope="module")
def folder(prov_data: Path) -> Path:
    return prov_data / "ctapipe-samples"


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, list[list[dict[str, Any]]]]:
    """The raw records of each log, as lists of arrays, read with the json module alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in REFUSED and name not in PRODUCTS:
            found[name] = raw_arrays(path.read_text())
    return found


@pytest.fixture(scope="module")
def documents(folder: Path, records: dict[str, Any]) -> dict[str, Document]:
    return {name: read((folder / name).read_bytes(), name=name) for name in records}


def raw_arrays(text: str) -> list[list[dict[str, Any]]]:
    arrays = []
    position = 0
    while position < len(text.rstrip()):
        value, position = json.JSONDecoder().raw_decode(text, position)
        arrays.append(value if isinstance(value, list) else [value])
        position += len(text[position:]) - len(text[position:].lstrip())
    return arrays


def distinct(arrays: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {record["activity_uuid"]: record for array in arrays for record in array}


def genuine_id(file: dict[str, Any]) -> str | None:
    metadata = file.get("reference_meta") or {}
    return metadata["CTA PRODUCT ID"] if metadata.get("CTA ACTIVITY ID") else None


def mentions(arrays: list[list[dict[str, Any]]], side: str) -> set[tuple[str, Key, str | None]]:
    """Return (activity, (URL, genuine product id), role) of every raw input or output."""
    return {
        (uuid, (file["url"], genuine_id(file)), file["role"])
        for uuid, record in distinct(arrays).items()
        for file in record[side]
    }


def test_every_sample_is_either_read_or_known_to_be_refused(folder, records):
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    assert n_files == len(records) + len(REFUSED) + len(PRODUCTS)
    assert len(records) == 106


def test_what_is_no_record_is_refused_with_the_right_reason(folder):
    for name, found in REFUSED.items():
        with pytest.raises(UnrecognisedFormatError) as caught:
            read((folder / name).read_bytes(), name=name)
        assert caught.value.details["found"] == found
        assert name in caught.value.message


def test_all_logs_are_ctapipe(documents):
    assert {document.format for document in documents.values()} == {"ctapipe"}
    reasons = {document.reason for document in documents.values()}
    assert reasons == {
        'JSON records with "activity_uuid" and "system.ctapipe_version"',
        "an empty JSON array, which ctapipe writes when no activity finished",
    }


def test_activities_are_those_of_the_raw_files(documents, records):
    for name, document in documents.items():
        raw = distinct(records[name])
        assert [str(a.uuid) for a in document.activities] == list(raw), name
        for activity in document.activities:
            record = raw[str(activity.uuid)]
            assert activity.name == record["activity_name"]
            assert activity.version == record["system"]["ctapipe_version"]
            assert activity.started_raw == record["start"]["time_utc"]
            assert activity.exit_code == record.get("exit_code")
            assert (activity.configuration is None) == (not record.get("config"))
            assert activity.arguments == tuple(record["system"]["arguments"])
    assert sum(len(document.activities) for document in documents.values()) == 155


def test_inputs_and_outputs_are_those_of_the_raw_files(documents, records):
    totals: dict[str, int] = defaultdict(int)
    for name, document in documents.items():
        raw = {side: mentions(records[name], side) for side in ("input", "output")}
        assert len(document.used) == len(raw["input"]), name
        assert len(document.generated) == len(raw["output"]), name
        entities = {(side, a, key) for side, found in raw.items() for a, key, _ in found}
        assert len(document.entities) == len(entities), name
        links = [(link.activity, link.role) for link in (*document.used, *document.generated)]
        assert sorted(links, key=str) == sorted(
            ((a, role) for found in raw.values() for a, _, role in found), key=str
        )
        for side, found in raw.items():
            totals[side] += len(found)
    assert totals == {"input": 173, "output": 137}


def test_locations_are_as_many_as_the_raw_urls(documents, records):
    everywhere: set[str] = set()
    for name, document in documents.items():
        raw = {
            key[0] for side in ("input", "output") for _, key, _ in mentions(records[name], side)
        }
        read_ones = {entity.locations[0] for entity in document.entities}
        assert len(read_ones) == len(raw), name
        assert not any("https:/e" in uri and "https://e" not in uri for uri in read_ones)
        everywhere |= read_ones
    assert "https://example.org/data/x.fits" in everywhere
    assert "s3://bucket/key" in everywhere
    assert "file://vm/data/shift/a%20b/%C3%A7%20%C3%A9.fits" in everywhere


def test_product_ids_are_the_genuine_ones(documents, records):
    everywhere: set[str] = set()
    for name, document in documents.items():
        raw = {
            f"urn:uuid:{key[1]}"
            for side in ("input", "output")
            for _, key, _ in mentions(records[name], side)
            if key[1]
        }
        assert {p for entity in document.entities for p in entity.product_ids} == raw, name
        everywhere |= raw
    assert len(everywhere) == 22


def test_fabricated_ids_are_told_by_the_empty_activity_id(documents, records):
    n_fabricated = sum(
        bool(file.get("reference_meta")) and not genuine_id(file)
        for arrays in records.values()
        for record in distinct(arrays).values()
        for side in ("input", "output")
        for file in record[side]
    )
    notes = [n for d in documents.values() for n in d.notes if n.code == "fabricated-product-id"]
    assert len(notes) == n_fabricated == 24


def test_producers_are_claimed_of_inputs_alone(documents, records):
    for name, document in documents.items():
        raw = {
            file["reference_meta"]["CTA ACTIVITY ID"]
            for record in distinct(records[name]).values()
            for file in record["input"]
            if genuine_id(file)
        }
        claimed = {str(e.producer.uuid) for e in document.entities if e.producer}
        assert claimed == raw, name
        generated = {link.entity for link in document.generated}
        assert not any(e.producer for e in document.entities if e.key in generated)


def test_statuses_are_plain_and_the_raw_word_is_kept(documents, records):
    expected = {"completed": Status.COMPLETED, "error": Status.ERROR,
                "interrupted": Status.INTERRUPTED, "sub": Status.COMPLETED,
                "sub2": Status.COMPLETED, "ctx": Status.COMPLETED,
                "running": Status.RUNNING, None: Status.RUNNING}  # fmt: skip
    for name, document in documents.items():
        raw = distinct(records[name])
        for activity in document.activities:
            word = raw[str(activity.uuid)].get("status")
            assert activity.status_raw == word
            assert activity.status is expected[word], (name, word)


def test_nesting_is_containment_in_time(documents, records):
    """Against all pairs of one array, by the shortest interval that contains the other."""
    n_nested = 0
    for name, document in documents.items():
        expected = set()
        for array in records[name]:
            spans = [
                (r["activity_uuid"], *(datetime.fromisoformat(r[k]["time_utc"])
                                       for k in ("start", "stop")))
                for r in array if r["stop"]
            ]  # fmt: skip
            for child, start, stop in spans:
                around = [(e - s, uuid) for uuid, s, e in spans if s < start and e >= stop]
                if around:
                    expected.add((child, min(around)[1]))
        found = {(part.informed, part.informant) for part in document.informed}
        assert found == expected, name
        n_nested += len(found)
    assert n_nested == 6 * (2 + 3) + 3 * 2


def test_environments_of_one_installation_are_the_same(documents):
    """All runs of ctapipe 0.32.0 of one virtual environment share one environment."""
    found = {
        json.dumps(activity.environment, sort_keys=True)
        for name, document in documents.items()
        if name.startswith(("generated/c0320/", "generated/chain_c0320/"))
        for activity in document.activities
    }
    assert len(found) == 1


def test_the_running_record_is_completed_by_the_finished_one(folder):
    together = b"".join(
        (folder / "generated/api_c0320" / name).read_bytes()
        for name in ("api_06_running_activity_record.json", "api_07_error42.json")
    )
    document = read(together)
    [activity] = document.activities
    assert (activity.status, activity.exit_code) == (Status.ERROR, 42)
    assert "completed-record" in {note.code for note in document.notes}


def test_chain_is_linked_by_product_ids(documents):
    """process x3, merge, train, apply-models: true links, read off the raw files by eye."""
    chain = {n.split("/")[-1][:2]: d for n, d in documents.items() if "chain_c0320" in n}
    inputs, outputs = defaultdict(set), defaultdict(set)
    for number, document in chain.items():
        by_key = {entity.key: entity for entity in document.entities}
        for link in document.used:
            inputs[number] |= set(by_key[link.entity].product_ids)
        for link in document.generated:
            outputs[number] |= set(by_key[link.entity].product_ids)
    made = {product: number for number, products in outputs.items() for product in products}
    links = {(n, made[p]) for n, products in inputs.items() for p in products if p in made}
    assert links == {("04", "02"), ("04", "03"), ("05", "04"), ("06", "04")}


def test_any_cut_of_a_real_log_is_refused_and_breaks_nothing(folder):
    data = (folder / "generated/c0320/10_appended.provenance.log").read_bytes()
    second = data.index(b"][") + 1
    for length in [*range(0, len(data) - 1, 997), second - 1, second + 1, len(data) - 1]:
        with pytest.raises(ProvError):
            read(data[:length])
    assert len(read(data[:second]).activities) == 1
