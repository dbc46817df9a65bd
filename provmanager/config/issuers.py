"""Which token issuers (DiracX servers) the service trusts, and what their groups may do."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from provmanager.errors import UsageError


class GroupRole(BaseModel):
    """What the members of a group of a VO may do."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    vo: str = Field(min_length=1)
    """The virtual organisation, as in the token's claim ``vo``."""
    group: str | None = None
    """The group, as in the claim ``dirac_group``; any, if left out."""
    role: Literal["reader", "recorder", "curator", "admin"]


class Issuer(BaseModel):
    """A server whose access tokens are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    issuer: str = Field(pattern=r"^https?://")
    """The claim ``iss`` of its tokens, to the letter."""
    jwks_url: str | None = Field(default=None, pattern=r"^https?://")
    """Where its keys are; ``<issuer>/.well-known/jwks.json`` if left out."""
    audience: str | None = None
    """The claim ``aud`` that its tokens must have. DiracX sets none: left out, a token that is
    addressed to anybody is refused."""
    roles: Annotated[tuple[GroupRole, ...], Field(min_length=1)]
    """The first that fits decides; a token that none fits is refused."""

    @field_validator("jwks_url", "issuer")
    @classmethod
    def _is_protected(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("needs https: over http, anybody on the way could give other keys")
        return value

    @property
    def keys_url(self) -> str:
        """Where the keys are."""
        return self.jwks_url or self.issuer.rstrip("/") + "/.well-known/jwks.json"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    issuers: tuple[Issuer, ...]


def load_issuers(path: Path | None) -> tuple[Issuer, ...]:
    """Read the issuers from the YAML or JSON file that ``PROV_ISSUERS_FILE`` names; none, if None.

    Raises
    ------
    UsageError
        The file cannot be read or says something else than was expected; the message says where.
    """
    if path is None:
        return ()
    try:
        return _File.model_validate(yaml.safe_load(path.read_text("utf-8"))).issuers
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} (PROV_ISSUERS_FILE) cannot be read: {error}") from error
    except ValidationError as error:
        said = "; ".join(
            f"at /{'/'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise UsageError(f"{path} (PROV_ISSUERS_FILE): {said}") from error
