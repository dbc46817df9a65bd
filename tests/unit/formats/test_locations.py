"""Paths and URLs as tools write them, to one absolute URI."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.formats import absolute_uri, local_path, repair_mangled, split_location


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("/data/x.h5", "file://node/data/x.h5"),
        ("/data//a/./b/../x.h5", "file://node/data/a/x.h5"),
        ("//data/x.h5", "file://node/data/x.h5"),
        ("x.h5", "file://node/work/x.h5"),
        ("../x.h5", "file://node/x.h5"),
        ("/data/a b/ç#1?.fits", "file://node/data/a%20b/%C3%A7%231%3F.fits"),
        ("/data/100%.fits", "file://node/data/100%25.fits"),
        ("file:///data/x.h5", "file://node/data/x.h5"),
        ("file:/data/x.h5", "file://node/data/x.h5"),
        ("file://localhost/data/x.h5", "file://node/data/x.h5"),
        ("file://OTHER/data/x.h5", "file://other/data/x.h5"),
        ("file:///data/a%20b.h5", "file://node/data/a%20b.h5"),
        ("HTTPS://Example.ORG/Data/X.fits", "https://example.org/Data/X.fits"),
        ("https://example.org/x?a=B#c", "https://example.org/x?a=B#c"),
        ("root://SE.site:1094//store/x", "root://se.site:1094//store/x"),
        ("LFN:/vo.cta/x.h5", "lfn:/vo.cta/x.h5"),
        ("lfn:///vo.cta/x.h5", "lfn:/vo.cta/x.h5"),
        ("lfn:vo.cta/x.h5", "lfn:/vo.cta/x.h5"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("doi:10.5281/zenodo.1", "doi:10.5281/zenodo.1"),
        ("/cwd/https:/example.org/x.fits", "https://example.org/x.fits"),
        ("/https:/example.org/x.fits", "https://example.org/x.fits"),
        ("/cwd/s3:/bucket/key", "s3://bucket/key"),
        ("/cwd/lfn:/vo.cta/x.h5", "lfn:/vo.cta/x.h5"),
        ("/cwd/file:/data/x.h5", "file://node/data/x.h5"),
        ("/data/run\udce9.h5", "file://node/data/run%E9.h5"),
        ("/data/run\ud800.h5", "file://node/data/run%EF%BF%BD.h5"),
        ("https://example.org/\ud800\0", "https://example.org/\ufffd\ufffd"),
    ],
)
def test_absolute_uri(url, uri):
    assert absolute_uri(url, host="Node", directory="/work") == uri


def test_without_a_host_the_host_is_empty():
    assert absolute_uri("/data/x.h5") == "file:///data/x.h5"


def test_an_empty_location_is_none():
    with pytest.raises(ValueError, match="an empty location"):
        absolute_uri("")


@pytest.mark.parametrize(
    "path",
    [
        "/data/x.h5",
        "/data/a:/b.h5",  # a folder named a: is no URL
        "/data/note:/x",
        "/data/12:30:/x",
        "https://example.org/x",
        "/cwd/https:",
    ],
)
def test_what_is_not_mangled_is_left_alone(path):
    assert repair_mangled(path) is None


@given(st.text(min_size=1).map(lambda text: "/" + text), st.sampled_from([None, "node"]))
def test_the_uri_of_a_uri_is_itself(path, host):
    once = absolute_uri(path, host=host)
    assert absolute_uri(once, host=host) == once
    once.encode()


@given(st.lists(st.text("abcdefABC .%#?é-_", min_size=1), min_size=1).map("/".join))
def test_a_local_path_comes_back(path):
    uri = absolute_uri("/data/" + path, host="node")
    back = local_path(uri)
    assert back is not None
    assert absolute_uri(back, host="node") == uri


def test_only_files_have_a_local_path():
    assert local_path("https://example.org/x") is None
    assert local_path("file://node/data/run%E9.h5") == "/data/run\udce9.h5"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("file://node/data/x.h5", ("file://node/data/", "x.h5")),
        ("lfn:/vo/x.h5", ("lfn:/vo/", "x.h5")),
        ("https://example.org/a/x?y=/z", ("https://example.org/a/", "x?y=/z")),
        ("file://node/data/folder/", ("file://node/data/", "folder/")),
        ("x.h5", ("", "x.h5")),
    ],
)
def test_split_location(uri, parts):
    assert split_location(uri) == parts
    assert "".join(split_location(uri)) == uri
