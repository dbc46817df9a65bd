"""Many files are hashed at once, in their order, and stopped when nobody wants more."""

import gzip
import hashlib
import os
from pathlib import Path

from provmanager.client.hashing import digest_inside, digests_of


def test_digests_come_in_order_with_what_cannot_be_read(tmp_path: Path) -> None:
    paths: list[Path | None] = []
    for number in range(20):
        path = tmp_path / f"{number}"
        path.write_bytes(bytes([number]) * (number * 200_000))
        paths.append(path)
    paths[3:3] = [None, tmp_path / "gone", tmp_path]
    told: list[tuple[int, int]] = []
    found = list(digests_of(paths, n_threads=3, progress=lambda *n: told.append(n)))
    for path, digest in zip(paths, found, strict=True):
        if path is not None and path.is_file():
            assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found[3] is None
    assert isinstance(found[4], FileNotFoundError)
    assert isinstance(found[5], IsADirectoryError)
    total = sum(p.stat().st_size for p in paths if p is not None and p.is_file())
    assert told[-1][0] == total
    assert [n for n, _ in told] == sorted(n for n, _ in told)


def test_who_stops_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    """A terabyte, none of which is on the disk, would take an hour to read."""
    first, huge = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"a")
    huge.touch()
    os.truncate(huge, 2**40)
    digests = digests_of([first, *[huge] * 8], n_threads=2)
    assert next(digests) == hashlib.sha256(b"a").hexdigest()
    digests.close()


def test_what_is_compressed_has_a_digest_of_its_own(tmp_path: Path) -> None:
    path, data = tmp_path / "packed.gz", os.urandom(300_000)
    packed = gzip.compress(data)
    path.write_bytes(packed)
    assert digest_inside(path) == hashlib.sha256(data).hexdigest()
    for damaged in (packed[:-20], packed[:400] + b"?" * 20 + packed[420:], data):
        path.write_bytes(damaged)
        assert digest_inside(path) is None
    assert digest_inside(tmp_path / "gone") is None
