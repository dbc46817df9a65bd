"""Who is responsible for the run."""

import os
import re
from collections.abc import Mapping
from typing import Any

JSONDict = dict[str, Any]  # Any: free-form JSON

_NAMED = re.compile(r"^(?P<name>[^<]*?)\s*(?:<(?P<contact>[^>]+)>)?$")


def describe_agent(environ: Mapping[str, str] = os.environ) -> JSONDict | None:
    """Return the person who runs the tool, as far as it is known.

    ``PROV_AGENT`` names them, as ``Name <e-mail or ORCID URL>``; a job wrapper sets it to the
    owner of the job, whose worker-node account says nothing of them. Otherwise it is the login
    name, with the full name of the account where there is one.
    """
    user, full_name = _account(environ)
    agent: JSONDict = {"user": user, "name": full_name or user}
    match = _NAMED.match(environ.get("PROV_AGENT", "").strip())
    if match and (match["name"] or match["contact"]):
        contact = match["contact"]
        agent["name"] = match["name"] or contact
        agent["type"] = "Person"
        if contact:
            agent["id" if "://" in contact else "email"] = contact
    if not agent["name"]:
        return None
    agent["role"] = "Operator"
    return {key: value for key, value in agent.items() if value}


def _account(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    import pwd  # not on every platform

    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:  # containers run as numbers without a name
        return environ.get("LOGNAME") or environ.get("USER"), None
    return entry.pw_name, entry.pw_gecos.partition(",")[0].strip() or None
