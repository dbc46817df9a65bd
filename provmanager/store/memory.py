"""What a process knows of the database without asking: ids of what is stored once for ever.

Roles, directories, environments, hosts, containers and templates of configurations are never
changed and never deleted. Their ids are remembered once a transaction that saw them is committed.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

_MOST = 20_000
_KEY = "memory"
_SEEN = "seen"


class Memory:
    """Ids by kind and name, and node ids that were fetched and not used yet."""

    def __init__(self) -> None:
        self._held: dict[str, dict[Any, Any]] = {}  # Any: names and ids
        self.node_ids: list[int] = []

    def get(self, kind: str, names: Iterable[Any]) -> dict[Any, Any]:
        """Return what is known of `names`. (Any: names and ids.)"""
        held = self._held.get(kind)
        return {name: held[name] for name in names if name in held} if held else {}

    def keep(self, seen: dict[str, dict[Any, Any]]) -> None:
        """Remember what a transaction saw that is committed now. (Any: names and ids.)"""
        for kind, found in seen.items():
            held = self._held.setdefault(kind, {})
            if len(held) + len(found) > _MOST:
                held.clear()
            held.update(found)

    def forget(self) -> None:
        """Forget everything: the database may be another than we thought."""
        self._held.clear()


def attach(memory: Memory, sessions: sessionmaker[Session]) -> None:
    """Let `sessions` share `memory`: it learns by their commits, and forgets by a rollback."""
    sessions.configure(info={_KEY: memory})

    @event.listens_for(sessions, "after_commit")
    def keep(session: Session) -> None:
        memory.keep(session.info.pop(_SEEN, {}))

    @event.listens_for(sessions, "after_soft_rollback")
    def forget(session: Session, _: SessionTransaction) -> None:
        session.info.pop(_SEEN, None)
        memory.forget()  # should it have been wrong, the next try finds out


def memory_of(session: Session) -> Memory:
    """Return the memory of the session's process; a fresh one where it has none."""
    memory: Memory = session.info.setdefault(_KEY, Memory())
    return memory


def see(session: Session, kind: str, found: dict[Any, Any]) -> None:
    """Note what this transaction found or made. (Any: names and ids.)"""
    if found:
        session.info.setdefault(_SEEN, {}).setdefault(kind, {}).update(found)
