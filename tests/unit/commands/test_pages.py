import sys
from pathlib import Path
from typing import Any

import pytest

from client_scripts.rendering.lineage import render_lineage, render_table, warnings_of
from client_scripts.rendering.receipts import render_item, summarise
from client_scripts.rendering.text import Look

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "model"))
from handmade_lineage import Lineage

PLAIN = Look()


@pytest.fixture
def chain() -> Lineage:
    made = Lineage("dl2.h5")
    for i in range(3):
        made.run(f"p{i}", "process", {f"raw{i}.zst": "DL0"}, {f"dl1_{i}.h5": None})
    made.run("a", "apply", {f"dl1_{i}.h5": "events" for i in range(3)}, {"dl2.h5": None})
    return made


def lineage(made: Lineage, direction: str = "up", **more: Any) -> dict[str, Any]:
    return {**made.json(direction), "depth": None, "truncated": False, "counts": {}} | more


def test_the_heading_counts_and_names_the_roots(chain: Lineage):
    first = next(render_lineage(lineage(chain), PLAIN))
    assert first == (
        "dl2.h5 came from 4 activities and 6 products; "
        "complete, back to 3 roots: 3 × raw0.zst … raw2.zst"
    )


def test_many_roots_are_counted_after_the_first_few():
    made = Lineage("out")
    inputs = {f"raw{i}.zst": "in" for i in range(40)} | {f"set{c}.{c}": "set" for c in "abcdef"}
    made.run("m", "merge", inputs, {"out": None})
    first = next(render_lineage(lineage(made), PLAIN))
    assert first.endswith(
        "back to 46 roots: 40 × raw0.zst … raw39.zst, seta.a, setb.b, setc.c, setd.d and 2 more"
    )


def test_a_lineage_that_is_cut_is_not_called_complete(chain: Lineage):
    chain.entity("raw1.zst", is_root=False)
    first = next(render_lineage(lineage(chain, depth=2), PLAIN))
    assert first.endswith("; not complete (depth 2), 1 product with more before")
    first = next(render_lineage(lineage(chain, truncated=True), PLAIN))
    assert "not complete, cut at the limit" in first


def test_a_product_that_nothing_is_known_of_says_so():
    made = Lineage("raw.zst")
    made.entity("raw.zst")
    first = next(render_lineage(lineage(made), PLAIN))
    assert first == "raw.zst: nothing is recorded before it"
    first = next(render_lineage(lineage(made, "down"), PLAIN))
    assert first == "raw.zst: nothing is recorded after it"


def test_both_directions_make_two_trees(chain: Lineage):
    chain.focus = "dl1_1.h5"
    lines = list(render_lineage(lineage(chain, "both"), PLAIN))
    assert lines[0].startswith("dl1_1.h5 came from 1 activity and 1 product;")
    assert "dl1_1.h5 went into 1 activity and 1 product" in lines


def test_levels_are_drawn_apart(chain: Lineage):
    chain.run("w", "workflow")
    chain.parts = [{"activity": f"p{i}", "part_of": "w"} for i in range(3)]
    lines = list(render_lineage(lineage(chain), PLAIN, levels=True))
    assert lines[-3:] == [
        "Levels: what ran inside what:",
        "workflow 1.0  ✓ completed",
        "└─ 3 × process 1.0  ✓ completed",
    ]


def test_the_table_has_activities_and_products_nearest_first(chain: Lineage):
    for i, record in enumerate((*chain.activities.values(), *chain.entities.values())):
        record["depth"] = 0 if record["id"] == "dl2.h5" else i % 3 + 1
    rows = [line.split("\t") for line in render_table(lineage(chain), "tsv", PLAIN)]
    assert len(rows) == 4 + 7
    assert rows[0][:3] == ["0", "product", "dl2.h5"]
    assert {row[1] for row in rows} == {"activity", "product"}
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)


def test_warnings_name_what_failed_is_claimed_or_contradicts_itself(chain: Lineage):
    assert list(warnings_of(lineage(chain))) == []
    chain.activities["p0"] |= {"status": "error", "exit_code": 2}
    chain.activities["p1"] |= {"status": "unknown", "is_claim": True}
    chain.activities["p2"] |= {"status": "running", "contradictions": 1}
    assert list(warnings_of(lineage(chain, truncated=True))) == [
        "1 failed activity: process (p0, error, exit code 2)",
        "1 activity still running: process (p2)",
        "1 activity is only claimed by a product's own metadata, and not recorded: process (p1)",
        "1 record with contradictions: process (p2)",
        "the answer was cut at its limit; ask for more with --limit, or for less with --depth",
    ]


def receipt(**more: Any) -> dict[str, Any]:
    return {
        "document": "ab" * 32,
        "format": "ctapipe",
        "reason": "a JSON list of activities",
        "activities": [{"id": "1", "name": "p", "outcome": "new"}] * 2
        + [{"id": "3", "name": "p", "outcome": "confirmed"}],
        "entities": [{"id": "4", "name": "x", "outcome": "new", "rule": "location"}],
        "contradictions": [],
        "notes": [],
        "redactions": 0,
    } | more


def item(outcome: str, **more: Any) -> dict[str, Any]:
    return {"name": "run.json", "outcome": outcome, "receipt": None, "error": None} | more


def test_a_recorded_document_is_one_line():
    assert list(render_item(item("recorded", receipt=receipt()), PLAIN)) == [
        "recorded   run.json  ctapipe  3 activities (2 new, 1 confirmed), 1 entity (1 new)"
    ]


def test_a_refused_document_says_why():
    error = {"code": "json_syntax", "message": "not JSON at byte 7", "details": {"offset": 7}}
    assert list(render_item(item("refused", error=error), PLAIN)) == [
        "refused    run.json  json_syntax: not JSON at byte 7"
    ]


def test_contradictions_and_notes_stand_below_all_of_them_if_asked():
    notes = [{"code": "c", "message": f"note {i}", "pointer": f"/{i}"} for i in range(5)]
    contradictions = [{"message": "another start", "field": "started_at"}]
    told = item("recorded", receipt=receipt(notes=notes, contradictions=contradictions))
    lines = list(render_item(told, PLAIN))
    assert lines[1:] == [
        "  contradiction: another start",
        "  note: note 0 at /0",
        "  note: note 1 at /1",
        "  note: note 2 at /2",
        "  and 2 more notes (-v shows all)",
    ]
    lines = list(render_item(told, Look(verbose=1)))
    assert "  note: note 4 at /4" in lines
    assert lines[-1] == f"  document {'ab' * 32}: a JSON list of activities"


def test_redacted_secrets_are_told():
    (line,) = render_item(item("recorded", receipt=receipt(redactions=2)), PLAIN)
    assert line.endswith(", 2 secrets redacted")


def test_the_summary_counts_outcomes():
    assert summarise({"recorded": 9, "unchanged": 0, "refused": 3}) == (
        "12 documents: 9 recorded, 3 refused"
    )
    assert summarise({}) == "no documents"
