"""Storage in S3: the same behaviour as in a folder, against the testbed's server."""

import hashlib

import boto3
import pytest

from jobs.storage import StorageOptions, make_storage, stage_in, stage_out
from provmanager.errors import (
    AuthorisationError,
    DifferenceError,
    NotFoundError,
    UnavailableError,
    UsageError,
)


@pytest.fixture
def place(testbed, tmp_path, monkeypatch):
    """A bucket of this test alone, and a file of credentials for it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = testbed\naws_secret_access_key = x\n")
    bucket = tmp_path.name.replace("_", "-").lower()
    boto3.client(
        "s3", endpoint_url=testbed.s3_url, region_name="us-east-1",
        aws_access_key_id="testbed", aws_secret_access_key="x",
    ).create_bucket(Bucket=bucket)  # fmt: skip
    return {"endpoint": testbed.s3_url, "bucket": bucket, "credentials": str(credentials)}


def storage(place, **changes):
    return make_storage(StorageOptions(kind="s3", place=place | changes))


def test_a_file_goes_in_once_and_comes_back_as_it_was(place, tmp_path):
    bucket = storage(place, prefix="/prod/")
    file = tmp_path / "events.h5"
    file.write_bytes(b"\0events" * 2_000_000)  # 14 MB: in parts
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert bucket.find("/vo/x/events.h5") is None
    stored = stage_out(bucket, file, "/vo/x/events.h5")
    assert stored.url == f"s3://{place['bucket']}/prod/vo/x/events.h5"
    assert bucket.find("/vo/x/events.h5").sha256 == sha256
    assert stage_in(bucket, "LFN:/vo/x/events.h5", tmp_path / "back").sha256 == sha256
    assert (tmp_path / "back").read_bytes() == file.read_bytes()

    assert stage_out(bucket, file, "/vo/x/events.h5") == stored
    file.write_bytes(b"\1events" * 2_000_000)
    with pytest.raises(DifferenceError, match="with other content"):
        stage_out(bucket, file, "/vo/x/events.h5")
    with pytest.raises(NotFoundError, match=r"/vo/x/no\.h5"):
        stage_in(bucket, "/vo/x/no.h5", tmp_path / "no")


def test_an_object_that_was_changed_is_not_used(place, tmp_path):
    bucket = storage(place)
    file = tmp_path / "events.h5"
    file.write_bytes(b"events")
    stored = stage_out(bucket, file, "/vo/x/events.h5")
    boto3.client(
        "s3", endpoint_url=place["endpoint"], region_name="us-east-1",
        aws_access_key_id="testbed", aws_secret_access_key="x",
    ).put_object(
        Bucket=place["bucket"], Key="vo/x/events.h5", Body=b"Events",
        Metadata={"sha256": stored.sha256},
    )  # fmt: skip
    with pytest.raises(DifferenceError, match="kept with it"):
        stage_in(bucket, "/vo/x/events.h5", tmp_path / "back")


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"bucket": "no-such-bucket"}, UsageError, "there is no bucket no-such-bucket"),
        ({"credentials": "/no/such"}, UsageError, "no file of S3 credentials /no/such"),
        ({"credentials": "/dev/null"}, UsageError, "no file of S3 credentials"),
        ({"credentials": ""}, AuthorisationError, "option credentials"),
        ({"endpoint": "http://127.0.0.1:9"}, UnavailableError, "does not answer"),
        ({"endpoint": "no url"}, UsageError, "Invalid endpoint"),
        ({"profile": "nobody"}, UsageError, "nobody"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_said(place, changes, error, expected):
    changed = place | changes
    if not changed["credentials"]:
        del changed["credentials"]
    with pytest.raises(error, match=expected):
        make_storage(StorageOptions(kind="s3", place=changed))
