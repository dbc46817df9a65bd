"""Keys, users, groups, job types and databases: what DiracX reads when it starts."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provmanager.errors import ProvError, UsageError

from .folder import Folder
from .pilot.tokens import API_KEY_PREFIX, Owner

VO = "testbed"
BUCKET = "sandboxes"

_GROUPS = {
    "user": ["NormalUser"],
    "production": ["NormalUser", "ProductionManagement"],
    "pilot": ["GenericPilot", "LimitedDelegation", "JobAdministrator", "NormalUser"],
    "admin": ["NormalUser", "JobAdministrator"],
}
_USERS = {
    "user": ["user"],
    "user2": ["user"],
    "user3": ["user"],
    "production": ["production", "user"],
    "admin": ["admin", "user"],
    "pilot": ["pilot"],
}
"""User -> groups, the first of which the credentials file is for."""

PILOT = Owner("pilot", VO, "pilot")

JOB_TYPES = (
    "User", "Test", "Hospital", "MCSimulation", "DL0_Reprocessing", "Merging", "Training",
    "ApplyModel", "EvnDispProcessing",
)  # fmt: skip
"""DiracX's own three, and those of CTADIRAC's job classes."""


def users() -> list[Owner]:
    """Return the users for whom credentials are made."""
    return [Owner(user, VO, groups[0]) for user, groups in _USERS.items()]


def write_configuration(folder: Folder, *, job_types: Sequence[str]) -> None:
    """Write DiracX's configuration, and commit it where it changed.

    Raises
    ------
    UsageError
        There is no git.
    """
    if shutil.which("git") is None:
        raise UsageError("DiracX keeps its configuration in git, which is not there: install git")
    repository = folder.configuration
    if not (repository / ".git" / "HEAD").exists():
        _git(folder, "init", "--quiet", "--initial-branch=master", str(repository))
    # JSON is YAML; a user's subject stays the same for ever, as in an identity provider.
    text = json.dumps(_configuration(job_types), indent=2) + "\n"
    path = repository / "default.yml"
    if path.exists() and path.read_text() == text:
        return
    path.write_text(text)
    _git(folder, "-C", str(repository), "add", path.name)
    _git(
        folder, "-C", str(repository), "-c", "user.name=prod-testbed",
        "-c", "user.email=prod-testbed@localhost", "commit", "--quiet", "--message=configuration",
    )  # fmt: skip


def write_keys(folder: Folder, python: Path) -> None:
    """Make the signing key (Ed25519) and the secrets, unless they are there."""
    jwks = folder.keys / "jwks.json"
    if not jwks.exists():
        partial = jwks.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        _run_diracx(python, "diracx.logic", "rotate-jwk", "--jwks-path", str(partial))
        partial.chmod(0o600)
        partial.rename(jwks)
    state_key = folder.keys / "state"
    if not state_key.exists():  # a Fernet key
        _write_secret(state_key, base64.urlsafe_b64encode(os.urandom(32)).decode())
    if not api_key_file(folder).exists():
        raw = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
        _write_secret(api_key_file(folder), API_KEY_PREFIX + raw)


def api_key_file(folder: Folder) -> Path:
    """Return where the secret lies by which a process gets a token of any user."""
    return folder.keys / "api_key"


def server_environment(folder: Folder, python: Path, *, url: str, s3_url: str) -> dict[str, str]:
    """Return DiracX's settings as environment variables."""
    raw = api_key_file(folder).read_text().removeprefix(API_KEY_PREFIX)
    return {
        "DIRACX_CONFIG_BACKEND_URL": f"git+file://{folder.configuration}",
        "DIRACX_SERVICE_AUTH_TOKEN_KEYSTORE": f"file://{folder.keys / 'jwks.json'}",
        "DIRACX_SERVICE_AUTH_TOKEN_ISSUER": url,
        "DIRACX_SERVICE_AUTH_STATE_KEY": (folder.keys / "state").read_text(),
        "DIRACX_SERVICE_AUTH_ALLOWED_REDIRECTS": json.dumps([f"{url}/api/docs/oauth2-redirect"]),
        "DIRACX_LEGACY_EXCHANGE_HASHED_API_KEY": hashlib.sha256(
            base64.urlsafe_b64decode(raw)
        ).hexdigest(),
        "DIRACX_SANDBOX_STORE_BUCKET_NAME": BUCKET,
        "DIRACX_SANDBOX_STORE_AUTO_CREATE_BUCKET": "true",
        "DIRACX_SANDBOX_STORE_S3_CLIENT_KWARGS": json.dumps(
            {
                "endpoint_url": s3_url,
                "aws_access_key_id": "testbed",
                "aws_secret_access_key": "testbed",
            }
        ),
        "DIRACX_TASKS_REDIS_URL": "redis://127.0.0.1:6379",  # read, but used by its tasks only
        **_databases(folder, python),
    }


def _databases(folder: Folder, python: Path) -> dict[str, str]:
    """Return the URL of each of DiracX's databases, which it names itself."""
    listed = folder.databases / "urls.json"
    if not listed.exists():
        said = _run_diracx(python, "diracx.db", "generate-local-urls", str(folder.databases))
        urls = {}
        for line in said.splitlines():
            name, is_assignment, value = line.removeprefix("export ").partition("=")
            if is_assignment:
                urls[name] = value.strip("\"'")
        for path in {v.partition("sqlite+aiosqlite:///")[2].rstrip('"}') for v in urls.values()}:
            with sqlite3.connect(path) as connection:  # readers and the writer do not wait
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        listed.write_text(json.dumps(urls, indent=1))
    stored: dict[str, str] = json.loads(listed.read_text())
    return stored


def _configuration(job_types: Sequence[str]) -> dict[str, Any]:  # Any: free-form JSON
    subjects = {
        user: str(uuid.uuid5(uuid.NAMESPACE_URL, f"provmanager:testbed:{user}")) for user in _USERS
    }
    members = {
        group: [subjects[user] for user, groups in _USERS.items() if group in groups]
        for group in _GROUPS
    }
    return {
        "DIRAC": {},
        "Registry": {
            VO: {
                "DefaultGroup": "user",
                "IdP": {"URL": "https://idp.invalid", "ClientID": "testbed"},
                "Users": {s: {"PreferedUsername": user} for user, s in subjects.items()},
                "Groups": {
                    group: {"Properties": properties, "Users": members[group]}
                    for group, properties in _GROUPS.items()
                },
            }
        },
        "Operations": {
            "Defaults": {
                "Services": {"JobScheduling": {"MaxRescheduling": 3}},
                "JobDescription": {"AllowedJobTypes": list(dict.fromkeys(job_types))},
            }
        },
    }


def _write_secret(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)


def _run_diracx(python: Path, *arguments: str) -> str:
    done = subprocess.run(
        [python, "-m", *arguments], capture_output=True, text=True, check=False,
        env=without_settings(os.environ),
    )  # fmt: skip
    if done.returncode != 0:
        raise ProvError(f"{' '.join(arguments[:2])} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would tell DiracX of another server."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(("DIRACX_", "PYTHON")) and name != "VIRTUAL_ENV"
    }


def _git(folder: Folder, *arguments: str) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=folder.path,
        env=environ,
    )  # fmt: skip
    if done.returncode != 0:
        raise ProvError(f"git {arguments[0]} failed in {folder.path}: {done.stderr.strip()}")
