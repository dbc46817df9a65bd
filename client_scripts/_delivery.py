"""Delivering documents: in batches, each recorded, refused, or kept for later by itself."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from provmanager.errors import (
    PartlyDoneError,
    ProvError,
    UnavailableError,
    UnrecognisedFormatError,
    from_wire,
)

from ._loaded import Loaded

Item = Mapping[str, Any]  # Any: the JSON of one item

BATCH_DOCUMENTS = 200
BATCH_BYTES = 16 * 2**20


class Recorder(Protocol):
    """What records documents: a `ProvClient`."""

    def record(self, source: bytes, *, name: str | None = None) -> Any:  # Any: JSON
        """Deliver one document."""
        ...

    def record_batch(self, documents: Sequence[tuple[str, bytes]]) -> Any:  # Any: JSON
        """Deliver several documents in one request."""
        ...


class Keeper(Protocol):
    """What keeps documents for later: a `Spool`."""

    def put(self, data: bytes, name: str = "") -> object:
        """Keep one document; return where."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may bring."""

    documents: int = BATCH_DOCUMENTS
    n_bytes: int = BATCH_BYTES


@dataclass(slots=True)
class Tally:
    """Counts what became of documents, and says how the whole ended.

    Attributes
    ----------
    counts : Counter
        Documents by outcome.
    refusals : list of ProvError
        Why the refused ones were.
    away : UnavailableError or None
        Why documents were kept and not delivered.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[ProvError] = field(default_factory=list)
    away: UnavailableError | None = None

    def add(self, loaded: Loaded, item: Item) -> Item:
        """Count an item and return it under the name that the person gave.

        What was only found in a folder and is no provenance at all is skipped, not refused.
        """
        error = from_wire(item["error"]) if item["error"] else None
        outcome = str(item["outcome"])
        if isinstance(error, UnrecognisedFormatError) and loaded.source.is_sought:
            outcome = "skipped"
        elif error is not None:
            self.refusals.append(error)
        self.counts[outcome] += 1
        return {**item, "name": loaded.source.name, "outcome": outcome}

    def failure(self, *, briefly: bool = False) -> ProvError | None:
        """Return the error that tells of the whole, if not all went well.

        Parameters
        ----------
        briefly
            The reasons have been read already.
        """
        total = sum(self.counts.values())
        refused = self.counts["refused"]
        if refused and refused == total and len({error.code for error in self.refusals}) == 1:
            first = self.refusals[0]
            if refused > 1:
                return type(first)(f"all {refused} documents were refused ({first.code})")
            return type(first)("the document was refused") if briefly else first
        if refused:
            return PartlyDoneError(f"{refused} of {total} documents were refused")
        if self.away:
            waiting = self.counts["spooled"]
            return type(self.away)(
                f"{self.away.message}; {waiting} document{'s' if waiting > 1 else ''} kept on "
                "disk: `prod-add-prov --spool` delivers them"
            )
        return None


@dataclass(slots=True)
class Delivery:
    """Delivers what was loaded.

    Attributes
    ----------
    limits : callable
        Asked once, when there is more than one document.
    spool : Keeper or None
        Where documents go while the server is away; without it that is an error.
    """

    client: Recorder
    limits: Callable[[], Limits]
    spool: Keeper | None = None
    tally: Tally = field(default_factory=Tally)

    def items(self, documents: Iterable[Loaded]) -> Iterator[Item]:
        """Yield what became of each document, in order.

        Raises
        ------
        ServerUnavailableError
            The server is away, and there is no spool.
        """
        batch: list[Loaded] = []
        n_bytes = 0
        most: Limits | None = None
        for loaded in documents:
            if batch and most is None:
                most = self._limits()
            size = len(loaded.data)
            if batch and most and (len(batch) >= most.documents or n_bytes + size > most.n_bytes):
                yield from self._deliver(batch)
                batch, n_bytes = [], 0
            batch.append(loaded)
            n_bytes += size
        yield from self._deliver(batch)

    def _limits(self) -> Limits:
        try:
            return self.limits()
        except UnavailableError as error:
            self._go_on_without(error)
            return Limits()

    def _deliver(self, batch: Sequence[Loaded]) -> Iterator[Item]:
        answers = iter(self._send([loaded for loaded in batch if loaded.error is None]))
        for loaded in batch:
            item = refused(loaded.error) if loaded.error else next(answers)
            yield self.tally.add(loaded, item)

    def _send(self, batch: Sequence[Loaded]) -> Sequence[Item]:
        if not batch:
            return []
        if self.tally.away is None:
            try:
                return self._recorded(batch)
            except UnavailableError as error:
                self._go_on_without(error)
        return [self._kept(loaded) for loaded in batch]

    def _recorded(self, batch: Sequence[Loaded]) -> Sequence[Item]:
        if len(batch) > 1:
            pairs = [(loaded.source.file_name, loaded.data) for loaded in batch]
            items: Sequence[Item] = self.client.record_batch(pairs)["items"]
            return items
        try:
            receipt = self.client.record(batch[0].data, name=batch[0].source.file_name)
        except ProvError as error:
            if not _is_about_document(error):
                raise
            return [refused(error)]
        return [{"outcome": receipt["outcome"], "receipt": receipt, "error": None}]

    def _go_on_without(self, error: UnavailableError) -> None:
        """Go on without the server if documents can be kept for it; else that is the end."""
        if self.spool is None:
            raise error
        self.tally.away = error

    def _kept(self, loaded: Loaded) -> Item:
        assert self.spool is not None
        path = self.spool.put(loaded.data, loaded.source.file_name)
        detail = f"kept as {path}"
        return {"outcome": "spooled", "receipt": None, "error": None, "detail": detail}


def read_here(documents: Iterable[Loaded], tally: Tally) -> Iterator[Item]:
    """Yield what the server would read in each document; nothing is sent."""
    from provmanager.formats import read

    for loaded in documents:
        item: Item
        try:
            if loaded.error:
                raise loaded.error
            document = read(loaded.data, name=loaded.source.file_name or None)
        except ProvError as error:
            item = refused(error)
        else:
            counts = {
                name: len(getattr(document, name))
                for name in ("activities", "entities", "used", "generated")
            }
            notes = [
                {"code": note.code, "message": note.message, "pointer": note.pointer}
                for note in document.notes
            ]
            told = {
                "format": document.format,
                "reason": document.reason,
                "counts": counts,
                "notes": notes,
            }
            item = {"outcome": "readable", "receipt": None, "error": None, "would_send": told}
        yield tally.add(loaded, item)


def refused(error: ProvError) -> Item:
    """Return the item of a document that was refused."""
    return {"outcome": "refused", "receipt": None, "error": error.to_wire()}


def _is_about_document(error: ProvError) -> bool:
    """Whether the document is at fault, and not the caller or the server."""
    return error.http_status not in (401, 403) and error.http_status < 500
