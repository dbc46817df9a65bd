"""Exports of real lineages: each by every way, and each read by a tool of its format."""

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from astropy.io import votable
from click.testing import Result
from jsonschema import Draft4Validator
from lxml import etree
from prov.model import ProvActivity, ProvDocument

from client_scripts import export, trace
from provmanager.client import ProvClient
from provmanager.errors import UsageError
from provmanager.formats.prov_compare import difference
from provmanager.logic.export import WRITERS
from provmanager.model import ExportFormat

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "mu_applied.dl2.h5"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def chain(client: ProvClient) -> ProvClient:
    """The example chain with its descriptions, recorded."""
    client.put_descriptions((ROOT / "examples" / "ctapipe-descriptions.yaml").read_bytes())
    for path in sorted((ROOT / "examples" / "chain").iterdir()):
        client.record(path)
    return client


def content_of(exported: bytes, format: ExportFormat) -> object:
    """What two exports have in common: all; of Turtle, which has no order, the words."""
    return exported if format is not ExportFormat.TURTLE else sorted(exported.split())


# --- one registry for all ways


def test_every_format_has_a_writer_a_media_type_and_a_suffix():
    assert set(WRITERS) == set(ExportFormat)
    for format in ExportFormat:
        assert "/" in format.media_type
        assert format.suffix
        assert not format.suffix.startswith(".")


