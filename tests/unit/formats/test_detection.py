"""Formats are known by content, and what is none of them is called what it is."""

import gzip
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import (
    DocumentError,
    DocumentTooDeepError,
    JsonSyntaxError,
    UnrecognisedFormatError,
)
from provmanager.formats import FORMATS, read

UUID_1 = "c1c8e2cb-2502-470c-8348-0256d7972cec"
CTAPIPE = json.dumps(
    {
        "activity_name": "x",
        "activity_uuid": UUID_1,
        "start": {},
        "stop": {},
        "system": {"ctapipe_version": "0.32.0"},
    }
)
CAPTURE = json.dumps(
    {
        "schema": "provmanager/activity.v1",
        "id": UUID_1,
        "name": "qtemp",
        "status": "completed",
    }
)
PROV_JSON = '{"prefix": {"ex": "http://example.org/"}, "entity": {"ex:e": {}}}'
PROV_N = "document\n  prefix ex <http://example.org/>\n  entity(ex:e)\nendDocument\n"
PROV_XML = (
    '<?xml version="1.0"?><prov:document xmlns:prov="http://www.w3.org/ns/prov#" '
    'xmlns:ex="http://example.org/"><prov:entity prov:id="ex:e"/></prov:document>'
)
LSTOSA = "{'activity_id': 'b2154d', 'name': 'r0_to_dl1', 'startTime': '2026-11-21T02:17:52'}\n"
PRODUCT = json.dumps({"CTA PRODUCT ID": "x", "CTA ACTIVITY ID": ""})


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (CAPTURE, "run-json", 'JSON records with "schema": "provmanager/activity.v1"'),
        (f"{CAPTURE}\n{CAPTURE}", "run-json", 'JSON records with "schema"'),
        (CTAPIPE, "ctapipe", 'JSON records with "activity_uuid" and "system.ctapipe_version"'),
        (f"[{CTAPIPE}][]", "ctapipe", 'JSON records with "activity_uuid"'),
        ("[]", "ctapipe", "an empty JSON array"),
        ("[]\n[]", "ctapipe", "an empty JSON array"),
        (PRODUCT, "ctao-product", 'JSON object with "CTA PRODUCT ID"'),
        (LSTOSA, "lstosa", "lines that are Python dicts"),
        (f"INFO provLogger __PROV__2026-11-21__PROV__{LSTOSA}", "lstosa", "log lines"),
        (PROV_JSON, "prov-json", "PROV-JSON"),
        (PROV_N, "prov-n", "PROV-N"),
        (f"// a comment with document in it\n{PROV_N}", "prov-n", "PROV-N"),
        (PROV_XML, "prov-xml", "XML in the namespace http://www.w3.org/ns/prov#"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_format_is_known_by_its_content(text, name, reason, mark):
    document = read((mark + text).encode(), name="misleading.fits")
    assert document.format == name
    assert reason in document.reason


def test_a_fits_header_is_known_by_its_cards():
    document = read(f"CTAOMETA= '2.1.0'\nDATAID  = '{UUID_1}'".encode())
    assert (document.format, document.reason) == ("ctao-product", "FITS header with CTAOMETA")


def test_names_of_formats_are_those_of_documents():
    names = [candidate.name for candidate in FORMATS]
    assert {
        "assessment",
        "run-json",
        "ctapipe",
        "ctao-product",
        "descriptions",
        "lstosa",
        "openlineage",
        "prov",
        "ro-crate",
    } == set(names)


def unrecognised(data: bytes) -> UnrecognisedFormatError:
    with pytest.raises(UnrecognisedFormatError) as caught:
        read(data, name="run.json")
    return caught.value


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b" \n\t ", "an empty file"),
        (b"\xef\xbb\xbf", "an empty file"),
        (b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800),
         "a FITS file without CTAO product metadata in its headers"),
        (b"\x89HDF\r\n\x1a\n" + bytes(88), "an HDF5 file"),
        (gzip.compress(b"[]"), "a gzip-compressed file"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"x" * 257 + b"ustar" + b"0", "a tar archive"),
        (b"\x89PNG\r\n\x1a\n....", "a PNG image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"%PDF-1.7", "a PDF document"),
        (b"root\x00\x00\xf6", "a ROOT file"),
        (b"\x37\x8a\x1f\xd4....", "an eventio file (simulated events)"),
        ("[]".encode("utf-16"), "text in UTF-16"),
        (b"\x7fELF\x02", "a program"),
        (bytes(range(256)) * 4, "binary data of no kind that is known"),
        (b"\x00\x01\x02", "binary data of no kind that is known"),
        (b"<!DOCTYPE html><html><body>Sign in</body>", "an HTML page (of a log-in or an error?)"),
        (b"<?xml version='1.0'?><!-- x --><VOTABLE version='1.4'/>",
         "XML with the root <VOTABLE>"),
        (b"\n  Provenance example\n====\n", "plain text, beginning 'Provenance example'"),
        ("Pr\xe9face\n".encode("latin-1"), "plain text, beginning 'Pr\ufffdface'"),
        (b"activities:\n  a:\n", "plain text (YAML?), beginning 'activities:'"),
        (b"[section]\nkey = 1\n", "plain text, beginning '[section]'"),
        (b"[{'activity_uuid': 'x'}]",
         "what Python prints for a list or dict, beginning \"[{'activity_uuid': 'x'}]\""),
        (b"{}", "an empty JSON object"),
        (b"[1, 2]", "JSON without records (int)"),
        (b'["a"]', "JSON without records (str)"),
        (b"[[[]]]", "JSON without records (list)"),
        (b'{"nbformat": 4, "cells": []}', "a Jupyter notebook"),
        (b'{"$schema": "x", "properties": {}}', "a JSON Schema"),
        (b'{"@context": "x", "@graph": []}', "JSON-LD that is no RO-Crate"),
        (b'{"cwlVersion": "v1.2", "class": "Workflow"}', "a CWL workflow"),
        (b'{"name": "x", "version": 1}', 'JSON of another kind, with "name", "version"'),
        (b'[{"a": 1}][{"b": 1}]', 'JSON of another kind, with "a"'),
        (b'{"entity": 5, "tomorrow": 1}', 'JSON of another kind, with "entity", "tomorrow"'),
    ],
)  # fmt: skip
def test_what_is_no_record_is_called_what_it_looks_like(data, found):
    error = unrecognised(data)
    assert error.details["found"] == found
    assert error.message.startswith(f"run.json is {found}, and no provenance record; ")
    assert "What can be read:" in error.message


