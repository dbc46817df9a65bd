"""What of the record each format of exports holds: a record with every field, and its table.

`tests/service/test_export_fields.py` exports the record, brings each document into an empty server
and holds the two against each other; the table stands in docs/exports.md.
"""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from provmanager.client import ProvClient
from provmanager.model import ExportFormat

RUN, WORKFLOW = "3b241101-e2bb-4255-8caf-4136c566a962", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
INPUT, OUTPUT = "grb-events.fits", "light-curve.fits"
PRODUCT_ID = "urn:uuid:8d83ad75-61a4-4be2-9d0c-4b2a3e9b2d10"
AGENT = {"id": "https://orcid.org/0000-0002-1825-0097", "name": "Grace Example",
         "email": "operator@example.org", "type": "Person", "role": "Operator"}  # fmt: skip

TOOL = {
    "schema": "provmanager/activity.v1",
    "id": RUN,
    "name": "qtemp-tool",
    "version": "1.2.77",
    "type": "Analysis",
    "status": "error",
    "exit_code": 117,
    "comment": "the last bin is short",
    "started_at": "2026-03-01T02:11:03.120000Z",
    "ended_at": "2026-03-01T02:12:44.500000Z",
    "parent": WORKFLOW,
    "command": {"arguments": ["eclgrm", "--fast", "a b.fits"], "executable": "/opt/bin/python3.12",
                "directory": "/scratch/112233"},
    "environment": {"python": {"version": "3.12.4"}, "variables": {"OMP_NUM_THREADS": "1"},
                    "packages": [{"name": "astropy", "version": "7.0.1"}]},
    "host": {"name": "wn017.grid.example", "system": "Linux", "release": "5.14.0-570.el9"},
    "container": {"runtime": "apptainer", "image": "/cvmfs/example.org/eclgrm.sif",
                  "digest": "sha256:" + "9f" * 32},
    "job": {"system": "DIRAC", "id": "998877", "site": "LCG.EXAMPLE.fr"},
    "agent": AGENT,
    "configuration": {"bin_s": 0.125, "background": {"method": "5", "order": 2}, "cuts": [8, 40]},
    "attributes": {"note": "some-other-word"},
    "inputs": [
        {"role": "events", "at": "2026-03-01T02:11:03.250000Z", "name": INPUT,
         "url": f"file://wn017.grid.example/scratch/{INPUT}", "lfn": f"lfn:/vo.example/{INPUT}",
         "size_bytes": 8640123, "sha256": "5e" * 32, "digests": {"md5": "5f" * 16},
         "product_id": PRODUCT_ID, "comment": "taken in slew", "content_type": "application/fits"},
        {"role": "configuration", "url": "file://wn017.grid.example/scratch/qtemp.json",
         "sha256": "c0" * 32},
        {"role": "trigger", "name": "trigger_time_mjd", "value": 61100.0834},
    ],
    "outputs": [
        {"role": "light curve", "url": f"file://wn017.grid.example/scratch/{OUTPUT}",
         "sha256": "a7" * 32, "at": "2026-03-01T02:12:41.750000Z"},
        {"role": "plots", "kind": "collection", "url": "file://wn017.grid.example/scratch/plots",
         "members": [{"url": "file://wn017.grid.example/scratch/plots/page-one.png",
                      "sha256": "b1" * 32}]},
    ],
}  # fmt: skip
DESCRIPTIONS = {
    "schema": "descriptions.v1",
    "activities": [
        {"name": "qtemp-tool", "version": "1.2.77", "description": "Makes light curves"}
    ],
}
OUTER = {"schema": "provmanager/activity.v1", "id": WORKFLOW, "name": "night", "type": "Workflow",
         "status": "completed", "started_at": "2026-03-01T02:00:00Z",
         "ended_at": "2026-03-01T03:00:00Z"}  # fmt: skip
