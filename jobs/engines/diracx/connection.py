"""What calls for sandboxes share: an event loop, a client of DiracX, one of its storage."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    import httpx2
    from diracx.client.aio import AsyncDiracClient
    from diracx.core.preferences import DiracxPreferences

T = TypeVar("T")


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
