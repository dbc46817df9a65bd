"""The one tree of errors: each class has a code, an HTTP status and an exit code.

ProvError
├── UsageError                   the call itself is wrong
│   └── AlreadyRunningError      a server of the same state directory runs
├── DocumentError                a document cannot be recorded
│   ├── JsonSyntaxError          it is not JSON (byte offset)
│   ├── UnrecognisedFormatError  it is none of the formats that we read
│   ├── DocumentTooLargeError    more bytes than the server takes
│   └── DocumentTooDeepError     nested deeper than the server takes
├── ActivityCollisionError       one activity id for two different runs
├── NotFoundError                nothing in the record answers to that name
├── AmbiguousError               several things answer to that name
├── AuthenticationError          no token, or one that is not valid
├── AuthorisationError           a valid token without the right role
├── DifferenceError              two things that should agree differ
├── PartlyDoneError              some items were done, some refused
├── SchemaMismatchError          the database and this code do not fit each other
└── UnavailableError             try again later
    ├── ServerUnavailableError   the provenance server does not answer
    └── DatabaseUnavailableError the server cannot reach its database

Over HTTP an error is ``{"code", "message", "details"}``; `from_wire` makes the same class again.
"""

from typing import Any, ClassVar

JSONDict = dict[str, Any]  # Any: details are free-form JSON


class ProvError(Exception):
    """Something went wrong that a person can do something about.

    Parameters
    ----------
    message : str
        What was wrong, the value, what was expected, what to do next.
    **details
        The same as data: ``pointer`` (JSON pointer), ``offset`` (bytes), ``line``, ``expected``,
        ``found``, ``candidates`` and the like. JSON-serialisable.
    """

    code: ClassVar[str] = "failed"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **details: Any) -> None:  # Any: free-form JSON
        super().__init__(message)
        self.message = message
        self.details: JSONDict = {k: v for k, v in details.items() if v is not None}

    def to_wire(self) -> JSONDict:
        """Return the body that crosses HTTP."""
        return {"code": self.code, "message": self.message, "details": self.details}


class UsageError(ProvError):
    """The call is wrong: an unknown option or parameter, or a bad value of one."""

    code = "usage"
    http_status = 400
    exit_code = 2


class AlreadyRunningError(UsageError):
    """A server of the same state directory is running."""

    code = "already_running"
    http_status = 409


class DocumentError(ProvError):
    """A document cannot be recorded; nothing of it was."""

    code = "invalid_document"
    http_status = 422


class JsonSyntaxError(DocumentError):
    """The bytes are not JSON (``offset``, ``line``, ``expected``, ``found``)."""

    code = "json_syntax"
    http_status = 400


class UnrecognisedFormatError(DocumentError):
    """Readable, but none of the formats that we know (``found`` says what it looks like)."""

    code = "unrecognised_format"
    http_status = 415


class DocumentTooLargeError(DocumentError):
    """More bytes than the server takes in one document."""

    code = "document_too_large"
    http_status = 413


class DocumentTooDeepError(DocumentError):
    """Nested deeper than the server takes."""

    code = "document_too_deep"


class ActivityCollisionError(DocumentError):
    """The id of a recorded activity, with another name or start: a different run."""

    code = "activity_collision"
    http_status = 409
    exit_code = 5


class NotFoundError(ProvError):
    """Nothing in the record answers to that name."""

    code = "not_found"
    http_status = 404
    exit_code = 3


class AmbiguousError(ProvError):
    """Several things answer to that name (``candidates``)."""

    code = "ambiguous"
    http_status = 409
    exit_code = 3


class AuthenticationError(ProvError):
    """No token, or one that is not valid."""

    code = "not_authenticated"
    http_status = 401
    exit_code = 4


class AuthorisationError(ProvError):
    """A valid token whose role does not allow this."""

    code = "not_authorised"
    http_status = 403
    exit_code = 4


class DifferenceError(ProvError):
    """Two things that should agree differ."""

    code = "differs"
    http_status = 409
    exit_code = 5


class PartlyDoneError(ProvError):
    """Some items were done, some refused."""

    code = "partly_done"
    http_status = 207
    exit_code = 6


class SchemaMismatchError(ProvError):
    """The database was made by another version than this, and cannot be used with it."""

    code = "schema_mismatch"


class UnavailableError(ProvError):
    """Temporary: try again later."""

    code = "unavailable"
    http_status = 503
    exit_code = 75


class ServerUnavailableError(UnavailableError):
    """The provenance server does not answer."""

    code = "server_unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The server cannot reach its database."""

    code = "database_unavailable"


def all_errors() -> dict[str, type[ProvError]]:
    """Return every error class by its code."""
    found: dict[str, type[ProvError]] = {}
    queue: list[type[ProvError]] = [ProvError]
    while queue:
        cls = queue.pop()
        found[cls.code] = cls
        queue.extend(cls.__subclasses__())
    return found


def from_wire(body: JSONDict) -> ProvError:
    """Make the error again that the server sent; an unknown code becomes a plain ProvError."""
    cls = all_errors().get(str(body.get("code")), ProvError)
    details = body.get("details")
    return cls(str(body.get("message", "")), **(details if isinstance(details, dict) else {}))
