"""HTTP with patience: requests, retries with back-off and jitter, and errors as their classes."""

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provmanager.errors import ProvError, ServerUnavailableError, UsageError, from_wire

if TYPE_CHECKING:  # importing httpx takes longer than the rest of a command
    import httpx

Query = Mapping[str, object]
Plain = str | int | float | bool | None
Body = Callable[[], bytes | Iterable[bytes]]
"""Makes the body, anew for each attempt."""

_AWAY = frozenset({429, 502, 503, 504})
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Transport:
    """One connection pool to one server."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._retries = retries
        self._sleep = sleep
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def json(self, method: str, path: str, **options: Any) -> Any:  # Any: any JSON
        """Send a request (options of `send`) and return the JSON of its answer."""
        response = self.send(method, path, **options)
        try:
            return response.json()
        except ValueError as error:
            raise ProvError(
                f"{self.url}{path} answered something that is not JSON: is PROV_SERVER_URL the "
                f"address of a provenance server? It begins with {response.text[:60]!r}"
            ) from error

    def lines(self, path: str, query: Query) -> Iterator[bytes]:
        """Ask once, and yield the lines of the answer as they come; errors as those of `send`."""
        load_http()
        import httpx

        with contextlib.ExitStack() as stack:
            rest = b""
            try:
                response = stack.enter_context(
                    self._connected().stream("GET", self.url + path, params=_flat(query))
                )
                if not response.is_success:
                    response.read()
                    raise self._refusal(response)
                for chunk in response.iter_bytes():
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
            except httpx.TransportError as error:
                raise self._no_answer(error) from error
            if rest:
                yield rest

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        is_idempotent: bool = True,
    ) -> "httpx.Response":
        """Send a request until it is answered, and return the answer if it tells of success.

        A request that is not idempotent is only repeated when the server cannot have acted on it.

        Raises
        ------
        ServerUnavailableError
            Nothing answers, or not now, after all attempts.
        ProvError
            What the server said, as the class that it raised.
        """
        attempt = 0
        while True:
            failure, wait_s, may_repeat = self._try(method, path, query, body, headers)
            if not isinstance(failure, ProvError):
                return failure
            if attempt >= self._retries or not (may_repeat or is_idempotent) or wait_s is None:
                raise failure
            self._sleep(max(wait_s, _wait_s(attempt)))
            attempt += 1

    def _try(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Body | None,
        headers: Mapping[str, str] | None,
    ) -> "tuple[httpx.Response | ProvError, float | None, bool]":
        """Return (answer or error, least wait before another attempt, whether surely undone)."""
        load_http()
        import httpx

        try:
            response = self._connected().request(
                method,
                self.url + path,
                params=_flat(query or {}),
                content=body() if body else None,
                headers=headers,
            )
        except httpx.TransportError as error:
            undone = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            return self._no_answer(error), 0.0, undone
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise UsageError(f"{self.url!r} is not the URL of a server: {error}") from error
        if response.is_success:
            return response, None, False
        wait_s = _retry_after_s(response) if response.status_code in _AWAY else None
        return self._refusal(response), wait_s, True

    def _connected(self) -> "httpx.Client":
        import httpx

        if self._client is None:
            parts = urlsplit(self.url)
            headers = {"User-Agent": "provmanager", "Accept": "application/json"}
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"
            verify = parts.scheme == "https"  # reading all certificates takes a while
            is_here = parts.hostname in _LOOPBACK  # with a transport of ours there is no proxy
            self._client = httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(self._timeout_s, connect=min(5.0, self._timeout_s)),
                verify=verify,
                transport=httpx.HTTPTransport(verify=verify) if is_here else None,
            )
        return self._client

    def _no_answer(self, error: "httpx.TransportError") -> ServerUnavailableError:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            what = f"did not answer within {self._timeout_s:g} s"
        elif isinstance(error, httpx.ConnectError):
            what = f"cannot be reached ({error})"
        else:
            what = f"broke the connection off ({error or type(error).__name__})"
        step = "check PROV_SERVER_URL, or try again later"
        if urlsplit(self.url).hostname in _LOOPBACK:
            step = "start one with prod-server, or set PROV_SERVER_URL to one that runs"
        return ServerUnavailableError(
            f"the provenance server {self.url} {what}: {step}", url=self.url
        )

    def _refusal(self, response: "httpx.Response") -> ProvError:
        try:
            said = response.json()
        except ValueError:
            said = None
        if isinstance(said, dict) and {"code", "message"} <= said.keys():
            return from_wire(said)
        begin = " ".join(response.text[:200].split())
        message = f"{self.url} answered {response.status_code}: {begin}"
        if response.status_code in _AWAY:
            return ServerUnavailableError(f"{message}: try again later", url=self.url)
        return ProvError(
            f"{message}: is PROV_SERVER_URL the address of a provenance server?",
            status=response.status_code,
        )


def load_http() -> None:
    """Import httpx without its command line, which takes twice as long (rich, pygments).

    It is optional to httpx itself, which goes on where its import fails, as with None in its place.
    """
    command_line = "httpx._main"
    if "httpx" not in sys.modules:
        sys.modules[command_line] = None  # type: ignore[assignment]  # Python allows it
        try:
            import httpx  # noqa: F401
        finally:
            sys.modules.pop(command_line, None)


def _wait_s(attempt: int) -> float:
    """Return how long to wait: twice as long each time, and half of it random."""
    longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _retry_after_s(response: "httpx.Response") -> float:
    """Return what the server asks for; its plain "1" is left to our own, shorter waits."""
    asked = response.headers.get("retry-after", "")
    seconds = float(asked) if asked.isdigit() else 0.0
    return 0.0 if seconds <= 1.0 else min(seconds, 30.0)


def _flat(query: Query) -> list[tuple[str, Plain]]:
    """Return the parameters of a URL: None left out, lists repeated, truth as true and false."""
    flat: list[tuple[str, Plain]] = []
    for name, value in query.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, bool):
                flat.append((name, "true" if item else "false"))
            elif item is not None:
                flat.append((name, str(item)))
    return flat
