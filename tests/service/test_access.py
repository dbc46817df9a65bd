"""Who may do what, over HTTP."""

import time
from datetime import UTC, datetime, timedelta

import fastapi.routing
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    NotFoundError,
    UsageError,
    from_wire,
)
from provmanager.logic import access
from provmanager.model import Role
from provmanager.service.security import AccessRule, OpenRule

ROLES = ["reader", "recorder", "curator", "admin"]


def rules_of(dependant):
    """Every access rule that a route's dependencies declare, at any depth."""
    own = [dependant.call] if isinstance(dependant.call, AccessRule | OpenRule) else []
    return own + [rule for inner in dependant.dependencies for rule in rules_of(inner)]


def all_routes(app):
    """Every route, also those of included routers, which newer FastAPI keeps apart."""
    walk = getattr(fastapi.routing, "iter_route_contexts", iter)
    return [route for route in walk(app.routes) if hasattr(route, "path")]


def api_routes(app):
    return [route for route in all_routes(app) if getattr(route, "dependant", None) is not None]


def test_every_route_declares_exactly_one_access_rule(app):
    routes = api_routes(app)
    assert {"/v1/health", "/v1/info", "/v1/tokens"} <= {route.path for route in routes}
    rules = {(r.path, *r.methods): rules_of(r.dependant) for r in routes}
    assert {where: found for where, found in rules.items() if len(found) != 1} == {}


def test_a_route_without_a_rule_would_be_found():
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/forgotten", lambda: None)
    app.include_router(router)
    found = [rules_of(r.dependant) for r in api_routes(app) if r.path == "/forgotten"]
    assert found == [[]]


OPEN = {
    "/v1/health",
    "/sign-in",
    "/sign-out",
    "/assets/{name}",
    "/provsap/availability",  # VOSI: monitors and registries read these as anybody
    "/provsap/capabilities",
}


def test_only_health_the_sign_in_and_the_api_description_are_open(app):
    is_open = {r.path for r in api_routes(app) if isinstance(rules_of(r.dependant)[0], OpenRule)}
    assert is_open == OPEN
    others = {route.path for route in all_routes(app)} - {r.path for r in api_routes(app)}
    assert others == {"/v1/openapi.json"}


def test_every_closed_route_answers_401_without_a_token(app, app_url):
    for route in api_routes(app):
        if route.path in OPEN:
            continue
        path = route.path.replace("{", "").replace("}", "")
        for method in route.methods:
            response = httpx.request(method, app_url + path)
            assert response.status_code == 401, (method, path, response.text)
            assert response.headers["www-authenticate"].startswith("Bearer")
            if path == "/provsap":  # DALI: errors are VOTables
                assert '<INFO name="QUERY_STATUS" value="ERROR">' in response.text
                assert "PROV_TOKEN" in response.text
                continue
            assert set(response.json()) == {"code", "message", "details"}
            assert isinstance(from_wire(response.json()), AuthenticationError)
            assert "PROV_TOKEN" in response.json()["message"]


@pytest.mark.parametrize(
    "token", ["nonsense", "prov_" + "A" * 43, "prov_" + "é" * 43, "prov_" + "A" * 100_00]
)
def test_unknown_tokens_are_not_taken(app_url, token):
    headers = {"Authorization": f"Bearer {token}".encode()}
    response = httpx.get(app_url + "/v1/info", headers=headers)
    assert response.status_code == 401
    assert "not known here" in response.json()["message"]
    assert token not in response.text


def test_health_needs_no_token(app_url):
    assert httpx.get(app_url + "/v1/health").json() == {"status": "ok"}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_includes_the_ones_before_it(app_url, make_token, role):
    with ProvClient(app_url, make_token(role)) as client:
        assert client.info()["version"]
        if role == "admin":
            assert client.tokens()
        else:
            with pytest.raises(AuthorisationError, match=f"has the role {role}") as caught:
                client.tokens()
            assert caught.value.details == {"needed": "admin", "held": role}
    for other in ROLES:
        assert Role(role).includes(Role(other)) == (ROLES.index(role) >= ROLES.index(other))


def test_a_token_is_shown_once_and_stored_as_its_digest(client, database):
    made = client.create_token("nightly", "recorder", expires_in_s=3600, job="4711")
    assert made["token"].startswith("prov_")
    assert (made["role"], made["job"]) == ("recorder", "4711")
    listed = {item["id"]: item for item in client.tokens()}[made["id"]]
    assert "token" not in listed
    lifetime = datetime.fromisoformat(listed["expires_at"]) - datetime.fromisoformat(
        listed["created_at"]
    )
    assert lifetime == timedelta(hours=1)
    with database.transaction() as session:
        everything = session.execute(text("SELECT access_token::text FROM access_token")).scalars()
        assert not any(made["token"][5:] in row for row in everything)


