"""VOTables of any lineage are valid for astropy, strictly, and hold the texts as they were."""

import io
from typing import Any
from uuid import uuid4

import pytest
from astropy.io import votable
from hypothesis import given, settings
from hypothesis import strategies as st

from provmanager.errors import UsageError
from provmanager.formats.votable import TABLES, error_votable, lineage_to_votable

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).filter(
    lambda text: not text or text == text.strip()  # astropy strips some
)


def lineage(*entities: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"activities": [], "entities": list(entities), **more}


def tables_of(content: bytes) -> dict[str, Any]:
    found = votable.parse(io.BytesIO(content), verify="exception")
    return {table.name: table.to_table() for table in found.iter_tables()}


@settings(max_examples=50)
@given(st.lists(st.tuples(_TEXT, _TEXT, st.none() | st.integers(0, 2**62)), max_size=4))
def test_any_texts_and_sizes_come_back(rows: list[tuple[str, str, int | None]]):
    entities = [
        {"id": str(uuid4()), "name": name, "comment": comment, "size_bytes": size}
        for name, comment, size in rows
    ]
    table = tables_of(lineage_to_votable(lineage(*entities)))["Entity"]
    assert [str(row["name"]) for row in table] == [name for name, _, _ in rows]
    assert [str(row["comment"]) for row in table] == [comment for _, comment, _ in rows]
    sizes = [None if row["sizeBytes"] is masked() else int(row["sizeBytes"]) for row in table]
    assert sizes == [size for _, _, size in rows]


def masked() -> Any:
    import numpy as np

    return np.ma.masked


def test_a_lineage_of_nothing_has_its_two_tables_empty():
    tables = tables_of(lineage_to_votable(lineage()))
    assert {name: len(table) for name, table in tables.items()} == {"Entity": 0, "Activity": 0}


def test_what_was_cut_is_an_overflow():
    found = votable.parse(io.BytesIO(lineage_to_votable(lineage(truncated=True))))
    assert [info.value for info in found.resources[0].infos] == ["OVERFLOW"]


def test_what_xml_cannot_hold_is_refused_not_altered():
    with pytest.raises(UsageError, match="cannot be written as votable"):
        lineage_to_votable(lineage({"id": str(uuid4()), "name": "bell \x07"}))


def test_an_error_is_told_whatever_stands_in_it():
    found = votable.parse(io.BytesIO(error_votable("<no> & \x07 \ud800")), verify="exception")
    (info,) = found.resources[0].infos
    assert info.value == "ERROR"
    assert info.content.startswith("<no> & \N{REPLACEMENT CHARACTER}")


def test_columns_of_a_table_have_names_of_their_own():
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
