"""On the node: what DiracX says of the job that we are; asked with the job's own token.

By plain HTTP, as nodes need not have DiracX's client.
"""

import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from .former import attempt_in
from .names import RESULT

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 20.0
_TRIES = 3
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class OwnJob:
    """The job of DiracX that this process runs in."""

    url: str
    credentials: Path
    job_id: int

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Return it as the environment tells; None where it does not."""
        job_id = environ.get("DIRACJOBID") or environ.get("JOBID") or ""
        url, credentials = environ.get("DIRACX_URL"), environ.get("DIRACX_CREDENTIALS_PATH")
        if not job_id.isdecimal() or not url or not credentials:
            return None
        return cls(url.rstrip("/"), Path(credentials), int(job_id))

    def attempt(self) -> int | None:
        """Return how often the job was rescheduled; None if DiracX does not say so."""
        import httpx

        search = [{"parameter": "JobID", "operator": "eq", "value": str(self.job_id)}]
        body = {"parameters": ["JobID", "RescheduleCounter"], "search": search}
        for _ in range(_TRIES):
            try:
                with self._client() as api:
                    (found,) = _answer(api.post("/api/jobs/search", json=body))
                return int(found["RescheduleCounter"])
            except (httpx.TransportError, TimeoutError):
                time.sleep(1.0)
            except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError):
                return None
        return None

    def bring_results(self, folder: Path) -> list[Path]:
        """Unpack what former attempts left into `folder`; return where, the last one first.

        Of an attempt that left nothing, or nothing that can be had now, there is none.
        """
        import httpx

        found: dict[int, Path] = {}
        try:
            with self._client() as api:
                names = _answer(api.get(f"/api/jobs/{self.job_id}/sandbox/output"))
                for number, name in enumerate(one for one in names if one):
                    place = folder / f".{number}"
                    told = _answer(api.get("/api/jobs/sandbox", params={"pfn": str(name)}))
                    _unpack(told["url"], place)
                    attempt = attempt_in(place / RESULT)
                    if attempt is not None and attempt not in found:
                        found[attempt] = (place / RESULT).rename(folder / str(attempt))
                    shutil.rmtree(place)
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, tarfile.TarError):
            pass  # what they made is made again
        return [found[attempt] for attempt in sorted(found, reverse=True)]

    @contextmanager
    def _client(self) -> "Iterator[httpx.Client]":
        import httpx

        token = json.loads(self.credentials.read_text(encoding="utf-8"))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        verify = self.url.startswith("https:")  # reading all certificates takes a while
        with httpx.Client(
            base_url=self.url, headers=headers, timeout=_TIMEOUT_S, verify=verify
        ) as client:
            yield client


def _answer(response: "httpx.Response") -> Any:  # Any: JSON
    response.raise_for_status()
    return response.json()


def _unpack(url: str, folder: Path) -> None:
    """Unpack a sandbox; one that cannot be unpacked here raises ValueError or TarError."""
    import httpx

    folder.mkdir(parents=True)
    with tempfile.TemporaryFile() as stream:
        with httpx.stream("GET", url, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                stream.write(chunk)
        stream.seek(0)
        is_zstandard = stream.read(4) == _ZSTANDARD
        stream.seek(0)
        if is_zstandard:
            with _decompressed(stream) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
                archive.extractall(folder, filter="data")
        else:
            with tarfile.open(fileobj=stream) as archive:
                archive.extractall(folder, filter="data")


@contextmanager
def _decompressed(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise ValueError("no zstandard on this node") from error
    try:
        with zstandard.ZstdDecompressor().stream_reader(stream) as plain:
            yield plain
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
