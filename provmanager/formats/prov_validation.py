"""Documents checked against PROV-CONSTRAINTS: what is violated, by which statements, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

from provmanager.errors import JSONDict
from provmanager.model import Document
from provmanager.model.constraints import Remark, Rule, Violation

from .prov_facts import Instance, instances_of
from .prov_places import places_of


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a document.

    Attributes
    ----------
    violations : tuple of JSON objects
        ``{"rule": {"number", "kind", "name", "text"}, "message", "bundle", "statements":
        [{"statement", "place"}], "chain": [{"earlier", "later", "strict", "rule",
        "statements"}]}``.
    remarks : tuple of JSON objects
        ``{"message", "bundle", "statements", "chain"}``: times that contradict the order of
        events, which no constraint forbids.
    """

    format: str
    n_statements: int
    n_bundles: int
    violations: tuple[JSONDict, ...]
    remarks: tuple[JSONDict, ...] = ()

    def to_wire(self) -> JSONDict:
        """Return it as JSON."""
        return {
            "valid": not self.violations,
            "format": self.format,
            "statements": self.n_statements,
            "bundles": self.n_bundles,
            "violations": list(self.violations),
            "remarks": list(self.remarks),
        }


def check_document(document: Document, data: bytes | None = None) -> Checked:
    """Return what `document` violates, and where its times contradict the order of events.

    Parameters
    ----------
    data : bytes, optional
        Those that it was read from, to tell the lines or pointers of its statements.
    """
    instances = instances_of(document)
    found = [(instance, instance.findings()) for instance in instances]
    places: list[str | None] = []
    if data is not None and document.statements and not all(f.is_empty for _, f in found):
        places = places_of(data, document.format, document.statements)
    told: list[JSONDict] = []
    remarks: list[JSONDict] = []
    for instance, findings in found:
        if not findings.is_empty:
            telling = _Telling(instance, places)
            told += [telling.violation(violation) for violation in findings.violations]
            remarks += [telling.remark(remark) for remark in findings.remarks]
    return Checked(
        format=document.format,
        n_statements=sum(len(instance.facts) for instance in instances),
        n_bundles=len(instances) - 1,
        violations=tuple(told),
        remarks=tuple(remarks),
    )


class _Telling:
    """Tells of the statements of one instance."""

    def __init__(self, instance: Instance, places: Sequence[str | None]) -> None:
        self._instance = instance
        self._places = places
        self._facts = {fact.source: fact for fact in reversed(instance.facts)}

    def violation(self, violation: Violation) -> JSONDict:
        """Return a violation as JSON."""
        return {"rule": _rule(violation.rule), **self.remark(violation)}

    def remark(self, remark: Remark | Violation) -> JSONDict:
        """Return a remark, or what a violation says beside its rule, as JSON."""
        return {
            "message": remark.message,
            "bundle": self._instance.bundle,
            "statements": self._statements(remark.sources),
            "chain": [
                {
                    "earlier": step.earlier,
                    "later": step.later,
                    "strict": step.is_strict,
                    "rule": _rule(step.rule),
                    "statements": self._statements(step.sources),
                }
                for step in remark.chain
            ],
        }

    def _statements(self, sources: Sequence[int]) -> list[JSONDict]:
        return [
            {
                "statement": self._instance.text(self._facts[source]),
                "place": self._places[source] if self._places else None,
            }
            for source in sources
        ]


def _rule(rule: Rule) -> JSONDict:
    return {"number": rule.number, "kind": rule.kind, "name": rule.name, "text": rule.text}
