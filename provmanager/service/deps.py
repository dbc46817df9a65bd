"""What routes depend on: the settings, and a session in the one transaction of the request."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from provmanager.config.settings import Settings
from provmanager.store.database import Database


# These two are async so that no thread is started for them.
async def get_settings(request: Request) -> Settings:
    """Return the settings of the running server."""
    settings: Settings = request.app.state.settings
    return settings


async def get_database(request: Request) -> Database:
    """Return the database of the running server."""
    database: Database = request.app.state.database
    return database


def get_session(database: Annotated[Database, Depends(get_database)]) -> Iterator[Session]:
    """Yield a session: committed when the route returns, rolled back when it raises."""
    with database.transaction() as session:
        yield session


SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
"""The request's session. Scope "function": the commit comes before the answer is sent, so that
what was answered "recorded" is recorded."""
