"""Settings and descriptions in a W3C PROV document, marked as the voprov library does.

A setting is an entity of ``prov:type`` ``voprov:Parameter``; that an activity was configured by it
is a wasInfluencedBy of type ``voprov:ConfigurationRelation``. The description of an activity is an
entity of type ``voprov:ActivityDescription``, with a ``voprov:DescriptionRelation`` to it.
"""

import json
from collections.abc import Mapping
from typing import Any

from prov.constants import PROV_LABEL, PROV_TYPE, PROV_VALUE
from prov.identifier import Namespace
from prov.model import ProvDocument

from . import prov_terms as terms

JSONObject = Mapping[str, Any]  # Any: free-form JSON

_UUID = Namespace("uuid", "urn:uuid:")
_VOPROV = Namespace("voprov", terms.VOPROV)
_ATTRIBUTES = ("version", "description", "docurl", "type", "subtype", "multiplicity")


def add_configuration(document: ProvDocument, lineage: JSONObject) -> None:
    """Add ``parameters`` and ``config_files`` of `lineage`, where it has any."""
    for row in lineage.get("parameters") or ():
        value = row["value"]
        attributes = [
            (PROV_LABEL, row["name"]),
            (PROV_TYPE, _VOPROV["Parameter"]),
            (_VOPROV["name"], row["name"]),
            (PROV_VALUE, value if isinstance(value, str) else json.dumps(value)),
        ]
        document.entity(_UUID[row["id"]], attributes)
        _configured(document, row["activity"], row["id"], "Parameter")
    for row in lineage.get("config_files") or ():
        _configured(document, row["activity"], row["entity"], "ConfigFile")


def _configured(document: ProvDocument, activity: str, artefact: str, kind: str) -> None:
    document.influence(
        _UUID[activity],
        _UUID[artefact],
        other_attributes=[
            (PROV_TYPE, _VOPROV["ConfigurationRelation"]),
            (_VOPROV["artefactType"], kind),
        ],
    )


def add_descriptions(document: ProvDocument, lineage: JSONObject) -> None:
    """Add ``activity_descriptions`` of `lineage`, and what it has ``described`` by them."""
    for row in lineage.get("activity_descriptions") or ():
        attributes = [
            (PROV_LABEL, row["name"]),
            (PROV_TYPE, _VOPROV["ActivityDescription"]),
            (_VOPROV["name"], row["name"]),
            *((_VOPROV[name], row[name]) for name in _ATTRIBUTES if row.get(name)),
        ]
        document.entity(_UUID[row["id"]], attributes)
    for activity, description in (lineage.get("described") or {}).items():
        document.influence(
            _UUID[activity],
            _UUID[description],
            other_attributes=[(PROV_TYPE, _VOPROV["DescriptionRelation"])],
        )
