"""Quick-look pictures of products: which there are, and their bytes where they may be read.

Locations come from documents, which anybody with a recorder's token writes. So a file is read only
below the one folder that the operator names, only if it is a picture by its content, and only if it
has the digest that is recorded of it.
"""

import hashlib
import os
import re
import socket
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, JSONDict, NotFoundError

from .describe import describe_entity

ROLE = "quick-look"
_NAME = re.compile(r"\.(?:png|jpe?g|gif|webp)$", re.IGNORECASE)
_MAX_BYTES = 10 * 2**20
_MAX_PICTURES = 12
_KINDS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)


def pictures_of(run: JSONDict | None, root: Path | None) -> list[JSONDict]:
    """Return the quick-look pictures that a run generated, and which can be shown here."""
    found = [
        item
        for item in (run["generated"] if run else ())
        if item["role"] == ROLE and _NAME.search(item["name"] or "")
    ]
    return [
        {
            "id": item["entity"],
            "name": item["name"],
            "is_shown": _find([item["location"]], root) is not None,
        }
        for item in found[:_MAX_PICTURES]
    ]


def read_picture(session: Session, uuid: UUID, root: Path | None) -> tuple[bytes, str]:
    """Return the bytes and media type of a quick-look picture.

    Raises
    ------
    NotFoundError
        There is no such picture, or this server may not or cannot read it.
    DifferenceError
        The file at its place has another digest.
    """
    entity = describe_entity(session, uuid)
    producer = entity["produced_by"]
    path = _find(entity["locations"], root)
    if producer is None or producer["role"] != ROLE or path is None or root is None:
        raise NotFoundError(f"{uuid} is no quick-look picture that this server can show")
    content = _read(path, root)
    media_type = next((kind for magic, kind in _KINDS if magic.match(content)), None)
    if media_type is None:
        raise NotFoundError(f"what lies at the place of {uuid} is no picture")
    recorded = [d for d in entity["digests"] if d.startswith("sha256:")]
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if recorded and digest not in recorded:
        raise DifferenceError(
            f"the file at the place of {uuid} has the digest {digest}, and {recorded[0]} is "
            "recorded: it was changed",
            found=digest,
            expected=recorded[0],
        )
    return content, media_type


def _find(locations: list[str | None], root: Path | None) -> Path | None:
    """Return the first place on this host that is a file below `root`."""
    if root is None:
        return None
    hosts = {"", "localhost", socket.gethostname(), socket.gethostname().partition(".")[0]}
    for location in locations:
        parts = urlsplit(location or "")
        if parts.scheme != "file" or parts.netloc not in hosts or "\x00" in unquote(parts.path):
            continue
        try:
            path = Path(unquote(parts.path)).resolve(strict=True)
            if path.is_relative_to(root.resolve(strict=True)) and path.is_file():
                return path
        except (OSError, RuntimeError):  # not there, or a circle of links
            continue
    return None


def _read(path: Path, root: Path) -> bytes:
    """Return the bytes of a file that lies below `root` when it is open, whatever moved meanwhile.

    Raises
    ------
    NotFoundError
        It does not, or it is no ordinary file of a reasonable size.
    """
    refused = NotFoundError("the picture cannot be read")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise refused from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if not stat.S_ISREG(found.st_mode) or not place.is_relative_to(root.resolve()):
            raise refused
        if found.st_size > _MAX_BYTES:
            raise refused
        return file.read(_MAX_BYTES)
