"""The formats in which a lineage can be had: one list for the service, its pages and commands.

What writes each stands in `provmanager.logic.export.WRITERS`.
"""

from enum import StrEnum


class ExportFormat(StrEnum):
    """A format of lineages."""

    label: str
    """Its name for people."""
    media_type: str
    """Of its files (RFC 6838)."""
    suffix: str
    """Of its files, without the dot."""

    PROV_JSON = "prov-json", "PROV-JSON", "application/json", "json"
    PROV_N = "prov-n", "PROV-N", "text/provenance-notation", "provn"
    PROV_XML = "prov-xml", "PROV-XML", "application/xml", "xml"
    TURTLE = "turtle", "PROV-O Turtle", "text/turtle", "ttl"
    JSON_LD = "json-ld", "PROV-JSONLD", "application/ld+json", "jsonld"
    RO_CRATE = "ro-crate", "Workflow Run RO-Crate", "application/zip", "zip"
    OPENLINEAGE = "openlineage", "OpenLineage", "application/x-ndjson", "ndjson"
    VOTABLE = "votable", "IVOA VOTable", "application/x-votable+xml", "vot"
    SVG = "svg", "SVG", "image/svg+xml", "svg"

    # The defaults are for ExportFormat("svg"), which finds a member and makes none.
    def __new__(
        cls, value: str, label: str = "", media_type: str = "", suffix: str = ""
    ) -> "ExportFormat":
        """Make a member from its row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.media_type = media_type
        member.suffix = suffix
        return member

    @property
    def is_binary(self) -> bool:
        """Whether its files are no text."""
        return self.media_type.endswith("zip")
