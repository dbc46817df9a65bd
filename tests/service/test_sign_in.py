"""Signing in to the pages: what the browser holds, what that can do, and when it ends."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from browser import Pages
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import AuthenticationError
from provmanager.logic import access, sessions
from provmanager.service.security import COOKIE

HTML = {"accept": "text/html"}


@pytest.fixture
def pages(app_url):
    with Pages(app_url) as browser:
        yield browser


def test_without_a_session_a_page_leads_to_the_sign_in_and_back(pages, make_token):
    pages.get("/search?q=a%26b&kind=activities")
    assert pages.path == "/sign-in"
    form = pages.html("/search?q=a%26b&kind=activities").forms[0]
    fields = dict(form.form_values()) | {"token": make_token("reader")}
    response = pages.http.post(form.action, data=fields, headers=HTML)
    assert response.status_code == 200
    assert str(response.url).endswith("/search?q=a%26b&kind=activities")


def test_the_cookie_is_not_the_token_and_no_script_or_other_site_gets_it(pages, make_token):
    token = make_token("admin")
    response = pages.http.post("/sign-in", data={"token": token}, follow_redirects=False)
    assert response.status_code == 303
    cookie = response.headers["set-cookie"]
    assert token not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert f"Max-Age={12 * 3600}" in cookie
    assert token not in str(response.headers)


def test_a_session_reads_pages_and_nothing_else(pages, make_token, app_url):
    pages.sign_in(make_token("admin"))
    assert pages.get("/search").status_code == 200
    cookies = dict(pages.http.cookies)
    for method, path in (("GET", "/v1/info"), ("GET", "/v1/tokens"), ("POST", "/v1/documents")):
        assert httpx.request(method, app_url + path, cookies=cookies).status_code == 401, path
    for header in (cookies[COOKIE], f"{COOKIE} {cookies[COOKIE]}"):
        headers = {"authorization": f"Bearer {header}"}
        assert httpx.get(f"{app_url}/v1/info", headers=headers).status_code == 401
        assert httpx.get(f"{app_url}/search", headers=headers).status_code == 401


def test_a_program_reads_pages_with_its_token(app_url, make_token):
    headers = {"authorization": f"Bearer {make_token('reader')}"}
    answer = httpx.get(f"{app_url}/search", headers=headers).json()
    assert answer["page"] == "search"


def test_a_wrong_token_is_refused_on_the_page(pages):
    response = pages.sign_in("prov_" + "A" * 43)
    assert response.status_code == 401
    assert "not valid here" in response.text
    assert "A" * 43 not in response.text
    assert not pages.http.cookies


def test_signing_out_makes_the_cookie_worthless_at_once(pages, make_token, app_url):
    pages.sign_in(make_token("reader"))
    cookies = dict(pages.http.cookies)
    assert httpx.get(f"{app_url}/search", cookies=cookies).status_code == 200
    pages.http.post("/sign-out")
    assert not pages.http.cookies
    assert httpx.get(f"{app_url}/search", cookies=cookies).status_code == 401


def test_a_session_ends_with_its_token(pages, client, app_url):
    made = client.create_token("auditor", "reader")
    pages.sign_in(made["token"])
    assert pages.get("/search").status_code == 200
    client.revoke_token(made["id"])
    assert httpx.get(f"{app_url}/search", cookies=dict(pages.http.cookies)).status_code == 401


def test_a_session_ends_in_time(database, make_token):
    now = datetime.now(UTC)
    with database.transaction() as session:
        principal = access.authenticate(session, make_token("reader"), now=now)
        value = sessions.open_session(session, principal, now=now)
        almost = now + sessions.SESSION_LIFETIME - timedelta(seconds=1)
        assert sessions.find_session(session, value, now=almost).name == principal.name
        with pytest.raises(AuthenticationError):
            sessions.find_session(session, value, now=now + sessions.SESSION_LIFETIME)


def test_only_digests_of_cookies_are_stored_and_old_ones_are_forgotten(database, make_token):
    now = datetime.now(UTC)
    with database.transaction() as session:
        principal = access.authenticate(session, make_token("reader"), now=now)
        old = sessions.open_session(session, principal, now=now - timedelta(days=2))
        new = sessions.open_session(session, principal, now=now)
        rows = session.execute(text("SELECT browser_session::text FROM prov.browser_session"))
        stored = "\n".join(rows.scalars())
    assert old not in stored
    assert new not in stored
    assert stored.count(str(principal.token_uuid)) == 1


# --- one-time links -------------------------------------------------------------------------------


def test_a_link_signs_in_once(pages, client: ProvClient, app_url):
    link = client.sign_in_link()
    assert link["expires_in_s"] == 120
    response = pages.http.get(link["path"], headers=HTML)
    assert response.url.path == "/search"
    assert response.status_code == 200
    again = httpx.get(app_url + link["path"], headers=HTML)
    assert again.status_code in (401, 303)
    assert "set-cookie" not in again.headers
    told = httpx.get(app_url + link["path"], headers={"accept": "application/json"})
    assert "used already" in told.json()["message"]


def test_a_link_is_good_for_two_minutes_and_is_no_session(database, make_token):
    now = datetime.now(UTC)
    with database.transaction() as session:
        principal = access.authenticate(session, make_token("admin"), now=now)
        code = sessions.make_link_code(session, principal, now=now)
        with pytest.raises(AuthenticationError):
            sessions.find_session(session, code, now=now)
        with pytest.raises(AuthenticationError):
            sessions.redeem_link(session, code, now=now + sessions.LINK_LIFETIME)
        # looking at it too late used it up as well
        with pytest.raises(AuthenticationError):
            sessions.redeem_link(session, code, now=now)


# --- other sites ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # another port of this host
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_from_another_site_is_refused(app_url, make_token, path, headers):
    data = {"token": make_token("reader")}
    response = httpx.post(app_url + path, data=data, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "next_",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/e"],
)
def test_the_sign_in_leads_to_this_server_only(app_url, make_token, next_):
    data = {"token": make_token("reader"), "next": next_}
    response = httpx.post(f"{app_url}/sign-in", data=data)
    assert response.headers["location"] == "/search"


def test_the_start_page_says_nothing_of_the_record_to_strangers(pages):
    html = pages.html("/")
    assert pages.path == "/sign-in"
    assert not html.cssselect("nav, footer p:not(.print-only)")


def test_prod_server_says_how_to_open_the_pages_and_gives_a_link(server):
    said = server.command("status")
    assert "prod-server open" in said.stderr
    link = server.command("open").stdout.strip()
    assert server.token not in link
    with httpx.Client(follow_redirects=True, headers=HTML) as browser:
        response = browser.get(link)
    assert response.url.path == "/search"
    assert "0 products of 0 activities" in response.text
    assert "expires_in_s" in server.command("open", "--json").stdout
