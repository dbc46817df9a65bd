"""Wrong use reads well: each kind has its own message, code, status and exit code.

And the store is what it was: compared are all rows of all tables, before and after.
"""

import gzip
import json
import os
import random
import socket
import string
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from server_process import ServerProcess
from service.snapshot import everything

from client_scripts import add_prov
from provmanager.client import ProvClient
from provmanager.errors import ProvError, ServerUnavailableError, all_errors
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import Database

MIB = 2**20
MERGE = "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
FITS = b"".join(
    card.ljust(80)
    for card in (b"SIMPLE  =                    T", b"BITPIX  =                    8",
                 b"NAXIS   =                    0", b"EXTEND  =                    T", b"END")
).ljust(2880)  # fmt: skip


@pytest.fixture(scope="module")
def merge(prov_data: Path, client: ProvClient) -> bytes:
    """A real record, which the server has."""
    data = (prov_data / MERGE).read_bytes()
    client.record(data, name="merge.log")
    return data


@pytest.fixture
def unchanged(merge: bytes, database: Database) -> Iterator[None]:
    """Check that the test leaves the store as it was."""
    before = everything(database)
    yield
    assert everything(database) == before


@pytest.fixture(scope="module")
def post(app_url: str, token: str) -> Callable[..., httpx.Response]:
    """POST a body to /v1/documents."""

    def send(body: bytes, path: str = "/v1/documents", **headers: str) -> httpx.Response:
        given = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(app_url + path, content=body, headers=given, timeout=60)

    return send


def other_run(record: bytes, **changes: Any) -> bytes:
    """Return the record as that of another run, with changes."""
    (run,) = json.loads(record)
    run["activity_uuid"] = "11111111-2222-4333-8444-555555555555"
    return json.dumps([run | changes]).encode()


def assert_refused(
    answer: httpx.Response, status: int, code: str, message: str, **details: Any
) -> None:
    said = answer.json()
    assert set(said) == {"code", "message", "details"}
    assert (answer.status_code, said["code"]) == (status, code), said
    assert all_errors()[code].http_status == status
    assert message in said["message"]
    assert details.items() <= said["details"].items(), said["details"]


