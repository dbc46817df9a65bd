import base64
import hashlib

import pytest

from provmanager.formats.prov_terms import (
    digest_of_iri,
    is_global,
    local_name,
    location_of_iri,
    location_of_value,
    parse_digest,
    sorted_digests,
)

SHA256 = hashlib.sha256(b"dl2").hexdigest()
SHA1 = hashlib.sha1(b"dl2").hexdigest()
NI = base64.urlsafe_b64encode(hashlib.sha256(b"dl2").digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    "iri",
    [
        "http://example.org/e1",
        "urn:uuid:39408a40-c1c8-4852-9747-87249425be1e",
        "arcp://uuid,39408a40-c1c8-4852-9747-87249425be1e/workflow/packed.cwl#main",
        "ivo://org.cta/obs#1",
        "lfn:/ctao/dl2.h5",
        "unheard-of://host/thing",
    ],
)
def test_iri_with_authority_or_known_scheme_is_global(iri: str):
    assert is_global(iri)


@pytest.mark.parametrize("iri", ["id:77e1c2", "param:filepath", "_:b1", "e1", "id:", "", "a b:c"])
def test_name_in_a_namespace_that_is_no_uri_is_local(iri: str):
    assert not is_global(iri)


@pytest.mark.parametrize(
    "iri",
    [
        f"urn:sha256:{SHA256}",
        f"urn:hash::sha256:{SHA256.upper()}",
        f"nih:sha-256;{SHA256}",
        f"nih:sha-256;{SHA256};a",
        f"ni:///sha-256;{NI}",
        f"ni://example.org/sha-256;{NI}?ct=text/plain",
        f"hash://sha256/{SHA256}",
    ],
)
def test_digest_iri_is_the_digest(iri: str):
    assert digest_of_iri(iri) == f"sha256:{SHA256}"


def test_cwlprov_data_iri_is_a_sha1():
    assert digest_of_iri(f"urn:hash::sha1:{SHA1}") == f"sha1:{SHA1}"


@pytest.mark.parametrize(
    "iri",
    [
        f"urn:sha256:{SHA1}",
        f"urn:sha256:{SHA256}#id:77e1c2",
        "ni:///sha-256;!!",
        f"ni:///sha-256;{NI[:-4]}",
        "urn:uuid:39408a40-c1c8-4852-9747-87249425be1e",
        "http://example.org/sha256",
    ],
)
def test_what_is_no_whole_digest_is_none(iri: str):
    assert digest_of_iri(iri) is None


def test_plain_digest_is_read_too_and_sha256_comes_first():
    assert parse_digest(f" SHA256:{SHA256.upper()} ") == f"sha256:{SHA256}"
    assert parse_digest("sha256:abc") is None
    md5 = f"md5:{hashlib.md5(b'dl2').hexdigest()}"
    found = sorted_digests({md5, f"sha1:{SHA1}", f"sha256:{SHA256}"})
    assert found == (f"sha256:{SHA256}", f"sha1:{SHA1}", md5)


def test_only_file_and_storage_iris_are_locations():
    assert location_of_iri("file:///data/x.h5") == "file:///data/x.h5"
    assert location_of_iri("LFN:/ctao/x.h5") == "lfn:/ctao/x.h5"
    assert location_of_iri("s3://Bucket/x.h5") == "s3://bucket/x.h5"
    assert location_of_iri("http://example.org/x.h5") is None
    assert location_of_iri("x.h5") is None
    assert location_of_iri("file://[x/y") is None


def test_prov_location_may_be_a_path_or_url_but_no_place_name():
    assert location_of_value("/fefs/data/x.h5") == "file:///fefs/data/x.h5"
    assert location_of_value("https://example.org/x.h5") == "https://example.org/x.h5"
    for text in ("La Palma", "data/x.h5", "http:x", "urn:uuid:1", "//host/x", "/data/dl1/", ""):
        assert location_of_value(text) is None


def test_local_name_is_the_last_part():
    assert local_name("http://schema.org/Person") == "Person"
    assert local_name("http://www.w3.org/ns/prov#SoftwareAgent") == "SoftwareAgent"
    assert local_name("urn:x:Y") == "Y"
    assert local_name("#") == "#"
