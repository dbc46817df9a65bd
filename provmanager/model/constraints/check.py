"""Whether an instance is valid (PROV-CONSTRAINTS §7)."""

from collections.abc import Iterable

from .clocks import clock_remarks
from .cycles import ordering_violations
from .facts import Fact
from .impossible import impossibilities
from .normal import Name, normalise
from .ordering import EventOrder
from .report import Findings, Violation
from .specialization import Specializations


def check(facts: Iterable[Fact], name: Name = str) -> list[Violation]:
    """Return what the instance of `facts` violates; nothing where it is valid.

    Parameters
    ----------
    name : callable
        What a person calls an IRI.

    Returns
    -------
    list of Violation
        Those of missing arguments (Definition 4) first, then of uniqueness, of impossibilities
        and of the order of events. One conflict is told once.
    """
    return list(examine(facts, name, clocks=False).violations)


def examine(facts: Iterable[Fact], name: Name = str, *, clocks: bool = True) -> Findings:
    """Return what `check` does, and where times contradict the order of events.

    Parameters
    ----------
    clocks
        Whether to look at times at all; PROV-CONSTRAINTS does not.
    """
    normal = normalise(facts, name)
    specializations = Specializations(normal)
    order = EventOrder(normal, specializations)
    violations = (
        *normal.violations,
        *impossibilities(normal, specializations),
        *ordering_violations(order),
    )
    return Findings(violations, tuple(clock_remarks(order)) if clocks else ())
