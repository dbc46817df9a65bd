"""A lineage as a Workflow Run RO-Crate: JSON-LD for ``ro-crate-metadata.json``.

Every activity is a CreateAction whose instrument is its tool (Process Run Crate 0.5). Where a run
of a workflow is among them and its document is known, that is the crate's main entity, with its
steps and the actions that controlled them (Provenance Run Crate 0.5); only a crate that holds the
document may say that it conforms to that, so `with_files` says it. RO-Crate 1.1; a file that is not
in the crate is named by its UUID, with the place where it was recorded as ``contentUrl``.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from .ro_crate_own import (
    CONTEXT,
    GENERATED_AT,
    IMAGE_TERMS,
    PART_OF,
    PRODUCT_ID,
    ROLE,
    RUN_TERMS,
    SETTING,
    VALUE,
    assessment_items,
    called_terms,
    image_terms,
    packages_of,
)

JSONObject = dict[str, Any]  # Any: free-form JSON-LD
Row = Mapping[str, Any]  # Any: a JSON value

METADATA_FILE = "ro-crate-metadata.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_WORKFLOW = "https://w3id.org/ro/wfrun/workflow/0.5"
_PROVENANCE = "https://w3id.org/ro/wfrun/provenance/0.5"
_PROFILES = {
    _PROCESS: ("Process Run Crate", "0.5"),
    _WORKFLOW: ("Workflow Run Crate", "0.5"),
    _PROVENANCE: ("Provenance Run Crate", "0.5"),
    _WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
_CWL = "https://w3id.org/workflowhub/workflow-ro-crate#cwl"
_CONTEXT = [
    f"{_CRATE}/context",
    {"sha256": "https://schema.org/sha256"}
    | {name: f"{RUN_TERMS}{name}" for name in ("sha512", "sha1", "md5", *IMAGE_TERMS)}
    | CONTEXT,
]
_STATUS = {
    "completed": "http://schema.org/CompletedActionStatus",
    "error": "http://schema.org/FailedActionStatus",
    "interrupted": "http://schema.org/FailedActionStatus",
    "running": "http://schema.org/ActiveActionStatus",
}
_DIGESTS = ("sha256", "sha512", "sha1", "md5")
_NO_LICENSE = "#no-license-recorded"


def lineage_to_crate(lineage: Row, *, published: str) -> JSONObject:
    """Return the metadata of a crate of `lineage`, without any of its files.

    Parameters
    ----------
    lineage : mapping
        The body of ``GET /v1/lineage``, with agents, ``parameters``, ``commands`` (by activity) and
        ``workflows`` (of runs: ``activity``, ``engine``, and the document's ``id``, ``name``,
        ``location``, ``digest``, ``size_bytes``) where there are any.
    published : str
        The day of the crate, ISO 8601.
    """
    return _Crate(lineage, published).to_json()


class _Crate:
    """One lineage on its way into a crate."""

    def __init__(self, lineage: Row, published: str) -> None:
        self._lineage = lineage
        self._graph: dict[str, JSONObject] = {}
        self._entities = {e["id"]: e for e in lineage["entities"]}
        self._activities = {a["id"]: a for a in lineage["activities"]}
        self._used = _grouped(lineage["used"], "activity", "entity")
        self._made = _grouped(lineage["generated"], "activity", "entity")
        self._assessments = {a["id"]: a for a in lineage.get("assessments", ())}
        self._surroundings = {s["id"]: s for s in lineage.get("surroundings", ())}
        self._authors = _grouped(lineage.get("attributed", ()), "entity", "agent")
        self._sources = _grouped(lineage.get("derived", ()), "derived", "source")
        self._outer = _grouped(lineage.get("parts", ()), "activity", "part_of")
        self._workflow = self._main_workflow()
        self._add_root(published)
        self._add_entities()
        self._add_agents()
        self._add_actions()
        self._add_roles()
        self._add_assessments()
        if self._workflow is not None:
            self._add_workflow(self._workflow)

    def to_json(self) -> JSONObject:
        """Return the whole document."""
        return {"@context": _CONTEXT, "@graph": list(self._graph.values())}

    def _add(self, id_: str, type_: str | list[str], **more: Any) -> JSONObject:  # Any: JSON-LD
        known = {key: _one(value) for key, value in more.items() if value not in (None, [], "")}
        return self._graph.setdefault(id_, {"@id": id_, "@type": type_, **known})

    def _add_root(self, published: str) -> None:
        focus = self._lineage["focus"]
        name = focus.get("name") or focus.get("id") or "records"
        self._add(METADATA_FILE, "CreativeWork", conformsTo=[_ref(_CRATE)], about=_ref("./"))
        self._add(
            "./",
            "Dataset",
            name=f"Provenance of {name}",
            description=f"What {name} came from, or what came of it, as provmanager recorded it: "
            f"{len(self._activities) - len(self._assessments)} activities, "
            f"{len(self._entities)} products.",
            datePublished=published,
            license=_ref(_NO_LICENSE),
            conformsTo=[_ref(_PROCESS)],
            hasPart=[],
            mentions=[],
        )
        self._add_profile(_PROCESS)
        self._add(
            _NO_LICENSE,
            "CreativeWork",
            name="No licence is recorded",
            description="The record says nothing of a licence: ask who holds the data.",
        )
        self._graph["./"] |= {"hasPart": [], "mentions": []}

    def _add_profile(self, iri: str) -> None:
        name, version = _PROFILES[iri]
        self._add(iri, "CreativeWork", name=name, version=version)

    # --- entities

    def _add_entities(self) -> None:
        members = _grouped(self._lineage.get("members", ()), "collection", "member")
        for entity in self._entities.values():
            if entity.get("kind") == "value":
                self._add(_iri(entity), "PropertyValue", name=entity["name"] or "value",
                          value=entity.get("value") or "", propertyID=VALUE)  # fmt: skip
            elif entity.get("kind") == "collection":
                parts = [_ref(f"urn:uuid:{member}") for member in members.get(entity["id"], ())]
                self._add(_iri(entity), "Collection", name=entity["name"], hasPart=parts)
                self._graph["./"]["mentions"].append(_ref(_iri(entity)))
            else:
                self._add_file(entity)

    def _add_file(self, entity: Row) -> None:
        digests = [d.partition(":") for d in _all(entity, "digest")]
        self._add(
            _iri(entity),
            "File",
            name=entity.get("name") or entity["id"],
            identifier=_iri(entity),
            contentUrl=_all(entity, "location"),
            description=entity.get("comment"),
            contentSize=None if entity.get("size_bytes") is None else str(entity["size_bytes"]),
            encodingFormat=entity.get("content_type")
            or guess_type(entity.get("name") or "")[0]
            or "application/octet-stream",
            dateCreated=entity.get("generated_at"),
            author=[_ref(iri) for iri in self._authors.get(entity["id"], ())],
            isBasedOn=[_ref(f"urn:uuid:{s}") for s in self._sources.get(entity["id"], ())],
            **{PRODUCT_ID: _all(entity, "product_id")},
            **{GENERATED_AT: entity.get("generated_at")},
            **{name: value for name, _, value in digests if name in _DIGESTS},
        )
        self._graph["./"]["hasPart"].append(_ref(_iri(entity)))

    def _add_agents(self) -> None:
        for agent in self._lineage.get("agents", ()):
            kind = {"Organization": "Organization", "SoftwareAgent": "SoftwareApplication"}
            self._add(
                agent["iri"],
                kind.get(agent.get("type") or "", "Person"),
                name=agent.get("name") or agent["iri"],
                email=agent.get("email"),
                affiliation=agent.get("affiliation"),
                url=agent.get("url"),
            )

    # --- actions

    def _add_actions(self) -> None:
        agents = _grouped(self._lineage.get("associated", ()), "activity", "agent")
        settings = _grouped(self._lineage.get("parameters", ()), "activity")
        commands = self._lineage.get("commands", {})
        for activity in self._activities.values():
            if activity["id"] in self._assessments:
                continue
            objects = [_ref(f"urn:uuid:{e}") for e in self._used.get(activity["id"], ())]
            objects += [_ref(self._setting(row)) for row in settings.get(activity["id"], ())]
            has_failed = activity["status"] in ("error", "interrupted")
            exit_code = activity["exit_code"]
            ended = "" if exit_code is None else f", exit code {exit_code}"
            self._add(
                _iri(activity),
                "CreateAction",
                name=activity["name"] or "activity",
                description=commands.get(activity["id"]),
                instrument=_ref(self._tool(activity)),
                startTime=activity["started_at"],
                endTime=activity["ended_at"],
                actionStatus=_STATUS.get(activity["status"]),
                error=f"{activity['status']}{ended}" if has_failed else None,
                agent=[_ref(iri) for iri in agents.get(activity["id"], ())],
                object=objects,
                containerImage=self._image(activity),
                **{PART_OF: [_ref(f"urn:uuid:{o}") for o in self._outer.get(activity["id"], ())]},
                **called_terms(activity, self._around(activity)),
                result=[_ref(f"urn:uuid:{e}") for e in self._made.get(activity["id"], ())],
            )
            self._graph["./"]["mentions"].append(_ref(_iri(activity)))

    def _setting(self, row: Row) -> str:
        """Return the id of a setting: one for all activities that have the same."""
        value = row["value"]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        id_ = f"#setting-{uuid5(NAMESPACE_URL, json.dumps([row['name'], value]))}"
        form = None if isinstance(value, str) else "application/json"
        self._add(id_, "PropertyValue", name=row["name"], value=text or '""',
                  propertyID=SETTING, encodingFormat=form)  # fmt: skip
        return id_

    def _around(self, activity: Row) -> dict[str, Row]:
        """Return what an activity ran in, by kind."""
        around = (self._surroundings[i] for i in activity.get("ran_in") or ())
        return {row["kind"]: row for row in around}

    def _tool(self, activity: Row) -> str:
        """Return the id of the tool that an activity ran, in its software environment."""
        name, version = activity["name"] or "unnamed tool", activity["version"]
        id_ = f"#tool-{quote(name, safe='')}-{quote(version or 'any', safe='')}"
        environment = self._around(activity).get("environment")
        packages = list(packages_of(environment["content"])) if environment else []
        if environment is not None and packages:
            id_ += f"-{environment['id'][:8]}"
        if id_ not in self._graph:
            required = [_ref(self._package(*package)) for package in packages]
            self._add(id_, "SoftwareApplication", name=name, softwareVersion=version,
                      softwareRequirements=required)  # fmt: skip
        return id_

    def _package(self, name: str, version: str) -> str:
        id_ = f"#package-{quote(name, safe='')}-{quote(version, safe='')}"
        self._add(id_, "SoftwareApplication", name=name, softwareVersion=version)
        return id_

    def _image(self, activity: Row) -> list[dict[str, str]]:
        container = self._around(activity).get("container")
        if container is None:
            return []
        id_ = f"#container-{container['id']}"
        self._add(id_, "ContainerImage", **image_terms(container["content"]))
        return [_ref(id_)]

    def _add_roles(self) -> None:
        """Name the parameters of tools of which files are values: the roles of uses and products.

        A role is said of a file and a tool. Where runs of one tool used a file in several ways, the
        crate cannot say which run did it how, and says nothing.
        """
        for side, flows in (("input", "used"), ("output", "generated")):
            roles: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(dict)
            for flow in self._lineage[flows]:
                activity = self._activities.get(flow["activity"])
                if activity is not None:
                    by_run = roles[self._tool(activity), flow["entity"]]
                    by_run.setdefault(activity["id"], set()).add(flow["role"] or "")
            for (tool, entity), by_run in roles.items():
                said = set.union(*by_run.values())
                if "" not in said and all(theirs == said for theirs in by_run.values()):
                    for role in sorted(said):
                        self._add_role(tool, side, role, f"urn:uuid:{entity}")

    def _add_role(self, tool: str, side: str, role: str, file: str) -> None:
        id_ = f"{ROLE}{tool.removeprefix('#tool-')}-{side}/{quote(role, safe='')}"
        self._add(id_, "FormalParameter", name=role, additionalType="File")
        for holder, key in ((tool, side), (file, "exampleOfWork")):
            item = self._graph.get(holder, {})
            held = _many(item.get(key) or [])
            if _ref(id_) not in held:
                item[key] = _one([*held, _ref(id_)])

    def _add_assessments(self) -> None:
        """Add what was said of products: actions of who said it, and the state of each file."""
        for row in self._assessments.values():
            self._graph["./"]["mentions"].append(_ref(f"urn:uuid:{row['id']}"))
            self._graph |= assessment_items(row)
            if row["kind"] == "invalidation" and not row["is_revoked"]:
                for told in row["entities"]:
                    self._graph[f"urn:uuid:{told['id']}"]["creativeWorkStatus"] = "invalid"

    # --- the workflow

    def _main_workflow(self) -> Row | None:
        """Return the workflow of the run that has the most activities of the lineage."""
        runs = _grouped(self._lineage.get("parts", ()), "part_of", "activity")
        known = [w for w in self._lineage.get("workflows", ()) if runs.get(w["activity"])]
        return max(known, key=lambda w: len(runs[w["activity"]]), default=None)

    def _add_workflow(self, workflow: Row) -> None:
        run = self._activities[workflow["activity"]]
        inside = [
            self._activities[p["activity"]]
            for p in self._lineage["parts"]
            if p["part_of"] == run["id"] and p["activity"] in self._activities
        ]
        inside.sort(key=lambda a: (a["started_at"] or "", a["id"]))
        self._add_file(workflow)
        main = self._graph[_iri(workflow)]
        main["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        steps: dict[str, str] = {}
        for activity in inside:
            steps.setdefault(self._tool(activity), f"#step-{len(steps) + 1}")
        main |= {
            "programmingLanguage": _ref(_CWL),
            "hasPart": _one([_ref(tool) for tool in steps]),
            "step": _one([_ref(step) for step in steps.values()]),
        }
        self._add(_CWL, "ComputerLanguage", name="Common Workflow Language",
                  alternateName="CWL", url="https://www.commonwl.org/",
                  identifier=_ref("https://w3id.org/cwl/"))  # fmt: skip
        for position, (tool, step) in enumerate(steps.items(), 1):
            self._add(step, "HowToStep", name=self._graph[tool]["name"], position=str(position),
                      workExample=_ref(tool))  # fmt: skip
        self._add_control(workflow, run, inside, steps)
        self._graph["./"]["mainEntity"] = _ref(_iri(workflow))

    def _add_control(
        self, workflow: Row, run: Row, inside: list[Row], steps: Mapping[str, str]
    ) -> None:
        controls = []
        for activity in inside:
            id_ = f"#control-{activity['id']}"
            self._add(id_, "ControlAction", name=f"orchestrate {activity['name']}",
                      instrument=_ref(steps[self._tool(activity)]),
                      object=_ref(_iri(activity)))  # fmt: skip
            controls.append(_ref(id_))
        engine = f"provmanager, engine {workflow.get('engine') or 'unknown'}"
        self._add("#engine", "SoftwareApplication", name=engine)
        self._add(f"#organize-{run['id']}", "OrganizeAction", name=f"run of {run['name']}",
                  instrument=_ref("#engine"), object=controls, result=_ref(_iri(run)))  # fmt: skip
        made = {e for a in (*inside, run) for e in self._made.get(a["id"], ())}
        used = {e for a in inside for e in self._used.get(a["id"], ())}
        action = self._graph[_iri(run)]
        action["instrument"] = _ref(_iri(workflow))
        for name, entities in (("object", used - made), ("result", made - used)):
            action.pop(name, None)
            if entities:
                action[name] = _one([_ref(f"urn:uuid:{e}") for e in sorted(entities)])
        self._graph.pop(self._tool(run), None)


def crate_text(crate: Row) -> str:
    """Return the text of ``ro-crate-metadata.json``."""
    return json.dumps(crate, indent=1, ensure_ascii=False) + "\n"


def files_of(crate: Row) -> list[JSONObject]:
    """Return the files that a crate tells of."""
    return [item for item in crate["@graph"] if "File" in _many(item["@type"])]


def with_files(crate: Row, paths: Mapping[str, str]) -> JSONObject:
    """Return a crate that holds files: those named by the keys of `paths` lie at their values.

    With the document of its main workflow it is a Workflow Run Crate.
    """
    text = {id_: quote(path) for id_, path in paths.items()}
    graph = [_renamed(item, text) for item in crate["@graph"]]
    root = next(item for item in graph if item["@id"] == "./")
    main = root.get("mainEntity", {}).get("@id")
    if main in text.values():
        profiles = (_WORKFLOW, _PROVENANCE, _WORKFLOW_CRATE)
        root["conformsTo"] = [*_many(root["conformsTo"]), *map(_ref, profiles)]
        for iri in profiles:
            name, version = _PROFILES[iri]
            graph.append({"@id": iri, "@type": "CreativeWork", "name": name, "version": version})
        descriptor = next(item for item in graph if item["@id"] == METADATA_FILE)
        descriptor["conformsTo"] = [*_many(descriptor["conformsTo"]), _ref(_WORKFLOW_CRATE)]
    return {"@context": crate["@context"], "@graph": graph}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:  # Any: free-form JSON-LD
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, dict):
        return {
            key: names.get(item, item) if key == "@id" else _renamed(item, names)
            for key, item in value.items()
        }
    return value


def _one(value: Any) -> Any:  # Any: free-form JSON-LD
    """Return the one value of a list that has only one, as RO-Crate 1.1 recommends."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _many(value: Any) -> list[Any]:  # Any: free-form JSON-LD
    return value if isinstance(value, list) else [value]


def _all(entity: Row, name: str) -> list[str]:
    one = entity.get(name)
    return list(entity.get(f"{name}s") or ([one] if one else ()))


def _ref(id_: str) -> dict[str, str]:
    return {"@id": id_}


def _iri(row: Row) -> str:
    return f"urn:uuid:{row['id']}"


def _grouped(rows: Iterable[Row], by: str, value: str | None = None) -> dict[str, list[Any]]:
    """Return rows, or their `value` each once, by one of their keys. (Any: as asked for.)"""
    found: dict[str, dict[Any, Any]] = defaultdict(dict)
    for n, row in enumerate(rows):
        found[row[by]][row[value] if value else n] = row[value] if value else row
    return {key: list(values.values()) for key, values in found.items()}
