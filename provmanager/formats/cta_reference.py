"""The ``CTA …`` reference metadata that ctapipe writes into products and repeats in its records.

A flat set of about 30 keys (ctapipe/io/metadata.py). Of them, ``CTA PRODUCT ID`` identifies a
product across renames and moves, with one trap: for a file without these headers (FITS, ECSV)
ctapipe makes up a default set with a *random* product id at each reading. Such a set is told by
its empty ``CTA ACTIVITY ID``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..ids import parse_uuid
from ..model import ProducerClaim
from .instants import parse_instant

PRODUCT_ID = "CTA PRODUCT ID"
ACTIVITY_ID = "CTA ACTIVITY ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What one set of reference metadata says.

    Attributes
    ----------
    product_id : str or None
        ``urn:uuid:…``, where it is genuine.
    is_fabricated : bool
        Whether the set was made up at reading.
    producer : ProducerClaim or None
        The activity that it names; often stale on outputs.
    created_at : datetime or None
        When the product was created, UTC.
    """

    product_id: str | None
    is_fabricated: bool
    producer: ProducerClaim | None
    created_at: datetime | None


def read_reference(metadata: Mapping[str, Any]) -> Reference:  # Any: free-form JSON
    """Return what `metadata` says; values that cannot be read count as absent."""
    producer_id = parse_uuid(_text(metadata, ACTIVITY_ID))
    product_id = parse_uuid(_text(metadata, PRODUCT_ID))
    is_fabricated = not _text(metadata, ACTIVITY_ID)
    producer = None
    if producer_id is not None:
        producer = ProducerClaim(
            uuid=producer_id,
            name=_text(metadata, "CTA ACTIVITY NAME") or None,
            version=_text(metadata, "CTA ACTIVITY SOFTWARE VERSION") or None,
            started_at=_instant(metadata, "CTA ACTIVITY START TIME"),
            ended_at=_instant(metadata, "CTA ACTIVITY STOP TIME"),
        )
    return Reference(
        product_id=f"urn:uuid:{product_id}" if product_id and not is_fabricated else None,
        is_fabricated=is_fabricated,
        producer=producer,
        created_at=None if is_fabricated else _instant(metadata, "CTA PRODUCT CREATION TIME"),
    )


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    return value.strip() if isinstance(value, str) else ""


def _instant(metadata: Mapping[str, Any], key: str) -> datetime | None:
    try:
        return parse_instant(_text(metadata, key))
    except ValueError:
        return None