# what is sent, made of a real record; status, code, words of the message, details
DOCUMENTS: dict[str, tuple[Callable[[bytes], bytes], int, str, str, dict[str, Any]]] = {
    "truncated JSON": (
        lambda r: r[:5000], 400, "json_syntax", "it is cut off: send the whole file",
        {"offset": 5000, "line": 177, "column": 10},
    ),
    "a second array that is cut off": (
        lambda r: r + r[:100], 400, "json_syntax", "found the end of the document", {"line": 536},
    ),
    "a FITS file": (
        lambda _: FITS, 415, "unrecognised_format", "run.json is a FITS file without CTAO",
        {"found": "a FITS file without CTAO product metadata in its headers"},
    ),
    "an HTML page": (
        lambda _: b"<!DOCTYPE html><html><body>Sign in</body></html>", 415, "unrecognised_format",
        "an HTML page (of a log-in or an error?)", {},
    ),
    "other JSON": (
        lambda _: b'{"temperature": 12}', 415, "unrecognised_format", 'with "temperature"', {},
    ),
    "nothing": (
        lambda _: b"", 415, "unrecognised_format", "the run wrote no record: look for its log", {},
    ),
    "white space": (
        lambda _: b" \n" * 1000, 415, "unrecognised_format", "an empty file", {},
    ),
    "10 000 levels of objects": (
        lambda _: b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 422, "document_too_deep",
        "nested deeper than 200 levels at byte 1000", {"offset": 1000},
    ),
    "10 000 levels of arrays, inside a record": (
        lambda r: other_run(r, config="*").replace(b'"*"', b"[" * 10_000 + b"]" * 10_000),
        422, "document_too_deep", "nested deeper than 200 levels",
        {"expected": "at most 200 levels"},
    ),
    "10 000 levels of XML": (
        lambda _: b'<a xmlns="http://www.w3.org/ns/prov#">' + b"<b>" * 10_000, 422,
        "document_too_deep", "nested deeper than can be read", {},
    ),
    "a stop before the start": (
        lambda r: other_run(r, stop={"time_utc": "2020-01-01T00:00:00.000"}), 422,
        "invalid_document", "before it starts at 2026-11-21T02:15:36.187",
        {"pointer": "/0/0/stop/time_utc"},
    ),
    "an id that is another run's": (
        lambda r: r.replace(b'"ctapipe-merge"', b'"ctapipe-split"', 1), 409, "activity_collision",
        "recorded as 'ctapipe-merge' started 2026-11-21T02:15:36.187000Z, this document says "
        "'ctapipe-split'", {"activity": "13ef3385-f91d-4a05-9760-26c9c13fa329"},
    ),
    "no id": (
        lambda r: r.replace(b'"activity_uuid"', b'"uuid"', 1), 422, "invalid_document",
        "expected the UUID of the activity, found nothing", {"pointer": "/0/0/activity_uuid"},
    ),
    "an id that is none": (
        lambda r: r.replace(b"13ef3385-f91d", b"13ef3385+f91d", 1), 422, "invalid_document",
        "/0/0/activity_uuid", {"pointer": "/0/0/activity_uuid"},
    ),
    "a time that is none": (
        lambda r: other_run(r, start={"time_utc": "last night"}), 422, "invalid_document",
        "expected a time such as", {"pointer": "/0/0/start/time_utc"},
    ),
    "an exit code beyond 32 bits": (
        lambda r: other_run(r, exit_code=10**12), 422, "invalid_document",
        "expected a whole number of 32 bits", {"pointer": "/0/0/exit_code"},
    ),
    "a number of 5000 digits": (
        lambda r: other_run(r, config={"n": 0}).replace(b'"n": 0', b'"n": ' + b"9" * 5000), 400,
        "json_syntax", "4300 digits", {},
    ),
    "a name of 12 kB": (
        lambda r: other_run(r, activity_name="process " * 1500), 422, "invalid_document",
        "the activity name 'process process", {"expected": 2500, "found": 12000},
    ),
    "a path of 12 kB": (
        lambda r: other_run(r, output=[{"url": "/" + "x" * 12_000, "role": None}]), 422,
        "invalid_document", "the name of a product 'xxxx", {"found": 12000},
    ),
    "a bare NUL": (
        lambda r: r.replace(b"ctapipe-merge", b"ctapipe\0merge", 1), 400, "json_syntax",
        "a character that a string may hold", {"found": "'\\x00'"},
    ),
    "Latin-1": (
        lambda r: r.replace(b"ctapipe-merge", b"ctapipe-m\xe9rge", 1), 400, "json_syntax",
        "save it as UTF-8", {"found": "byte 0xe9"},
    ),
    "UTF-16": (
        lambda r: r.decode().encode("utf-16"), 415, "unrecognised_format",
        "no provenance record", {},
    ),
    "a gzip file": (
        lambda r: gzip.compress(r), 415, "unrecognised_format", "gzip", {},
    ),
    "10 MB in one line, cut off": (
        lambda r: b'[{"activity_uuid": "' + b"x" * 10_000_000, 400, "json_syntax",
        "expected the closing '\"'", {"line": 1, "offset": 19},
    ),
    "PROV-JSON with a broken link": (
        lambda _: b'{"used": {"_:u": {"prov:activity": 3}}}', 422, "invalid_document", "", {},
    ),
    "PROV-N that breaks off": (
        lambda _: b"document\n  entity(", 422, "invalid_document", "PROV-N", {},
    ),
    "XML that is not well-formed": (
        lambda _: b'<prov:document xmlns:prov="http://www.w3.org/ns/prov#"><prov:entity>', 422,
        "invalid_document", "not well-formed XML", {},
    ),
    "XML that blows up": (
        lambda _: b'<!DOCTYPE d [<!ENTITY a "' + b"a" * 1000 + b'">]>'
        b'<prov:document xmlns:prov="http://www.w3.org/ns/prov#">' + b"&a;" * 100_000
        + b"</prov:document>", 422, "invalid_document", "", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_that_cannot_be_recorded(
    merge: bytes, post: Callable[..., httpx.Response], unchanged: None, kind: str
) -> None:
    make, status, code, message, details = DOCUMENTS[kind]
    answer = post(make(merge), "/v1/documents?name=run.json")
    assert_refused(answer, status, code, message, **details)


def test_each_kind_has_words_of_its_own(
    merge: bytes, post: Callable[..., httpx.Response], unchanged: None
) -> None:
    """But what is empty in two ways."""
    bodies = {kind: make(merge) for kind, (make, *_) in DOCUMENTS.items() if kind != "white space"}
    messages = [post(body).json()["message"] for body in bodies.values()]
    assert len(set(messages)) == len(messages)


# --- requests -------------------------------------------------------------------------------------

BOUNDARY = "multipart/form-data; boundary=cut"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "message"),
    [
        (b"--cut\r\nContent-Dis", {"content_type": BOUNDARY}, 400, "usage",
         "broke off before its last boundary"),
        (b"no parts at all", {"content_type": BOUNDARY}, 400, "usage", "cannot be taken apart"),
        (b"", {"content_type": BOUNDARY}, 400, "usage", "broke off before its last boundary"),
        (b"--cut--", {"content_type": "multipart/form-data"}, 400, "usage", "without a boundary"),
        (gzip.compress(b"[]"), {"content_encoding": "gzip"}, 400, "usage",
         "encoded as 'gzip'; send it as it is"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_taken_apart(
    post: Callable[..., httpx.Response],
    unchanged: None,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
    message: str,
) -> None:
    assert_refused(post(body, **headers), status, code, message)


@pytest.mark.parametrize(
    ("path", "status", "code", "message", "pointer"),
    [
        ("/v1/documents?nam=x", 400, "usage", "POST /v1/documents has no parameter 'nam'; it has: "
         "name", "/query/nam"),
        ("/v1/documents?name=a&name=b", 400, "usage", "given 2 times", "/query/name"),
        ("/v1/documents?name=a%00b", 400, "usage", "NUL character", "/query/name"),
        ("/v1/document", 404, "not_found", "there is no POST /v1/document here", None),
        ("/v1/info", 405, "usage", "POST /v1/info is not allowed", None),
    ],
)  # fmt: skip
def test_an_address_or_parameter_that_is_not_there(
    merge: bytes,
    post: Callable[..., httpx.Response],
    unchanged: None,
    path: str,
    status: int,
    code: str,
    message: str,
    pointer: str | None,
) -> None:
    said = post(merge + b" ", path)
    assert (said.status_code, said.json()["code"]) == (status, code)
    assert message in said.json()["message"]
    assert said.json()["details"].get("pointer") == pointer


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/v1/lineage", 400, "usage", "parameter ref: missing"),
        ("/v1/lineage?ref=", 400, "usage", "an empty reference"),
        ("/v1/lineage?ref=x&direction=sideways", 400, "usage", "'up', 'down' or 'both'"),
        ("/v1/lineage?ref=x&depth=0", 400, "usage", "greater than or equal to 1"),
        ("/v1/lineage?ref=x&depth=many", 400, "usage", "valid integer"),
        ("/v1/lineage?ref=x&limit=99999999", 400, "usage", "less than or equal to 100000"),
        ("/v1/lineage?ref=x&levels=perhaps", 400, "usage", "valid boolean"),
        ("/v1/lineage?ref=a%00b", 400, "usage", "NUL character"),
        ("/v1/lineage?ref=nowhere.h5", 404, "not_found", "nothing in the record is called"),
        ("/v1/lineage?ref=" + "x" * 60_000, 404, "not_found", "nothing in the record is called"),
        ("/v1/lineage?ref=%ff%fe", 404, "not_found", "nothing in the record is called"),
        ("/v1/lineage?ref=http://%5B::1", 404, "not_found", "nothing in the record is called"),
        ("/v1/lineage/export?ref=x&format=pdf", 400, "usage", "'prov-json', 'prov-n'"),
        ("/v1/activities/not-a-uuid", 400, "usage", "path parameter uuid"),
        ("/v1/activities/00000000-0000-0000-0000-000000000000", 404, "not_found", "no activity"),
        ("/v1/entities/00000000-0000-0000-0000-000000000000", 404, "not_found", "no product"),
        ("/v1/documents/" + "0" * 64, 404, "not_found", "no document with SHA-256"),
        ("/v1/documents/xyz", 404, "not_found", "no document with SHA-256"),
        ("/v1/documents/" + "0" * 64 + "?format=turtle", 400, "usage", "'prov-n' or 'prov-xml'"),
        ("/v1/info?verbose=1", 400, "usage", "has no parameter 'verbose'; it has: none"),
        ("/description.json?name=nobody", 404, "not_found", "nothing describes activities"),
    ],
)
def test_a_question_that_cannot_be_answered(
    app_url: str, token: str, unchanged: None, path: str, status: int, code: str, message: str
) -> None:
    answer = httpx.get(app_url + path, headers={"Authorization": f"Bearer {token}"})
    assert_refused(answer, status, code, message)


def test_lines_that_are_no_documents_are_refused_one_by_one(
    merge: bytes, post: Callable[..., httpx.Response], unchanged: None
) -> None:
    """An indented record sent as NDJSON: every line is a document."""
    answer = post(merge, content_type="application/x-ndjson").json()
    assert answer["recorded"] == 0
    assert answer["refused"] == len(answer["items"]) == len(merge.splitlines())
    assert answer["items"][0]["name"] == "line 1"
    codes = {item["error"]["code"] for item in answer["items"]}
    assert codes <= {"json_syntax", "unrecognised_format", "document_too_deep"}


def test_one_of_many_is_refused_and_the_others_are_recorded(
    merge: bytes, client: ProvClient, database: Database
) -> None:
    """And leaves no trace: what the others left would be there without it."""
    whole = other_run(merge).replace(b"11111111", b"a1111111")
    bad = [make(merge) for make, *_ in DOCUMENTS.values()]
    client.record(other_run(merge).replace(b"11111111", b"b1111111"))
    before = everything(database)
    answer = client.record_batch([*((f"{n}", data) for n, data in enumerate(bad)), ("ok", whole)])
    assert (answer["recorded"], answer["refused"]) == (1, len(bad))
    assert [item["outcome"] for item in answer["items"]] == ["refused"] * len(bad) + ["recorded"]
    after = everything(database)
    grown = {name for name in before if after[name][0] != before[name][0]}
    assert grown <= {"document", "activity", "activity_document", "entity", "used", "edge",
                     "entity_identifier", "generation_claim", "was_associated_with",
                     "contradiction"}  # fmt: skip
    assert after["document"][0] == before["document"][0] + 1
    assert after["activity"][0] == before["activity"][0] + 1


# --- who asks -------------------------------------------------------------------------------------


def test_who_is_not_known_or_not_allowed_is_told_so(
    merge: bytes, app_url: str, make_token: Callable[..., str], unchanged: None
) -> None:
    reader = make_token("reader")
    expected = {
        None: (401, "not_authenticated", 4, "a token is needed: set PROV_TOKEN"),
        "prov_" + "A" * 43: (401, "not_authenticated", 4, "token"),
        "not a token": (401, "not_authenticated", 4, "token"),
        reader: (403, "not_authorised", 4, "recorder"),
    }
    for token, (status, code, exit_code, message) in expected.items():
        with ProvClient(app_url, token) as other, pytest.raises(ProvError) as caught:
            other.record(merge + b"\n")
        error = caught.value
        assert (error.http_status, error.code, error.exit_code) == (status, code, exit_code)
        assert message in error.message
    answer = httpx.post(app_url + "/v1/documents", content=merge)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_no_server(merge: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with (
        ProvClient(url, "prov_x", retries=0) as nobody,
        pytest.raises(ServerUnavailableError, match=r"cannot be reached.*prod-server") as caught,
    ):
        nobody.record(merge)
    assert caught.value.exit_code == 75


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def add(app_url: str, token: str, tmp_path: Path) -> Callable[..., Result]:
    """Run prod-add-prov on a file ``run.json`` of these bytes."""

    def run(data: bytes, **environment: str) -> Result:
        path = tmp_path / "run.json"
        path.write_bytes(data)
        given = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token, "PROV_STATE_DIR": str(tmp_path)}
        return CliRunner().invoke(add_prov.main, [str(path)], env=given | environment)

    return run


@pytest.mark.parametrize(
    ("kind", "exit_code", "message"),
    [
        ("truncated JSON", 1, "byte 5000"),
        ("a FITS file", 1, "FITS"),
        ("10 000 levels of objects", 1, "200 levels"),
        ("a stop before the start", 1, "before it starts"),
        ("an id that is another run's", 5, "already that of another run"),
        ("nothing", 1, "empty file"),
    ],
)
def test_the_command_says_the_same_and_ends_with_the_exit_code(
    merge: bytes,
    add: Callable[..., Result],
    unchanged: None,
    kind: str,
    exit_code: int,
    message: str,
) -> None:
    result = add(DOCUMENTS[kind][0](merge))
    assert result.exit_code == exit_code
    assert message in result.output
    assert "Traceback" not in result.output


def test_the_command_without_a_server_or_a_token(
    merge: bytes, add: Callable[..., Result], unchanged: None
) -> None:
    for environment, exit_code, message in (
        ({"PROV_SERVER_URL": "http://127.0.0.1:9"}, 75, "cannot be reached"),
        ({"PROV_TOKEN": "prov_" + "A" * 43}, 4, "token"),
        ({"PROV_SERVER_URL": "ftp://x"}, 2, "ftp://x"),
    ):
        result = add(merge, **environment)
        assert result.exit_code == exit_code, result.output
        assert message in result.output


# --- values ---------------------------------------------------------------------------------------

LONG = "".join(random.Random(0).choices(string.ascii_letters, k=12_000))
STRANGE: list[Any] = [
    "a\0b", "a\ud800b", LONG, f"/{LONG}/{LONG}", 10**30, -1, 2**63, 1e308, float("nan"),
    float("-inf"), True, None, [1, [2]], {"a": {"b\0": "\0"}}, "", [], {}, "http://[::1",
    "9999-99-99", "0001-01-01T00:00:00+14:00", "\\N\t\n\r\\", ["\0", "\ud800", LONG],
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a JSON value; of lists the first two."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from places(item, (*path, index))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Return a copy of a JSON value with another at `path`."""
    if not path:
        return by
    if isinstance(value, dict):
        return {k: replaced(v, path[1:], by) if k == path[0] else v for k, v in value.items()}
    return [replaced(v, path[1:], by) if i == path[0] else v for i, v in enumerate(value)]


REAL = [
    MERGE,
    "ctapipe-samples/ctao-datamodel/product_example.json",
    "cwlprov/runcrate-tests/revsort-run-1/metadata/provenance/primary.cwlprov.json",
]
EXAMPLE = Path(__file__).resolve().parents[2] / "schemas/examples/activity.v1.tool.json"


@pytest.mark.parametrize("path", [*REAL, EXAMPLE], ids=lambda p: Path(p).name)
def test_no_value_in_any_place_breaks_the_server(
    prov_data: Path, database: Database, path: str | Path
) -> None:
    """Each place of a real document with something strange in it: recorded, or refused in words."""
    document = json.loads((prov_data / path).read_text())
    chosen = random.Random(1)
    outcomes: Counter[str] = Counter()
    for place in places(document):
        for value in chosen.sample(STRANGE, 3):
            data = json.dumps(replaced(document, place, value)).encode()
            with database.transaction() as session:
                (outcome,) = record(session, [Source(data, "run.json")], policy=IngestPolicy())
                session.rollback()
            outcomes[outcome.outcome] += 1
            if outcome.error is not None:
                assert outcome.error.http_status < 500
                assert len(outcome.error.message) > 20
    assert outcomes["recorded"] > 50
    assert outcomes["refused"] > 10


def test_characters_that_no_text_has_are_replaced_and_kept_in_the_document(
    merge: bytes, client: ProvClient
) -> None:
    """NUL and lone surrogates, as JSON can write them; the document itself keeps them."""
    for number, odd in enumerate(("\\u0000", "\\ud800")):
        data = other_run(merge, activity_name="a*b", config={"k*": "v*"}, output=[])
        data = data.replace(b"*", odd.encode()).replace(b"11111111", b"d111111%d" % number)
        receipt = client.record(data)
        (run,) = receipt["activities"]
        found = client.activity(run["id"])
        assert found["name"] == "a\ufffdb"
        assert found["configuration"] == {"k\ufffd": "v\ufffd"}
        assert client.document(receipt["document"]) == data


# --- size -----------------------------------------------------------------------------------------


def peak_mib(process_id: int) -> float:
    """Return the most memory that a process has had."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def test_a_file_of_200_mb_of_garbage_is_refused_without_being_held(
    server: ServerProcess, merge: bytes, tmp_path: Path
) -> None:
    """Alone, as a part among others, and as one line; each quickly, and by a server of its own."""
    garbage = tmp_path / "run.json"
    noise = os.urandom(MIB).replace(b"\n", b" ")
    with garbage.open("wb") as file:
        for _ in range(200):
            file.write(noise)
    assert server.process is not None
    with server.client(retries=0) as client:
        client.record(merge)
        held, before = peak_mib(server.process.pid), client.info()
        with pytest.raises(all_errors()["document_too_large"]) as caught:
            client.record(garbage)
        assert caught.value.details == {"expected": 64 * MIB, "found": 200 * MIB}
        assert "send the provenance only, not the product" in caught.value.message
        assert (caught.value.http_status, caught.value.exit_code) == (413, 1)
        answer = client.record_batch([("big", garbage), ("merge", merge + b"\n")])
        assert [item["outcome"] for item in answer["items"]] == ["refused", "recorded"]
        assert answer["items"][0]["error"]["details"]["found"] == 200 * MIB
        after = client.info()
    assert after["activities"] == before["activities"]
    assert after["documents"] == before["documents"] + 1  # the record, in other bytes
    # of the part, 64 MiB are kept until it is known to be too large
    assert peak_mib(server.process.pid) - held < 100


def test_ten_megabytes_in_one_line_are_recorded(
    merge: bytes, post: Callable[..., httpx.Response]
) -> None:
    data = other_run(merge, config={"comment": "x" * 10_000_000})
    data = data.replace(b"11111111", b"c1111111")
    assert data.count(b"\n") == 0
    answer = post(data)
    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() < 10
