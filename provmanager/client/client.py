"""`ProvClient`: every call of the HTTP API as a method."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast
from urllib.parse import quote

from provmanager.config import Connection, find_connection
from provmanager.errors import UnavailableError

from .bodies import Multipart, Source, pieces, size_bytes
from .production_wire import (
    Group,
    OpenRun,
    ProductionDefined,
    ProductionItem,
    ProductionStatus,
)
from .spool import Spool
from .transport import Transport
from .wire import (
    ActivityItem,
    BulkItem,
    BulkResult,
    DescriptionsResult,
    Direction,
    DocumentFormat,
    Info,
    JSONDict,
    LineageAnswer,
    NewToken,
    ProductItem,
    Receipt,
    Resolved,
    RoleName,
    RunListItem,
    SearchPage,
    SignInLink,
    Spooled,
    SummaryAnswer,
    TokenItem,
    WorkflowRun,
)

if TYPE_CHECKING:  # its dataclasses take a third of the time to import this
    from provmanager.model import ExportFormat

_BATCH_DOCUMENTS = 500
_BATCH_BYTES = 32 * 2**20


class ProvClient:
    """A provenance server. One method a call of its API, so there are more than ten.

    Parameters
    ----------
    url : str
        ``http(s)://host:port``.
    token : str, optional
        What ``prod-token create`` gave.
    timeout_s : float
        How long an answer may take, in seconds.
    retries : int
        How often a call is repeated while the server is away, each time after a longer wait.
    spool : Spool, optional
        Where documents wait while the server is away; without it `record` raises.

    Every method raises the class of `provmanager.errors` that the server raised, or
    ServerUnavailableError.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = 120.0,
        retries: int = 4,
        spool: Spool | None = None,
    ) -> None:
        self._transport = Transport(url, token, timeout_s=timeout_s, retries=retries)
        self._spool = spool

    @classmethod
    def connect(cls, connection: Connection | None = None, **options: Any) -> Self:  # Any: options
        """Return a client of the server that the environment names (`find_connection`)."""
        found = connection or find_connection()
        return cls(found.url, found.token, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._transport.url

    # --- documents

    def record(self, source: Source, *, name: str | None = None) -> Receipt | Spooled:
        """Deliver one document: its bytes, or the file that holds them.

        With a spool, what waits there goes first; while the server is away, `source` joins it.
        """
        if name is None:
            name = source.name if isinstance(source, Path) else ""
        if self._spool is None:
            return self._record(source, name)
        try:
            if self._spool.waiting():
                drained = self._spool.drain(self)
                if drained.error is not None:
                    raise drained.error
            return self._record(source, name)
        except UnavailableError as error:
            data = b"".join(pieces(source))
            path = self._spool.put(data, name)
            return Spooled(
                outcome="spooled",
                document=hashlib.sha256(data).hexdigest(),
                path=str(path),
                reason=error.message,
            )

    def _record(self, source: Source, name: str) -> Receipt:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes(source)),
        }
        answer = self._transport.json(
            "POST",
            "/v1/documents",
            query={"name": name or None},
            body=lambda: pieces(source),
            headers=headers,
        )
        return cast(Receipt, answer)

    def record_batch(self, documents: Sequence[tuple[str, Source]]) -> BulkResult:
        """Deliver (name, document) pairs in one request; each is recorded or refused by itself."""
        body = Multipart(documents)
        answer = self._transport.json(
            "POST", "/v1/documents", body=body, headers={"Content-Type": body.content_type}
        )
        return cast(BulkResult, answer)

    def record_many(
        self,
        documents: Iterable[tuple[str, Source]],
        *,
        batch_documents: int = _BATCH_DOCUMENTS,
        batch_bytes: int = _BATCH_BYTES,
    ) -> Iterator[BulkItem]:
        """Deliver any number of (name, document) pairs; yield what became of each, in order."""
        batch: list[tuple[str, Source]] = []
        n_bytes = 0
        for name, source in documents:
            size = size_bytes(source)
            if batch and (len(batch) >= batch_documents or n_bytes + size > batch_bytes):
                yield from self.record_batch(batch)["items"]
                batch, n_bytes = [], 0
            batch.append((name, source))
            n_bytes += size
        if batch:
            yield from self.record_batch(batch)["items"]

    def document(self, sha256: str, *, as_format: DocumentFormat | None = None) -> bytes:
        """Return a recorded document, verbatim but for redacted secrets.

        With `as_format`, a W3C PROV document is made again from the statements in the record.
        """
        return self._transport.send(
            "GET",
            f"/v1/documents/{_part(sha256)}",
            query={"format": as_format},
            headers={"Accept": "*/*"},
        ).content

    # --- lineage

    def resolve(self, ref: str) -> Resolved:
        """Return what `ref` names: a UUID, digest, product id, location, or unique base name."""
        return cast(Resolved, self._transport.json("GET", "/v1/resolve", query={"ref": ref}))

    def lineage(
        self,
        ref: str,
        *,
        direction: Direction = "up",
        depth: int | None = None,
        limit: int | None = None,
        levels: bool | None = None,
    ) -> LineageAnswer:
        """Return what `ref` came from (up), what came of it (down), or both."""
        query = {
            "ref": ref, "direction": direction, "depth": depth, "limit": limit, "levels": levels,
        }  # fmt: skip
        return cast(LineageAnswer, self._transport.json("GET", "/v1/lineage", query=query))

    def lineage_summary(
        self,
        ref: str,
        *,
        direction: Direction = "up",
        depth: int | None = None,
        group: Literal["name", "version", "status"] | None = None,
    ) -> SummaryAnswer:
        """Return the same by groups of like activities and products, however many there are."""
        query = {"ref": ref, "direction": direction, "depth": depth, "group": group}
        return cast(SummaryAnswer, self._transport.json("GET", "/v1/lineage/summary", query=query))

    def export(
        self,
        ref: str,
        *,
        export_format: "ExportFormat | str" = "prov-json",
        direction: Direction = "up",
        depth: int | None = None,
        limit: int | None = None,
    ) -> bytes:
        """Return a lineage as a document of that format."""
        query = {
            "ref": ref, "direction": direction, "depth": depth, "limit": limit,
            "format": str(export_format),
        }  # fmt: skip
        return self._transport.send(
            "GET", "/v1/lineage/export", query=query, headers={"Accept": "*/*"}
        ).content

    def compare(self, a: str, b: str) -> JSONDict:
        """Return how two products, or two activities, differ, and where their histories parted."""
        page = self._transport.json("GET", "/compare.json", query={"a": a, "b": b})
        return cast(JSONDict, page["found"])

    def activity(self, activity_uuid: str) -> JSONDict:
        """Return everything of one activity."""
        path = f"/v1/activities/{_part(activity_uuid)}"
        return cast(JSONDict, self._transport.json("GET", path))

    def entity(self, entity_uuid: str) -> JSONDict:
        """Return everything of one entity."""
        return cast(JSONDict, self._transport.json("GET", f"/v1/entities/{_part(entity_uuid)}"))

    # --- search

    def search_activities(self, **filters: object) -> SearchPage[ActivityItem]:
        """Find activities: ``name version package parameter status after before person host``.

        ``limit`` and ``cursor`` page; ``parameter`` takes a list of ``path=value``.
        """
        answer = self._transport.json("GET", "/v1/search/activities", query=filters)
        return cast(SearchPage[ActivityItem], answer)

    def search_products(self, **filters: object) -> SearchPage[ProductItem]:
        """Find products that matching activities generated: filters as above, without ``host``."""
        answer = self._transport.json("GET", "/v1/search/products", query=filters)
        return cast(SearchPage[ProductItem], answer)

    # --- runs of workflows

    def runs(self, **filters: object) -> SearchPage[RunListItem]:
        """List runs of workflows, the newest first: ``status``, ``limit``, ``cursor``."""
        answer = self._transport.json("GET", "/v1/runs", query=filters)
        return cast(SearchPage[RunListItem], answer)

    def run(self, start: str) -> WorkflowRun:
        """Return the run whose UUID begins so, with its steps and what they made."""
        return cast(WorkflowRun, self._transport.json("GET", f"/v1/runs/{_part(start)}"))

    # --- productions

    def productions(self, **filters: object) -> SearchPage[ProductionItem]:
        """List productions, the newest first: ``limit``, ``cursor``."""
        answer = self._transport.json("GET", "/v1/productions", query=filters)
        return cast(SearchPage[ProductionItem], answer)

    def production(self, name: str) -> ProductionStatus:
        """Return how far a production is."""
        path = f"/v1/productions/{_part(name)}"
        return cast(ProductionStatus, self._transport.json("GET", path))

    def define_production(self, name: str, document: JSONDict) -> ProductionDefined:
        """Define a production (schema production.v1), from now on."""
        path = f"/v1/productions/{_part(name)}"
        return cast(ProductionDefined, self._send_json("PUT", path, document, is_idempotent=True))

    def claim_groups(self, name: str, claim: JSONDict) -> list[Group]:
        """Claim groups of inputs for runs: ``definition holder place lease_s most filled dry_run``.

        Repeated, it returns what was claimed and not reported as submitted.
        """
        path = f"/v1/productions/{_part(name)}/claims"
        answer = self._send_json("POST", path, claim, is_idempotent=True)
        return cast(list[Group], answer["items"])

    def report_runs(self, name: str, report: JSONDict) -> list[OpenRun]:
        """Say which runs were submitted and settled: ``holder lease_s submitted settled``.

        Returns those that are claimed and not settled.
        """
        path = f"/v1/productions/{_part(name)}/reports"
        answer = self._send_json("POST", path, report, is_idempotent=True)
        return cast(list[OpenRun], answer["items"])

    # --- descriptions

    def put_descriptions(self, document: bytes, *, dry_run: bool = False) -> DescriptionsResult:
        """Set descriptions from a JSON document of them; `dry_run` only says what would change."""
        answer = self._transport.json(
            "PUT",
            "/v1/descriptions",
            query={"dry_run": dry_run or None},
            body=lambda: document,
            headers={"Content-Type": "application/json"},
        )
        return cast(DescriptionsResult, answer)

    def descriptions(self) -> JSONDict:
        """Return all descriptions as one document."""
        return cast(JSONDict, self._transport.json("GET", "/v1/descriptions"))

    # --- the server

    def info(self) -> Info:
        """Return what the server is, holds and takes."""
        return cast(Info, self._transport.json("GET", "/v1/info"))

    def health(self) -> dict[str, str]:
        """Return ``{"status": "ok"}`` where server and database work."""
        return cast(dict[str, str], self._transport.json("GET", "/v1/health"))

    # --- the log

    def log_checkpoint(self) -> JSONDict:
        """Return the signed checkpoint of all that is recorded now, and the key to check it by."""
        return cast(JSONDict, self._transport.json("GET", "/v1/log/checkpoint"))

    def log_leaves(self, first: int, limit: int) -> list[JSONDict]:
        """Return leaves of the log with their entries, from `first` on."""
        query = {"first": first, "limit": limit}
        return cast(
            list[JSONDict], self._transport.json("GET", "/v1/log/leaves", query=query)["items"]
        )

    def log_inclusion(self, document_sha256: str, size: int) -> JSONDict:
        """Return the proof that the log at `size` holds a document."""
        query = {"document": document_sha256, "size": size}
        return cast(JSONDict, self._transport.json("GET", "/v1/log/inclusion", query=query))

    def log_consistency(self, first: int, second: int) -> list[str]:
        """Return the proof that the log at size `second` begins with that at size `first`."""
        query = {"first": first, "second": second}
        answer = self._transport.json("GET", "/v1/log/consistency", query=query)
        return cast(list[str], answer["proof"])

    def log_check(self, first: int, limit: int) -> JSONDict:
        """Have the server check stored documents and their rows, from leaf `first` on."""
        query = {"first": first, "limit": limit}
        return cast(JSONDict, self._transport.json("GET", "/v1/log/check", query=query))

    def log_checkpoints(self, *, before: int | None = None, limit: int = 1000) -> JSONDict:
        """Return signed checkpoints of less than `before` leaves, the newest first, and the key."""
        query = {"before": before, "limit": limit}
        return cast(JSONDict, self._transport.json("GET", "/v1/log/checkpoints", query=query))

    def record_lines(self, of: str | None = None) -> Iterator[bytes]:
        """Yield the lines of the whole record, or of what a lineage (of a UUID) is made of."""
        return self._transport.lines("/v1/record", {"of": of})

    # --- access

    def create_token(
        self,
        name: str,
        role: RoleName,
        *,
        expires_in_s: float | None = None,
        job: str | None = None,
    ) -> NewToken:
        """Make a token; only this answer ever holds it."""
        wanted = {"name": name, "role": role, "expires_in_s": expires_in_s, "job": job}
        return cast(NewToken, self._send_json("POST", "/v1/tokens", wanted, is_idempotent=False))

    def tokens(self) -> list[TokenItem]:
        """Return all tokens, the newest first."""
        return cast(list[TokenItem], self._transport.json("GET", "/v1/tokens")["items"])

    def revoke_token(self, which: str) -> TokenItem:
        """Revoke the token of that id or name."""
        return cast(TokenItem, self._transport.json("DELETE", f"/v1/tokens/{_part(which)}"))

    def sign_in_link(self) -> SignInLink:
        """Return a link that signs one browser in to the server's pages, once and soon."""
        return cast(SignInLink, self._transport.json("POST", "/v1/sign-in-links"))

    def _send_json(
        self, method: str, path: str, value: JSONDict, *, is_idempotent: bool
    ) -> Any:  # Any: any JSON
        import json

        data = json.dumps(value).encode()
        return self._transport.json(
            method,
            path,
            body=lambda: data,
            headers={"Content-Type": "application/json"},
            is_idempotent=is_idempotent,
        )


def _part(text: str) -> str:
    """Return `text` as one part of a path."""
    return quote(text, safe="")