def test_the_next_step_is_named():
    assert "prod-add-prov" in unrecognised(b"\x89HDF\r\n\x1a\n").message
    assert "json.dumps" in unrecognised(b"{'activity_name': 'x'}").message
    assert "save the record" in unrecognised(b'{"nbformat": 4, "cells": []}').message
    assert "prod-init-prov" in unrecognised(b'{"schema": "x", "activities": []}').message


@pytest.mark.parametrize("data", [b"[", b'{"a"', b'[{"activity_name": ', b"{]", b'{"a": 1} x'])
def test_what_begins_as_json_and_is_none_is_a_syntax_error(data):
    with pytest.raises(JsonSyntaxError):
        read(data)


@pytest.mark.parametrize("level", ["[", '{"a":', '[{"input":'])
def test_ten_thousand_levels_are_refused(level):
    with pytest.raises(DocumentTooDeepError):
        read(level.encode() * 10_000)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_reason(data):
    try:
        document = read(data)
    except DocumentError as error:
        assert error.message  # noqa: PT017  # either outcome is right, nothing else is
    else:
        assert document.reason


STARTS = ["[", "{", '{"', "[{'", "<", "<?xml", "<!--", "document", "//", "/*", "__PROV__",
          "INFO provLogger __PROV__x__PROV__{", "SIMPLE  =", "CTAOMETA= ", "HIERARCH CTAO A =",
          '{"schema": "provmanager/activity.v1"', '{"activity_uuid":', '{"entity":',
          "{'activity_id':"]  # fmt: skip


@given(st.lists(st.sampled_from(STARTS) | st.text(max_size=20), max_size=8))
def test_anything_that_begins_like_a_format_is_read_or_refused(parts):
    try:
        document = read("".join(parts).encode("utf-8", "surrogatepass"))
    except DocumentError as error:
        assert error.message  # noqa: PT017  # either outcome is right, nothing else is
    else:
        assert document.reason


def test_big_garbage_is_refused_quickly():
    """Twenty megabytes of each kind; the bound is loose, for a loaded machine."""
    program = (
        "import os, time\n"
        "from provmanager.errors import DocumentError\n"
        "from provmanager.formats import read\n"
        "for data in (os.urandom(20_000_000), b'<' * 20_000_000, b'[' + b'x' * 20_000_000,\n"
        "             b'<!--' * 5_000_000, b'{\"a\": \"' + b'\\\\' * 20_000_000, b'//' * 10**7):\n"
        "    start = time.process_time()\n"
        "    try:\n"
        "        read(data)\n"
        "    except DocumentError:\n"
        "        assert time.process_time() - start < 5, data[:10]\n"
        "    else:\n"
        "        raise AssertionError(data[:10])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_prov_library_the_way_out_is_named():
    program = (
        "import sys; sys.modules['prov'] = None\n"
        "from provmanager.errors import UnrecognisedFormatError\n"
        "from provmanager.formats import read\n"
        f"for text in {[PROV_JSON, PROV_N, PROV_XML]!r}:\n"
        "    try:\n"
        "        read(text.encode())\n"
        "    except UnrecognisedFormatError as error:\n"
        "        assert \"pip install 'provmanager[formats]'\" in error.message\n"
        "    else:\n"
        "        raise AssertionError(text)\n"
        f"assert read({CTAPIPE!r}.encode()).format == 'ctapipe'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_readers_imports_nothing_heavy():
    program = (
        "import sys, provmanager.formats\n"
        "heavy = {'prov', 'lxml', 'h5py', 'astropy', 'numpy', 'yaml', 'jsonschema', 'sqlalchemy'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
