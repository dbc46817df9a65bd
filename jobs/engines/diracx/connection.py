"""What calls for sandboxes share: an event loop, a client of DiracX, one of its storage."""

import asyncio
import hashlib
import tarfile
import tempfile
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    import httpx2
    from diracx.client.aio import AsyncDiracClient
    from diracx.core.preferences import DiracxPreferences

T = TypeVar("T")

_LEVEL = 3  # DiracX's client takes 18, which needs 40 MB for the smallest sandbox


class Connection:
    """Runs asynchronous calls of DiracX's client for any number of threads, in one of its own.

    Clients are made with the first call: each reads all certificates and asks where to log in,
    which takes longer than a call.

    Parameters
    ----------
    preferences : callable
        Returns which DiracX it is; called once.
    """

    def __init__(self, preferences: "Callable[[], DiracxPreferences]") -> None:
        self._preferences = preferences
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="diracx", daemon=True)
        self._opening = asyncio.Lock()
        self._clients: tuple[AsyncDiracClient, httpx2.AsyncClient] | None = None
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, call: "Callable[[AsyncDiracClient, httpx2.AsyncClient], Awaitable[T]]") -> T:
        """Return what `call` does with the clients of DiracX and of its storage."""
        future = asyncio.run_coroutine_threadsafe(self._called(call), self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # where whoever waits was interrupted

    async def _called(
        self, call: "Callable[[AsyncDiracClient, httpx2.AsyncClient], Awaitable[T]]"
    ) -> T:
        async with self._opening:
            if self._clients is None:
                import httpx2
                from diracx.client.aio import AsyncDiracClient

                api = AsyncDiracClient(diracx_preferences=self._preferences())
                await self._stack.enter_async_context(api)
                storage = await self._stack.enter_async_context(httpx2.AsyncClient())
                self._clients = api, storage
        return await call(*self._clients)

    async def _close(self) -> None:
        """End what was interrupted, then the connections."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._stack.aclose()


async def send_sandbox(
    api: "AsyncDiracClient", storage: "httpx2.AsyncClient", paths: Sequence[Path]
) -> str:
    """Upload files and folders as a sandbox, unless DiracX has the same; return its name."""
    from diracx.client.models import SandboxInfo

    with tempfile.TemporaryFile() as stream:
        await asyncio.to_thread(_pack, paths, stream)
        size_bytes = stream.tell()
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        info = SandboxInfo(
            checksum_algorithm="sha256", checksum=sha256, size=size_bytes, format="tar.zst"
        )
        told = await api.jobs.initiate_sandbox_upload(info)
        if told.url:
            stream.seek(0)
            files = {"file": ("file", stream)}
            response = await storage.post(told.url, data=told.fields, files=files)
            response.raise_for_status()
    return str(told.pfn)


def _pack(paths: Sequence[Path], stream: IO[bytes]) -> None:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with (
        compressor.stream_writer(stream, closefd=False) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as archive,
    ):
        for path in paths:
            archive.add(path.resolve(), path.name)


async def fetch_sandbox(
    api: "AsyncDiracClient", storage: "httpx2.AsyncClient", name: str, path: Path
) -> None:
    """Download a sandbox into a file; `unpack` then takes it apart."""
    told = await api.jobs.get_sandbox_file(pfn=name)
    async with storage.stream("GET", told.url) as response:
        if not response.is_success:
            await response.aread()
        response.raise_for_status()
        with path.open("wb") as stream:
            async for chunk in response.aiter_bytes():
                stream.write(chunk)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a sandbox, as DiracX's own client does."""
    from diracx.api.jobs import tarfile_open

    with path.open("rb") as stream, tarfile_open(stream) as archive:
        archive.extractall(folder, filter="data")
