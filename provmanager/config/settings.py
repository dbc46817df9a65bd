"""The settings of the server: environment variables that start with ``PROV_``, read once."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from provmanager.errors import UsageError

from .connection import DEFAULT_HOST, DEFAULT_PORT
from .state import state_dir

MIB = 2**20


class Settings(BaseSettings):
    """What an operator can set; every name is an environment variable ``PROV_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="PROV_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    database_url: str | None = Field(default=None, repr=False)
    """``postgresql://user:password@host:5432/database``; unset: the embedded database."""

    state_dir: Path = Field(default_factory=state_dir)
    """Where the embedded database, the operator's token and the log lie."""

    host: str = DEFAULT_HOST
    """Address to listen on; 0.0.0.0 for all. Without TLS, only behind a reverse proxy."""

    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    public_url: str | None = None
    """Address by which clients reach the server, where a reverse proxy stands in front of it."""

    tls_cert: Path | None = None
    """Certificate chain (PEM), to serve HTTPS without a reverse proxy."""

    tls_key: Path | None = None
    """Private key (PEM) of `tls_cert`."""

    max_document_bytes: int = Field(default=64 * MIB, ge=1)
    """Largest document that is taken, in bytes."""

    max_documents_per_request: int = Field(default=100_000, ge=1)
    """Most documents that one request may bring."""

    max_request_bytes: int = Field(default=2048 * MIB, ge=1)
    """Largest request with several documents that is taken, in bytes."""

    shared_paths: Annotated[tuple[str, ...], NoDecode] = ()
    """Path prefixes, comma-separated, that are the same file system on all hosts."""

    picture_root: Path | None = None
    """Folder below which quick-look pictures of products are read and shown on their pages; unset:
    none are."""

    redact_patterns_file: Path | None = None
    """Regular expressions, one a line, of further secrets to redact before storage."""

    issuers_file: Path | None = None
    """Token issuers (DiracX servers) that are trusted, and what their groups may do; YAML."""

    pool_size: int = Field(default=20, ge=1)
    """Connections to the database that are kept open."""

    statement_timeout_s: float = Field(default=120.0, gt=0)
    """After how long a statement of the database is given up, in seconds."""

    shutdown_grace_s: int = Field(default=30, ge=0)
    """How long requests in progress may go on when the server is stopped, in seconds."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages that are logged."""

    log_requests: bool = False
    """Log every request."""

    @field_validator("shared_paths", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # Any: what pydantic hands over and takes
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if any(not part.startswith("/") for part in value):
            raise ValueError("each must be an absolute path, such as /pnfs,/lustre/cta")
        return tuple(part.rstrip("/") + "/" for part in value)

    @field_validator(
        "state_dir", "tls_cert", "tls_key", "redact_patterns_file", "picture_root", "issuers_file"
    )
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("PROV_TLS_CERT and PROV_TLS_KEY go together: set both, or neither")
        for path in (self.tls_cert, self.tls_key, self.redact_patterns_file, self.issuers_file):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        return self


def load_settings(**overrides: Any) -> Settings:  # Any: values of several types
    """Read the settings; `overrides` that are not None win over the environment.

    Raises
    ------
    UsageError
        One is not valid; the message names the variable, its value and what was expected.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = "PROV_" + str(item["loc"][0]).upper() if item["loc"] else ""
            given = f" is {str(item['input'])[:200]!r}: " if name else ""
            lines.append(f"{name}{given}{item['msg'].removeprefix('Value error, ')}")
        raise UsageError("; ".join(lines)) from error
