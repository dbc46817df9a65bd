"""Access tokens of other issuers (DiracX): signature, time, audience, and what they allow."""

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from provmanager.config.issuers import Issuer
from provmanager.errors import AuthenticationError, AuthorisationError, UnavailableError
from provmanager.ids import uuid_of
from provmanager.model import Principal, Role

logger = logging.getLogger(__name__)

ALGORITHMS = ["RS256", "ES256", "Ed25519"]
"""Signatures that are taken; never "none", nor one with a shared secret (RFC 8725, 3.1)."""
LEEWAY_S = 30
"""How far the issuer's clock may be from ours."""
KEYS_LIFETIME_S = 3600.0
"""After how long the keys are asked for again: a key that the issuer took back ends then."""
KEYS_PAUSE_S = 10.0
"""Least time between two such questions, whatever tokens come."""
KEYS_TIMEOUT_S = 5.0

_CLAIMS = jwt.JWTClaimsRegistry
_NEEDED = ("iss", "exp", "jti", "vo", "dirac_group", "preferred_username")


@dataclass(slots=True)
class IssuerKeys:
    """The keys of an issuer, fetched when a token needs them."""

    issuer: Issuer
    _keys: KeySet | None = None
    _asked_at: float = -KEYS_LIFETIME_S
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key_id: str | None) -> KeySet:
        """Return the keys, asked for again where they are old or do not hold `key_id`.

        Raises
        ------
        UnavailableError
            The issuer does not answer, or not with keys, and none are held.
        """
        with self._lock:
            age_s = time.monotonic() - self._asked_at
            is_held = self._keys is not None and any(k.kid == key_id for k in self._keys.keys)
            if age_s > KEYS_LIFETIME_S or (not is_held and age_s > KEYS_PAUSE_S):
                self._asked_at = time.monotonic()
                try:
                    answer = httpx.get(self.issuer.keys_url, timeout=KEYS_TIMEOUT_S)
                    self._keys = KeySet.import_key_set(answer.raise_for_status().json())
                except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
                    logger.warning("no keys from %s: %s", self.issuer.keys_url, error)
            if self._keys is None:
                raise UnavailableError(
                    f"the keys of {self.issuer.issuer} cannot be had from {self.issuer.keys_url}, "
                    "so its tokens cannot be checked: try again, or use a token of this server"
                )
            return self._keys


class TokenIssuers:
    """The issuers that the operator trusts, and their keys."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._keys = {issuer.issuer: IssuerKeys(issuer) for issuer in issuers}

    def is_theirs(self, token: str) -> bool:
        """Return whether `token` has the shape of a signed JWT, and anybody is trusted."""
        return bool(self._keys) and token.count(".") == 2

    def authenticate(self, token: str, *, now: datetime) -> Principal:
        """Return whom `token` stands for, with the role that its VO and group have here.

        Raises
        ------
        AuthenticationError
            The issuer is not trusted, the signature is wrong, or the token is out of its time,
            addressed to somebody else, or no access token of DiracX.
        AuthorisationError
            Its VO and group have no role here.
        UnavailableError
            The issuer's keys cannot be had.
        """
        header, stated = _unverified(token)
        keys = self._keys.get(str(stated.get("iss")))
        if keys is None:
            raise AuthenticationError(
                f"tokens of the issuer {str(stated.get('iss'))[:200]!r} are not taken here: the "
                f"operator trusts {', '.join(self._keys)} (PROV_ISSUERS_FILE)"
            )
        try:
            claims = jwt.decode(token, keys.find(header.get("kid")), algorithms=ALGORITHMS).claims
            _registry(keys.issuer, now).validate(claims)
        except (JoseError, ValueError) as error:
            raise AuthenticationError(
                f"the token of {keys.issuer.issuer} is not valid: {_reason(error)}; get a new one "
                "(dirac login)"
            ) from error
        if keys.issuer.audience is None and claims.get("aud"):
            raise AuthenticationError(
                f"the token is addressed to {claims['aud']!r}, not to this server"
            )
        return _principal(keys.issuer, claims)


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: JSON
    """Return header and claims as they are stated, to find the keys to check them by."""
    try:
        stated = jws.extract_compact(token.encode())
        parts = [stated.headers(), json.loads(stated.payload)]
    except (JoseError, ValueError, RecursionError):
        parts = []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise AuthenticationError(
            "the token is neither one of this server (prov_…) nor a signed JSON Web Token: check "
            "PROV_TOKEN or PROV_TOKEN_FILE"
        )
    return parts[0], parts[1]


def _registry(issuer: Issuer, now: datetime) -> jwt.JWTClaimsRegistry:
    options: dict[str, Any] = {name: {"essential": True} for name in _NEEDED}
    options["iss"]["value"] = issuer.issuer
    if issuer.audience is not None:
        options["aud"] = {"essential": True, "value": issuer.audience}
    return _CLAIMS(now=int(now.timestamp()), leeway=LEEWAY_S, **options)


def _reason(error: Exception) -> str:
    return str(getattr(error, "description", "") or error).rstrip(".") or type(error).__name__


def _principal(issuer: Issuer, claims: dict[str, Any]) -> Principal:  # Any: JSON
    vo, group, user = (
        str(claims[name])[:100] for name in ("vo", "dirac_group", "preferred_username")
    )
    for rule in issuer.roles:
        if rule.vo == vo and rule.group in (None, group):
            break
    else:
        raise AuthorisationError(
            f"the group {group!r} of the VO {vo!r} has no role here: ask the operator for one "
            "(PROV_ISSUERS_FILE)",
            vo=vo,
            group=group,
        )
    jti = str(claims["jti"])
    try:
        token_uuid = UUID(jti)
    except ValueError:
        token_uuid = uuid_of("token", issuer.issuer, jti)
    return Principal(
        token_uuid=token_uuid, name=f"{user} ({vo}/{group})", role=Role(rule.role), job=None
    )
