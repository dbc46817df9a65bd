"""A record that has every field goes out in each format, and into an empty server again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from data.crate_tools import CrateTools
from data.snapshots import RENEW
from service import export_fields as fields
from service.export_checks import Checks
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


@pytest.fixture(scope="module")
def recorded(kept: object, client: ProvClient) -> ProvClient:
    """The record that has everything, again, after it went in and out."""
    fields.record_all(client)
    return client


@pytest.fixture(scope="module")
def checks(prov_data: Path) -> Checks:
    return Checks(prov_data / "openlineage" / "spec")


@pytest.mark.parametrize("format", ExportFormat)
def test_the_record_that_has_everything_comes_out_valid(
    recorded: ProvClient, checks: Checks, format: ExportFormat
):
    whole = recorded.export(fields.RUN, direction="both")
    data = recorded.export(fields.RUN, export_format=format, direction="both")
    assert checks.faults(data, format, whole) == []


FAULTS = [
    (ExportFormat.PROV_JSON, b'"used"', b'"uses"'),
    (ExportFormat.PROV_N, b"8640123", b"8640124"),
    (ExportFormat.PROV_XML, b"8640123", b"8640124"),
    (ExportFormat.TURTLE, b"8640123", b"8640124"),
    (ExportFormat.JSON_LD, b"8640123", b"8640124"),
    (ExportFormat.OPENLINEAGE, b'"eventType": "START"', b'"eventType": "BEGIN"'),
    (ExportFormat.OPENLINEAGE, b'"success": false', b'"success": "no"'),
]


@pytest.mark.parametrize(("format", "right", "wrong"), FAULTS)
def test_a_fault_in_a_document_is_found(
    recorded: ProvClient, checks: Checks, format: ExportFormat, right: bytes, wrong: bytes
):
    whole = recorded.export(fields.RUN, direction="both")
    data = recorded.export(fields.RUN, export_format=format, direction="both")
    assert right in data
    assert checks.faults(data.replace(right, wrong), format, whole) != []


def test_the_crate_of_the_record_that_has_everything_is_valid_for_roc_validator(
    recorded: ProvClient, crate_tools: CrateTools, tmp_path: Path
):
    crate = fields.document_of(recorded, ExportFormat.RO_CRATE)
    (tmp_path / "ro-crate-metadata.json").write_bytes(crate)
    assert crate_tools.issues(tmp_path, "process-run-crate") == []
    assert crate_tools.report(tmp_path).count("action: ") == 2


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
