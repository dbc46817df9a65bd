"""Whether two W3C PROV documents say the same.

Stricter than the ``==`` of `prov`, which takes a record given twice for one and a relation without
identifier for one with; and kinder to NaN, which ``==`` takes for another value than itself.
"""

from collections import Counter
from collections.abc import Hashable

from prov.model import ProvBundle, ProvDocument, ProvRecord


def difference(left: ProvDocument, right: ProvDocument) -> str | None:
    """Return the first thing that one of the documents says and the other does not, or None.

    Neither the order of the records nor the prefixes of names count.
    """
    found = _record_difference(left, right, "the document")
    if found is not None:
        return found
    left_bundles = {bundle.identifier: bundle for bundle in left.bundles}
    right_bundles = {bundle.identifier: bundle for bundle in right.bundles}
    for name in left_bundles.keys() ^ right_bundles.keys():
        return f"only one of the two has the bundle {name}"
    for name, bundle in left_bundles.items():
        found = _record_difference(bundle, right_bundles[name], f"the bundle {name}")
        if found is not None:
            return found
    return None


def _record_difference(left: ProvBundle, right: ProvBundle, where: str) -> str | None:
    left_records = Counter(_key(record) for record in left.records)
    right_records = Counter(_key(record) for record in right.records)
    if left_records == right_records:
        return None
    for bundle, other in ((left, right_records), (right, left_records)):
        for record in bundle.records:
            key = _key(record)
            if other[key] == 0:
                return f"{where}: only one of the two says {record.get_provn()}"
            other[key] -= 1
    return f"{where}: a record stands more often in one of the two"


def _key(record: ProvRecord) -> Hashable:
    attributes = frozenset(
        (name.uri, type(value), _same(value)) for name, value in record.attributes
    )
    identifier = record.identifier
    return record.get_type().uri, identifier.uri if identifier else None, attributes


def _same(value: Hashable) -> Hashable:
    is_nan = isinstance(value, float) and value != value
    return "NaN" if is_nan else value
