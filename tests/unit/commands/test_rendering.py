import csv
import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from client_scripts.rendering.table import Column, write_table
from client_scripts.rendering.text import Look, duration, instant, printable, span
from client_scripts.rendering.tree import render_tree
from provmanager.model.folding import fold

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "model"))
from handmade_lineage import Lineage

PLAIN = Look()


def drawn(made: Lineage, look: Look = PLAIN) -> list[str]:
    return list(render_tree(fold(made.json()), look))


def test_a_tree_shows_names_versions_statuses_times_and_roles():
    made = Lineage("dl2.h5")
    times = {"started_at": "2026-11-21T02:12:48.180Z", "ended_at": "2026-11-21T02:12:50.096Z"}
    made.run("p", "process", {"raw.zst": "DL0"}, {"dl1.h5": None}, **times)
    made.run("a", "apply", {"dl1.h5": "events"}, {"dl2.h5": None}, status="error", exit_code=1)
    assert drawn(made) == [
        "dl2.h5",
        "└─ apply 1.0  ✗ error, exit code 1 (id a)",
        "   └─ dl1.h5 [events]",
        "      └─ process 1.0  ✓ completed  2026-11-21 02:12:48Z  1.9 s",
        "         └─ raw.zst [DL0]  root",
    ]


def test_repeated_steps_are_one_line_with_counts_and_the_first_failure():
    made = Lineage("out")
    for i in range(100):
        made.run(f"p{i:02}", "process", {f"raw{i}.zst": "DL0"}, {f"run{i}.h5": None},
                 version=f"0.{i}", status="interrupted" if i == 3 else "completed",
                 started_at=f"2026-11-21T00:{i % 60:02}:00Z")  # fmt: skip
    made.run("m", "merge", {f"run{i}.h5": "in" for i in range(100)}, {"out": None})
    assert drawn(made)[2:] == [
        "   └─ 100 × run0.h5 … run99.h5 [in]",
        "      └─ 100 × process 0.0 … 0.99 (100 versions)  ⊘ 1 interrupted ✓ 99 completed "
        "(first failed: p03, 2026-11-21 00:03:00Z)  2026-11-21 00:00:00Z … 00:59:00Z",
        "         └─ 100 × raw0.zst … raw99.zst [DL0]  root",
    ]


def test_marks_are_explained_when_they_are_used():
    made = Lineage("out")
    made.run("c", "tool", {}, {"in": None}, is_claim=True, basis="claimed", status="unknown")
    made.run("t", "tool", {"in": None}, {"out": None}, basis="inferred")
    lines = drawn(made)
    assert lines[1] == "└─ ~ tool 1.0  ✓ completed"
    assert lines[3] == "      └─ ? tool 1.0  only claimed, never recorded"
    assert [line[:2] for line in lines[-2:]] == ["~ ", "? "]


def test_without_unicode_the_tree_is_ascii():
    made = Lineage("out")
    for i in range(5):
        made.run(f"p{i}", "step", {f"x{i}.h5": "r"}, {"out" if i == 4 else f"x{i + 1}.h5": None})
    assert "".join(drawn(made, Look(unicode=False))).isascii()


def test_colour_only_where_it_is_welcome():
    made = Lineage("out")
    made.run("t", "tool", {"in": None}, {"out": None})
    assert "\x1b[" not in "".join(drawn(made))
    assert "\x1b[" in "".join(drawn(made, Look(color=True)))


def test_names_cannot_steer_the_terminal():
    made = Lineage("out")
    made.run("t", "evil\x1b]0;owned\x07\u202e", {"in\r\n": "ro\x1b[2Jle"}, {"out": None})
    text = "\n".join(drawn(made))
    assert not set("\x1b\x07\r\u202e") & set(text)
    assert printable("a\x1bb") == "a\ufffdb"


def test_a_deep_chain_of_unlike_steps_stays_narrow_and_fast():
    made = Lineage("x5000")
    for i in range(5000):
        made.run(f"p{i}", f"step{i}", {f"x{i}": None}, {f"x{i + 1}": None})
    started = time.process_time()
    lines = drawn(made)
    assert time.process_time() - started < 2.0
    assert len(lines) == 10_001
    assert max(map(len, lines)) < 140
    assert lines[-1].startswith("⋯")


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-11-21T02:12:48.180Z", "2026-11-21T02:12:50.096Z", "1.9 s"),
        ("2026-11-21T02:00:00+00:00", "2026-11-21T02:04:10Z", "4 min 10 s"),
        ("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z", "1 h"),
        ("2026-11-21T02:00:00Z", "2026-11-23T05:30:00Z", "2 d 3 h"),
        ("2026-11-21T02:00:00Z", "2026-11-21T01:00:00Z", ""),
        ("2026-11-21T02:00:00Z", None, ""),
    ],
)
def test_durations_read_well(first: str, last: str | None, words: str):
    assert duration(first, last) == words


def test_instants_are_utc_and_a_day_is_told_once():
    assert instant("2026-11-21T04:12:48+02:00") == "2026-11-21 02:12:48Z"
    assert span("2026-11-21T02:12:48Z", "2026-11-21T03:00:00Z") == (
        "2026-11-21 02:12:48Z … 03:00:00Z"
    )
    assert span("2026-11-21T02:12:48Z", "2026-11-22T03:00:00Z") == (
        "2026-11-21 02:12:48Z … 2026-11-22 03:00:00Z"
    )


RECORDS: list[dict[str, Any]] = [
    {"name": "dl1.h5", "size": 1_000_000, "note": 'a "quoted", note'},
    {"name": "longer\tname\n.h5", "size": None, "note": None},
]
COLUMNS = [
    Column("NAME", lambda r: r["name"]),
    Column("SIZE", lambda r: f"{r['size']:,} B" if r["size"] else None, lambda r: r["size"]),
    Column("NOTE", lambda r: r["note"]),
]


def test_a_table_is_aligned_with_headings():
    assert list(write_table(RECORDS, COLUMNS, "aligned", PLAIN)) == [
        "NAME             SIZE         NOTE",
        'dl1.h5           1,000,000 B  a "quoted", note',
        "longer name .h5",
    ]


def test_tab_separated_lines_have_one_record_each_and_raw_numbers():
    assert list(write_table(RECORDS, COLUMNS, "tsv", PLAIN)) == [
        'dl1.h5\t1000000\ta "quoted", note',
        "longer name .h5\t\t",
    ]


def test_csv_is_read_back_by_csv():
    text = "\n".join(write_table(RECORDS, COLUMNS, "csv", PLAIN))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["name", "size", "note"]
    assert rows[1] == ["dl1.h5", "1000000", 'a "quoted", note']
    assert rows[2] == ["longer\tname\n.h5", "", ""]
