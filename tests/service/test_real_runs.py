"""Real runs of other systems go in, can be traced from products to inputs, and come out valid."""

import json
from pathlib import Path
from typing import Any

import pytest
from service.export_checks import Checks
from service.snapshot import difference, recorded

from provmanager.client import ProvClient
from provmanager.formats import read
from provmanager.logic.ingest import IngestPolicy
from provmanager.model import Document, ExportFormat, InformKind

PATTERNS = (
    "cwlprov/**/*.cwlprov.json",
    "workflow-run-crate/cwlprov/**/*.cwlprov.json",
    "**/ro-crate-metadata.json",
    "openlineage/spec/tests/example_full_event.json",
)


@pytest.fixture(scope="module")
def paths(prov_data: Path) -> list[Path]:
    found = sorted({p for pattern in PATTERNS for p in prov_data.glob(pattern)})
    assert len(found) > 60
    return found


@pytest.fixture(scope="module")
def documents(paths: list[Path], client: ProvClient) -> list[tuple[Path, Document]]:
    """All of them, in one record."""
    items = list(client.record_many([(p.name, p.read_bytes()) for p in paths]))
    refused = [(p, i["error"]) for p, i in zip(paths, items, strict=True) if i["error"]]
    assert refused == []
    return [(path, read(path.read_bytes())) for path in paths]


def roots(documents: list[Document]) -> dict[str, set[str]]:
    """Return, for each product with a digest, the digests of the inputs that it comes from.

    By the documents of one run alone: walked from entity to entity, told apart by their bytes.
    """
    called = {e.key: (e.digests or (e.key,))[0] for d in documents for e in d.entities}
    outer = {i.informant for d in documents for i in d.informed if i.kind is InformKind.PART_OF}
    used: dict[str, set[str]] = {}
    makers: dict[str, set[str]] = {}
    for document in documents:
        for link in document.used:
            used.setdefault(link.activity, set()).add(called[link.entity])
        for link in document.generated:
            makers.setdefault(called[link.entity], set()).add(link.activity)
    inner = {e: (a - outer) or a for e, a in makers.items()}

    def up(name: str) -> set[str]:
        queue, seen = [name], {name}
        while queue:
            for activity in inner.get(queue.pop(), ()):
                for earlier in used.get(activity, set()) - seen:
                    seen.add(earlier)
                    queue.append(earlier)
        return seen - makers.keys()

    return {name: up(name) for name in makers}


def is_digest(text: str) -> bool:
    return text.partition(":")[0] in ("sha1", "sha256")


def test_each_product_is_traced_to_its_inputs(
    documents: list[tuple[Path, Document]], client: ProvClient
) -> None:
    n_traced = 0
    runs: dict[Path, list[Document]] = {}
    for path, document in documents:
        runs.setdefault(path.parent, []).append(document)  # nested workflows have their own
    for path, run in runs.items():
        for product, inputs in roots(run).items():
            expected = set(filter(is_digest, inputs))
            if not is_digest(product) or not expected:
                continue
            found = client.lineage(product, direction="up") if is_unique(client, product) else None
            if found is None:
                continue
            told = {e["digest"] for e in found["entities"]}
            if not expected <= told:  # a file may have several digests, of which one is listed
                told |= {d for e in found["entities"] if e["is_root"] for d in digests(client, e)}
            assert expected <= told, (path, product)
            n_traced += 1
    assert n_traced > 50


def is_unique(client: ProvClient, product: str) -> bool:
    """Whether one product only has these bytes: runs that were repeated made them several times."""
    from provmanager.errors import AmbiguousError

    try:
        client.resolve(product)
    except AmbiguousError:
        return False
    return True


def digests(client: ProvClient, entity: dict[str, Any]) -> set[str]:
    return set(client.entity(entity["id"])["digests"])


def test_the_workflow_is_what_its_steps_are_part_of(
    documents: list[tuple[Path, Document]], client: ProvClient
) -> None:
    n_parts = 0
    for _, document in documents:
        called = {a.key: a for a in document.activities}
        for link in document.informed:
            if link.kind is InformKind.PART_OF:
                run = client.activity(str(called[link.informed].uuid))
                assert str(called[link.informant].uuid) in {p["activity"] for p in run["part_of"]}
                n_parts += 1
    assert n_parts > 100