def test_a_revoked_token_is_refused_at_once_and_says_so(client, app_url):
    made = client.create_token("short-lived", "reader")
    with ProvClient(app_url, made["token"]) as other:
        other.info()
        assert client.revoke_token(made["id"])["revoked_at"]
        with pytest.raises(AuthenticationError, match="'short-lived' was revoked at 20"):
            other.info()
    assert client.revoke_token(made["id"])["id"] == made["id"]
    client.create_token("short-lived", "reader")
    assert client.revoke_token("short-lived")["id"] != made["id"]


def test_a_token_revoked_by_another_server_is_refused_within_seconds(database, app_url, make_token):
    token = make_token("reader", name="elsewhere")
    with ProvClient(app_url, token) as other:
        other.info()
        with database.transaction() as session:
            access.revoke_token(session, "elsewhere", now=datetime.now(UTC))
        begin = time.monotonic()
        while time.monotonic() - begin < 60:
            try:
                other.info()
            except AuthenticationError:
                break
            time.sleep(0.05)
        assert time.monotonic() - begin < 60


def test_an_expired_token_is_refused_and_its_name_is_free_again(client, app_url, make_token):
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    old = make_token("reader", name="last night", now=long_ago, lifetime_s=3600)
    expired = pytest.raises(AuthenticationError, match="'last night' expired at")
    with ProvClient(app_url, old) as other, expired:
        other.info()
    assert client.create_token("last night", "reader")["token"]


@pytest.mark.parametrize(
    ("options", "pointer", "message"),
    [
        ({"role": "emperor"}, "/body/role", "'reader', 'recorder', 'curator' or 'admin'"),
        ({"role": "reader", "job": "4711"}, "/job", "only a recorder's token"),
        ({"role": "reader", "expires_in_s": -1}, "/body/expires_in_s", "greater than 0"),
        ({"role": "reader", "name": ""}, "/body/name", "at least 1 character"),
    ],
)
def test_a_wrong_wish_is_refused_with_a_pointer(client, options, pointer, message):
    options = {"name": "wrong"} | options
    with pytest.raises(UsageError, match=message) as caught:
        client.create_token(**options)
    assert caught.value.details["pointer"] == pointer
    assert "wrong" not in {item["name"] for item in client.tokens()}


def test_a_name_is_taken_while_its_token_is_valid(client):
    client.create_token("twice", "reader")
    with pytest.raises(UsageError, match="prod-token revoke 'twice'"):
        client.create_token("twice", "reader")


def test_revoking_what_is_not_there_says_so(client):
    with pytest.raises(NotFoundError, match="prod-token list"):
        client.revoke_token("nobody's")
    with pytest.raises(NotFoundError):
        client.revoke_token("00000000-0000-0000-0000-000000000000")


def test_use_is_noted_coarsely_and_without_waiting(database, make_token):
    token = make_token("reader", name="coarse")
    start = datetime.now(UTC)

    def use(minutes):
        with database.statements() as session:
            access.authenticate(session, token, now=start + timedelta(minutes=minutes))
        with database.statements() as session:
            return session.execute(
                text("SELECT last_used_at FROM access_token WHERE name = 'coarse'")
            ).scalar_one()

    assert use(0) == start
    assert use(9) == start
    assert use(10) == start + timedelta(minutes=10)
    with database.transaction() as session:  # somebody holds the row: nobody waits for it
        session.execute(text("SELECT 1 FROM access_token WHERE name = 'coarse' FOR UPDATE"))
        assert use(30) == start + timedelta(minutes=10)


def test_operator_token_is_made_once_with_mode_0600(database, tmp_path):
    path = tmp_path / "admin.token"

    def ensure():
        with database.transaction() as session:
            return access.ensure_operator_token(session, path, now=datetime.now(UTC))

    assert ensure()
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not ensure()
    assert path.read_text() == first
    path.write_text("prov_" + "B" * 43)  # of another database
    assert ensure()
    with database.transaction() as session:
        now = datetime.now(UTC)
        assert access.authenticate(session, path.read_text().strip(), now=now).role is Role.ADMIN
        with pytest.raises(AuthenticationError, match="revoked"):
            access.authenticate(session, first.strip(), now=now)


def test_a_revoked_operator_token_stays_revoked(database, tmp_path):
    path = tmp_path / "admin.token"
    with database.transaction() as session:
        now = datetime.now(UTC)
        access.ensure_operator_token(session, path, now=now)
        held = path.read_text().strip()
        principal = access.authenticate(session, held, now=now)
        access.revoke_token(session, str(principal.token_uuid), now=now)
    with database.transaction() as session:
        assert not access.ensure_operator_token(session, path, now=now)
        with pytest.raises(AuthenticationError):
            access.authenticate(session, held, now=now)


def test_api_description_names_the_token_scheme(app_url):
    described = httpx.get(app_url + "/v1/openapi.json").json()
    assert described["info"]["title"] == "provmanager"
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["paths"]["/v1/tokens"]["post"]["security"] == [{"token": []}]
    assert "security" not in described["paths"]["/v1/health"]["get"]


def test_unknown_addresses_and_methods_have_the_one_error_shape(app_url):
    response = httpx.get(app_url + "/v1/nothing")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    response = httpx.request("PATCH", app_url + "/v1/info")
    assert (response.status_code, response.json()["code"]) == (405, "usage")
