"""The definitions, inferences and constraints of PROV-CONSTRAINTS, by number.

Source: W3C, Constraints of the PROV Data Model, Recommendation 30 April 2013
(https://www.w3.org/TR/prov-constraints/), §§5 and 6. `mentionOf` is of PROV-LINKS (W3C Note,
30 April 2013), whose rules have no numbers there.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes
    ----------
    number : int or None
        Its number in PROV-CONSTRAINTS; None for a rule of PROV-LINKS.
    kind : str
        ``definition``, ``inference`` or ``constraint``.
    name : str
        As in the Recommendation.
    text : str
        What it says, in a few words.
    """

    number: int | None
    kind: str
    name: str
    text: str

    @property
    def label(self) -> str:
        """How a person calls it: ``Constraint 42 (derivation-generation-generation-ordering)``."""
        if self.number is None:
            return f"PROV-LINKS {self.name}"
        return f"{self.kind.capitalize()} {self.number} ({self.name})"


_DEFINITIONS = (
    (1, "optional-identifiers", "an identifier that is left out stands for one that is not known"),
    (2, "optional-attributes", "attributes that are left out are none"),
    (3, "definition-short-forms", "a short form stands for the statement with '-' in the rest"),
    (4, "optional-placeholders", "'-' stands for something unknown where a parameter is"
     " expandable, for none as plan and as activity of a derivation, and nowhere else"),
)  # fmt: skip
_INFERENCES = (
    (5, "communication-generation-use-inference",
     "a communication is the generation and the usage of something"),
    (6, "generation-use-communication-inference",
     "what one activity generated and another used informed the other"),
    (7, "entity-generation-invalidation-inference", "an entity was generated and invalidated"),
    (8, "activity-start-end-inference", "an activity was started and ended at its times"),
    (9, "wasStartedBy-inference", "the starter generated the trigger"),
    (10, "wasEndedBy-inference", "the ender generated the trigger"),
    (11, "derivation-generation-use-inference",
     "a derivation by an activity is its usage of the one and generation of the other"),
    (12, "revision-is-alternate-inference", "a revision is an alternate"),
    (13, "attribution-inference", "an agent was associated with what generated its entity"),
    (14, "delegation-inference", "delegate and responsible were associated with the activity"),
    (15, "influence-inference", "each relation is an influence of the same identifier"),
    (16, "alternate-reflexive", "an entity is an alternate of itself"),
    (17, "alternate-transitive", "alternates of one another's are alternates"),
    (18, "alternate-symmetric", "alternates go both ways"),
    (19, "specialization-transitive", "a specialization of a specialization is one"),
    (20, "specialization-alternate-inference", "a specialization is an alternate"),
    (21, "specialization-attributes-inference",
     "a specialization has the attributes of what it specializes"),
)  # fmt: skip
_CONSTRAINTS = (
    (22, "key-object", "an identifier names one entity, activity or agent, with one start and end"),
    (23, "key-properties", "an identifier names one relation, with one value a parameter"),
    (24, "unique-generation", "an activity generates an entity once"),
    (25, "unique-invalidation", "an activity invalidates an entity once"),
    (26, "unique-wasStartedBy", "a starter starts an activity once"),
    (27, "unique-wasEndedBy", "an ender ends an activity once"),
    (28, "unique-startTime", "the start time of an activity is that of its start"),
    (29, "unique-endTime", "the end time of an activity is that of its end"),
    (30, "start-precedes-end", "an activity starts before it ends"),
    (31, "start-start-ordering", "all starts of an activity are simultaneous"),
    (32, "end-end-ordering", "all ends of an activity are simultaneous"),
    (33, "usage-within-activity", "an activity uses between its start and its end"),
    (34, "generation-within-activity", "an activity generates between its start and its end"),
    (35, "wasInformedBy-ordering", "what informs starts before what it informs ends"),
    (36, "generation-precedes-invalidation", "an entity is generated before it is invalidated"),
    (37, "generation-precedes-usage", "an entity is generated before it is used"),
    (38, "usage-precedes-invalidation", "an entity is used before it is invalidated"),
    (39, "generation-generation-ordering", "all generations of an entity are simultaneous"),
    (40, "invalidation-invalidation-ordering", "all invalidations of an entity are simultaneous"),
    (41, "derivation-usage-generation-ordering",
     "the usage of a derivation precedes its generation"),
    (42, "derivation-generation-generation-ordering",
     "an entity is generated strictly before what is derived from it"),
    (43, "wasStartedBy-ordering", "a trigger is there when it starts an activity"),
    (44, "wasEndedBy-ordering", "a trigger is there when it ends an activity"),
    (45, "specialization-generation-ordering",
     "an entity is generated before its specialization"),
    (46, "specialization-invalidation-ordering",
     "a specialization is invalidated before what it specializes"),
    (47, "wasAssociatedWith-ordering", "agent and activity overlap in time"),
    (48, "wasAttributedTo-ordering", "an agent is there before what is attributed to it"),
    (49, "actedOnBehalfOf-ordering", "the responsible is there before the delegate is gone"),
    (50, "typing", "a relation says what its arguments are"),
    (51, "impossible-unspecified-derivation-generation-use",
     "a derivation without an activity has neither generation nor usage"),
    (52, "impossible-specialization-reflexive", "nothing is a specialization of itself"),
    (53, "impossible-property-overlap", "an identifier names relations of one kind only"),
    (54, "impossible-object-property-overlap",
     "an identifier does not name a relation and an entity, activity or agent"),
    (55, "entity-activity-disjoint", "nothing is an entity and an activity"),
    (56, "membership-empty-collection", "an empty collection has no members"),
)  # fmt: skip

RULES = {
    number: Rule(number, kind, name, text)
    for kind, rules in (
        ("definition", _DEFINITIONS),
        ("inference", _INFERENCES),
        ("constraint", _CONSTRAINTS),
    )
    for number, name, text in rules
}
"""Every rule of PROV-CONSTRAINTS by number."""

UNIQUE_MENTION = Rule(
    None,
    "constraint",
    "unique-mention",
    "an entity is a mention of one entity in one bundle",
)
