"""Tokens of a DiracX server: real signatures, and keys that are fetched over HTTP."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey

from provmanager.client import ProvClient
from provmanager.config.issuers import load_issuers
from provmanager.config.settings import Settings, load_settings
from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    UnavailableError,
    UsageError,
)

NOW = int(datetime.now(UTC).timestamp())  # of the collection: the tests may run much later


class Issuer:
    """An issuer on loopback, which serves its public keys as DiracX does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".well-known"
        self.folder.mkdir()
        self.keys = KeySet([])
        self.roll()
        handler = functools.partial(_Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def roll(self) -> None:
        """Sign with a new key from now on; the former ones stay valid."""
        self.key = OKPKey.generate_key("Ed25519", {"kid": str(uuid4()), "alg": "Ed25519"})
        self.keys = KeySet([*self.keys.keys, self.key])
        public = self.keys.as_dict(private=False)
        (self.folder / "jwks.json").write_text(json.dumps(public))

    def token(self, key: OKPKey | OctKey | None = None, alg: str = "Ed25519", **claims) -> str:
        """Make an access token with the claims of DiracX's, and those given."""
        everything = {
            "sub": "testvo:11111111-1111-4111-8111-111111111111",
            "vo": "testvo",
            "iss": self.url,
            "dirac_properties": ["NormalUser"],
            "jti": str(uuid4()),
            "preferred_username": "alice",
            "dirac_group": "user",
            "exp": NOW + 86400,
            "dirac_policies": {},
        } | claims
        stated = {name: value for name, value in everything.items() if value is not None}
        key = key or self.key
        return jwt.encode({"alg": alg, "kid": self.key.kid}, stated, key, algorithms=[alg])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """A server that issues tokens."""
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def settings(issuer: Issuer, database_url: str, state_dir: Path) -> Settings:
    """A service that trusts the issuer, and one that does not answer."""
    roles = [
        {"vo": "testvo", "group": "prod", "role": "curator"},
        {"vo": "testvo", "group": "user", "role": "recorder"},
        {"vo": "readers", "role": "reader"},
    ]
    silent = {"issuer": "http://127.0.0.1:1", "roles": roles}
    path = state_dir / "issuers.json"
    path.write_text(json.dumps({"issuers": [{"issuer": issuer.url, "roles": roles}, silent]}))
    return load_settings(database_url=database_url, state_dir=state_dir, port=0, issuers_file=path)


def info(app_url: str, token: str):
    with ProvClient(app_url, token, retries=0) as client:
        return client.info()


def activity(job: str | None) -> bytes:
    record = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": "qtemp",
        "status": "completed",
    }
    if job:
        record["job"] = {"system": "DIRAC", "id": job}
    return json.dumps(record).encode()


def test_group_and_vo_decide_what_a_token_may_do(issuer, app_url, make_token):
    for claims, role in (
        ({}, "recorder"),
        ({"dirac_group": "prod"}, "curator"),
        ({"vo": "readers", "dirac_group": "whatever"}, "reader"),
    ):
        token = issuer.token(**claims)
        assert info(app_url, token)["version"]
        refused = pytest.raises(AuthorisationError, match=f"has the role {role}")
        with ProvClient(app_url, token) as client, refused:
            client.tokens()
    with pytest.raises(AuthorisationError, match="group 'admin' of the VO 'testvo' has no role"):
        info(app_url, issuer.token(dirac_group="admin"))
    assert info(app_url, make_token("reader"))["version"]  # the server's own go on


def test_a_user_records_with_the_token_of_the_grid(issuer, app_url):
    with ProvClient(app_url, issuer.token()) as client:
        client.record(activity(None), name="run.json")
        told = client.search_activities(name="qtemp")
    assert len(told["items"]) == 1


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 86400}, "not yet valid"),
        ({"iss": "https://elsewhere.example"}, "not taken here"),
        ({"aud": "another-service"}, "addressed to 'another-service'"),
        ({"vo": None}, "vo"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
    ],
)
def test_a_token_out_of_time_or_place_is_refused(issuer, app_url, claims, message):
    with pytest.raises(AuthenticationError, match=message):
        info(app_url, issuer.token(**claims))


def test_signatures_are_checked(issuer, app_url):
    other = OKPKey.generate_key("Ed25519", {"kid": issuer.key.kid})
    public = OctKey.import_key(issuer.key.as_dict(private=False)["x"])
    head, body, signature = issuer.token().split(".")
    admin = issuer.token(other, dirac_group="prod").split(".")[1]
    for forged in (
        issuer.token(other),
        issuer.token(public, alg="HS256"),  # the public key taken for a shared secret
        f"{head}.{admin}.{signature}",
        f"{head}.{body}.",
        f"eyJhbGciOiJub25lIn0.{body}.",
        "a.b.c",
        f"WyJhbGciXQ.{body}.{signature}",  # a header that is a JSON list
        f"{head}.W10.{signature}",  # claims that are one
        f"{head}.{body}.{signature}"[:-4] + "AAAA",
    ):
        with pytest.raises(AuthenticationError):
            info(app_url, forged)


def test_a_new_key_of_the_issuer_is_fetched(issuer, app_url, app):
    old = issuer.token()
    info(app_url, old)
    issuer.roll()
    held = app.state.token_issuers._keys[issuer.url]
    held._asked_at -= 11  # as if some seconds had gone by: nobody waits in a test
    info(app_url, issuer.token())
    info(app_url, old)


def test_an_issuer_that_does_not_answer_is_said_to(issuer, app_url):
    with pytest.raises(UnavailableError, match=r"keys of .*:1 cannot be had"):
        info(app_url, issuer.token(iss="http://127.0.0.1:1"))


def test_a_submitter_makes_tokens_for_their_jobs_and_no_others(issuer, app_url):
    with ProvClient(app_url, issuer.token()) as client:
        made = client.create_token("job 4711", "recorder", job="4711", expires_in_s=3600)
        for options in (
            {"role": "recorder", "expires_in_s": 60},
            {"role": "recorder", "job": "4712"},
            {"role": "recorder", "job": "4712", "expires_in_s": 31 * 86400},
            {"role": "reader", "expires_in_s": 60},
            {"role": "admin"},
        ):
            with pytest.raises(AuthorisationError, match="needs the role admin"):
                client.create_token("wrong", **options)
    with ProvClient(app_url, made["token"]) as job:
        job.record(activity("4711"), name="run.json")
        with pytest.raises(AuthorisationError, match="job 4711 only"):
            job.record(activity("4712"), name="run.json")
        with pytest.raises(AuthorisationError, match="it makes no others"):
            job.create_token("next", "recorder", job="4711", expires_in_s=60)
    reader = issuer.token(vo="readers")
    refused = pytest.raises(AuthorisationError, match="needs the role recorder")
    with ProvClient(app_url, reader) as client, refused:
        client.create_token("x", "recorder", job="1", expires_in_s=60)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("issuers: [{issuer: 'http://dirac.example', roles: [{vo: a, role: reader}]}]", "https"),
        (
            "issuers: [{issuer: 'http://127.0.0.1.example', roles: [{vo: a, role: reader}]}]",
            "https",
        ),
        (
            "issuers: [{issuer: 'https://dirac.example', roles: [{vo: a, role: king}]}]",
            "/issuers/0/roles/0/role",
        ),
        ("issuers: [{issuer: 'https://dirac.example', roles: []}]", "/issuers/0/roles"),
        ("[", "cannot be read"),
    ],
)
def test_a_wrong_file_of_issuers_says_where(tmp_path, text, message):
    path = tmp_path / "issuers.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_issuers(path)
