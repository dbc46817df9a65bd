"""W3C PROV documents through one server: what its rows give back equals what went in."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.model import ProvDocument
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import DocumentError, NotFoundError, UsageError
from provmanager.formats.prov_compare import difference
from provmanager.logic.export import export_document
from provmanager.store.database import Database

# (folder, files, how `prov` alone calls the format, how many it reads, how many it refuses)
CORPORA = [
    ("prov-lib-3.2.3/json", "*.json", "json", 266, 0),
    ("prov-lib-3.2.3/unification", "*.json", "json", 10, 0),
    ("prov-lib-3.2.3/provn", "*.provn", "provn", 327, 23),
    ("prov-lib-3.2.3/xml", "*.xml", "xml", 21, 8),
    ("prov-lib-3.2.3/unification", "*.xml", "xml", 100, 2),
    ("cwlprov", "*.cwlprov.json", "json", 45, 0),
    ("cwlprov", "*.cwlprov.provn", "provn", 45, 0),
    ("cwlprov", "*.cwlprov.xml", "xml", 27, 0),
]
NAMES = {"json": "prov-json", "provn": "prov-n", "xml": "prov-xml"}
READERS = {name: format_ for format_, name in NAMES.items()}


@pytest.fixture(scope="module", autouse=True)
def _prov_is_quiet() -> Iterator[None]:
    """`prov` logs, at level warning, each datatype of a text in a language that it replaces."""
    logger = logging.getLogger("prov")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def read_alone(data: bytes, format_: str) -> ProvDocument | None:
    """Return what `prov` reads without us; None where it refuses."""
    with collect_warnings():
        try:
            return ProvDocument.deserialize(content=data, format=format_)
        except (ProvLibraryError, ValueError, etree.XMLSyntaxError, AttributeError):
            return None


def is_equal(left: ProvDocument, right: ProvDocument) -> bool:
    """Whether both say the same, by `prov`'s own ``==`` too where no NaN stands in them."""
    records = [r for bundle in (left, *left.bundles) for r in bundle.records]
    has_nan = any(value != value for record in records for _, value in record.attributes)
    return difference(left, right) is None and (has_nan or (left == right and right == left))


@pytest.fixture(scope="module")
def recorded(prov_data: Path, client: ProvClient) -> dict[Path, dict]:
    """What became of every document of all corpora, in one server."""
    found = {path for folder, files, *_ in CORPORA for path in (prov_data / folder).rglob(files)}
    paths = sorted(found)
    items = list(client.record_many((str(path), path) for path in paths))
    return dict(zip(paths, items, strict=True))


@pytest.mark.parametrize(("folder", "files", "format_", "n_equal", "n_refused"), CORPORA)
def test_every_document_comes_out_of_its_rows_equal(
    recorded: dict[Path, dict],
    client: ProvClient,
    prov_data: Path,
    folder: str,
    files: str,
    format_: str,
    n_equal: int,
    n_refused: int,
) -> None:
    n_read = 0
    paths = sorted((prov_data / folder).rglob(files))
    for path in paths:
        expected, item = read_alone(path.read_bytes(), format_), recorded[path]
        if expected is None:
            assert item["outcome"] == "refused", path
            assert item["error"]["code"] in ("invalid_document", "unrecognised_format"), path
            continue
        n_read += 1
        assert item["outcome"] in ("recorded", "unchanged"), (path, item["error"])
        receipt = item["receipt"]
        assert receipt["format"] == NAMES[format_], path
        back = read_alone(client.document(receipt["document"], as_format="prov-json"), "json")
        assert back is not None, path
        assert is_equal(expected, back), (path, difference(expected, back))
        assert client.document(receipt["document"]) == path.read_bytes()
    assert (n_read, len(paths) - n_read) == (n_equal, n_refused)


