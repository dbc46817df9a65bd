"""Badges: what a page says at a glance, each from a record that deserves it, and no other."""

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest

from provmanager.client import ProvClient


def record(
    client: ProvClient, name: str, inputs: list[str], outputs: list[str], **more: Any
) -> str:
    """Record a run that reads and writes files of a content of their own; return its id."""

    def flow(file: str) -> dict[str, str]:
        path, _, _ = file.partition("#")
        digest = hashlib.sha256(file.encode()).hexdigest()
        return {"url": f"/d/{path}", "sha256": digest}

    told = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": name,
        "version": "1",
        "status": "completed",
        "host": {"name": "node"},
        "inputs": [flow(i) for i in inputs],
        "outputs": [flow(o) for o in outputs],
    } | more
    client.record(json.dumps(told).encode(), name=f"{name}.json")
    return str(told["id"])


def badges(client: ProvClient, file: str) -> dict[str, str]:
    """Return the texts and states of the badges of a product."""
    digest = hashlib.sha256(file.encode()).hexdigest()
    product = client.resolve(f"sha256:{digest}")["id"]
    return badges_at(client, f"/product/{product}.json")


def badges_at(client: ProvClient, path: str) -> dict[str, str]:
    page = client._transport.json("GET", path)
    return {badge["text"]: badge["state"] for badge in page["badges"]}


@pytest.fixture(scope="module")
def world(client: ProvClient) -> ProvClient:
    """Chains with one thing about each."""
    described = {"schema": "descriptions.v1", "activities": [{
        "name": "described", "parameters": [
            {"name": "cut", "value_type": "double", "default": 5},
            {"name": "mode", "value_type": "char", "default": "fast"},
        ]}]}  # fmt: skip
    client.put_descriptions(json.dumps(described).encode())
    record(client, "good", ["raw"], ["made"])
    record(client, "described", ["made"], ["tuned"], configuration={"cut": 7, "mode": "fast"})
    record(client, "failing", ["raw"], ["broken"], status="error", exit_code=3)
    record(client, "after", ["broken"], ["hurt"])
    record(client, "slow", ["raw"], ["halfway"], status="running")
    record(client, "eager", ["halfway"], ["early"])
    for n in (1, 2):
        record(client, "writer", ["raw"], [f"again#{n}"], started_at=f"2026-01-0{n}T00:00:00Z",
               ended_at=f"2026-01-0{n}T00:01:00Z")  # fmt: skip
    claim = {
        "instance": {"id": str(uuid4())},
        "data": {},
        "contact": {},
        "activity": {"id": CLAIMED, "name": "never-seen"},
    }
    receipt = client.record(json.dumps(claim).encode(), name="claimed.json")
    CLAIMED_PRODUCT.append(receipt["entities"][0]["id"])
    return client


CLAIMED = str(uuid4())
CLAIMED_PRODUCT: list[str] = []


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("raw", {"No producer recorded": "plain"}),
        ("made", {"Lineage complete": "good"}),
        ("tuned", {"Lineage complete": "good", "1 not default": "warn"}),
        ("broken", {"Its run ended with error": "bad", "1 failed upstream": "bad",
                    "Lineage complete": "good"}),
        ("hurt", {"1 failed upstream": "bad", "Lineage complete": "good"}),
        ("early", {"Lineage open": "warn"}),
        ("again#1", {"Superseded": "warn", "Lineage complete": "good"}),
        ("again#2", {"Lineage complete": "good"}),
    ],
)  # fmt: skip
def test_a_product_has_the_badges_that_it_deserves(world, file: str, expected: dict[str, str]):
    found = {text: state for text, state in badges(world, file).items() if "Digests" not in text}
    assert found == expected


def test_a_claimed_run_makes_a_lineage_incomplete(world):
    (product,) = CLAIMED_PRODUCT
    assert badges_at(world, f"/product/{product}.json")["Lineage incomplete"] == "bad"
    run = badges_at(world, f"/activity/{CLAIMED}.json")
    assert run["Only claimed"] == "warn"
    assert run["Undescribed"] == "plain"


def test_contradicting_documents_are_told_of(world):
    run = record(world, "twice", ["raw"], ["disputed"], exit_code=0)
    again = {"schema": "provmanager/activity.v1", "id": run, "name": "twice", "version": "2",
             "status": "completed", "exit_code": 0}  # fmt: skip
    world.record(json.dumps(again).encode())
    assert badges_at(world, f"/activity/{run}.json")["1 contradiction"] == "bad"
