"""S3 for the sandboxes: moto's, which is in memory, with what is uploaded kept on disk.

    python -m pilot.s3 DESCRIPTOR PORT FOLDER BUCKET

DESCRIPTOR is a socket that listens on PORT.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

_REGION = "us-east-1"


class Keeper:
    """WSGI application around moto's: writes each new object to a file before it answers."""

    def __init__(self, application: Callable[..., Iterable[bytes]], folder: Path, bucket: str):
        self._application = application
        self._folder = folder
        self._bucket = bucket
        self._lock = threading.Lock()
        self._kept: set[str] = set()

    def restore(self) -> None:
        """Put all that was kept into moto."""
        store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        store.create_bucket(self._bucket, _REGION)
        for path in self._folder.iterdir():
            if path.suffix != ".partial":
                key = unquote(path.name)
                store.put_object(self._bucket, key, path.read_bytes())
                self._kept.add(key)

    def _keep(self) -> None:
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self._bucket]
        with self._lock:
            for name in set(bucket.keys) - self._kept:
                path = self._folder / quote(name, safe="")
                partial = path.with_name(path.name + ".partial")
                partial.write_bytes(bucket.keys[name].value)
                partial.rename(path)
                self._kept.add(name)

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:  # Any: WSGI
        """Answer a request."""
        answer = self._application(environ, start_response)
        if environ["REQUEST_METHOD"] in {"POST", "PUT"}:
            self._keep()
        return answer


def main() -> None:
    """Serve on the descriptor of the command line."""
    descriptor, port, folder, bucket = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keeper = Keeper(DomainDispatcherApplication(create_backend_app), Path(folder), bucket)
    keeper.restore()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_server("127.0.0.1", int(port), keeper, threaded=True, fd=int(descriptor)).serve_forever()


if __name__ == "__main__":
    main()