def test_a_real_run_comes_out_equal_in_every_format(
    recorded: dict[Path, dict], client: ProvClient, prov_data: Path
) -> None:
    n_equal: Counter[str] = Counter()
    for path in sorted((prov_data / "cwlprov").rglob("*.cwlprov.json")):
        expected = read_alone(path.read_bytes(), "json")
        assert expected is not None
        for as_format, reader in READERS.items():
            data = client.document(recorded[path]["receipt"]["document"], as_format=as_format)
            back = read_alone(data, reader)
            assert back is not None, (path, as_format)
            assert is_equal(expected, back), (path, as_format, difference(expected, back))
            n_equal[as_format] += 1
    assert n_equal == dict.fromkeys(READERS, 45)


def test_a_format_that_cannot_express_a_document_says_so(client: ProvClient) -> None:
    bell = rb'{"prefix": {"ex": "http://example.org/"}, "entity": {"ex:e": {"ex:says": "\u0007"}}}'
    document = client.record(bell)["document"]
    with pytest.raises(UsageError, match=r"prov-xml.*take prov-json"):
        client.document(document, as_format="prov-xml")
    assert client.document(document, as_format="prov-json").count(rb'"\u0007"') == 1


def test_malformed_documents_are_refused_and_leave_nothing(
    recorded: dict[Path, dict], client: ProvClient, prov_data: Path
) -> None:
    before = client.info()
    paths = sorted(p for p in (prov_data / "prov-lib-3.2.3/malformed").iterdir() if p.is_file())
    for path in paths:
        with pytest.raises(DocumentError) as caught:
            client.record(path)
        assert caught.value.message, path
    assert len(paths) == 11
    assert client.info() == before


def test_it_is_the_rows_that_are_read_not_the_bytes(
    recorded: dict[Path, dict], database: Database, prov_data: Path
) -> None:
    path = min((prov_data / "cwlprov").rglob("*.cwlprov.json"))
    sha256 = recorded[path]["receipt"]["document"]
    expected = read_alone(path.read_bytes(), "json")
    assert expected is not None
    with database.transaction() as session:
        session.execute(text("UPDATE prov.document SET content = ''"))
        back = read_alone(export_document(session, sha256, format="prov-json"), "json")
        assert back == expected
        session.execute(
            text("DELETE FROM prov.statement WHERE ordinal = 0 AND document_id = "
                 "(SELECT document_id FROM prov.document WHERE sha256 = :d)"),
            {"d": bytes.fromhex(sha256)},
        )  # fmt: skip
        again = read_alone(export_document(session, sha256, format="prov-json"), "json")
        assert again != expected
        session.rollback()


def test_three_serializations_of_a_run_are_one_run(
    recorded: dict[Path, dict], client: ProvClient, prov_data: Path
) -> None:
    """cwltool writes each run as JSON, PROV-N and XML: one set of activities, confirmed thrice."""
    stem = "cwlprov/runcrate-tests/revsort-run-1/metadata/provenance/primary.cwlprov"
    receipts = [
        recorded[prov_data / f"{stem}.{end}"]["receipt"] for end in ("json", "provn", "xml")
    ]
    runs = [{a["id"] for a in receipt["activities"]} for receipt in receipts]
    assert runs[0] == runs[1] == runs[2]
    documents = {receipt["document"] for receipt in receipts}
    for run in runs[0]:
        told = {d["sha256"] for d in client.activity(run)["documents"]}
        assert told >= documents


def test_only_w3c_prov_can_be_had_in_another_format(
    recorded: dict[Path, dict], client: ProvClient, prov_data: Path
) -> None:
    log = prov_data / "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
    sha256 = client.record(log)["document"]
    with pytest.raises(UsageError, match="is of the format ctapipe"):
        client.document(sha256, as_format="prov-json")
    with pytest.raises(NotFoundError, match="no document with SHA-256"):
        client.document("0" * 64, as_format="prov-n")
    with pytest.raises(NotFoundError, match="no document with SHA-256"):
        client.document("not-a-digest", as_format="prov-n")
    with pytest.raises(UsageError, match="'prov-json', 'prov-n' or 'prov-xml'"):
        client.document(sha256, as_format="turtle")  # type: ignore[arg-type]
