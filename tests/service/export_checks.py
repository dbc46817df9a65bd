"""What is wrong with an exported document, as the schema or the reader of its format sees it."""

import io
import json
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import rdflib
from astropy.io import votable
from lxml import etree
from prov.model import ProvDocument
from referencing import Registry, Resource

from provmanager.formats.prov_compare import difference
from provmanager.model import ExportFormat

_SCHEMAS = Path(str(files("prov"))) / "tests" / "schemas"
_READERS = {
    ExportFormat.PROV_N: {"format": "provn"},
    ExportFormat.PROV_XML: {"format": "xml"},
    ExportFormat.TURTLE: {"format": "rdf", "rdf_format": "turtle"},
    ExportFormat.JSON_LD: {"format": "jsonld"},
}
_FACETS = {
    "run": ("1-2-0/ParentRunFacet", "1-0-0/ExecutionParametersRunFacet"),
    "job": ("1-0-1/OwnershipJobFacet",),
    "input": ("1-1-0/DataQualityAssertionsDatasetFacet",),
}


class Checks:
    """The schemas of all formats.

    Parameters
    ----------
    openlineage : Path
        Folder of OpenLineage's specification.
    """

    def __init__(self, openlineage: Path) -> None:
        self._xml = etree.XMLSchema(etree.parse(str(_SCHEMAS / "prov.xsd")))
        self._json = jsonschema.Draft4Validator(_schema("prov-json"))
        listed = (openlineage / "OpenLineage.json", *openlineage.glob("facets/*"))
        found = [json.loads(path.read_bytes()) for path in listed]
        registry = Registry().with_resources([(s["$id"], Resource.from_contents(s)) for s in found])
        self._event = jsonschema.Draft202012Validator(
            found[0], registry=registry, format_checker=jsonschema.FormatChecker()
        )

    def faults(self, data: bytes, format: ExportFormat, prov_json: bytes) -> list[str]:
        """Return what is wrong with `data`, of which `prov_json` is the same as PROV-JSON."""
        check = {
            ExportFormat.PROV_JSON: self._of_json,
            ExportFormat.PROV_XML: self._of_xml,
            ExportFormat.OPENLINEAGE: self._of_events,
            ExportFormat.VOTABLE: _of_votable,
            ExportFormat.RO_CRATE: _of_crate,
            ExportFormat.SVG: _of_svg,
        }.get(format)
        found = list(check(data)) if check else []
        if format in _READERS:
            document = ProvDocument.deserialize(content=prov_json, format="json")
            again = ProvDocument.deserialize(content=data, **_READERS[format])
            differs = difference(document, again)
            found += [differs] if differs else []
        if format is ExportFormat.TURTLE:
            found += [] if len(rdflib.Graph().parse(data=data, format="turtle")) else ["no triples"]
        return found

    def _of_json(self, data: bytes) -> Iterator[str]:
        yield from (error.message for error in self._json.iter_errors(json.loads(data)))

    def _of_xml(self, data: bytes) -> Iterator[str]:
        """Yield faults, but that a name such as an ORCID is no xs:QName (docs/exports.md)."""
        self._xml.validate(etree.fromstring(data))
        yield from (e.message for e in self._xml.error_log if "'xs:QName'" not in e.message)

    def _of_events(self, data: bytes) -> Iterator[str]:
        for event in map(json.loads, data.splitlines()):
            yield from (error.message for error in self._event.iter_errors(event))
            facets = [("run", event["run"]["facets"]), ("job", event["job"].get("facets", {}))]
            facets += [("input", d.get("inputFacets", {})) for d in event.get("inputs", ())]
            for kind, said in facets:
                for name in _FACETS[kind]:
                    schema = {"$ref": f"https://openlineage.io/spec/facets/{name}.json"}
                    checked = self._event.evolve(schema=schema)
                    yield from (error.message for error in checked.iter_errors(said))


def _of_votable(data: bytes) -> Iterator[str]:
    tables = {t.name for t in votable.parse(io.BytesIO(data), verify="exception").iter_tables()}
    if not {"Entity", "Activity"} <= tables:
        yield f"only the tables {tables}"


def _of_crate(data: bytes) -> Iterator[str]:
    """Yield what is not flat: a thing twice, or one that is referred to by its name and not there.

    What else a crate must be, roc-validator says in tests of crates; it takes seconds for each.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    names = [item["@id"] for item in graph]
    yield from (f"{name} stands twice" for name in set(names) if names.count(name) > 1)
    for item in graph:
        for value in _listed(list(item.values())):
            name = value.get("@id") if isinstance(value, dict) else None
            if name is not None and name.startswith(("#", "urn:uuid:")) and name not in names:
                yield f"{item['@id']} refers to {name}, which is nowhere"


def _listed(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _listed(value)
        else:
            yield value


def _of_svg(data: bytes) -> Iterator[str]:
    if etree.QName(etree.fromstring(data)).localname != "svg":
        yield "no svg"


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.schema.json").read_text())
    return schema
