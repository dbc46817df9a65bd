"""PROV-CONSTRAINTS by rule number: for each what is valid, and what it forbids.

The statements are those of the Recommendation's rules and examples (W3C, 30 April 2013, §§5 to 7).
"""

from itertools import pairwise

import pytest

from provmanager.formats.prov_document import read_prov
from provmanager.formats.prov_facts import Instance, instances_of
from provmanager.model.constraints import RULES, Violation
from provmanager.model.constraints.cycles import path
from provmanager.model.constraints.normal import normalise
from provmanager.model.constraints.ordering import EventOrder
from provmanager.model.constraints.specialization import Specializations


def instances(statements: str) -> list[Instance]:
    text = f"document\nprefix ex <http://example.org/>\n{statements}\nendDocument\n"
    document = read_prov(text.encode())
    return instances_of(document)


def violations(statements: str) -> list[Violation]:
    return [v for instance in instances(statements) for v in instance.violations()]


def numbers(statements: str) -> list[int | None]:
    return [v.rule.number for v in violations(statements)]


# Rule, valid, invalid. Uniqueness (22 to 29): what unifies, and what does not.
UNIQUENESS = [
    (22, """activity(ex:a, 2011-11-16T16:00:00, -)
            activity(ex:a, -, 2011-11-16T18:00:00)""",
         """activity(ex:a, 2011-11-16T16:00:00, -)
            activity(ex:a, 2011-11-16T17:00:00, -)"""),
    (23, """used(ex:u; ex:a, ex:e, 2011-11-16T16:00:00)
            used(ex:u; ex:a, -, -)""",
         """used(ex:u; ex:a, ex:e1, -)
            used(ex:u; ex:a, ex:e2, -)"""),
    (23, """wasAssociatedWith(ex:w; ex:a, ex:ag, ex:p)
            wasAssociatedWith(ex:w; ex:a, -, ex:p)""",
         # '-' says that there was no plan; it is no unknown one
         """wasAssociatedWith(ex:w; ex:a, ex:ag, ex:p)
            wasAssociatedWith(ex:w; ex:a, ex:ag, -)"""),
    (23, """wasDerivedFrom(ex:d; ex:e2, ex:e1, ex:a, ex:g, -)
            wasDerivedFrom(ex:d; ex:e2, ex:e1, ex:a, -, ex:u)""",
         """wasDerivedFrom(ex:d; ex:e2, ex:e1, ex:a, ex:g, ex:u)
            wasDerivedFrom(ex:d; ex:e2, ex:e1)"""),
    # Inference 15: both are wasInfluencedBy(ex:i; …)
    (23, """wasInfluencedBy(ex:i; ex:e2, ex:e1)
            wasDerivedFrom(ex:i; ex:e2, ex:e1)""",
         """wasInfluencedBy(ex:i; ex:e2, ex:e3)
            wasDerivedFrom(ex:i; ex:e2, ex:e1)"""),
    # Inference 11: the derivation says what its generation generated
    (23, """wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, ex:u)
            wasGeneratedBy(ex:g; ex:e2, ex:a, -)""",
         """wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, ex:u)
            wasGeneratedBy(ex:g; ex:e3, ex:a, -)"""),
    (24, """wasGeneratedBy(ex:g1; ex:e, ex:a1, -)
            wasGeneratedBy(ex:g2; ex:e, ex:a2, -)
            wasGeneratedBy(-; ex:e, ex:a1, -)""",
         """wasGeneratedBy(ex:g1; ex:e, ex:a, -)
            wasGeneratedBy(ex:g2; ex:e, ex:a, -)"""),
    (25, """wasInvalidatedBy(ex:i1; ex:e, ex:a1, -)
            wasInvalidatedBy(ex:i2; ex:e, ex:a2, -)""",
         """wasInvalidatedBy(ex:i1; ex:e, ex:a, -)
            wasInvalidatedBy(ex:i2; ex:e, ex:a, -)"""),
    (26, """wasStartedBy(ex:s1; ex:a, -, ex:a1, -)
            wasStartedBy(ex:s2; ex:a, -, ex:a2, -)""",
         """wasStartedBy(ex:s1; ex:a, -, ex:a1, -)
            wasStartedBy(ex:s2; ex:a, -, ex:a1, -)"""),
    (27, """wasEndedBy(ex:s1; ex:a, -, ex:a1, -)
            wasEndedBy(ex:s2; ex:a, -, ex:a2, -)""",
         """wasEndedBy(ex:s1; ex:a, -, ex:a1, -)
            wasEndedBy(ex:s2; ex:a, -, ex:a1, -)"""),
    (28, """activity(ex:a, 2011-11-16T16:00:00, -)
            wasStartedBy(ex:a, -, -, 2011-11-16T16:00:00)""",
         """activity(ex:a, 2011-11-16T16:00:00, -)
            wasStartedBy(ex:a, -, -, 2011-11-16T16:00:01)"""),
    (29, """activity(ex:a, -, 2011-11-16T16:00:00)
            wasEndedBy(ex:a, -, -, 2011-11-16T16:00:00)""",
         """activity(ex:a, -, 2011-11-16T16:00:00)
            wasEndedBy(ex:a, -, -, 2011-11-16T16:00:01)"""),
    # one start time of the activity, so one of all its starts
    (28, """activity(ex:a, -, -)
            wasStartedBy(ex:s1; ex:a, -, ex:b, 2011-11-16T16:00:00)
            wasStartedBy(ex:s2; ex:a, -, ex:c, 2011-11-16T16:00:00)""",
         """activity(ex:a, -, -)
            wasStartedBy(ex:s1; ex:a, -, ex:b, 2011-11-16T16:00:00)
            wasStartedBy(ex:s2; ex:a, -, ex:c, 2011-11-16T16:00:01)"""),
]  # fmt: skip
IMPOSSIBILITIES = [
    (4, "wasAttributedTo(ex:e, ex:ag)", "wasAttributedTo(ex:e, -)"),
    (4, "specializationOf(ex:e2, ex:e1)", "specializationOf(-, ex:e1)"),
    (4, "used(ex:a, -, -)", "wasInformedBy(ex:a, -)"),
    (51, "wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, -)", "wasDerivedFrom(ex:e2, ex:e1, -, ex:g, -)"),
    (51, "wasDerivedFrom(ex:e2, ex:e1, ex:a, -, ex:u)", "wasDerivedFrom(ex:e2, ex:e1, -, -, ex:u)"),
    (51, "wasDerivedFrom(ex:e2, ex:e1)", "wasDerivedFrom(ex:e2, ex:e1, -, ex:g, ex:u)"),
    (52, "specializationOf(ex:e2, ex:e1)", "specializationOf(ex:e, ex:e)"),
    (52, """specializationOf(ex:e3, ex:e2)
            specializationOf(ex:e2, ex:e1)""",
         """specializationOf(ex:e3, ex:e2)
            specializationOf(ex:e2, ex:e3)"""),  # by Inference 19
    (53, """wasGeneratedBy(ex:i; ex:e, ex:a, -)
            wasInfluencedBy(ex:i; ex:e, ex:a)""",
         """wasGeneratedBy(ex:i; ex:e1, ex:a, -)
            wasInvalidatedBy(ex:i; ex:e2, ex:a, -)"""),
    (54, "entity(ex:e) used(ex:u; ex:a, ex:e, -)", "entity(ex:u) used(ex:u; ex:a, ex:e, -)"),
    (54, "agent(ex:ag) wasDerivedFrom(ex:d; ex:e2, ex:e1)",
         "agent(ex:d) wasDerivedFrom(ex:d; ex:e2, ex:e1)"),
    (55, "entity(ex:x) agent(ex:x)", "entity(ex:x) activity(ex:x, -, -)"),
    # Constraint 50: it is one by what a relation says of its arguments
    (55, "activity(ex:x, -, -) wasAssociatedWith(ex:a, ex:x, -)",
         "activity(ex:x, -, -) wasAssociatedWith(ex:a, ex:ag, ex:x)"),
    (55, "entity(ex:e) wasGeneratedBy(ex:e, ex:a, -)",
         "entity(ex:a) wasGeneratedBy(ex:e, ex:a, -)"),
    (56, "entity(ex:c, [prov:type='prov:Collection']) hadMember(ex:c, ex:e)",
         "entity(ex:c, [prov:type='prov:EmptyCollection']) hadMember(ex:c, ex:e)"),
    # Inference 21: a specialization has the type of what it specializes
    (56, """entity(ex:c, [prov:type='prov:EmptyCollection'])
            specializationOf(ex:c, ex:d) hadMember(ex:d, ex:e)""",
         """entity(ex:c, [prov:type='prov:EmptyCollection'])
            specializationOf(ex:d, ex:c) hadMember(ex:d, ex:e)"""),
]  # fmt: skip


