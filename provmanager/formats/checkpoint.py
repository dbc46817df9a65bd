"""Checkpoints of the log as signed notes (C2SP tlog-checkpoint and signed-note, Ed25519)."""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provmanager.errors import DifferenceError, DocumentError

_ED25519 = b"\x01"
_BODY = re.compile(r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[^\n]+)\n\n")
_MARK = "\u2014 "  # an em dash: what a line of signatures begins with


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log at some moment."""

    origin: str
    """Which log."""
    size: int
    """Number of its leaves."""
    root: bytes
    """Root of the tree over them (RFC 9162 §2.1.1)."""

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return `checkpoint` as a note signed by `key`, under the log's own name."""
    public = key.public_key().public_bytes_raw()
    signature = _key_id(checkpoint.origin, public) + key.sign(checkpoint.body().encode())
    line = f"{_MARK}{checkpoint.origin} {base64.b64encode(signature).decode()}\n"
    return f"{checkpoint.body()}\n{line}"


def verifier_key(origin: str, public: bytes) -> str:
    """Return the public key in the form ``<name>+<id>+<key>`` of signed notes."""
    encoded = base64.b64encode(_ED25519 + public).decode()
    return f"{origin}+{_key_id(origin, public).hex()}+{encoded}"


def renamed_key(key: str, origin: str) -> str:
    """Return the same public key under the name `origin`.

    Raises
    ------
    DocumentError
        It is none.
    """
    return verifier_key(origin, _parse_key(key)[2])


def parse(note: str) -> Checkpoint:
    """Read a checkpoint; its signature is not looked at.

    Raises
    ------
    DocumentError
        It is none.
    """
    found = _BODY.match(note)
    root = _decode(found["root"]) if found else b""
    if found is None or len(root) != 32:
        raise DocumentError(
            f"this is no checkpoint of a log: {note[:80]!r}; expected its name, its size and its "
            "root, a line each, and signatures"
        )
    return Checkpoint(found["origin"], int(found["size"]), root)


def verify(note: str, key: str) -> Checkpoint:
    """Return the checkpoint of `note`, signed by the public `key` (as `verifier_key` gives it).

    Raises
    ------
    DocumentError
        The note or the key cannot be read.
    DifferenceError
        There is no signature of this key, or it is not of this text.
    """
    checkpoint = parse(note)
    body, _, signatures = note.partition("\n\n")
    name, key_id, public = _parse_key(key)
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(_MARK).rpartition(" ")
        found = _decode(encoded)
        if signer != name or found[:4] != key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(found[4:], f"{body}\n".encode())
        except InvalidSignature:
            break
        return checkpoint
    raise DifferenceError(
        f"the checkpoint of {checkpoint.origin} at {checkpoint.size} documents has no valid "
        f"signature of the key {name}+{key_id.hex()}"
    )


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _parse_key(key: str) -> tuple[str, bytes, bytes]:
    name, _, rest = key.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    kind, public = (found := _decode(encoded))[:1], found[1:]
    if kind != _ED25519 or len(public) != 32 or _key_id(name, public).hex() != key_id:
        raise DocumentError(
            f"this is no public key of a log: {key[:120]!r}; expected <name>+<id>+<key>, Ed25519"
        )
    return name, bytes.fromhex(key_id), public


def _decode(text: str) -> bytes:
    """Return what base64 `text` stands for, or nothing."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
