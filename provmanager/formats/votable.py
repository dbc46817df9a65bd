"""A lineage as a VOTable 1.4 of IVOA ProvenanceDM 1.0: one table a class, one column an attribute.

Tables and columns are named, and marked by ``utype`` (``voprov:Activity.startTime``), as in the
recommendation; references from one table to another are the values of ``id`` columns. The layout is
that of the PROV-VOTABLE of the ProvDAL drafts. What the model has not (status, exit code, version,
digest, size) has a ``utype`` of our own namespace.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

from provmanager.errors import UsageError

from . import prov_terms as terms

NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
Row = Mapping[str, Any]  # Any: a JSON value
_ENTITY_CLASSES = {"dataset": "DatasetEntity", "value": "ValueEntity", "collection": "Collection"}


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute: its name, UCD, datatype, and the key of its value, or what gives it.

    Attributes
    ----------
    utype : str or None
        Its id in the model (VO-DML), where it is not that of the table's class and its name.
    is_ours : bool
        Whether the model has it not, or only as the place where a thing stands.
    """

    name: str
    ucd: str | None = None
    datatype: str = "unicodeChar"
    key: str | Callable[[Row], Any] | None = None
    utype: str | None = None
    is_ours: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its cells are numbers."""
        return self.datatype in ("int", "long")

    def value(self, row: Row) -> str:
        """Return the text of the cell; nothing where the row has nothing."""
        source = self.key or self.name
        found = source(row) if callable(source) else row.get(source)
        if found is None:
            return ""
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A class: its name, what it is, its columns, and its rows of a lineage."""

    name: str
    description: str
    columns: Sequence[Column]
    rows: Callable[[Mapping[str, Any]], Iterable[Row]]  # Any: free-form JSON
    package: str = ""

    @property
    def model_id(self) -> str:
        """Its id in the model (VO-DML)."""
        return self.package + self.name


def _uuid(key: str) -> Callable[[Row], str | None]:
    return lambda row: f"urn:uuid:{row[key]}" if row.get(key) else None


def _time(name: str, key: str, ucd: str) -> Column:
    return Column(name, ucd, "char", lambda row: (row.get(key) or "").partition("+")[0] or None)


def _id(name: str, key: str, utype: str | None = None) -> Column:
    """Return the column of a reference; the model has only some of them by name."""
    return Column(name, "meta.id", "char", _uuid(key), utype=utype, is_ours=utype is None)


def _own_id(key: str = "id", *, is_ours: bool = False) -> Column:
    return Column("id", "meta.id;meta.main", "char", _uuid(key), is_ours=is_ours)


def _listed(key: str) -> Callable[[Mapping[str, Any]], Iterable[Row]]:  # Any: free-form JSON
    return lambda lineage: lineage.get(key) or ()


def _described(part: str) -> Callable[[Mapping[str, Any]], Iterable[Row]]:  # Any: free-form JSON
    return lambda lineage: (
        {"of": description["id"], **row}
        for description in lineage.get("activity_descriptions") or ()
        for row in description.get(part) or ()
    )


