"""What is found wrong with an instance."""

from dataclasses import dataclass

from .rules import Rule


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain that an ordering violation is: `earlier` comes before `later`.

    Attributes
    ----------
    earlier, later : str
        The events in words.
    is_strict : bool
        Whether they cannot be simultaneous.
    rule : Rule
        The constraint that says so.
    sources : tuple of int
        The statements from which it follows.
    """

    earlier: str
    later: str
    is_strict: bool
    rule: Rule
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that the instance breaks.

    Attributes
    ----------
    message : str
        What is wrong, in one sentence.
    sources : tuple of int
        The statements involved, by `Fact.source`, in order.
    chain : tuple of Step
        For an ordering violation: the cycle of events, of which one precedes itself.
    """

    rule: Rule
    message: str
    sources: tuple[int, ...]
    chain: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that no rule forbids and that is hardly meant.

    Attributes
    ----------
    chain : tuple of Step
        Why the one event precedes the other.
    """

    message: str
    sources: tuple[int, ...]
    chain: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is found wrong with an instance, and what is remarkable."""

    violations: tuple[Violation, ...]
    remarks: tuple[Remark, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.violations and not self.remarks
