"""PROV terms and their unification (PROV-CONSTRAINTS §4): constants, variables, the placeholder.

A term is a small integer; terms that were unified have the same root.
"""

from .facts import Value


class Placeholder:
    """The constant that '-' is where it says that there is none."""


NONE = Placeholder()
Constant = Value | Placeholder


class Terms:
    """Terms of one instance, and which of them are one."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._constant: list[Constant] = []
        self._of: dict[Constant, int] = {}

    def constant(self, value: Constant) -> int:
        """Return the term of a constant."""
        term = self._of.get(value)
        if term is None:
            term = self._of[value] = self._add(value)
        return term

    def variable(self) -> int:
        """Return a new existential variable."""
        return self._add(None)

    def root(self, term: int) -> int:
        """Return the term that stands for all that `term` was unified with."""
        parent = self._parent
        while parent[term] != term:
            parent[term] = parent[parent[term]]
            term = parent[term]
        return term

    def value(self, term: int) -> Constant:
        """Return the constant that `term` is; None for a variable."""
        return self._constant[self.root(term)]

    def is_none(self, term: int) -> bool:
        """Whether it is the placeholder."""
        return self.value(term) is NONE

    def unify(self, one: int, other: int) -> tuple[int, int] | None:
        """Make both one; return the root that stays and the one that goes (the same if they were).

        None where they are different constants, and stay so.
        """
        kept, gone = self.root(one), self.root(other)
        if kept == gone:
            return kept, kept
        if self._constant[gone] is not None:
            if self._constant[kept] is not None:
                return None
            kept, gone = gone, kept
        self._parent[gone] = kept
        return kept, gone

    def _add(self, value: Constant) -> int:
        self._parent.append(len(self._parent))
        self._constant.append(value)
        return len(self._parent) - 1
