"""Which server a command talks to, and with which token; standard library only, for a fast start.

Environment: ``PROV_SERVER_URL``, ``PROV_TOKEN``, ``PROV_TOKEN_FILE``, ``PROV_SPOOL_DIR`` and
``PROV_STATE_DIR``.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from provmanager.errors import UsageError

from .state import admin_token_file, server_file, state_dir

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7768  # PROV on a telephone
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """The server to talk to, the token for it, and where each was found."""

    url: str
    """``http(s)://host:port``, without a slash at the end."""
    url_source: str
    token: str | None = field(repr=False)
    token_source: str
    """What to name in "this token is not valid": a variable or a file."""


def find_connection(
    *,
    url: str | None = None,
    token_file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """Find the server and the token.

    The server: `url`, else ``PROV_SERVER_URL``, else the one that runs from our state directory,
    else this machine's default port. The token: `token_file`, else ``PROV_TOKEN``, else
    ``PROV_TOKEN_FILE``, else, if that server runs from our state directory, the token there: it
    is never sent anywhere else, not even to another port of this machine.

    Raises
    ------
    UsageError
        The URL is none of http(s), or a token file that was named cannot be read or used.
    """
    environ = os.environ if environ is None else environ
    directory = state_dir(environ)
    found, source = _find_url(url, environ, directory)
    token, token_source = _find_token(token_file, environ, directory, found)
    return Connection(url=found, url_source=source, token=token, token_source=token_source)


def spool_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return where documents wait for a server that is away: ``PROV_SPOOL_DIR`` or our state's."""
    environ = os.environ if environ is None else environ
    if environ.get("PROV_SPOOL_DIR"):
        return Path(environ["PROV_SPOOL_DIR"]).expanduser().absolute()
    return state_dir(environ) / "spool"


def _find_url(url: str | None, environ: Mapping[str, str], directory: Path) -> tuple[str, str]:
    if url:
        return _checked(url, "the URL"), "the command line"
    if environ.get("PROV_SERVER_URL"):
        return _checked(environ["PROV_SERVER_URL"], "PROV_SERVER_URL"), "PROV_SERVER_URL"
    running = _running_url(server_file(directory))
    if running:
        return running, str(server_file(directory))
    return f"http://{DEFAULT_HOST}:{DEFAULT_PORT}", "the default"


def _checked(url: str, what: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{what} is {url!r}; expected http://host:port or https://host", found=url)
    return url.rstrip("/")


def _running_url(path: Path) -> str | None:
    """Return the address of the server that runs from the state directory, if one does."""
    try:
        said = json.loads(path.read_text())
        url, host, pid = str(said["url"]), said["host"], int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no server runs from here, or one is just writing
    if host == socket.gethostname():
        return url if _is_alive(pid) else None
    return None if urlsplit(url).hostname in _LOOPBACK else url  # a home shared by many hosts


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _address(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    name = "localhost" if parts.hostname in _LOOPBACK else parts.hostname
    return parts.scheme, name, parts.port


def _find_token(
    token_file: str | Path | None, environ: Mapping[str, str], directory: Path, url: str
) -> tuple[str | None, str]:
    if token_file:
        return _read_token(Path(token_file)), str(token_file)
    if environ.get("PROV_TOKEN"):
        return environ["PROV_TOKEN"].strip(), "PROV_TOKEN"
    if environ.get("PROV_TOKEN_FILE"):
        path = environ["PROV_TOKEN_FILE"]
        return _read_token(Path(path).expanduser()), f"PROV_TOKEN_FILE ({path})"
    own = admin_token_file(directory)
    running = _running_url(server_file(directory))
    if running and _address(running) == _address(url) and os.access(own, os.R_OK):
        return _read_token(own), str(own)
    return None, "nowhere: neither PROV_TOKEN nor PROV_TOKEN_FILE is set"


def _access_token(text: str) -> str:
    """Return the token that a file holds, alone or as ``dirac login`` writes it."""
    if not text.startswith("{"):
        return text
    try:
        return str(json.loads(text)["access_token"])
    except (ValueError, KeyError):
        return ""


def _read_token(path: Path) -> str:
    try:
        token = _access_token(path.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"the token file {path} cannot be read: {reason}") from error
    if not token or any(c.isspace() for c in token):
        raise UsageError(
            f"the token file {path} holds no token (expected: one line, or what dirac login writes)"
        )
    return token
