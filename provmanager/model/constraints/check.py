"""Whether an instance is valid (PROV-CONSTRAINTS §7)."""

from collections.abc import Iterable

from .cycles import ordering_violations
from .facts import Fact
from .impossible import impossibilities
from .normal import Name, normalise
from .ordering import EventOrder
from .report import Violation
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
    normal = normalise(facts, name)
    specializations = Specializations(normal)
    order = EventOrder(normal, specializations)
    return [
        *normal.violations,
        *impossibilities(normal, specializations),
        *ordering_violations(order),
    ]