ASIDE = f"""document
    prefix uuid <urn:uuid:>
    prefix ex <https://example.org/>
    entity({PRODUCT_ID.removeprefix("urn:")}, [prov:label="{INPUT}"])
    entity(ex:raw-frames)
    agent(ex:science-team, [prov:label="Science Team", prov:type='prov:Organization'])
    wasDerivedFrom({PRODUCT_ID.removeprefix("urn:")}, ex:raw-frames, -, -, -)
    wasAttributedTo({PRODUCT_ID.removeprefix("urn:")}, ex:science-team)
endDocument"""


def record_all(client: ProvClient) -> None:
    """Record the run, the workflow that it was part of, and what others say of its input."""
    for document in (TOOL, OUTER):
        client.record(json.dumps(document).encode(), name="run.json")
    client.record(ASIDE.encode(), name="aside.provn")
    product = client.resolve(INPUT)["id"]
    bad = {"schema": "provmanager/assessment.v1", "id": "a4002bf3-50ee-4990-8a99-9d4a8b7d1224",
           "kind": "invalidation", "at": "2026-04-01T00:00:00Z", "reason": "lid was closed",
           "agent": {"id": "mailto:ada@example.org", "name": "Ada"},
           "entities": [{"id": product}]}  # fmt: skip
    client.record(json.dumps(bad).encode(), name="bad.json")


def document_of(client: ProvClient, format: ExportFormat) -> bytes:
    """Return the lineage of the run in a format; of a crate, its metadata."""
    exported = client.export(RUN, export_format=format, direction="both")
    if format is not ExportFormat.RO_CRATE:
        return exported
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        return archive.read("ro-crate-metadata.json")


def _of_run(*path: str) -> Callable[[dict[str, Any]], Any]:
    def get(told: dict[str, Any]) -> Any:
        value = told["run"]
        for key in path:
            value = (value or {}).get(key)
        return value

    return get


def _of(entity: str, *path: str) -> Callable[[dict[str, Any]], Any]:
    def get(told: dict[str, Any]) -> Any:
        value = told[entity]
        for key in path:
            value = (value or {}).get(key)
        return sorted(value, key=str) if isinstance(value, list) else value

    return get


def _agents(told: dict[str, Any]) -> Any:
    kept = ("iri", "name", "type", "email")
    return sorted([a[k] for k in kept] for a in told["run"].get("agents", ()))


def _roles_of_agents(told: dict[str, Any]) -> Any:
    return sorted(a["role"] for a in told["run"].get("agents", ()))


def _uses(told: dict[str, Any]) -> Any:
    return sorted(u["name"] for u in told["run"].get("used", ()))


def _roles(told: dict[str, Any]) -> Any:
    return sorted((u["name"], u["role"]) for u in told["run"].get("used", ()))


def _products(told: dict[str, Any]) -> Any:
    return sorted(u["name"] for u in told["run"].get("generated", ()))


def _roles_of_products(told: dict[str, Any]) -> Any:
    return sorted((u["name"], u["role"]) for u in told["run"].get("generated", ()))


def _said_product_ids(told: dict[str, Any]) -> Any:
    """The product ids that there were; an import adds the ids of the record it comes from."""
    return PRODUCT_ID in told["input"].get("product_ids", ())


def _assessed(told: dict[str, Any]) -> Any:
    kept = ("assessment_uuid", "kind", "assessed_at", "reason", "agent_name", "agent_iri")
    return [[a[k] for k in kept] for a in told["input"].get("assessments", ())]


