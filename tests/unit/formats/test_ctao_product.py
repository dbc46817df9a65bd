"""CTAO product metadata: JSON, FITS headers and the flat keys of ctapipe's files."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentError, UnrecognisedFormatError
from provmanager.formats import read
from provmanager.formats.ctao_keywords import PLACES, product_of
from provmanager.formats.fits_header import parse_header
from provmanager.model import Document, Status

PRODUCT = "7d127b8a-7001-4359-81cb-cee9b7c1292b"
ACTIVITY = "9ef37007-86fe-4eaf-bc07-b87a47e178a4"
INPUT = "abf65d48-37e1-43e5-9121-d2d992f27fad"


def product(**changes: Any) -> dict[str, Any]:
    return {
        "ctao_metadata_version": "2.1.0",
        "description": "DL1 from simtel",
        "data": {"level": "DL1", "division": "Event", "association": "Subarray", "type": "x"},
        "instance": {"id": PRODUCT, "obs_id": 4},
        "curation": {"license": "CC-BY-SA-4.0"},
        "model": {"name": "CTAO", "version": "v7.1.0"},
        "creation_time": "2026-11-21T01:17:54.963000000",
        "contact": {"name": "A", "organization": "O", "email": "a@example.org"},
        "activity": activity(),
    } | changes


def activity(**changes: Any) -> dict[str, Any]:
    return {
        "process": "data_processing",
        "name": "ctapipe-process",
        "description": "of one run",
        "id": ACTIVITY,
        "start": "2026-11-21T01:16:00.000000000",
        "end": None,
        "software": {"name": "ctapipe", "version": "0.32.0", "url": None},
        "configuration_id": "stage1",
        "inputs": [{"uri": "file:///x/gamma.simtel.zst", "role": "DL0/Event", "id": INPUT}],
    } | changes


def parse(value: Any, name: str = "g1.dl1.h5") -> Document:
    return read(json.dumps(value).encode(), name=name)


def codes(document: Document) -> list[str]:
    return [note.code for note in document.notes]


def test_the_product_its_activity_and_its_inputs():
    document = parse(product(), name="/some/where/g1.dl1.h5")
    assert document.format == "ctao-product"
    assert document.reason == 'JSON object with "instance" and "data" of CTAO\'s Product'
    made, used = document.entities
    [claim] = document.activities
    assert (made.name, made.comment) == ("g1.dl1.h5", "DL1 from simtel")
    assert made.product_ids == (f"urn:uuid:{PRODUCT}",)
    assert made.generated_at == datetime(2026, 11, 21, 1, 17, 54, 963000, UTC)
    assert made.attributes["instance"] == {"id": PRODUCT, "obs_id": 4}
    assert (claim.uuid, claim.name, claim.version) == (UUID(ACTIVITY), "ctapipe-process", "0.32.0")
    assert (claim.type, claim.comment, claim.status) == (
        "data_processing", "of one run", Status.UNKNOWN,
    )  # fmt: skip
    assert claim.is_claim
    assert claim.configuration == {"configuration_id": "stage1"}
    assert claim.attributes == {"software": {"name": "ctapipe", "version": "0.32.0", "url": None}}
    assert claim.started_at == datetime(2026, 11, 21, 1, 16, tzinfo=UTC)
    assert claim.ended_at is None
    assert (used.product_ids, used.locations) == (
        (f"urn:uuid:{INPUT}",), ("file:///x/gamma.simtel.zst",),
    )  # fmt: skip
    assert [(g.entity, g.activity) for g in document.generated] == [(made.key, claim.key)]
    assert [(u.entity, u.role) for u in document.used] == [(used.key, "DL0/Event")]


def test_the_contact_is_who_the_product_is_attributed_to():
    document = parse(product())
    [agent], [link] = document.agents, document.attributed
    assert (agent.iri, agent.name, agent.affiliation) == ("mailto:a@example.org", "A", "O")
    assert (link.entity, link.role) == (document.entities[0].key, "Contact")


def test_without_an_activity_the_product_id_is_not_genuine():
    document = parse(product(activity=None))
    [entity] = document.entities
    assert entity.product_ids == ()
    assert entity.is_unnamed
    assert document.activities == ()
    assert codes(document) == ["no-activity"]


def test_an_array_of_products_is_read_whole():
    other = product(instance={"id": INPUT}, activity=activity(inputs=None))
    document = parse([product(), other])
    assert len(document.entities) == 3
    assert len(document.activities) == 1
    assert len({entity.key for entity in document.entities}) == 3


def test_times_may_be_seconds_since_1970():
    document = parse(product(creation_time=1763687874.5))
    assert document.entities[0].generated_at == datetime(2025, 11, 21, 1, 17, 54, 500000, UTC)


def test_a_file_uri_without_a_path_is_a_name_and_no_location():
    inputs = [{"uri": "file://myfile.fits.gz", "role": "x"}]
    document = parse(product(activity=activity(inputs=inputs)))
    used = document.entities[1]
    assert (used.name, used.locations, used.is_unnamed) == ("myfile.fits.gz", (), True)


def test_an_lfn_of_two_slashes_is_an_lfn():
    inputs = [{"uri": "lfn://ctao/dpps/x.h5", "role": "x", "id": None}]
    document = parse(product(activity=activity(inputs=inputs)))
    assert document.entities[1].locations == ("lfn:/ctao/dpps/x.h5",)


def test_old_metadata_versions_are_read():
    """1.0.0 had MET times in the coverage and sdc.nsb_conditions; no software, no version."""
    old = product(
        observation={"coverage": {"time": {"t_min": 333.0, "reference": {"time_mjd": 51544}}}},
        sdc={"nsb_conditions": "dark"},
        activity=activity(software=None),
    )
    del old["ctao_metadata_version"]
    document = parse(old)
    assert document.activities[0].version is None
    assert document.entities[0].attributes["sdc"] == {"nsb_conditions": "dark"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"instance": {"id": "7"}}, "/0/instance/id"),
        ({"instance": {"id": 7}}, "/0/instance/id"),
        ({"activity": activity(id=None)}, "/0/activity/id"),
        ({"activity": activity(id="5dc6e2")}, "/0/activity/id"),
        ({"activity": activity(start="soon")}, "/0/activity/start"),
        ({"activity": activity(start=True)}, "/0/activity/start"),
        ({"activity": activity(start=1e300)}, "/0/activity/start"),
        ({"activity": activity(end="2026-11-20T00:00:00")}, "/0/activity/end"),
        ({"activity": activity(inputs={})}, "/0/activity/inputs"),
        ({"activity": activity(inputs=["x"])}, "/0/activity/inputs/0"),
        ({"activity": activity(inputs=[{"uri": "file://[::1/x"}])}, "/0/activity/inputs/0/uri"),
        ({"activity": activity(inputs=[{"uri": 1}])}, "/0/activity/inputs/0/uri"),
        ({"activity": activity(software="x")}, "/0/activity/software"),
        ({"contact": "x"}, "/0/contact"),
        ({"creation_time": []}, "/0/creation_time"),
    ],
)
def test_a_wrong_field_is_refused_with_its_pointer(changes, pointer):
    with pytest.raises(DocumentError) as caught:
        parse(product(**changes))
    assert caught.value.details["pointer"] == pointer


# FITS headers


def cards(*lines: str, block: bool = True) -> bytes:
    padded = [line.ljust(80) for line in (*lines, "END")]
    text = "".join(padded) if block else "\n".join(padded)
    return text.encode().ljust(-(-len(text) // 2880) * 2880 if block else 0)


HEADER = (
    "SIMPLE  =                    T / conforms to FITS standard",
    "BITPIX  =                    8",
    "NAXIS   =                    0",
    "CTAOMETA= '2.1.0   '           / version",
    f"DATAID  = '{PRODUCT}'",
    "CREATED = '2026-11-21T01:17:54.963'",
    "AUTHOR  = 'O''Hara  '          / with a quote",
    "ORIGIN  = 'CTAO    '",
    "EMAIL   = 'help@example.org'",
    "ACTIVITY= 'ctapipe-process'",
    f"ACTID   = '{ACTIVITY}'",
    "ACTSTART= '2026-11-21T01:16:00'",
    "SOFTVER = '0.32.0  '",
    "ACTCONF = 'https://example.org/config/&'",
    "CONTINUE  'standard-v1'",
    "HIERARCH CTAO ACTIVITY INPUTS 0 URI = 'lfn:/vo/a.h5' / comment",
    "HIERARCH CTAO ACTIVITY INPUTS 0 ROLE = 'event'",
    "HIERARCH CTAO ACTIVITY INPUTS 1 URI = 'lfn:/vo/b.h5'",
    f"HIERARCH CTAO ACTIVITY INPUTS 1 ID = '{INPUT}'",
)


@pytest.mark.parametrize("block", [True, False])
def test_a_fits_header_says_what_the_json_does(block):
    document = read(cards(*HEADER, block=block), name="x.fits")
    assert document.reason == "FITS header with CTAOMETA"
    assert document.entities[0].product_ids == (f"urn:uuid:{PRODUCT}",)
    [claim] = document.activities
    assert (claim.uuid, claim.version) == (UUID(ACTIVITY), "0.32.0")
    assert claim.configuration == {"configuration_id": "https://example.org/config/standard-v1"}
    assert [entity.locations for entity in document.entities[1:]] == [
        ("lfn:/vo/a.h5",), ("lfn:/vo/b.h5",),
    ]  # fmt: skip
    assert document.agents[0].name == "O'Hara"


def test_the_configuration_keyword_of_version_1_0_0():
    header = [line.replace("ACTCONF ", "ANAMODE ") for line in HEADER]
    document = read(cards(*header))
    assert document.activities[0].configuration == {
        "configuration_id": "https://example.org/config/standard-v1"
    }


def test_metadata_in_an_extension_are_found_behind_the_data():
    primary = cards(
        "SIMPLE  =                    T", "BITPIX  =                  -32",
        "NAXIS   =                    2", "NAXIS1  =                  100",
        "NAXIS2  =                   20",
    )  # fmt: skip
    data = b"\x7f" * (-(-8000 // 2880) * 2880)
    extension = cards("XTENSION= 'IMAGE   '", *HEADER[1:])
    document = read(primary + data + extension)
    assert document.entities[0].product_ids == (f"urn:uuid:{PRODUCT}",)


def test_a_header_with_ctapipes_keys():
    document = read(
        cards(
            "SIMPLE  =                    T",
            f"HIERARCH CTA PRODUCT ID = '{PRODUCT}'",
            f"HIERARCH CTA ACTIVITY ID = '{ACTIVITY}'",
        )
    )
    [entity] = document.entities
    assert entity.product_ids == (f"urn:uuid:{PRODUCT}",)
    assert entity.producer is not None
    assert entity.producer.uuid == UUID(ACTIVITY)


def test_a_fits_file_without_product_metadata_is_refused():
    with pytest.raises(UnrecognisedFormatError) as caught:
        read(cards(*HEADER[:3]), name="image.fits")
    assert caught.value.details["found"] == (
        "a FITS file without CTAO product metadata in its headers"
    )


def test_a_fits_header_without_end_is_refused():
    with pytest.raises(DocumentError, match="END card"):
        read(cards(*HEADER)[:880].replace(b"END", b"   "))


def test_hostile_axis_lengths_do_not_loop():
    with pytest.raises(UnrecognisedFormatError):
        read(cards("SIMPLE  =                    T", "BITPIX  =                   64",
                   "NAXIS   =           1000000000", "NAXIS1  =                  -99"))  # fmt: skip


@given(st.lists(st.text(max_size=90), max_size=8), st.booleans())
def test_any_cards_are_read_or_refused(lines, block):
    data = cards(*HEADER[:5], *lines, *HEADER[5:], block=block)
    try:
        document = read(data)
    except DocumentError as error:
        assert error.message  # noqa: PT017  # either outcome is right, nothing else is
    else:
        assert document.format == "ctao-product"


# flat keys


def test_flat_keys_claim_a_producer_and_link_nothing():
    document = parse(
        {
            "CTA PRODUCT ID": PRODUCT,
            "CTA ACTIVITY ID": ACTIVITY,
            "CTA ACTIVITY NAME": "ctapipe-merge",
            "CTA CONTACT NAME": "root",
            "CTA CONTACT EMAIL": "unknown",
            "CTA CONTACT ORGANIZATION": "unknown",
            "CTA PRODUCT CREATION TIME": "2026-11-21 01:17:54.963",
        }
    )
    [entity] = document.entities
    assert entity.producer is not None
    assert (entity.producer.uuid, entity.producer.name) == (UUID(ACTIVITY), "ctapipe-merge")
    assert document.activities == document.generated == ()
    assert document.agents[0].iri == "urn:provmanager:contact::root"


def test_flat_keys_with_a_made_up_id_identify_nothing():
    document = parse({"CTA PRODUCT ID": PRODUCT, "CTA ACTIVITY ID": ""})
    assert document.entities[0].is_unnamed
    assert codes(document) == ["fabricated-product-id"]


# the real schema and examples


@pytest.fixture(scope="module")
def folder(prov_data: Path) -> Path:
    return prov_data / "ctapipe-samples" / "ctao-datamodel"


def test_keywords_are_those_of_the_schema(folder):
    schema = json.loads((folder / "Product.schema.json").read_text())
    found = {}

    def walk(node: dict[str, Any], path: tuple[str, ...]) -> None:
        for name, field in node.get("properties", {}).items():
            if "fits_keyword" in field:
                found[field["fits_keyword"]] = ".".join((*path, name))
            for option in (field, *field.get("anyOf", ())):
                if "$ref" in option:
                    walk(schema["$defs"][option["$ref"].split("/")[-1]], (*path, name))

    walk(schema, ())
    assert {k: v for k, v in PLACES.items() if k != "ANAMODE"} == found


def test_json_and_fits_of_the_real_example_state_the_same(folder):
    documents = [
        read((folder / name).read_bytes(), name="x")
        for name in ("product_example.json", "product_example.fits_header.txt")
    ]
    as_json, as_fits = documents
    assert [e.product_ids for e in as_json.entities] == [e.product_ids for e in as_fits.entities]
    assert [e.locations for e in as_json.entities] == [e.locations for e in as_fits.entities]
    assert as_json.entities[0].generated_at == as_fits.entities[0].generated_at
    assert as_json.agents == as_fits.agents
    for one, other in zip(as_json.activities, as_fits.activities, strict=True):
        for name in ("uuid", "name", "version", "type", "started_at", "configuration"):
            assert getattr(one, name) == getattr(other, name)


def test_the_header_of_the_real_example_is_its_json(folder):
    expected = json.loads((folder / "product_example.json").read_text())

    def compact(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: c for k, v in value.items() if (c := compact(v)) not in (None, {})}
        return [compact(item) for item in value] if isinstance(value, list) else value

    header = parse_header((folder / "product_example.fits_header.txt").read_bytes())
    assert product_of(header) == compact(expected)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=4,
)
PLACES_OF_PRODUCT = [
    *((key,) for key in product()),
    *(("activity", key) for key in activity()),
    ("activity", "inputs", 0),
    ("activity", "inputs", 0, "uri"),
    ("instance", "id"),
    ("contact", "email"),
]


@given(st.sampled_from(PLACES_OF_PRODUCT), ANY_JSON)
def test_any_value_in_any_place_is_read_or_refused(path, value):
    changed: Any = copy.deepcopy(product())
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    try:
        document = parse(changed)
    except DocumentError as error:
        assert error.details  # noqa: PT017  # either outcome is right, nothing else is
    else:
        assert len(document.entities) >= 1
