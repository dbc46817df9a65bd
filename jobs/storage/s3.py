"""A bucket of S3 as a storage: LFNs are keys in it, the sha256 is kept with each object."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provmanager.errors import (
    AuthorisationError,
    DifferenceError,
    NotFoundError,
    ProvError,
    UnavailableError,
    UsageError,
)

from .interface import StoredFile
from .lfn import normal_lfn

_DIGEST = "sha256"  # in the object's own metadata
_CONNECT_S, _READ_S, _ATTEMPTS = 10, 60, 4


class S3Storage:
    """A bucket, as anybody whom its credentials name.

    Parameters
    ----------
    bucket : str
        Its name.
    endpoint : str, optional
        URL of the service; by default Amazon's, or ``AWS_ENDPOINT_URL``.
    prefix : str
        What keys begin with.
    region : str, optional
        Region of the bucket.
    credentials, profile : str, optional
        File of AWS credentials on the node, and which of them; by default what boto3 finds:
        ``AWS_ACCESS_KEY_ID``, ``~/.aws/credentials``, the role of the machine.

    Raises
    ------
    UsageError
        boto3 is not installed, or there is no such bucket.
    AuthorisationError
        The credentials are not those of somebody who may use it.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        prefix: str = "",
        region: str | None = None,
        credentials: str | None = None,
        profile: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._api = _client(endpoint, region, credentials, profile)
        with self._translated(f"bucket {bucket}"):
            self._api.head_bucket(Bucket=bucket)

    def find(self, lfn: str) -> StoredFile | None:
        """Return what stands under `lfn`, or None."""
        try:
            with self._translated(lfn):
                head = self._api.head_object(Bucket=self._bucket, Key=self._key(lfn))
        except NotFoundError:
            return None
        return StoredFile(
            lfn=normal_lfn(lfn),
            url=self._url(lfn),
            size_bytes=int(head["ContentLength"]),
            sha256=head["Metadata"].get(_DIGEST),
        )

    def get(self, lfn: str, path: Path) -> None:
        """Copy an object to `path`."""
        with self._translated(lfn):
            self._api.download_file(self._bucket, self._key(lfn), str(path))

    def put(self, path: Path, lfn: str, *, sha256: str) -> StoredFile:
        """Copy a file into the bucket, in parts where it is large; it is there when it is whole."""
        if self.find(lfn) is not None:
            raise DifferenceError(f"there is a file {normal_lfn(lfn)} already")
        with self._translated(lfn):
            self._api.upload_file(
                str(path), self._bucket, self._key(lfn),
                ExtraArgs={"Metadata": {_DIGEST: sha256}},
            )  # fmt: skip
        found = self.find(lfn)
        if found is None:
            raise ProvError(f"{lfn} was stored, but s3://{self._bucket} does not have it")
        return found

    def _key(self, lfn: str) -> str:
        return self._prefix + normal_lfn(lfn).lstrip("/")

    def _url(self, lfn: str) -> str:
        return f"s3://{self._bucket}/{self._key(lfn)}"

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Raise our errors instead of boto3's."""
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            yield
        except ClientError as error:
            raise self._error(what, error.response) from error
        except S3UploadFailedError as error:
            cause = error.__context__
            if isinstance(cause, ClientError):
                raise self._error(what, cause.response) from error
            raise UnavailableError(f"{what}: {error}") from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise AuthorisationError(
                f"{what}: {error}: name a file of credentials on the nodes with the storage's "
                "option credentials, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY there"
            ) from error
        except BotoCoreError as error:
            raise UnavailableError(f"{what}: S3 does not answer: {error}") from error

    def _error(self, what: str, answer: Any) -> ProvError:  # Any: boto3 has no types
        status = int(answer["ResponseMetadata"]["HTTPStatusCode"])
        said = f"{answer['Error'].get('Code')}: {answer['Error'].get('Message')}"
        if status == 404 and what.startswith("bucket "):
            return UsageError(f"there is no {what}: make it, or name another")
        if status == 404:
            return NotFoundError(f"s3://{self._bucket} has no {what}")
        if status in (401, 403):
            return AuthorisationError(f"{what}: S3 does not allow this ({said})")
        if status == 429 or status >= 500:
            return UnavailableError(f"{what}: S3 fails with status {status}: {said}")
        return ProvError(f"{what}: S3 refuses this with status {status}: {said}")


def _client(
    endpoint: str | None, region: str | None, credentials: str | None, profile: str | None
) -> Any:  # Any: boto3 has no types
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, and storage in S3 needs it: "
            "pip install 'provmanager[s3]'"
        ) from error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session(profile=profile)
    if credentials is not None:
        if not Path(credentials).is_file():
            raise UsageError(f"there is no file of S3 credentials {credentials} on this machine")
        session.set_config_variable("credentials_file", credentials)
    config = Config(
        connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": _ATTEMPTS}
    )
    try:
        return boto3.Session(botocore_session=session).client(
            "s3", endpoint_url=endpoint, region_name=region or "us-east-1", config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"S3 at {endpoint}: {error}") from error