@pytest.mark.parametrize(("number", "valid", "invalid"), UNIQUENESS + IMPOSSIBILITIES)
def test_a_rule_forbids_what_it_says_and_nothing_like_it(number: int, valid: str, invalid: str):
    assert numbers(valid) == []
    assert numbers(invalid) == [number]


def test_a_mention_is_of_one_entity_in_one_bundle():
    mention = "mentionOf(ex:e2, ex:e1, ex:b)"
    assert violations(f"{mention} {mention}") == []
    [found] = violations(f"{mention} mentionOf(ex:e2, ex:e1, ex:c)")
    assert found.rule.label == "PROV-LINKS unique-mention"


# Constraint, statements, what precedes what. What follows an invalidation or an end is only
# another one, so by those nothing can precede itself: these are looked up in the order itself.
ORDERS = [
    (30, "wasStartedBy(ex:s; ex:a, -, -, -) wasEndedBy(ex:t; ex:a, -, -, -)", "start s", "end t"),
    (31, "wasStartedBy(ex:s; ex:a, -, ex:b, -) wasStartedBy(ex:t; ex:a, -, ex:c, -)",
     "start t", "start s"),
    (32, "wasEndedBy(ex:s; ex:a, -, ex:b, -) wasEndedBy(ex:t; ex:a, -, ex:c, -)", "end t", "end s"),
    (33, "wasStartedBy(ex:s; ex:a, -, -, -) used(ex:u; ex:a, -, -)", "start s", "usage u"),
    (33, "wasEndedBy(ex:t; ex:a, -, -, -) used(ex:u; ex:a, -, -)", "usage u", "end t"),
    (34, "wasStartedBy(ex:s; ex:a, -, -, -) wasGeneratedBy(ex:g; ex:e, ex:a, -)",
     "start s", "generation g"),
    (34, "wasEndedBy(ex:t; ex:a, -, -, -) wasGeneratedBy(ex:g; ex:e, ex:a, -)",
     "generation g", "end t"),
    (35, """wasInformedBy(ex:a2, ex:a1) wasStartedBy(ex:s; ex:a1, -, -, -)
            wasEndedBy(ex:t; ex:a2, -, -, -)""", "start s", "end t"),
    (36, "wasGeneratedBy(ex:g; ex:e, -, -) wasInvalidatedBy(ex:i; ex:e, -, -)",
     "generation g", "invalidation i"),
    (37, "wasGeneratedBy(ex:g; ex:e, -, -) used(ex:u; ex:a, ex:e, -)", "generation g", "usage u"),
    (38, "wasInvalidatedBy(ex:i; ex:e, -, -) used(ex:u; ex:a, ex:e, -)",
     "usage u", "invalidation i"),
    (39, "wasGeneratedBy(ex:g; ex:e, ex:a, -) wasGeneratedBy(ex:h; ex:e, ex:b, -)",
     "generation h", "generation g"),
    (40, "wasInvalidatedBy(ex:g; ex:e, ex:a, -) wasInvalidatedBy(ex:h; ex:e, ex:b, -)",
     "invalidation h", "invalidation g"),
    (41, "wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, ex:u)", "usage u", "generation g"),
    (42, """wasDerivedFrom(ex:e2, ex:e1) wasGeneratedBy(ex:g; ex:e1, -, -)
            wasGeneratedBy(ex:h; ex:e2, -, -)""", "generation g", "generation h"),
    (43, "wasStartedBy(ex:s; ex:a, ex:e, -, -) wasGeneratedBy(ex:g; ex:e, -, -)",
     "generation g", "start s"),
    (43, "wasStartedBy(ex:s; ex:a, ex:e, -, -) wasInvalidatedBy(ex:i; ex:e, -, -)",
     "start s", "invalidation i"),
    (44, "wasEndedBy(ex:s; ex:a, ex:e, -, -) wasGeneratedBy(ex:g; ex:e, -, -)",
     "generation g", "end s"),
    (44, "wasEndedBy(ex:s; ex:a, ex:e, -, -) wasInvalidatedBy(ex:i; ex:e, -, -)",
     "end s", "invalidation i"),
    (45, """specializationOf(ex:e3, ex:e2) specializationOf(ex:e2, ex:e1)
            wasGeneratedBy(ex:g; ex:e1, -, -) wasGeneratedBy(ex:h; ex:e3, -, -)""",
     "generation g", "generation h"),
    (46, """specializationOf(ex:e3, ex:e2) specializationOf(ex:e2, ex:e1)
            wasInvalidatedBy(ex:i; ex:e1, -, -) wasInvalidatedBy(ex:j; ex:e3, -, -)""",
     "invalidation j", "invalidation i"),
    (47, """wasAssociatedWith(ex:a, ex:ag, -) wasStartedBy(ex:s; ex:a, -, -, -)
            wasInvalidatedBy(ex:i; ex:ag, -, -)""", "start s", "invalidation i"),
    (47, """wasAssociatedWith(ex:a, ex:ag, -) wasEndedBy(ex:t; ex:a, -, -, -)
            wasGeneratedBy(ex:g; ex:ag, -, -)""", "generation g", "end t"),
    (47, """wasAssociatedWith(ex:a, ex:ag, -) wasStartedBy(ex:s; ex:a, -, -, -)
            wasEndedBy(ex:t; ex:ag, -, -, -)""", "start s", "end t"),
    (47, """wasAssociatedWith(ex:a, ex:ag, -) wasStartedBy(ex:s; ex:ag, -, -, -)
            wasEndedBy(ex:t; ex:a, -, -, -)""", "start s", "end t"),
    # Inference 14: both agents of a delegation were associated with its activity
    (47, """actedOnBehalfOf(ex:ag2, ex:ag1, ex:a) wasStartedBy(ex:s; ex:a, -, -, -)
            wasInvalidatedBy(ex:i; ex:ag1, -, -)""", "start s", "invalidation i"),
    (48, """wasAttributedTo(ex:e, ex:ag) wasGeneratedBy(ex:g; ex:ag, -, -)
            wasGeneratedBy(ex:h; ex:e, -, -)""", "generation g", "generation h"),
    (48, """wasAttributedTo(ex:e, ex:ag) wasStartedBy(ex:s; ex:ag, -, -, -)
            wasGeneratedBy(ex:h; ex:e, -, -)""", "start s", "generation h"),
    (49, """actedOnBehalfOf(ex:ag2, ex:ag1, -) wasGeneratedBy(ex:g; ex:ag1, -, -)
            wasInvalidatedBy(ex:i; ex:ag2, -, -)""", "generation g", "invalidation i"),
    (49, """actedOnBehalfOf(ex:ag2, ex:ag1, -) wasStartedBy(ex:s; ex:ag1, -, -, -)
            wasEndedBy(ex:t; ex:ag2, -, -, -)""", "start s", "end t"),
]  # fmt: skip
_SIMULTANEOUS = {31, 32, 39, 40}


