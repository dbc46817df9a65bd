"""A browser without JavaScript, for the tests of the pages."""

from typing import Any

import httpx
import lxml.html


class Pages:
    """Signs in, follows redirects, keeps cookies, and reads HTML."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=60)
        self.path = ""

    def __enter__(self) -> "Pages":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_in(self, token: str) -> httpx.Response:
        """Send the form of the sign-in page."""
        return self.http.post("/sign-in", data={"token": token}, headers={"accept": "text/html"})

    def get(self, path: str, *, accept: str = "text/html,*/*;q=0.8") -> httpx.Response:
        """Return what stands at `path`."""
        response = self.http.get(path, headers={"accept": accept})
        self.path = response.url.path
        return response

    def html(self, path: str) -> Any:
        """Return the page at `path`, as lxml reads it."""
        response = self.get(path)
        assert response.status_code == 200, response.text[:2000]
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        return lxml.html.fromstring(response.text)

    def json(self, path: str) -> Any:
        """Return the JSON at `path`."""
        response = self.get(path)
        assert response.status_code == 200, response.text[:2000]
        return response.json()
