"""Worlds: few documents about the same few runs and files, that agree, complete and contradict.

Everything comes from small pools, so that documents meet: three runs, three paths on two hosts,
three contents, two product ids, two LFNs and a handful of instants. A document is in one of the
formats that ingest reads; nothing that it says need be true.
"""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

JSONDict = dict[str, Any]  # Any: free-form JSON

RUNS = [f"0000000{n}-aaaa-4aaa-8aaa-aaaaaaaaaaaa" for n in range(1, 4)]
NAMES = ["calibrate", "merge", "analyse"]
PRODUCTS = [f"0000000{n}-bbbb-4bbb-8bbb-bbbbbbbbbbbb" for n in range(1, 3)]
HOSTS = ["n1", "n2"]
PATHS = ["/data/a.h5", "/data/b.h5", "/other/a.h5"]
LFNS = ["lfn:/vo/a.h5", "lfn:/vo/b.h5"]
SHA256 = [c * 64 for c in "abc"]
MD5 = [c * 32 for c in "de"]
ROLES = [None, "in", "model"]
MINUTES = range(8)
_PREFIXES = {
    "lfn": "lfn:/vo/",
    "n1": "file://n1/data/",
    "n2": "file://n2/data/",
    "run": "urn:uuid:",
    "ex": "http://example.org/",
    "pm": "urn:provmanager:terms#",
}