@pytest.mark.parametrize(("number", "statements", "earlier", "later"), ORDERS)
def test_an_ordering_constraint_puts_one_event_before_the_other(
    number: int, statements: str, earlier: str, later: str
):
    [instance] = instances(statements)
    normal = normalise(instance.facts, str)
    order = EventOrder(normal, Specializations(normal))
    nodes = []
    for event in (earlier, later):
        kind, _, name = event.partition(" ")
        nodes.append(order.find(kind, f"http://example.org/{name}"))
    there = path(order, nodes[0], nodes[1])
    assert there is not None
    assert number in {edge.rule.number for _, edge in there}
    assert (path(order, nodes[1], nodes[0]) is not None) == (number in _SIMULTANEOUS)
    assert instance.violations() == []


# A strict precedence (42) closed to a cycle by another constraint.
CYCLES = [
    ({42}, "entity(ex:e1) entity(ex:e2) wasDerivedFrom(ex:e1, ex:e2) wasDerivedFrom(ex:e2, ex:e1)"),
    ({42}, "entity(ex:e) wasDerivedFrom(ex:e, ex:e)"),
    ({42, 45}, """entity(ex:e1) specializationOf(ex:e2, ex:e1)
                  wasDerivedFrom(ex:e1, ex:e2)"""),
    ({42, 48}, "entity(ex:ag) wasAttributedTo(ex:e, ex:ag) wasDerivedFrom(ex:ag, ex:e)"),
    ({34, 42, 43}, """wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g2, ex:u1)
        wasGeneratedBy(ex:e1, ex:b, -) wasStartedBy(ex:s; ex:b, ex:e2, -, -)
        activity(ex:a, -, -)"""),
    ({34, 42, 43}, """wasStartedBy(ex:s; ex:b, ex:e2, ex:c, -)
        wasStartedBy(ex:t; ex:b, -, ex:d, -)
        wasGeneratedBy(ex:e1, ex:b, -) wasGeneratedBy(ex:e2, -, -) wasDerivedFrom(ex:e2, ex:e1)"""),
    ({34, 42, 43}, """wasDerivedFrom(ex:e2, ex:e1, ex:b, ex:g, ex:u)
        wasStartedBy(ex:s; ex:b, ex:e3, -, -) wasDerivedFrom(ex:e3, ex:e2)"""),
    ({34, 39, 42, 43}, """wasGeneratedBy(ex:g1; ex:e1, ex:a, -)
        wasGeneratedBy(ex:g2; ex:e1, ex:b, -) wasStartedBy(ex:s; ex:b, ex:e2, -, -)
        entity(ex:e2) wasDerivedFrom(ex:e2, ex:e1)"""),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "statements"), CYCLES)
