"""A record that has every field goes out in each format, and into an empty server again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from data.snapshots import RENEW
from service import export_fields as fields
from service.snapshot import empty

from provmanager.client import ProvClient
from provmanager.model import ExportFormat
from provmanager.store import exports as export_store
from provmanager.store.database import Database

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exports.md"
BEGIN, END = "<!-- made by tests/service/test_export_fields.py -->\n", "<!-- end -->\n"
W3C = (ExportFormat.PROV_JSON, ExportFormat.PROV_N, ExportFormat.PROV_XML)
READ = (*W3C, ExportFormat.OPENLINEAGE, ExportFormat.RO_CRATE)
KEPT, WRITTEN, NOT = "read back", "written", "–"


def told(client: ProvClient, database: Database) -> dict[str, Any]:
    with database.transaction() as session:
        times = export_store.use_times(session, [fields.RUN])
    return fields.told(client, sorted(t["used_at"].isoformat() for t in times))


@pytest.fixture(scope="module")
def kept(client: ProvClient, database: Database) -> dict[ExportFormat, dict[str, str]]:
    """What each format holds of each field."""
    client.put_descriptions(json.dumps(fields.DESCRIPTIONS).encode())
    fields.record_all(client)
    before = told(client, database)
    documents = {f: fields.document_of(client, f) for f in (*READ, ExportFormat.VOTABLE)}
    found: dict[ExportFormat, dict[str, str]] = {}
    for format, document in documents.items():
        found[format] = {name: _written(document, probe) for name, _, probe in fields.FIELDS}
        if format in READ:
            empty(database)
            client.record(document, name="lineage")
            after = told(client, database)
            for name, get, _ in fields.FIELDS:
                held = get(before)
                if held is not None and get(after) == held:
                    found[format][name] = KEPT
    empty(database)
    return found


def _written(document: bytes, probe: str) -> str:
    texts = [text for one in probe.split("|") for text in (one, one.strip("<>"))]
    return WRITTEN if any(text.encode() in document for text in texts) else NOT


def test_what_each_format_holds_is_what_the_page_says(kept: dict[ExportFormat, dict[str, str]]):
    assert len({tuple(kept[format].items()) for format in W3C}) == 1
    columns = {
        "W3C PROV": ExportFormat.PROV_JSON,
        "OpenLineage": ExportFormat.OPENLINEAGE,
        "RO-Crate": ExportFormat.RO_CRATE,
        "VOTable": ExportFormat.VOTABLE,
    }
    lines = [f"| field | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name, _, _ in fields.FIELDS:
        cells = (kept[format][name] for format in columns.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    table = "\n".join(lines) + "\n"
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    held, end, after = rest.partition(END)
    assert begin
    assert end
    if os.environ.get(RENEW):
        PAGE.write_text(f"{before}{begin}\n{table}\n{end}{after}")
        held = f"\n{table}\n"
    assert held == f"\n{table}\n", f"{RENEW}=1 pytest {Path(__file__).name} writes it anew"