def test_chained_runs_are_linked_by_their_bytes(client: ProvClient) -> None:
    """A crate's input is what another system's run is known to have made, by SHA-256."""
    digest = "ab" * 32
    made = {"schema": "provmanager/activity.v1", "id": "00000000-0000-4000-8000-0000000000aa",
            "name": "calibrate", "status": "completed", "started_at": "2026-11-21T10:00:00Z",
            "ended_at": "2026-11-21T10:01:00Z",
            "outputs": [{"uri": "file://n1/data/a.h5", "digests": {"sha256": digest}}]}  # fmt: skip
    client.record(json.dumps(made).encode())
    crate = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [
        {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}},
        {"@id": "#00000000-0000-4000-8000-0000000000ab", "@type": "CreateAction", "name": "merge",
         "startTime": "2026-11-21T11:00:00Z", "endTime": "2026-11-21T11:01:00Z",
         "object": {"@id": "in/a.h5"}, "result": {"@id": "out/b.h5"}},
        {"@id": "in/a.h5", "@type": "File", "sha256": digest},
        {"@id": "out/b.h5", "@type": "File", "sha256": "cd" * 32},
    ]}  # fmt: skip
    client.record(json.dumps(crate).encode())
    found = client.lineage("sha256:" + "cd" * 32, direction="up")
    assert [a["name"] for a in found["activities"]] == ["calibrate", "merge"]
    assert [u["rule"] for u in found["used"]] == ["digest"]


@pytest.fixture(scope="module")
def checks(prov_data: Path) -> Checks:
    return Checks(prov_data / "openlineage" / "spec")


def test_lineages_come_out_as_valid_openlineage_events(
    documents: list[tuple[Path, Document]], client: ProvClient, checks: Checks
) -> None:
    n_lines = 0
    for _, document in documents[::4]:
        for activity in document.activities[:2]:
            data = client.export(str(activity.uuid), export_format="openlineage")
            assert checks.faults(data, ExportFormat.OPENLINEAGE, b"") == []
            n_lines += len(data.splitlines())
    assert n_lines > 30


def test_lineages_come_out_valid_in_every_format_and_are_read_again(
    documents: list[tuple[Path, Document]], client: ProvClient, checks: Checks
) -> None:
    seen = set()
    for path, document in documents:
        system = path.relative_to(path.parents[3]).parts[0]
        if system in seen or not document.generated or path.stat().st_size > 70_000:
            continue
        seen.add(system)
        (run, *_) = {g.activity for g in document.generated}
        uuid = next(str(a.uuid) for a in document.activities if a.key == run)
        whole = client.export(uuid, export_format="prov-json", direction="both")
        for form in ExportFormat:
            data = client.export(uuid, export_format=form, direction="both")
            assert checks.faults(data, form, whole) == [], (path, form)
            if form in ("prov-json", "prov-n", "prov-xml", "openlineage"):
                again = read(data)
                assert uuid in {str(a.uuid) for a in again.activities}, (path, form)
    assert len(seen) > 4


def test_events_make_the_same_runs_and_products_again(client: ProvClient, prov_data: Path) -> None:
    chain = sorted((prov_data / "ctapipe-samples/generated/chain_c0320").glob("*.log"))
    originals = [path.read_bytes() for path in chain]
    for data in originals:
        client.record(data, name="run.log")
    events = client.export("mu_applied.dl2.h5", export_format="openlineage", direction="up")
    wanted = client.lineage("mu_applied.dl2.h5", direction="up")
    uuids = {a["id"] for a in wanted["activities"]}
    flows = {(g["activity"], by_id(wanted)[g["entity"]]) for g in wanted["generated"]}
    document = read(events)
    assert {str(a.uuid) for a in document.activities} == uuids
    called = {e.key: e.locations or e.product_ids for e in document.entities}
    made = {(g.activity, called[g.entity][0]) for g in document.generated}
    assert made == flows


def by_id(found: dict[str, Any]) -> dict[str, str]:
    return {e["id"]: e["location"] or e["product_id"] for e in found["entities"]}


@pytest.mark.parametrize("seed", [1, 2])
def test_crates_and_cwlprov_in_any_order_make_the_same_record(
    make_database_url: Any, paths: list[Path], seed: int
) -> None:
    import random

    from provmanager.store.database import open_database

    small = [p.read_bytes() for p in paths if p.stat().st_size < 40_000]
    database = open_database(make_database_url())
    try:
        at_once, _ = recorded(database, IngestPolicy(), [small])
        shuffled = random.Random(seed).sample(small, len(small))
        batches = [shuffled[i : i + 7] for i in range(0, len(shuffled), 7)]
        again, _ = recorded(database, IngestPolicy(), [*batches, shuffled[:9]])
    finally:
        database.close()
    assert difference(at_once, again) == {}