def test_what_strictly_precedes_itself_is_told_with_its_chain(rules: set[int], statements: str):
    found = violations(statements)
    assert [v.rule.number for v in found] == [42]
    chain = found[0].chain
    assert chain[0].is_strict
    assert chain[-1].later == chain[0].earlier
    assert all(a.later == b.earlier for a, b in pairwise(chain))
    assert {step.rule.number for step in chain} == rules
    assert found[0].sources


def test_what_is_only_simultaneous_is_valid():
    assert violations("entity(ex:e1) entity(ex:e2) specializationOf(ex:e2, ex:e1)") == []
    assert (
        violations("""wasGeneratedBy(ex:g; ex:e, ex:a, -) wasGeneratedBy(ex:h; ex:e, ex:b, -)
        used(ex:a, ex:e, -) used(ex:b, ex:e, -)""")
        == []
    )


def test_without_a_generation_there_is_no_order_of_derivations():
    # nothing says entity(ex:e1), so Inference 7 does not apply
    assert violations("wasDerivedFrom(ex:e1, ex:e2) wasDerivedFrom(ex:e2, ex:e1)") == []


def test_each_bundle_is_valid_or_not_by_itself():
    both = "entity(ex:x) activity(ex:x, -, -)"
    apart = "bundle ex:b1 entity(ex:x) endBundle bundle ex:b2 activity(ex:x, -, -) endBundle"
    assert numbers(apart) == []
    assert numbers(f"bundle ex:b1 {both} endBundle") == [55]


