"""Who ran a tool, as far as an environment variable tells."""

from urllib.parse import quote

from ..model import Agent, AgentKind


def local_user(name: str, host: str | None) -> Agent:
    """Return the person with the account `name` on `host`.

    An account name means something on its own host only (``root`` is somebody else on each), so
    that the agent's identity is ``urn:provmanager:account:<name>@<host>``, as in records of
    `provmanager.capture`; with no host known the host part is empty.
    """
    iri = f"urn:provmanager:account:{_quoted(name)}@{_quoted((host or '').lower())}"
    return Agent(key=iri, iri=iri, name=name, kind=AgentKind.PERSON)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
