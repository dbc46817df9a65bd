"""What a reader has found so far, each thing once: by its key, relations by what they say."""

from dataclasses import dataclass, field

from ..model import (
    Activity,
    Agent,
    Assessment,
    Document,
    Entity,
    HadMember,
    Used,
    WasAssociatedWith,
    WasAttributedTo,
    WasGeneratedBy,
    WasInformedBy,
)
from .note_book import NoteBook


@dataclass(slots=True)
class Gathered:
    """Elements by their keys, and relations in the order in which they were found."""

    notes: NoteBook
    activities: dict[str, Activity] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    used: dict[Used, None] = field(default_factory=dict)
    generated: dict[WasGeneratedBy, None] = field(default_factory=dict)
    informed: dict[WasInformedBy, None] = field(default_factory=dict)
    members: dict[HadMember, None] = field(default_factory=dict)
    associated: dict[WasAssociatedWith, None] = field(default_factory=dict)
    attributed: dict[WasAttributedTo, None] = field(default_factory=dict)
    assessments: dict[Assessment, None] = field(default_factory=dict)

    def document(self, *, format: str, reason: str) -> Document:
        """Return all of it."""
        return Document(
            format=format,
            reason=reason,
            activities=tuple(self.activities.values()),
            entities=tuple(self.entities.values()),
            agents=tuple(self.agents.values()),
            used=tuple(self.used),
            generated=tuple(self.generated),
            informed=tuple(self.informed),
            members=tuple(self.members),
            associated=tuple(self.associated),
            attributed=tuple(self.attributed),
            assessments=tuple(self.assessments),
            notes=self.notes.to_tuple(),
        )