FIELDS: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("run: id", _of_run("id"), RUN),
    ("run: name", _of_run("name"), "qtemp-tool"),
    ("run: version", _of_run("version"), "1.2.77"),
    ("run: type", _of_run("type"), "Analysis"),
    ("run: status", _of_run("status"), ">error<"),
    ("run: exit code", _of_run("exit_code"), ">117<"),
    ("run: start", _of_run("started_at"), "02:11:03.12"),
    ("run: end", _of_run("ended_at"), "02:12:44.5"),
    ("run: comment", _of_run("comment"), "the last bin is short"),
    ("run: command line", _of_run("command", "arguments"), "a b.fits"),
    ("run: executable", _of_run("command", "executable"), "/opt/bin/python3.12"),
    ("run: working directory", _of_run("command", "directory"), "/scratch/112233"),
    ("run: settings", _of_run("configuration"), "background.method"),
    ("run: configuration file", lambda told: told["config_files"], "qtemp.json"),
    ("run: software environment", _of_run("environment"), "OMP_NUM_THREADS"),
    ("run: host", _of_run("host"), "5.14.0-570.el9"),
    ("run: container", _of_run("container"), "/cvmfs/example.org/eclgrm.sif"),
    ("run: job and site", _of_run("job"), "LCG.EXAMPLE.fr"),
    ("run: what it was part of", lambda t: [p["activity"] for p in t["run"]["part_of"]], WORKFLOW),
    ("run: agents", _agents, "operator@example.org"),
    ("run: roles of agents", _roles_of_agents, "Operator<"),
    ("use", _uses, INPUT),
    ("use: role", _roles, "events<"),
    ("use: time", lambda told: told["use_times"], "02:11:03.25"),
    ("generation", _products, OUTPUT),
    ("generation: role", _roles_of_products, "light curve"),
    ("product: kind", lambda told: told["kinds"], "Collection"),
    ("product: value", _of("value", "value"), "61100.0834"),
    ("product: digests", _of("input", "digests"), "5f" * 16),
    ("product: product ids", _said_product_ids, PRODUCT_ID),
    ("product: locations", _of("input", "locations"), f"lfn:/vo.example/{INPUT}"),
    ("product: size", _of("input", "size_bytes"), "8640123"),
    ("product: content type", _of("input", "content_type"), "application/fits"),
    ("product: comment", _of("input", "comment"), "taken in slew"),
    ("product: when generated", _of("output", "generated_at"), "02:12:41.75"),
    ("collection: members", lambda told: told["members"], "adMember|hasPart"),
    ("derivation", lambda told: len(told["input"].get("derived_from", ())),
     "DerivedFrom|isBasedOn"),
    ("attribution", lambda told: [a["name"] for a in told["input"].get("attributed_to", ())],
     "AttributedTo|author"),
    ("marks: what, who, when, why", _assessed, "lid was closed"),
    ("description of the activity", lambda told: None, "Makes light curves"),
    ("rule of a link", lambda told: None, "stated<"),
    ("what else a document said (details)", lambda told: None, "some-other-word"),
]  # fmt: skip
"""Each field: what it is called, what of `told` it is, and a text that stands where it is written
(or one of several, with ``|`` between).

A field whose value is None in the record that was exported is not read back by any format.
"""


def told(client: ProvClient, use_times: list[str]) -> dict[str, Any]:
    """Return what a record has of the run and its products."""
    run = client.activity(RUN)
    used = {u["name"]: u["entity"] for u in run["used"]}
    made = {u["name"]: u["entity"] for u in run["generated"]}
    names = {"input": used.get(INPUT), "output": made.get(OUTPUT),
             "value": used.get("trigger_time_mjd")}  # fmt: skip
    found = {key: client.entity(id_) if id_ else {} for key, id_ in names.items()}
    lineage = client.lineage(RUN, direction="both")
    own = {*used.values(), *made.values()}
    collections = [e["id"] for e in lineage["entities"] if e["kind"] == "collection"]
    members = [m["entity"] for c in collections for m in client.entity(c)["members"]]
    return {
        "run": run,
        **found,
        "use_times": use_times,
        "config_files": sorted(u["name"] for u in run["used"] if u["role"] == "configuration"),
        "kinds": sorted((e["name"], e["kind"]) for e in lineage["entities"] if e["id"] in own),
        "members": sorted(client.entity(m)["name"] or "" for m in members),
    }
