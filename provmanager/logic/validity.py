"""What of PROV-CONSTRAINTS a document violates, when it comes: told, kept, and never refused."""

from typing import Any

from provmanager.errors import JSONDict
from provmanager.formats.prov_facts import instances_of
from provmanager.model import Document

MOST_STATEMENTS = 20_000
"""Larger documents are not checked when they come, but by `prod-validate`: so the cost of one is
bounded, by about a second."""


def check_validity(document: Document) -> JSONDict | None:
    """Return how many violations `document` has, and by which rules.

    None where it is not checked: it is no W3C PROV document, whose statements are its author's
    own words, or it is too large.

    Returns
    -------
    JSON object
        ``{"violations": n, "rules": [{"number", "kind", "name", "count", "message"}]}``; the
        message is that of the first violation of the rule. The number is null for a rule of
        PROV-LINKS.
    """
    if not document.statements or len(document.statements) > MOST_STATEMENTS:
        return None
    violations = [v for instance in instances_of(document) for v in instance.violations()]
    rules: dict[str, dict[str, Any]] = {}  # Any: JSON scalars
    for violation in violations:
        rule = violation.rule
        told = rules.setdefault(
            rule.name,
            {
                "number": rule.number,
                "kind": rule.kind,
                "name": rule.name,
                "count": 0,
                "message": violation.message,
            },
        )
        told["count"] += 1
    return {"violations": len(violations), "rules": list(rules.values())}
