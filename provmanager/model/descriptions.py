"""The description classes of IVOA ProvenanceDM 1.0 §2.5: what an activity is expected to do."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityDescription:
    """A class of entities; `content_type` makes it a Dataset-, `value_type` a ValueDescription."""

    name: str
    description: str | None = None
    docurl: str | None = None
    type: str | None = None
    content_type: str | None = None
    value_type: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDescription:
    """A Usage- or GenerationDescription: the role of an input or output of an activity.

    Attributes
    ----------
    multiplicity : str or None
        ``"1"``, ``"*"``, ``"3..*"`` (IVOA ProvenanceDM 1.0 §2.5.3).
    entity_description : str or None
        Name of the EntityDescription of what plays this role.
    """

    role: str
    description: str | None = None
    type: str | None = None
    multiplicity: str | None = None
    entity_description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDescription:
    """A parameter of an activity; `name` is a path such as ``ProcessorTool.progress_bar``."""

    name: str
    value_type: str
    description: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    min: str | None = None
    max: str | None = None
    default: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFileDescription:
    """A configuration file that an activity reads."""

    name: str
    content_type: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityDescription:
    """A kind of activity, by name and version (None: any version)."""

    name: str
    version: str | None = None
    description: str | None = None
    docurl: str | None = None
    type: str | None = None
    subtype: str | None = None
    usages: tuple[FlowDescription, ...] = ()
    generations: tuple[FlowDescription, ...] = ()
    parameters: tuple[ParameterDescription, ...] = ()
    config_files: tuple[ConfigFileDescription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionDocument:
    """What one document of descriptions states.

    Attributes
    ----------
    stated_at : datetime or None
        When (UTC): what is said later of the same activity or entity takes its place. None in what
        people write; it is set when that is recorded.
    """

    entities: tuple[EntityDescription, ...] = ()
    activities: tuple[ActivityDescription, ...] = ()
    stated_at: datetime | None = None
