"""``/v1/log``: the log of documents, its signed checkpoints, and proofs."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from provmanager.errors import NotFoundError
from provmanager.logic import log
from provmanager.model import Role

from .deps import SessionDep
from .security import require

router = APIRouter(prefix="/v1/log", tags=["log"], dependencies=[require(Role.READER)])


async def get_key(request: Request) -> log.SigningKey:
    """Return the key that signs checkpoints."""
    key: log.SigningKey = request.app.state.log_key
    return key


KeyDep = Annotated[log.SigningKey, Depends(get_key)]
Size = Annotated[int, Query(ge=0, description="Number of leaves")]
Sha256 = Annotated[str, Query(pattern="^[0-9a-f]{64}$", description="SHA-256 of the document")]


class CheckpointBody(BaseModel):
    """A signed checkpoint: keep `note` and `key`, and the log can never deny what it held then."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    note: str
    """The checkpoint as a signed note (C2SP tlog-checkpoint)."""
    key: str
    """The public key, as signed notes name it."""
    origin: str
    size: int
    root: str
    """Root of the tree over the first `size` leaves (RFC 9162), in hexadecimal."""


class CheckpointItem(BaseModel):
    """A checkpoint as it is kept; what counts is its note."""

    size: int
    root: str
    note: str
    made_at: datetime


class CheckpointPage(BaseModel):
    """Checkpoints that were signed, the newest first, and the log's public key of now."""

    key: str
    items: list[CheckpointItem]


class Proof(BaseModel):
    """Hashes that prove something of the tree, in hexadecimal (RFC 9162 §2.1.3 and §2.1.4)."""

    proof: list[str]


class InclusionProof(Proof):
    """The leaf of a document, its entry, and what proves it to be in the tree."""

    index: int
    leaf_hash: str
    entry: str


class LeafBody(BaseModel):
    """A leaf and its entry, from which the hash follows."""

    index: int
    leaf_hash: str
    entry: str
    document_order: int
    """Greater for a document that was recorded later, and so for a later leaf."""


class LeafPage(BaseModel):
    """Leaves in order."""

    items: list[LeafBody]


class ProblemBody(BaseModel):
    """Something that is not as the log says."""

    leaf: int
    document: str | None
    kind: Literal["content", "row", "leaf"]
    message: str


class CheckedPage(BaseModel):
    """How many leaves were looked at, what is wrong with them, and where to go on."""

    n_checked: int
    items: list[ProblemBody]
    next: int
    size: int


@router.get("/checkpoint")
def checkpoint(session: SessionDep, key: KeyDep) -> CheckpointBody:
    """Append what was recorded since, and give the checkpoint of all."""
    made = log.publish(session, key, now=datetime.now(UTC))
    if made is None:
        raise NotFoundError("the log is empty: nothing was recorded yet")
    return CheckpointBody(
        note=made.note,
        key=made.key,
        origin=made.checkpoint.origin,
        size=made.checkpoint.size,
        root=made.checkpoint.root.hex(),
    )


@router.get("/checkpoints")
def checkpoints(
    session: SessionDep,
    key: KeyDep,
    limit: Annotated[int, Query(ge=1, le=log.MAX_PAGE)] = log.MAX_PAGE,
    before: Annotated[int | None, Query(ge=0, description="Those of fewer leaves")] = None,
) -> CheckpointPage:
    """List the checkpoints that were signed, the newest first."""
    kept = log.signed_checkpoints(session, limit=limit, before=before)
    return CheckpointPage(
        key=log.public_key(session, key),
        items=[
            CheckpointItem(size=c.size, root=c.root.hex(), note=c.note, made_at=c.made_at)
            for c in kept
        ],
    )


@router.get("/inclusion")
def inclusion(session: SessionDep, document: Sha256, size: Size) -> InclusionProof:
    """Prove that the log at `size` holds a document."""
    leaf, proof = log.inclusion(session, document, size)
    return InclusionProof(
        index=leaf.leaf_index,
        leaf_hash=leaf.leaf_hash.hex(),
        entry=leaf.entry.decode(),
        proof=[h.hex() for h in proof],
    )


@router.get("/consistency")
def consistency(session: SessionDep, first: Size, second: Size) -> Proof:
    """Prove that the log at size `second` begins with the log at size `first`."""
    return Proof(proof=[h.hex() for h in log.consistency(session, first, second)])


@router.get("/leaves")
def leaves(
    session: SessionDep,
    first: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=log.MAX_PAGE)] = log.MAX_PAGE,
) -> LeafPage:
    """List leaves with their entries: whoever hashes them gets the checkpoint's root."""
    return LeafPage(
        items=[
            LeafBody(
                index=e.leaf_index,
                leaf_hash=e.leaf_hash.hex(),
                entry=e.entry.decode(),
                document_order=e.document_id,
            )
            for e in log.entries(session, first, limit)
        ]
    )


@router.get("/check")
def check(
    session: SessionDep,
    first: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=log.MAX_PAGE)] = log.MAX_PAGE,
) -> CheckedPage:
    """Hold stored documents against their digests, and their rows against the log."""
    found = log.check_leaves(session, first, limit)
    return CheckedPage(
        n_checked=found.n_checked,
        items=_items(found.problems),
        next=found.next,
        size=found.size,
    )


def _items(problems: list[log.Problem]) -> list[ProblemBody]:
    return [ProblemBody(**problem._asdict()) for problem in problems]