@pytest.mark.parametrize("format", ExportFormat)
def test_command_client_and_http_give_the_same(
    format: ExportFormat, chain: ProvClient, run: Run, tmp_path: Path, app_url: str, token: str
):
    by_client = content_of(chain.export(PRODUCT, export_format=format), format)
    target = tmp_path / "exported"
    result = run(export.main, PRODUCT, "--format", format.value, "-o", target)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert content_of(target.read_bytes(), format) == by_client
    traced = run(trace.main, PRODUCT, "--format", format.value).stdout_bytes
    assert content_of(traced, format) == by_client
    answer = httpx.get(
        f"{app_url}/v1/lineage/export",
        params={"ref": PRODUCT, "format": format.value},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert content_of(answer.content, format) == by_client
    assert answer.headers["content-type"].partition(";")[0] == format.media_type


def test_an_activity_is_exported_as_a_product_is(chain: ProvClient, run: Run):
    activity = chain.lineage(PRODUCT)["activities"][0]
    result = run(export.main, activity["id"], "--format", "prov-n", "--quiet")
    assert result.exit_code == 0, result.output
    assert f"activity(uuid:{activity['id']}" in result.stdout
    assert result.stderr == ""


def test_wrong_use_of_export(chain: ProvClient, run: Run, tmp_path: Path):
    assert run(export.main, PRODUCT).exit_code == 2
    assert run(export.main, PRODUCT, "--format", "pdf").exit_code == 2
    assert run(export.main, PRODUCT, "--format", "svg", "--limit", 3).exit_code == 2
    assert run(export.main, "nowhere.h5", "--format", "prov-n").exit_code == 3
    result = run(export.main, PRODUCT, "--format", "prov-n", "-o", tmp_path / "no" / "folder.provn")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_a_lineage_that_is_too_large_is_refused_not_cut(chain: ProvClient, monkeypatch: Any):
    monkeypatch.setattr("provmanager.logic.export.MAX_RECORDS", 6)
    with pytest.raises(UsageError, match="more than 6 activities and products") as caught:
        chain.export(PRODUCT, export_format="prov-json")
    assert "depth" in caught.value.message
    nearest = json.loads(chain.export(PRODUCT, export_format="prov-json", depth=1))
    assert len(nearest["activity"]) == 1


def test_the_nearest_activities_are_exported_where_a_limit_is_set(chain: ProvClient):
    whole = chain.lineage(PRODUCT)["activities"]
    cut = json.loads(chain.export(PRODUCT, export_format="prov-json", limit=1))
    (nearest,) = (a["id"] for a in whole if a["depth"] == 1)
    assert list(cut["activity"]) == [f"uuid:{nearest}"]
    (focus,) = (e for e in cut["entity"].values() if "provmanager:isFocus" in e)
    assert focus["provmanager:isTruncated"] is True


# --- W3C PROV

READERS = {
    ExportFormat.PROV_N: {"format": "provn"},
    ExportFormat.PROV_XML: {"format": "xml"},
    ExportFormat.TURTLE: {"format": "rdf", "rdf_format": "turtle"},
    ExportFormat.JSON_LD: {"format": "jsonld"},
}


def test_prov_reads_the_same_document_from_each_of_its_formats(chain: ProvClient):
    exported = chain.export(PRODUCT, export_format="prov-json", direction="both")
    document = ProvDocument.deserialize(content=exported, format="json")
    assert len(list(document.get_records(ProvActivity))) == 5
    for format, reader in READERS.items():
        exported = chain.export(PRODUCT, export_format=format, direction="both")
        again = ProvDocument.deserialize(content=exported, **reader)
        assert again == document, format
        assert difference(document, again) is None, format


def test_prov_xml_and_prov_json_of_a_real_chain_are_valid(chain: ProvClient):
    schemas = Path(str(files("prov"))) / "tests" / "schemas"
    schema = etree.XMLSchema(etree.parse(str(schemas / "prov.xsd")))
    written = etree.fromstring(chain.export(PRODUCT, export_format="prov-xml"))
    assert schema.validate(written), schema.error_log
    validator = Draft4Validator(json.loads((schemas / "prov-json.schema.json").read_text()))
    assert not list(validator.iter_errors(json.loads(chain.export(PRODUCT))))


# --- IVOA VOTable


def tables_of(exported: bytes) -> dict[str, Any]:
    """Read a VOTable as astropy's strict parser does, and its tables by name."""
    found = votable.parse(io.BytesIO(exported), verify="exception")
    assert [i.value for i in found.resources[0].infos if i.name == "QUERY_STATUS"] == ["OK"]
    return {table.name: table.to_table() for table in found.iter_tables()}


def test_the_votable_is_valid_and_has_each_class_in_a_table(chain: ProvClient):
    tables = tables_of(chain.export(PRODUCT, export_format="votable"))
    lineage = chain.lineage(PRODUCT)
    assert set(tables["Activity"]["id"]) == {f"urn:uuid:{a['id']}" for a in lineage["activities"]}
    assert set(tables["Entity"]["id"]) == {f"urn:uuid:{e['id']}" for e in lineage["entities"]}
    assert len(tables["Used"]) == lineage["counts"]["used"]
    assert len(tables["WasGeneratedBy"]) == lineage["counts"]["generated"]
    run = next(r for r in tables["Activity"] if r["name"] == "ctapipe-apply-models")
    assert run["startTime"] == "2026-11-21T02:20:08.164000Z"
    assert (run["status"], run["exitCode"]) == ("completed", 0)
    settings = {r["id"]: r["value"] for r in tables["Parameter"] if r["name"].endswith("overwrite")}
    configured = [r for r in tables["WasConfiguredBy"] if r["activity"] == run["id"]]
    assert {r["parameter"] for r in configured} & set(settings)
    described = {r["id"]: r["name"] for r in tables["ActivityDescription"]}
    assert described[run["activityDescription"]] == "ctapipe-apply-models"
    assert set(tables["UsageDescription"]["activityDescription"]) <= set(described)


def test_utypes_are_the_attributes_of_the_recommendation(chain: ProvClient, prov_data: Path):
    model = etree.parse(str(prov_data / "ivoa-provdm" / "model" / "Provenance.vo-dml.xml"))
    ids = {f"voprov:{e.text}" for e in model.iter("vodml-id")}
    found = votable.parse(io.BytesIO(chain.export(PRODUCT, export_format="votable")))
    tables = list(found.iter_tables())
    utypes = {f.utype for table in tables for f in table.fields} | {t.utype for t in tables}
    marked = {utype for utype in utypes if utype and utype.startswith("voprov:")}
    assert marked <= ids
    assert {"voprov:Activity.startTime", "voprov:ActivityConfiguration.Parameter.value"} <= marked


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_votlint_finds_nothing(chain: ProvClient, tmp_path: Path):
    path = tmp_path / "chain.vot"
    exported = chain.export(PRODUCT, export_format="votable")

    def said() -> str:
        command = ["stilts", "votlint", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        return done.stdout + done.stderr

    path.write_bytes(exported)
    assert said() == ""
    path.write_bytes(exported.replace(b'datatype="long"', b'datatype="lang"'))
    assert "lang" in said()
