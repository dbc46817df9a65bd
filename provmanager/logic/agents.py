"""An agent, and what it was responsible for."""

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, NotFoundError
from provmanager.store import listing as store

from . import listing


def agent_overview(
    session: Session,
    iri: str,
    *,
    activities_cursor: str | None = None,
    products_cursor: str | None = None,
) -> JSONDict:
    """Return an agent, with pages of its activities and of the products attributed to it.

    Raises
    ------
    NotFoundError
        There is no such agent.
    """
    row = store.agent(session, iri)
    if row is None:
        raise NotFoundError(f"no agent {iri!r} in the record; prod-search --person finds by name")
    key = row["agent_id"]
    return {
        "page": "agent",
        **{name: value for name, value in row.items() if name != "agent_id"},
        "activities": listing.of_agent(session, key, "activities", cursor=activities_cursor),
        "products": listing.of_agent(session, key, "products", cursor=products_cursor),
    }
