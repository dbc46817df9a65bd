"""Validity by PROV-CONSTRAINTS of any small instance, against the formulas taken literally."""

import random
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from provmanager.model.constraints import Fact, check
from provmanager.model.constraints.facts import SIGNATURES, Absence

sys.path.insert(0, str(Path(__file__).parent))
from literal_constraints import NONE, Atom, is_valid

_SHORT = {
    "entity": "entity", "activity": "activity", "agent": "agent", "wasGeneratedBy": "gen",
    "used": "use", "wasInformedBy": "inf", "wasStartedBy": "start", "wasEndedBy": "end",
    "wasInvalidatedBy": "inv", "wasDerivedFrom": "der", "wasAttributedTo": "att",
    "wasAssociatedWith": "assoc", "actedOnBehalfOf": "del", "wasInfluencedBy": "infl",
    "alternateOf": "alt", "specializationOf": "spec", "hadMember": "mem",
}  # fmt: skip
_IDS = {
    "wasGeneratedBy": ["g1", "g2"], "used": ["u1", "u2"], "wasStartedBy": ["s1", "s2"],
    "wasEndedBy": ["t1"], "wasInvalidatedBy": ["i1"], "wasDerivedFrom": ["d1"],
    "wasAssociatedWith": ["w1"],
}  # fmt: skip
_POOLS = {
    "entity": ["e1", "e2", "e3"],
    "activity": ["a1", "a2"],
    "agent": ["ag", "e1", "a1"],
    "time": ["2026-01-01", "2026-01-02"],
    "generation": ["g1", "g2"],
    "usage": ["u1"],
}
_EMPTY = frozenset(("http://www.w3.org/ns/prov#EmptyCollection",))


@st.composite
def facts_of_one_relation(draw: st.DrawFn) -> Fact:
    relation = draw(st.sampled_from(sorted(_SHORT)))
    if relation in ("entity", "activity", "agent"):
        identifier = draw(st.sampled_from(_POOLS[relation]))
    else:
        identifier = draw(st.none() | st.sampled_from(_IDS.get(relation, ["x1", "g1"])))
        if relation in ("alternateOf", "specializationOf", "hadMember"):
            identifier = None
    args = []
    for parameter in SIGNATURES[relation]:
        name = "time" if "ime" in parameter.name else parameter.name
        pool = st.sampled_from(_POOLS[parameter.kind or name if name in _POOLS else "entity"])
        may_be_absent = parameter.absence is not Absence.REFUSED
        args.append(draw(st.none() | pool) if may_be_absent else draw(pool))
    types = _EMPTY if relation == "entity" and draw(st.integers(0, 9)) == 0 else frozenset()
    return Fact(relation, identifier, tuple(args), types)


def instances(most: int) -> st.SearchStrategy[list[Fact]]:
    return st.lists(facts_of_one_relation(), min_size=1, max_size=most)


def atoms(facts: list[Fact]) -> list[Atom]:
    """Expand by Definitions 1 to 4, as the tables of the Recommendation say."""
    fresh = count()
    found: list[Atom] = []
    for fact in facts:
        args: list[object] = []
        for parameter, value in zip(SIGNATURES[fact.relation], fact.args, strict=True):
            is_none = parameter.name == "plan" or (
                fact.relation == "wasDerivedFrom" and fact.args[2] is None
            )
            args.append(value if value is not None else NONE if is_none else next(fresh))
        identifier = [] if fact.relation in ("alternateOf", "specializationOf", "hadMember") else [
            fact.id if fact.id is not None else next(fresh)
        ]  # fmt: skip
        found.append((_SHORT[fact.relation], *identifier, *args))
        found += [("empty", fact.id)] if fact.types else []
    return found


@settings(max_examples=400)
@given(instances(6))
def test_validity_is_that_of_the_formulas_of_the_recommendation(facts: list[Fact]):
    violations = check(facts)
    event(f"rules {sorted({v.rule.number or 0 for v in violations})}")
    assert (not violations) == is_valid(atoms(facts))


@given(instances(12), st.randoms(use_true_random=False))
def test_order_repetition_and_names_change_nothing(facts: list[Fact], rng: random.Random):
    found = sorted(v.rule.number or 0 for v in check(facts)) != []
    shuffled = rng.sample(facts, len(facts))
    assert bool(check(shuffled)) == found
    assert bool(check(facts + shuffled)) == found

    def renamed(value: object) -> object:
        return f"https://example.org/{value}" if isinstance(value, str) else value

    other = [replace(f, id=renamed(f.id), args=tuple(map(renamed, f.args))) for f in facts]
    assert bool(check(other)) == found


@given(instances(12), st.data())
def test_what_is_valid_stays_so_with_less_said(facts: list[Fact], data: st.DataObject):
    if not check(facts):
        kept = data.draw(st.lists(st.sampled_from(facts), max_size=len(facts), unique_by=id))
        assert check(kept) == []


def test_a_long_chain_of_runs_is_valid_and_its_closing_link_is_not():
    begun = datetime(2026, 1, 1)  # noqa: DTZ001 - as PROV documents give it, without a zone
    facts = []
    for n in range(2_000):
        at = begun + timedelta(minutes=n)
        facts += [
            Fact("entity", f"e{n}"),
            Fact("activity", f"a{n}", (at, at)),
            Fact("used", f"u{n}", (f"a{n}", f"e{n}", at)),
            Fact("wasGeneratedBy", f"g{n}", (f"e{n + 1}", f"a{n}", at)),
            Fact("wasDerivedFrom", None, (f"e{n + 1}", f"e{n}", f"a{n}", f"g{n}", f"u{n}")),
        ]
    assert check(facts) == []
    [found] = check([*facts, Fact("wasDerivedFrom", None, ("e0", "e2000", None, None, None))])
    assert found.rule.number == 42
    assert len(found.chain) > 2_000  # each step of the circle is told
