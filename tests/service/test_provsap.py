"""IVOA ProvSAP: parameters, defaults, errors, and answers against what the raw files say."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import networkx as nx
import pytest
from astropy.io import votable
from lxml import etree

from provmanager.client import ProvClient

ROOT = Path(__file__).resolve().parents[2]
CHAIN = ROOT / "examples" / "chain"
PRODUCT = "mu_applied.dl2.h5"

SET_OF_FILES = b"""
document
  prefix pm <urn:provmanager:terms#>
  prefix ex <https://example.org/>
  prefix run <urn:uuid:0f2f9a51-6a5b-4d0b-9c62->
  entity(ex:set, [prov:type='prov:Collection'])
  entity(ex:one)
  hadMember(ex:set, ex:one)
  activity(run:3b1d2a5b7e10, -, -, [prov:label="select"])
  activity(run:3b1d2a5b7e11, -, -, [prov:label="whole"])
  wasGeneratedBy(ex:set, run:3b1d2a5b7e10, -)
  wasInformedBy(run:3b1d2a5b7e10, run:3b1d2a5b7e11, [prov:type='pm:PartOf'])
  agent(ex:ann, [prov:type='prov:Person', prov:label="Ann"])
  wasAssociatedWith(run:3b1d2a5b7e10, ex:ann, -, [prov:role="Operator"])
endDocument
"""

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def recorded(client: ProvClient) -> ProvClient:
    """The example chain with its descriptions, and a run by a person on a set of files."""
    client.put_descriptions((ROOT / "examples" / "ctapipe-descriptions.yaml").read_bytes())
    for path in sorted(CHAIN.iterdir()):
        client.record(path)
    client.record(SET_OF_FILES, name="set.provn")
    return client


@pytest.fixture(scope="module")
def ask(app_url: str, token: str, recorded: ProvClient) -> Ask:
    """Ask /provsap; parameters may be given several times."""

    def get(
        *pairs: tuple[str, str], headers: dict[str, str] | None = None, **parameters: object
    ) -> httpx.Response:
        given = [*pairs, *((name, str(value)) for name, value in parameters.items())]
        known = {"Authorization": f"Bearer {token}"} if headers is None else headers
        return httpx.get(f"{app_url}/provsap", params=given, headers=known)

    return get


def names_of(response: httpx.Response) -> set[str]:
    """The names of all activities and entities of a PROV-JSON answer."""
    assert response.status_code == 200, response.text
    document = response.json()
    records = [*document.get("activity", {}).values(), *document.get("entity", {}).values()]
    return {r["prov:label"] for r in records if not is_setting(r)}


def is_setting(record: dict[str, Any]) -> bool:
    return (record.get("prov:type") or {}).get("$") == "voprov:Parameter"


def raw_graph() -> "nx.DiGraph[str]":
    """The chain as its raw files say it, from later to earlier, by base names."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for path in sorted(CHAIN.glob("*.log")):
        for run in json.loads(path.read_text()):
            node = run["activity_uuid"]
            graph.add_node(node, name=run["activity_name"])
            for used in run["input"]:
                graph.add_edge(node, used["url"].rpartition("/")[2])
            for made in run["output"]:
                graph.add_edge(made["url"].rpartition("/")[2], node)
    return graph


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 5, "ALL"])
@pytest.mark.parametrize("direction", ["BACK", "FORTH"])
def test_depth_counts_relations(ask: Ask, depth: int | str, direction: str):
    product = PRODUCT if direction == "BACK" else "lst_muons.simtel.zst"
    graph = raw_graph() if direction == "BACK" else raw_graph().reverse()
    reached = nx.single_source_shortest_path_length(graph, product)
    wanted = {n for n, steps in reached.items() if depth == "ALL" or steps <= int(depth)}
    found = ask(ID=product, DEPTH=depth, DIRECTION=direction, CONFIGURATION=0)
    assert names_of(found) == {graph.nodes[n].get("name", n) for n in wanted}


def test_the_defaults_are_one_relation_back_as_prov_json_with_settings_without_agents(ask: Ask):
    found = ask(ID=PRODUCT)
    assert found.headers["content-type"] == "application/json"
    assert names_of(found) == {PRODUCT, "ctapipe-apply-models"}
    document = found.json()
    assert any(is_setting(e) for e in document["entity"].values())
    relations = {r["prov:type"]["$"] for r in document["wasInfluencedBy"].values()}
    assert relations == {"voprov:ConfigurationRelation"}
    assert "agent" not in document


def test_names_of_parameters_are_taken_in_any_case(ask: Ask):
    assert ask(("id", PRODUCT), ("Depth", "2")).content == ask(ID=PRODUCT, DEPTH=2).content


def test_several_ids_are_answered_at_once_and_each_record_once(ask: Ask):
    both = ask(("ID", PRODUCT), ("ID", "energy.pkl"), ("ID", PRODUCT))
    assert names_of(both) == names_of(ask(ID=PRODUCT)) | names_of(ask(ID="energy.pkl"))


def test_an_unknown_id_has_an_empty_answer(ask: Ask):
    found = ask(ID="nowhere.fits")
    assert found.status_code == 200
    assert set(found.json()) <= {"prefix"}


def test_agents_members_and_steps_are_followed_where_asked(ask: Ask):
    some = "https://example.org/set"
    assert names_of(ask(ID=some, DEPTH="ALL")) == {"set", "select"}
    assert names_of(ask(ID=some, MEMBERS=1)) == {"set", "select", "one"}
    assert names_of(ask(ID=some, DEPTH=2, STEPS=1)) == {"set", "select", "whole"}
    agents = ask(ID=some, AGENT=1).json()["agent"]
    assert [a["prov:label"] for a in agents.values()] == ["Ann"]
    assert ask(ID=some, AGENTS=1).json()["agent"] == agents


