"""Frozen dataclasses of W3C PROV-DM and IVOA ProvenanceDM, and pure functions on them."""

from .access import Principal, Role, Token
from .configuration import flatten
from .descriptions import (
    ActivityDescription,
    ConfigFileDescription,
    EntityDescription,
    FlowDescription,
    ParameterDescription,
)
from .exports import ExportFormat
from .records import (
    Activity,
    Agent,
    AgentKind,
    Document,
    Entity,
    EntityKind,
    HadMember,
    InformKind,
    Note,
    ProducerClaim,
    Statement,
    Status,
    Used,
    WasAssociatedWith,
    WasAttributedTo,
    WasDerivedFrom,
    WasGeneratedBy,
    WasInformedBy,
)

__all__ = [
    "Activity",
    "ActivityDescription",
    "Agent",
    "AgentKind",
    "ConfigFileDescription",
    "Document",
    "Entity",
    "EntityDescription",
    "EntityKind",
    "ExportFormat",
    "FlowDescription",
    "HadMember",
    "InformKind",
    "Note",
    "ParameterDescription",
    "Principal",
    "ProducerClaim",
    "Role",
    "Statement",
    "Status",
    "Token",
    "Used",
    "WasAssociatedWith",
    "WasAttributedTo",
    "WasDerivedFrom",
    "WasGeneratedBy",
    "WasInformedBy",
    "flatten",
]
