"""The record is a function of the set of documents: not of their order, grouping or number."""

import concurrent.futures
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.snapshot import difference, empty, recorded, snapshot
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.logic.ingest import IngestPolicy
from provmanager.model import identity
from provmanager.store.database import Database
from provmanager.store.relations import LINK_RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "identity.md"


@pytest.fixture(scope="module")
def policy() -> IngestPolicy:
    return IngestPolicy()


@pytest.fixture(scope="module")
def real_documents(prov_data: Path) -> list[bytes]:
    """Records of ctapipe, lstosa and CWLProv that tell of many of the same things."""
    patterns = (
        "ctapipe-samples/*.json",
        "ctapipe-samples/generated/*/*",
        "lstosa/*.log",
        "cwlprov/runcrate-tests/*/metadata/provenance/*.json",
    )
    return [p.read_bytes() for pattern in patterns for p in sorted(prov_data.glob(pattern))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_real_records_in_any_order(
    database: Database, policy: IngestPolicy, real_documents: list[bytes], seed: int
) -> None:
    at_once, _ = recorded(database, policy, [real_documents])
    rng = random.Random(seed)
    shuffled = rng.sample(real_documents, len(real_documents))
    size = rng.choice([1, 7, 40])
    batches = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    again, _ = recorded(database, policy, [*batches, shuffled[:20]])
    assert difference(at_once, again) == {}
    assert len(at_once["activity"]) > 200


def test_eight_clients_at_once_make_the_same_record(
    database: Database,
    policy: IngestPolicy,
    real_documents: list[bytes],
    app_url: str,
    token: str,
) -> None:
    expected, _ = recorded(database, policy, [real_documents])

    def deliver(mine: list[bytes]) -> None:
        with ProvClient(app_url, token, timeout_s=120) as client:
            for data in mine:
                client.record(data, name="run.json")

    shares = [real_documents[i::8] + real_documents[i : i + 2] for i in range(8)]
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(deliver, shares))
        with database.transaction() as session:
            found = snapshot(session)
    finally:
        empty(database)
    assert difference(expected, found) == {}


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(data=st.data())
def test_any_few_records_in_any_order_and_grouping(
    database: Database, policy: IngestPolicy, real_documents: list[bytes], data: st.DataObject
) -> None:
    few = data.draw(st.lists(st.sampled_from(range(len(real_documents))), min_size=2, max_size=8))
    documents = [real_documents[i] for i in dict.fromkeys(few)]
    order = data.draw(st.permutations(documents))
    batches: list[list[bytes]] = [[]]
    for document in order:
        if data.draw(st.booleans()):
            batches.append([])
        batches[-1].append(document)
    batches.append(data.draw(st.lists(st.sampled_from(documents), max_size=3)))
    at_once, _ = recorded(database, policy, [documents])
    again, _ = recorded(database, policy, [b for b in batches if b])
    assert difference(at_once, again) == {}


def test_the_page_names_every_rule_and_its_function(database: Database) -> None:
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| `([\w.]+)` \|", page, re.MULTILINE)
    with database.transaction() as session:
        stored = session.execute(text("SELECT name, link_rule_id, basis FROM prov.link_rule")).all()
    assert {name: number for name, number, _ in stored} == LINK_RULES
    assert {(name, basis) for name, basis, _ in rows} == {(n, b) for n, _, b in stored}
    for function in {function for _, _, function in rows if function.startswith("_")}:
        assert callable(getattr(identity, function))