# Statements, and what is dated before what precedes it; no constraint forbids any of them.
CLOCKS = [
    ("activity(ex:a, 2026-01-01T12:00:00, 2026-01-01T11:00:00)", ["end of ex:a"]),
    ("activity(ex:a, 2026-01-01T12:00:00, 2026-01-01T12:00:00)", []),
    ("""activity(ex:a, 2026-01-01T12:00:00Z, -) activity(ex:b, -, 2026-01-01T12:30:00+01:00)
        wasGeneratedBy(ex:e, ex:a, -) used(ex:b, ex:e, -)""", ["end of ex:b"]),
    ("""wasGeneratedBy(ex:e, ex:a, 2026-01-01T12:00:00) used(ex:b, ex:e, 2026-01-01T13:00:00)
        wasInvalidatedBy(ex:e, ex:c, 2026-01-01T14:00:00)""", []),
    ("""wasGeneratedBy(ex:e, ex:a, 2026-01-01T12:00:00) used(ex:b, ex:e, 2026-01-01T13:00:00)
        wasInvalidatedBy(ex:e, ex:c, 2026-01-01T12:30:00)""", ["invalidation of ex:e"]),
    # simultaneous events of two times
    ("""wasGeneratedBy(ex:g; ex:e, ex:a, 2026-01-01T12:00:00)
        wasGeneratedBy(ex:h; ex:e, ex:b, 2026-01-01T13:00:00)""", ["generation of ex:e (ex:g)"]),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "wrong"), CLOCKS)
def test_times_against_the_order_of_events_are_remarked_and_valid(
    statements: str, wrong: list[str]
):
    [instance] = instances(statements)
    findings = instance.findings()
    assert findings.violations == ()
    assert [r.message.split(" is dated")[0] for r in findings.remarks] == [
        f"the {event}" for event in wrong
    ]
    assert all(remark.chain and remark.sources for remark in findings.remarks)


def test_every_rule_has_its_number_and_a_name_of_its_own():
    assert list(RULES) == list(range(1, 57))
    assert len({rule.name for rule in RULES.values()}) == 56
