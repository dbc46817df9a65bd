"""Quick-look pictures on product pages: shown where the operator lets them be read, no others."""

import hashlib
import json
import os
import socket
import struct
import zlib

import pytest
from browser import Pages

from provmanager.config.settings import load_settings
from provmanager.service.pages.rendering import HEADERS


def png(grey: int) -> bytes:
    """Return a picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, grey]))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    (made / "shown").mkdir()
    return made


@pytest.fixture(scope="module")
def settings(database_url, state_dir, folder):
    """The service may read pictures in one folder."""
    return load_settings(
        database_url=database_url, state_dir=state_dir, port=0, picture_root=folder / "shown"
    )


@pytest.fixture(scope="module")
def record(client):
    """Record a run that made a product and a picture of it; return the ids of both."""
    numbers = iter(range(100, 1000))

    def record(path, *, role="quick-look", host=None, sha256=None, url=None):
        n = next(numbers)
        host = socket.gethostname() if host is None else host
        picture = {"role": role, "url": url or f"file://{host}{path}"}
        if sha256:
            picture["sha256"] = sha256
        run = {
            "schema": "provmanager/activity.v1",
            "id": f"00000000-0000-4000-8000-000000000{n}",
            "name": "qtemp",
            "status": "completed",
            "outputs": [{"role": "QLC", "product_id": f"ivo://example/{n}", "name": "QLC.fits"},
                        picture],
        }  # fmt: skip
        client.record(json.dumps(run).encode())
        made = client.activity(run["id"])["generated"]
        return [next(m["entity"] for m in made if (m["role"] == role) is is_picture)
                for is_picture in (False, True)]  # fmt: skip

    return record


@pytest.fixture(scope="module")
def pages(app_url, token):
    with Pages(app_url) as browser:
        browser.sign_in(token)
        yield browser


def images(pages, product):
    html = pages.html(f"/product/{product}")
    return [image.get("src") for image in html.cssselect("main img")]


def test_a_picture_below_the_folder_is_shown(pages, record, folder):
    path = folder / "shown" / "QLC one.png"
    path.write_bytes(png(1))
    digest = hashlib.sha256(png(1)).hexdigest()
    product, picture = record(str(path).replace(" ", "%20"), sha256=digest)
    assert images(pages, product) == [f"/picture/{picture}"]
    response = pages.get(f"/picture/{picture}")
    assert response.content == png(1)
    assert response.headers["content-type"] == "image/png"
    for name, value in HEADERS.items():
        assert response.headers[name] == value


def test_a_picture_that_was_changed_is_not_shown_for_the_recorded_one(pages, record, folder):
    path = folder / "shown" / "changed.png"
    path.write_bytes(png(2))
    _, picture = record(path, sha256=hashlib.sha256(png(3)).hexdigest())
    response = pages.get(f"/picture/{picture}", accept="application/json")
    assert response.status_code == 409
    assert "it was changed" in response.json()["message"]


def test_nothing_outside_of_the_folder_is_read(pages, record, folder):
    outside = folder / "outside.png"
    outside.write_bytes(png(4))
    link = folder / "shown" / "link.png"
    link.symlink_to(outside)
    os.mkfifo(folder / "shown" / "pipe.png")
    (folder / "shown" / "folder.png").mkdir()
    (folder / "shown" / "page.png").write_text("<script>alert(1)</script>")
    (folder / "shown" / "other-host.png").write_bytes(png(5))
    for path, options in (
        (outside, {}), (link, {}), (f"{folder}/shown/../outside.png", {}),
        (f"{folder}/shown/%2e%2e/outside.png", {}), (folder / "shown" / "pipe.png", {}),
        (folder / "shown" / "folder.png", {}), (folder / "shown" / "missing.png", {}),
        (folder / "shown" / "other-host.png", {"host": "elsewhere.example.org"}),
        ("", {"url": "https://127.0.0.1/x.png"}), ("/etc/passwd", {}),
    ):  # fmt: skip
        product, picture = record(path, **options)
        assert images(pages, product) == [], path
        assert pages.get(f"/picture/{picture}").status_code == 404, path
    _, picture = record(folder / "shown" / "page.png")
    assert pages.get(f"/picture/{picture}").status_code == 404


def test_only_what_a_run_calls_a_quick_look_is_read(pages, record, folder):
    path = folder / "shown" / "plot.png"
    path.write_bytes(png(6))
    product, picture = record(path, role="plot")
    assert images(pages, product) == []
    assert pages.get(f"/picture/{picture}").status_code == 404