def instant(minute: int) -> str:
    """Return the instant `minute` of the worlds' hour, ISO 8601."""
    return f"2026-03-01T20:{minute:02d}:00"


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _given(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[JSONDict]:
    """Objects with any of `fields`."""
    return st.fixed_dictionaries({}, optional=fields)


def _without_none(value: JSONDict) -> JSONDict:
    return {k: v for k, v in value.items() if v is not None}


_minutes = st.sampled_from(MINUTES)
_spans = st.tuples(_minutes, _minutes).map(sorted)
_words = st.sampled_from(["x", "y"])

_JOBS = [
    {"system": "DIRAC", "id": "7"},
    {"system": "DIRAC", "id": "7", "attempt": "0"},
    {"system": "DIRAC", "id": "7", "attempt": "1"},
    {"system": "DIRAC", "id": "7", "attempt": "1", "site": "x"},
    {"system": "DIRAC", "id": "8", "attempt": "0"},
]

# activity.v1 ------------------------------------------------------------------------------------

_flow_details = _given(
    role=st.sampled_from(["in", "model"]),
    size_bytes=st.sampled_from([1, 2]),
    content_type=st.sampled_from(["a/b", "c/d"]),
    name=_words,
    comment=_words,
    kind=st.sampled_from(["dataset", "collection"]),
    at=_minutes.map(lambda m: instant(m) + "Z"),
    modified_at=_minutes.map(lambda m: instant(m) + "Z"),
    more=st.sampled_from([1, True, "x"]),
)


@st.composite
def _flows(draw: st.DrawFn, depth: int = 0) -> JSONDict:
    """One input or output: named by some of place, LFN, content and product id; or a value."""
    if draw(st.integers(0, 9)) == 0:
        value = {"name": draw(_words), "value": draw(st.sampled_from(["1", 1, True]))}
        return value | draw(_given(role=st.sampled_from(["in", "model"])))
    flow: JSONDict = {}
    wanted = draw(st.sampled_from(["u", "u", "u", "us", "us", "s", "p", "up", "ul", "l", "sp", "m",
                                   "um", "usp", "e"]))  # fmt: skip
    if "u" in wanted:
        flow["url"] = draw(st.sampled_from(PATHS))
    if "s" in wanted:
        flow["sha256"] = draw(st.sampled_from(SHA256))
    if "e" in wanted:  # nothing was written into it
        flow["url"] = draw(st.sampled_from(PATHS))
        flow["sha256"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    if "m" in wanted:
        flow["digests"] = {"md5": draw(st.sampled_from(MD5))}
    if "p" in wanted:
        flow["product_id"] = draw(st.sampled_from(PRODUCTS))
    if "l" in wanted:
        flow["lfn"] = draw(st.sampled_from(LFNS))
    flow |= draw(_flow_details)
    if depth == 0 and draw(st.integers(0, 7)) == 0:
        flow["members"] = draw(st.lists(_flows(depth=1), min_size=1, max_size=2))
    return flow


@st.composite
def run_records(draw: st.DrawFn) -> JSONDict:
    """One record of our capture format: running or final, partial or full."""
    n = draw(st.integers(0, 2))
    fields = draw(
        _given(
            status=st.sampled_from(["running", "completed", "error", "unknown"]),
            parent=st.sampled_from([r for r in RUNS if r != RUNS[n]]),
            host=st.sampled_from(HOSTS).map(lambda h: {"name": h}),
            exit_code=st.sampled_from([0, 1]),
            version=st.sampled_from(["1", "2"]),
            comment=_words,
            configuration=st.sampled_from([{"a": 1}, {"a": True}, {"a": {"b": "x"}}]),
            environment=st.sampled_from([{"python": {"version": "3"}}, {"python": {}}]),
            command=st.sampled_from([{"arguments": ["x"]}, {"executable": "/bin/x"}]),
            job=st.sampled_from(_JOBS),
            agent=st.sampled_from(
                [
                    {"user": "u"},
                    {"email": "a@b", "name": "A"},
                    {"email": "a@b", "name": "B", "type": "Person", "role": "Operator"},
                    {"email": "a@b", "affiliation": "I"},
                ]
            ),
            attributes=st.sampled_from([{"k": 1}, {"k": 2}]),
            inputs=st.lists(_flows(), max_size=3),
            outputs=st.lists(_flows(), max_size=3),
        )
    )
    is_other = draw(st.integers(0, 29)) == 0  # a run that took the UUID of another
    record = {"schema": "provmanager/activity.v1", "id": RUNS[n], "name": NAMES[n - is_other]}
    if draw(st.integers(0, 5)):
        is_later = fields.get("job", {}).get("attempt") == "1" or draw(st.integers(0, 39)) == 0
        record["started_at"] = instant(2 * n + is_later) + "Z"
    ends = [m for m in MINUTES if m > 2 * n]
    if draw(st.booleans()):
        record["ended_at"] = instant(draw(st.sampled_from(ends))) + "Z"
    return record | fields


@st.composite
def run_documents(draw: st.DrawFn) -> bytes:
    """One record, or a list of up to three."""
    if draw(st.integers(0, 4)):
        return json.dumps(draw(run_records())).encode()
    return json.dumps(draw(st.lists(run_records(), min_size=1, max_size=3))).encode()


# ctapipe ----------------------------------------------------------------------------------------


@st.composite
def _reference(draw: st.DrawFn) -> JSONDict:
    start, end = draw(_spans)
    found = {
        "CTA PRODUCT ID": draw(st.sampled_from(PRODUCTS)),
        "CTA ACTIVITY ID": draw(st.sampled_from(["", *RUNS])),
        "CTA ACTIVITY NAME": draw(st.sampled_from(["", *NAMES])),
        "CTA ACTIVITY SOFTWARE VERSION": draw(st.sampled_from(["", "1"])),
    }
    more = {
        "CTA ACTIVITY START TIME": instant(start).replace("T", " "),
        "CTA ACTIVITY STOP TIME": instant(end).replace("T", " "),
        "CTA PRODUCT CREATION TIME": instant(end).replace("T", " "),
    }
    return found | {k: v for k, v in more.items() if draw(st.booleans())}


@st.composite
def _ctapipe_records(draw: st.DrawFn) -> JSONDict:
    n = draw(st.integers(0, 2))
    files = st.lists(
        st.builds(
            lambda path, role, meta: {"url": path, "role": role, "reference_meta": meta},
            st.sampled_from(PATHS),
            st.sampled_from(ROLES),
            st.none() | st.none() | _reference(),
        ),
        max_size=3,
    )
    end = draw(st.none() | st.sampled_from([m for m in MINUTES if m > 2 * n]))
    system = {"ctapipe_version": "0.2", "platform": {"node": draw(st.sampled_from(HOSTS))}}
    if draw(st.booleans()):
        system["environment"] = {"USER": "u"}
    return {
        "activity_name": NAMES[n],
        "activity_uuid": RUNS[n],
        "status": "running" if end is None else draw(st.sampled_from(["completed", "error"])),
        "start": {"time_utc": instant(2 * n) + ".000"},
        "stop": {} if end is None else {"time_utc": instant(end) + ".000"},
        "system": system,
        "input": draw(files),
        "output": draw(files),
        "config": draw(st.sampled_from([{}, {"a": 1}])),
    }


@st.composite
def ctapipe_logs(draw: st.DrawFn) -> bytes:
    """A log of finished activities; empty, dumped twice, or of one that still runs."""
    shape = draw(st.integers(0, 9))
    if shape == 0:
        return b"[]"
    records = draw(st.lists(_ctapipe_records(), min_size=1, max_size=3))
    if shape == 1:
        return (json.dumps(records[:1]) + json.dumps(records)).encode()
    if shape == 2:
        return json.dumps(records[0]).encode()
    return json.dumps(records).encode()


# W3C PROV-JSON ----------------------------------------------------------------------------------

_PROV_ENTITIES = [
    "lfn:a.h5", "n1:a.h5", "n1:b.h5", "n2:a.h5", "ex:e1", "ex:e2", "ex:_c", "_local:x",
    *(f"run:{p}" for p in PRODUCTS),
]  # fmt: skip
_PROV_ACTIVITIES = [*(f"run:{r}" for r in RUNS), "ex:act"]
_PROV_AGENTS = ["ex:alice", "ex:bob"]


@st.composite
def _prov_entities(draw: st.DrawFn) -> JSONDict:
    return draw(
        _given(
            **{
                "prov:label": _words,
                "prov:value": _words,
                "prov:location": st.sampled_from(["/data/a.h5", "file://n1/data/b.h5", *LFNS]),
                "pm:digest": st.sampled_from([f"sha256:{s}" for s in SHA256]),
                "pm:sizeBytes": st.sampled_from([1, 2]),
                "prov:invalidatedAtTime": _minutes.map(instant),
                "prov:generatedAtTime": _minutes.map(instant),
                "ex:k": st.sampled_from([1, "1", True]),
            }
        )
    )


@st.composite
def _prov_activities(draw: st.DrawFn) -> JSONDict:
    start, end = draw(_spans)
    return draw(
        _given(
            **{
                "prov:startTime": st.just(instant(start)),
                "prov:endTime": st.just(instant(end)),
                "prov:label": st.sampled_from(NAMES),
                "pm:status": st.sampled_from(["completed", "error", "running"]),
                "pm:exitCode": st.sampled_from([0, 1]),
                "pm:isClaim": st.just("true"),
                "pm:host": st.sampled_from(HOSTS),
                "ex:k": st.sampled_from([1, "1", True]),
            }
        )
    )


@st.composite
def prov_documents(draw: st.DrawFn) -> bytes:
    """W3C PROV-JSON about the same UUIDs and IRIs."""
    activity = st.sampled_from(_PROV_ACTIVITIES)
    entity = st.sampled_from(_PROV_ENTITIES)
    agent = st.sampled_from(_PROV_AGENTS)
    time = st.none() | _minutes.map(instant)
    role = st.sampled_from(ROLES)
    kinds: dict[str, Callable[[], JSONDict]] = {
        "used": lambda: {"prov:activity": draw(activity), "prov:entity": draw(entity),
                         "prov:time": draw(time), "prov:role": draw(role)},
        "wasGeneratedBy": lambda: {"prov:activity": draw(activity), "prov:entity": draw(entity),
                                   "prov:time": draw(time), "prov:role": draw(role)},
        "wasInformedBy": lambda: {"prov:informed": draw(activity), "prov:informant": draw(activity),
                                  "prov:type": draw(st.sampled_from([None, {"$": "pm:PartOf",
                                  "type": "prov:QUALIFIED_NAME"}]))},
        "wasDerivedFrom": lambda: {"prov:generatedEntity": draw(entity),
                                   "prov:usedEntity": draw(entity)},
        "hadMember": lambda: {"prov:collection": draw(entity), "prov:entity": draw(entity)},
        "wasAssociatedWith": lambda: {"prov:activity": draw(activity), "prov:agent": draw(agent),
                                      "prov:role": draw(role)},
        "wasAttributedTo": lambda: {"prov:entity": draw(entity), "prov:agent": draw(agent)},
    }  # fmt: skip
    document: JSONDict = {"prefix": _PREFIXES}
    document["activity"] = draw(st.dictionaries(activity, _prov_activities(), max_size=2))
    document["entity"] = draw(st.dictionaries(entity, _prov_entities(), max_size=3))
    agents = _given(**{"prov:label": _words, "ex:k": _words})
    document["agent"] = draw(st.dictionaries(agent, agents, max_size=1))
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(kinds)))
        document.setdefault(kind, {})[f"_:r{number}"] = _without_none(kinds[kind]())
    return json.dumps(document).encode()