def _activities(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    described = lineage.get("described") or {}
    return ({**a, "described_by": described.get(a["id"])} for a in lineage["activities"])


def _json(key: str) -> Callable[[Row], str | None]:
    return lambda row: None if row.get(key) is None else json.dumps(row[key], ensure_ascii=False)


def _entities(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    """Yield the entities; those marked as invalid with the time of the mark, if none was known."""
    marked = {
        told["entity"]: told["time"]
        for told in _assessed(lineage)
        if told["kind"] == "invalidation" and not told["revoked"]
    }
    for row in lineage["entities"]:
        invalidated_at = row.get("invalidated_at") or marked.get(row["id"])
        yield {**row, "invalidated_at": invalidated_at}


def _assessed(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    for row in lineage.get("assessments") or ():
        for told in row["entities"]:
            yield {
                "entity": told["id"],
                "activity": row["id"],
                "time": row["at"],
                "kind": row["kind"],
                "reason": row["reason"],
                "outcome": told.get("outcome"),
                "revokes": row["revokes"],
                "revoked": "true" if row["is_revoked"] else None,
            }


def _ran_in(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    for row in lineage["activities"]:
        for surrounding in row.get("ran_in") or ():
            yield {"activity": row["id"], "surrounding": surrounding}


def _names(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    """Yield the further digests, product ids and locations of entities."""
    for row in lineage["entities"]:
        for kind in ("digest", "product_id", "location"):
            for name in row.get(f"{kind}s") or ():
                if name != row.get(kind):
                    yield {"entity": row["id"], "kind": kind, "name": name}


def _configured(lineage: Mapping[str, Any]) -> Iterable[Row]:  # Any: free-form JSON
    for row in lineage.get("parameters") or ():
        yield {"activity": row["activity"], "type": "Parameter", "parameter": row["id"]}
    for row in lineage.get("config_files") or ():
        yield {"activity": row["activity"], "type": "ConfigFile", "configFile": row["entity"]}


_NAME = Column("name", "meta.title")
_ROLE = Column("role", "meta.code")
_COMMENT = Column("comment", "meta.note")
_TEXT = Column("description", "meta.note")
_DOCURL = Column("docurl", "meta.ref.url")
_OF = _id("activityDescription", "of")
_FLOW = (
    _OF, _ROLE, _TEXT, Column("type", "meta.code.class"), Column("multiplicity", "meta.number"),
    Column("entityDescription", "meta.title", key="entity_description"),
)  # fmt: skip
_VALUE_TYPE = (
    Column("valueType", "meta.code", key="value_type"), Column("unit", "meta.unit"),
    Column("ucd", "meta.ucd"), Column("utype", "meta.code"),
)  # fmt: skip
_CONFIGURATION = "ActivityConfiguration."

TABLES = (
    Table("Entity", "Data and other things that were used or made", (
        _own_id(), _NAME, Column("location", "meta.ref.uri"),
        _time("generatedAtTime", "generated_at", "time.creation"),
        _time("invalidatedAtTime", "invalidated_at", "time.end"), _COMMENT,
        Column("classType", "meta.code.class", "char",
               lambda row: _ENTITY_CLASSES.get(row.get("kind") or "dataset"), is_ours=True),
        Column("value", "meta.record", utype="ValueEntity.value"),
        Column("digest", "meta.checksum", "char", is_ours=True),
        Column("sizeBytes", "phys.size;meta.file", "long", "size_bytes", is_ours=True),
        Column("productId", "meta.id", key="product_id", is_ours=True),
        Column("contentType", "meta.code.mime", key="content_type", is_ours=True),
    ), _entities),
    Table("Activity", "What was run", (
        _own_id(), _NAME, _time("startTime", "started_at", "time.start"),
        _time("endTime", "ended_at", "time.end"), _COMMENT,
        _id("activityDescription", "described_by", "Activity.activityDescription"),
        Column("version", "meta.version", is_ours=True),
        Column("status", "meta.code.status", "char", is_ours=True),
        Column("exitCode", "meta.code.error", "int", "exit_code", is_ours=True),
        Column("host", "meta.id", is_ours=True),
        Column("type", "meta.code.class", is_ours=True),
        Column("recordedAs", "meta.id", key="iri", is_ours=True),
        Column("arguments", "meta.record", key=_json("arguments"), is_ours=True),
        Column("executable", "meta.ref.uri", is_ours=True),
        Column("directory", "meta.ref.uri", is_ours=True),
        Column("job", "meta.record", key=_json("job"), is_ours=True),
    ), _activities),
    Table("Used", "Which activity used what", (
        _id("activity", "activity"), _id("entity", "entity", "Used.entity"), _ROLE,
        _time("time", "time", "time"),
    ), _listed("used")),
    Table("WasGeneratedBy", "Which activity made what", (
        _id("entity", "entity"), _id("activity", "activity", "WasGeneratedBy.activity"), _ROLE,
    ), _listed("generated")),
    Table("WasDerivedFrom", "What was derived from what", (
        _id("entity", "derived"), _id("usedEntity", "source", "Entity.usedEntity"),
    ), _listed("derived")),
    Table("WasInformedBy", "Between which activities something passed directly", (
        _id("activity", "activity"), _id("informant", "informant", "Activity.informant"),
        Column("type", "meta.code.class", "char", "type", is_ours=True),
    ), lambda lineage: (*(lineage.get("informed") or ()), *(
        {"activity": p["activity"], "informant": p["part_of"], "type": "part-of"}
        for p in lineage.get("parts") or ()))),
    Table("HadMember", "What is in which collection", (
        _id("collection", "collection"), _id("entity", "member", "Collection.entity"),
    ), _listed("members")),
    Table("WasAssessedBy", "What was said of entities afterwards, wasInvalidatedBy too", (
        _id("entity", "entity"), _id("activity", "activity"),
        Column("time", "time", "char", _time("time", "time", "time").key, is_ours=True),
        Column("kind", "meta.code.class", "char", is_ours=True),
        Column("reason", "meta.note", is_ours=True),
        Column("outcome", "meta.code", "char", is_ours=True),
        Column("revokes", "meta.id", "char", _uuid("revokes"), is_ours=True),
        Column("isRevoked", "meta.code", "char", "revoked", is_ours=True),
    ), _assessed),
    Table("Surrounding", "Software environments, hosts and containers", (
        _own_id(is_ours=True), Column("kind", "meta.code.class", "char", is_ours=True),
        Column("content", "meta.record", key=_json("content"), is_ours=True),
    ), _listed("surroundings")),
    Table("RanIn", "Which activity ran in which of these", (
        _id("activity", "activity"), _id("surrounding", "surrounding"),
    ), _ran_in),
    Table("EntityName", "Further digests, product ids and locations of entities", (
        _id("entity", "entity"), Column("kind", "meta.code.class", "char", is_ours=True),
        Column("name", "meta.id", is_ours=True),
    ), _names),
    Table("Agent", "People, organisations and software that were responsible", (
        Column("id", "meta.id;meta.main", key="iri"), _NAME, Column("type", "meta.code.class"),
        _COMMENT, Column("email", "meta.email"), Column("affiliation", "meta.note"),
        Column("phone", "meta.note"), Column("address", "meta.note"), Column("url", "meta.ref.url"),
    ), _listed("agents")),
    Table("WasAssociatedWith", "Who was responsible for an activity", (
        _id("activity", "activity"), Column("agent", "meta.id"), _ROLE,
    ), _listed("associated")),
    Table("WasAttributedTo", "To whom an entity is attributed", (
        _id("entity", "entity"), Column("agent", "meta.id"), _ROLE,
    ), _listed("attributed")),
    Table("Parameter", "Settings of activities", (
        _own_id(is_ours=True), _NAME, Column("value", "meta.record"),
    ), _listed("parameters"), _CONFIGURATION),
    Table("ConfigFile", "Configuration files; each is an Entity too", (
        _own_id("entity", is_ours=True), _NAME, Column("location", "meta.ref.uri"), _COMMENT,
    ), lambda lineage: {f["entity"]: f for f in lineage.get("config_files") or ()}.values(),
       _CONFIGURATION),
    Table("WasConfiguredBy", "Which activity was set up by what", (
        _id("activity", "activity"), Column("artefactType", "meta.code.class", "char", "type"),
        _id("parameter", "parameter", f"{_CONFIGURATION}WasConfiguredBy.parameter"),
        _id("configFile", "configFile", f"{_CONFIGURATION}WasConfiguredBy.configFile"),
    ), _configured, _CONFIGURATION),
    Table("ActivityDescription", "What activities are expected to be", (
        _own_id(is_ours=True), _NAME, Column("version", "meta.version"), _TEXT, _DOCURL,
        Column("type", "meta.code.class"), Column("subtype", "meta.code.class"),
    ), _listed("activity_descriptions")),
    Table("UsageDescription", "What activities are expected to use", _FLOW, _described("usages")),
    Table("GenerationDescription", "What activities are expected to make", _FLOW,
          _described("generations")),
    Table("EntityDescription", "What entities are expected to be", (
        _own_id(is_ours=True), _NAME, _TEXT, _DOCURL, Column("type", "meta.code.class"),
        Column("contentType", "meta.code.mime", key="content_type",
               utype="DatasetDescription.contentType"),
        *(replace(c, utype=f"ValueDescription.{c.name}") for c in _VALUE_TYPE),
    ), _listed("entity_descriptions")),
    Table("ParameterDescription", "What settings are expected to be", (
        _OF, _NAME, *_VALUE_TYPE, Column("min"), Column("max"), Column("default"),
        Column("options"), _TEXT,
    ), _described("parameters"), _CONFIGURATION),
    Table("ConfigFileDescription", "What configuration files are expected", (
        _OF, _NAME, Column("contentType", "meta.code.mime", key="content_type"), _TEXT,
    ), _described("config_files"), _CONFIGURATION),
)  # fmt: skip
"""Every class; those without rows are left out, but for Entity and Activity."""

_ALWAYS = ("Entity", "Activity")
_NO_CLASSES = frozenset(
    (
        "WasDerivedFrom",
        "WasInformedBy",
        "HadMember",
        "WasAssessedBy",
        "Surrounding",
        "RanIn",
        "EntityName",
    )
)  # of the model
_NULL = "-2147483648"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def lineage_to_votable(lineage: Mapping[str, Any]) -> bytes:  # Any: free-form JSON
    """Return the VOTable of `lineage`, the body of ``GET /v1/lineage`` and what was added to it.

    Raises
    ------
    UsageError
        A text has a control character, which XML cannot hold.
    """
    status = "OVERFLOW" if lineage.get("truncated") else "OK"
    text = "".join(_written(status, "", (_table(t, lineage) for t in TABLES)))
    bad = _NOT_XML.search(text)
    if bad is not None:
        raise UsageError(
            f"the lineage cannot be written as votable: XML cannot hold {bad[0]!r}, which stands "
            f"in ...{text[max(0, bad.start() - 40) : bad.start()]!r}; take prov-json",
            found="votable",
        )
    return text.encode()


def error_votable(message: str) -> bytes:
    """Return the VOTable that says what is wrong (DALI 1.1 section 4.4.2)."""
    told = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", message)
    return "".join(_written("ERROR", told, ())).encode("utf-8", "replace")


def _written(status: str, told: str, tables: Iterable[Iterator[str]]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<VOTABLE version="1.4" xmlns="{NAMESPACE}">\n<RESOURCE type="results">\n'
    yield f'<INFO name="QUERY_STATUS" value="{status}">{escape(told)}</INFO>\n'
    for table in tables:
        yield from table
    yield "</RESOURCE>\n</VOTABLE>\n"


def _table(table: Table, lineage: Row) -> Iterator[str]:
    rows = list(table.rows(lineage))
    if not rows and table.name not in _ALWAYS:
        return
    utype = "" if table.name in _NO_CLASSES else f' utype="voprov:{table.model_id}"'
    yield f'<TABLE ID="{table.name}" name="{table.name}"{utype}>\n'
    yield f"<DESCRIPTION>{table.description}</DESCRIPTION>\n"
    yield from (_field(table, column) for column in table.columns)
    yield "<DATA><TABLEDATA>\n"
    for row in rows:
        cells = (f"<TD>{escape(_cell(column, row))}</TD>" for column in table.columns)
        yield f"<TR>{''.join(cells)}</TR>\n"
    yield "</TABLEDATA></DATA>\n</TABLE>\n"


def _field(table: Table, column: Column) -> str:
    utype = column.utype or f"{table.model_id}.{column.name}"
    attributes = {
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": None if column.is_number else "*",
        "utype": f"{terms.TERMS if column.is_ours else 'voprov:'}{utype}",
        "ucd": column.ucd,
        "xtype": "timestamp" if (column.ucd or "").startswith("time") else None,
    }
    told = " ".join(f'{name}="{value}"' for name, value in attributes.items() if value)
    if column.is_number:
        return f'<FIELD {told}><VALUES null="{_NULL}"/></FIELD>\n'
    return f"<FIELD {told}/>\n"


def _cell(column: Column, row: Row) -> str:
    text = column.value(row)
    return _NULL if column.is_number and not text else text
