"""Run in the environment of the crate tools: ``python check_crate.py CONTEXT CRATE PROFILE``.

Prints what roc-validator has against a crate, as JSON. The validator fetches the JSON-LD context
of RO-Crate 1.1; here it finds it in its cache, where it comes from `CONTEXT`, the copy that the
package rocrate brought until 0.13.
"""

import io
import json
import sys
import tempfile

import requests
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator.models import Severity
from rocrate_validator.services import validate
from rocrate_validator.utils.http import HttpRequester
from urllib3 import HTTPResponse

CONTEXT_URL = "https://w3id.org/ro/crate/1.1/context"


class FromFile(HTTPAdapter):
    """Answers every request with one file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        with open(self._path, "rb") as stream:
            body = io.BytesIO(stream.read())
        headers = {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(body=body, headers=headers, status=200, preload_content=False)
        return self.build_response(request, raw)


def main(context: str, crate: str, profile: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = f"{folder}/http"
        with CachedSession(cache, backend="sqlite", expire_after=-1) as session:
            session.mount("https://", FromFile(context))
            session.get(CONTEXT_URL).raise_for_status()
        HttpRequester.initialize_cache(cache_path=cache, cache_max_age=-1, offline=True)
        result = validate(
            {
                "rocrate_uri": crate,
                "profile_identifier": profile,
                "requirement_severity": Severity.REQUIRED,
                "offline": True,
                "cache_path": cache,
            }
        )
    issues = [str(issue.message) for issue in result.get_issues(Severity.REQUIRED)]
    n_checked = len(result.executed_checks)
    found = {"profile": profile, "n_checked": n_checked, "issues": issues}
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