# CTAO products ----------------------------------------------------------------------------------


@st.composite
def product_headers(draw: st.DrawFn) -> bytes:
    """What one product says of itself: CTAO's JSON form, or ctapipe's flat keys."""
    if draw(st.booleans()):
        return json.dumps(draw(_reference())).encode()
    start, end = draw(_spans)
    inputs = st.lists(
        st.builds(
            lambda uri, id_, role: _without_none({"uri": uri, "id": id_, "role": role}),
            st.sampled_from(["file://n1/data/a.h5", "file://n1/data/b.h5", *LFNS]),
            st.none() | st.sampled_from(PRODUCTS),
            st.sampled_from(ROLES),
        ),
        max_size=2,
    )
    product = {
        "ctao_metadata_version": "2.1.0",
        "instance": {"id": draw(st.sampled_from(PRODUCTS))},
        "data": {},
        "creation_time": instant(draw(_minutes)) + "Z",
    }
    if draw(st.booleans()):
        product["contact"] = {"name": draw(_words), "organization": "O", "email": "c@o"}
    if draw(st.integers(0, 4)):
        product["activity"] = _without_none(
            {
                "id": draw(st.sampled_from(RUNS)),
                "name": draw(st.sampled_from(NAMES)),
                "start": draw(st.none() | st.just(instant(start) + "Z")),
                "end": draw(st.none() | st.just(instant(end) + "Z")),
                "inputs": draw(inputs),
            }
        )
    return json.dumps(product).encode()


documents = st.one_of(
    run_documents(), run_documents(), run_documents(), ctapipe_logs(), prov_documents(),
    product_headers(),
)  # fmt: skip
worlds = st.lists(documents, min_size=2, max_size=8, unique=True)


@st.composite
def groupings(draw: st.DrawFn, world: list[bytes]) -> list[list[bytes]]:
    """The documents of `world` in any order and any requests; some come twice."""
    order = draw(st.permutations(world))
    again = draw(st.lists(st.sampled_from(world), max_size=2))
    for document in again:
        order.insert(draw(st.integers(0, len(order))), document)
    batches: list[list[bytes]] = [[]]
    cuts = draw(st.sampled_from(["each", "any"]))
    for document in order:
        if cuts == "each" or draw(st.booleans()):
            batches.append([])
        batches[-1].append(document)
    return [batch for batch in batches if batch]
