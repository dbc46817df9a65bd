"""Tokens of the testbed's users, from the server itself, and plain calls of its API.

The route is the one by which legacy DIRAC services get tokens; who holds the secret of it may act
for anybody. The testbed holds it as a site's pilots are trusted with the owners' proxies.
"""

import http.client
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

API_KEY_PREFIX = "diracx:legacy:"
_TIMEOUT_S = 60.0
_GRACE_S = 15  # as DiracX's own client keeps


class ServerError(RuntimeError):
    """The DiracX server did not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a token is for."""

    user: str
    vo: str
    group: str


@dataclass(frozen=True, slots=True)
class Server:
    """The DiracX server, for calls that need no client library."""

    url: str

    def call(
        self, method: str, path: str, *, token: str = "", body: Any = None
    ) -> Any:  # Any: JSON
        """Call a route and return the JSON it answers with.

        Raises
        ------
        ServerError
            It does not answer, or with an error.
        """
        payload = None if body is None else json.dumps(body).encode()
        return self._json(method, path, token, "application/json", payload)

    def refresh(self, refresh_token: str) -> dict[str, Any]:  # Any: JSON
        """Return a new access token for a refresh token, as DiracX's own client gets it."""
        form = {
            "client_id": "myDIRACClientID",
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        answer: dict[str, Any] = self._json(
            "POST",
            "/api/auth/token",
            "",
            "application/x-www-form-urlencoded",
            urlencode(form).encode(),
        )
        return answer

    def _json(self, method: str, path: str, token: str, kind: str, body: bytes | None) -> Any:
        status, said = self._request(method, path, token, kind, body)
        if not 200 <= status < 300:
            text = said.decode(errors="replace")[:500]
            raise ServerError(f"{method} {self.url}{path}: {status}: {text}")
        return json.loads(said) if said else None

    def answers(self, path: str) -> bool:
        """Return whether a GET of `path` succeeds."""
        try:
            return self._request("GET", path, "", "", None)[0] == 200
        except ServerError:
            return False

    def _request(
        self, method: str, path: str, token: str, kind: str, body: bytes | None
    ) -> tuple[int, bytes]:
        address = urlsplit(self.url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = kind
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_S
        )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{method} {self.url}{path}: {error}") from error
        finally:
            connection.close()

    def token(self, api_key: str, owner: Owner, *, days: float = 1) -> dict[str, Any]:  # Any: JSON
        """Return an access token and a refresh token, valid for `days`, of `owner`."""
        query = urlencode(
            {
                "preferred_username": owner.user,
                "scope": f"vo:{owner.vo} group:{owner.group}",
                "expires_minutes": int(days * 24 * 60),
            }
        )
        answer = self.call("GET", f"/api/auth/legacy-exchange?{query}", token=api_key)
        assert isinstance(answer, dict)
        return answer


def write_credentials(path: Path, token: dict[str, Any]) -> None:  # Any: JSON
    """Write `token` as ``dirac login`` does, readable by this user only."""
    text = json.dumps(
        {
            "access_token": token["access_token"],
            "refresh_token": token["refresh_token"],
            "expires_on": int(time.time()) + int(token["expires_in"]) - _GRACE_S,
        }
    )
    partial = path.with_name(path.name + ".partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(os.open(partial, flags, 0o600), "w") as stream:
        stream.write(text)
    partial.rename(path)