def test_an_agent_is_asked_for_by_its_id(ask: Ask):
    ann = "https://example.org/ann"
    assert list(ask(ID=ann).json()) == ["prefix", "agent"]
    assert names_of(ask(ID=ann, AGENT=1, DEPTH=1)) == {"select"}


def test_model_attributes_and_descriptions_say_how_much_is_told(ask: Ask):
    text = ask(ID=PRODUCT, MODEL="W3C").text
    assert "voprov:Dataset" not in text
    assert "voprov:Parameter" not in text
    assert "provmanager:status" in ask(ID=PRODUCT).text
    assert "provmanager:status" not in ask(ID=PRODUCT, ATTRIBUTES=0).text
    described = ask(ID=PRODUCT, DESCRIPTIONS=1).json()
    assert "voprov:ActivityDescription" in {
        (e.get("prov:type") or {}).get("$") for e in described["entity"].values()
    }


@pytest.mark.parametrize(
    ("form", "media_type", "first"),
    [
        ("PROV-JSON", "application/json", b"{"),
        ("PROV-N", "text/provenance-notation", b"document"),
        ("PROV-XML", "application/xml", b"<?xml"),
        ("prov-votable", "application/x-votable+xml", b"<?xml"),
        ("application/x-votable+xml", "application/x-votable+xml", b"<?xml"),
    ],
)
def test_each_format_comes_by_name_or_media_type(
    ask: Ask, form: str, media_type: str, first: bytes
):
    found = ask(ID=PRODUCT, RESPONSEFORMAT=form)
    assert found.status_code == 200, found.text
    assert found.headers["content-type"].partition(";")[0] == media_type
    assert found.content.startswith(first)


def tables_of(content: bytes) -> dict[str, int]:
    found = votable.parse(io.BytesIO(content), verify="exception")
    return {table.name: len(table.array) for table in found.iter_tables()}


def test_descriptions_in_a_votable_have_their_parts_at_level_two(ask: Ask):
    one, two = (
        tables_of(ask(ID=PRODUCT, RESPONSEFORMAT="PROV-VOTABLE", DESCRIPTIONS=n).content)
        for n in (1, 2)
    )
    assert one["ActivityDescription"] == two["ActivityDescription"] == 1
    assert "UsageDescription" not in one
    assert two["UsageDescription"] >= 1
    assert one["WasConfiguredBy"] > 1


def said(response: httpx.Response) -> str:
    """The message of an error document, which astropy's strict parser takes."""
    assert response.headers["content-type"].partition(";")[0] == "application/x-votable+xml"
    found = votable.parse(io.BytesIO(response.content), verify="exception")
    (info,) = found.resources[0].infos
    assert (found.resources[0].type, info.name, info.value) == ("results", "QUERY_STATUS", "ERROR")
    return str(info.content)


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ([], 400, "ID: missing"),
        ([("ID", PRODUCT), ("DEPTH", "many")], 400, "DEPTH"),
        ([("ID", PRODUCT), ("DEPTH", "-1")], 400, "DEPTH"),
        ([("ID", PRODUCT), ("DEPTH", "1"), ("depth", "2")], 400, "given 2 times"),
        ([("ID", PRODUCT), ("DIRECTION", "UP")], 400, "DIRECTION"),
        ([("ID", PRODUCT), ("AGENT", "yes")], 400, "AGENT"),
        ([("ID", PRODUCT), ("COLOUR", "red")], 400, "has no parameter 'COLOUR'"),
        ([("ID", "")], 400, "empty"),
        ([("ID", PRODUCT), ("MODEL", "W3C"), ("RESPONSEFORMAT", "PROV-VOTABLE")], 400, "MODEL"),
        ([("ID", PRODUCT), ("RESPONSEFORMAT", "PDF <&>")], 415, "'PDF <&>' is none of PROV-JSON"),
    ],
)
def test_wrong_use_is_told_in_a_votable(
    ask: Ask, parameters: list[tuple[str, str]], status: int, message: str
):
    found = ask(*parameters)
    assert found.status_code == status
    assert message in said(found)


def test_what_accept_does_not_allow_is_refused(ask: Ask, token: str):
    headers = {"Authorization": f"Bearer {token}", "Accept": "image/png"}
    found = ask(ID=PRODUCT, headers=headers)
    assert found.status_code == 406
    assert "image/png" in said(found)
    assert ask(ID=PRODUCT, headers=headers | {"Accept": "application/*;q=0.5"}).status_code == 200


def test_a_token_is_needed_and_told_so_in_a_votable(ask: Ask):
    found = ask(ID=PRODUCT, headers={})
    assert found.status_code == 401
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert "token" in said(found)


def test_vosi_documents_say_where_the_service_is(app_url: str):
    availability = etree.fromstring(httpx.get(f"{app_url}/provsap/availability").content)
    assert availability[0].text == "true"
    capabilities = etree.fromstring(httpx.get(f"{app_url}/provsap/capabilities").content)
    addresses = {c.get("standardID"): c.findtext(".//accessURL") for c in capabilities}
    assert addresses["ivo://ivoa.net/std/ProvSAP"] == f"{app_url}/provsap"
    assert addresses["ivo://ivoa.net/std/VOSI#availability"] == f"{app_url}/provsap/availability"
