"""lstosa's logs, line by line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentError, UnrecognisedFormatError
from provmanager.formats import read
from provmanager.formats.python_literals import parse_literal
from provmanager.model import Document, EntityKind, Status

SESSION = {
    "session_id": "2020011701807",
    "name": "01807",
    "startTime": "2026-11-21T02:17:52.000001",
    "system": {
        "executable": "/venv/bin/python",
        "platform": {"node": "cp01", "system": "Linux", "num_cpus": 8, "boot_time": "2026-11-01"},
        "python": {"version": "3.11.7", "packages": [{"name": "numpy", "version": "1.26.4"}]},
        "environment": {"USER": "lstanalyzer", "HOME": "None", "SHELL": None},
        "arguments": ["datasequence", "-v"],
    },
    "observation_date": "20200117",
    "software_version": "v0.12.3",
    "config_file": "/cfg/sequencer.cfg",
    "session_tag": "r0_to_dl1:01807",
}
START = {
    "activity_id": "b2154d",
    "name": "r0_to_dl1",
    "startTime": "2026-11-21T02:17:52.000001",
    "in_session": "2020011701807",
    "agent_name": "lstanalyzer",
    "script": "datasequence",
    "session_tag": "r0_to_dl1:01807",
}
END = {"activity_id": "b2154d", "endTime": "2026-11-21T02:17:53.000002"}
R0 = {"entity_id": "aa", "name": "R0SubrunDataset", "filepath": "/R0/run.fits.fz", "type": "File"}
DL1 = {"entity_id": "bb", "name": "DL1SubrunDataset", "filepath": "/DL1/dl1.h5", "type": "File"}
USED = {"activity_id": "b2154d", "used_id": "aa", "used_role": "Observation subrun"}
MADE = {"activity_id": "b2154d", "generated_id": "bb", "generated_role": "DL1 subrun dataset"}


def log(*records: Any, prefix: bool = True) -> bytes:
    head = "INFO provLogger __PROV__2026-11-21T02:17:52.466353__PROV__" if prefix else ""
    return "".join(f"{head}{record}\n" for record in records).encode()


def parse(*records: Any, prefix: bool = True) -> Document:
    return read(log(*records, prefix=prefix), name="prov.log")


def codes(document: Document) -> set[str]:
    return {note.code for note in document.notes}


def test_a_step_is_read_with_what_its_session_says():
    [activity] = parse(SESSION, START, END).activities
    assert (activity.name, activity.version) == ("r0_to_dl1", "v0.12.3")
    assert activity.status is Status.COMPLETED
    assert activity.host == {"name": "cp01", "system": "Linux", "n_cpus": 8}
    assert activity.arguments == ("datasequence", "-v")
    assert activity.environment == {
        "python": {"version": "3.11.7"},
        "packages": [{"name": "numpy", "version": "1.26.4"}],
        "variables": {"USER": "lstanalyzer", "HOME": None, "SHELL": None},
        "platform": {"system": "Linux"},
    }


def test_ids_of_activities_are_no_identity():
    night = parse(SESSION, START, END).activities[0]
    other_id = [record | {"activity_id": "77e1c2"} for record in (START, END)]
    run = parse(*other_id, prefix=False).activities[0]
    assert night.uuid == run.uuid


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "dl1ab"},
        {"in_session": "2020011701808"},
        {"startTime": "2026-11-21T02:17:52.000002"},
    ],
)
def test_another_step_session_or_start_is_another_activity(changes):
    assert parse(START, END).activities[0].uuid != parse(START | changes, END).activities[0].uuid


def test_a_merge_of_sub_runs_is_not_the_first_of_them():
    merged_end = END | {"endTime": "2026-11-21T03:00:00.000000"}
    assert parse(START, END).activities[0].uuid != parse(START, merged_end).activities[0].uuid


def test_entities_are_known_by_path_and_host_and_not_by_their_hash():
    hashed = R0 | {"hash": "d41d8cd98f00b204e9800998ecf8427e", "hash_type": "md5"}
    document = parse(SESSION, START, hashed, USED, END)
    entity = next(e for e in document.entities if e.name == "run.fits.fz")
    assert entity.locations == ("file://cp01/R0/run.fits.fz",)
    assert entity.digests == ()


def test_a_hash_that_is_said_to_be_of_the_content_is_a_digest():
    hashed = R0 | {"hash": "D41D8CD98F00B204E9800998ECF8427E", "hash_type": "md5-content"}
    document = parse(START, hashed, USED, END)
    assert document.entities[0].digests == ("md5:d41d8cd98f00b204e9800998ecf8427e",)


def test_a_path_that_is_read_and_written_is_two_versions():
    made = MADE | {"generated_id": "aa"}
    document = parse(START, R0, USED, made, END)
    assert len(document.entities) == 2
    assert document.used[0].entity != document.generated[0].entity


def test_the_same_use_logged_twice_counts_once():
    document = parse(START, R0, USED, R0, USED, END)
    assert len(document.used) == 1


def test_relative_paths_are_no_locations():
    document = parse(START, R0 | {"filepath": "R0/run.fits.fz"}, USED, END)
    [entity] = document.entities
    assert entity.locations == ()
    assert entity.is_unnamed
    assert entity.attributes["filepath"] == "R0/run.fits.fz"


def test_a_file_that_is_not_described_is_noted():
    document = parse(START, USED, END)
    assert document.entities[0].is_unnamed
    assert "unknown-entity" in codes(document)


def test_a_record_of_a_step_that_never_started_is_noted():
    document = parse(R0, USED)
    assert document.used == ()
    assert "unknown-activity" in codes(document)


def test_the_account_is_a_person_of_the_host():
    document = parse(SESSION, START, END)
    [agent] = document.agents
    assert agent.iri == "urn:provmanager:account:lstanalyzer@cp01"
    assert document.associated[0].role == "Operator"


def test_anonymous_is_nobody():
    assert parse(START | {"agent_name": "Anonymous"}, END).agents == ()


def test_parameters_are_the_configuration():
    parameters = {"activity_id": "b2154d", "parameters": {"StoreImage": True}}
    assert parse(START, parameters, END).activities[0].configuration == {"StoreImage": True}


def test_a_step_without_end_is_running():
    document = parse(START)
    assert document.activities[0].status is Status.RUNNING
    assert "running-record" in codes(document)


def test_members_of_a_collection():
    collection = DL1 | {"type": "FileCollection", "filepath": "/DL1"}
    member = {"entity_id": "cc", "name": "Part", "filepath": "/DL1/part.h5", "type": "File"}
    link = {"entity_id": "bb", "member_id": "cc"}
    document = parse(START, collection, MADE, member, link, END)
    names = {entity.key: entity for entity in document.entities}
    [had] = document.members
    assert names[had.collection].kind is EntityKind.COLLECTION
    assert names[had.member].locations == ("file:///DL1/part.h5",)


def test_a_progenitor_logged_with_a_generated_entity_is_kept():
    document = parse(START, R0, USED, DL1, MADE, {"entity_id": "bb", "progenitor_id": "aa"}, END)
    [derived] = document.derived
    assert (derived.derived, derived.source) == (
        document.generated[0].entity, document.used[0].entity,
    )  # fmt: skip


def test_a_progenitor_traced_before_the_step_is_left_out():
    document = parse({"entity_id": "bb", "progenitor_id": "aa"}, START, R0, USED, DL1, MADE, END)
    assert document.derived == ()
    assert "bogus-progenitor" in codes(document)


def test_other_loggers_lines_are_counted_and_passed_over():
    data = b"WARNING provLogger Derivation detected in dl1ab\n" + log(START, END)
    document = read(data)
    assert len(document.activities) == 1
    assert [n.message for n in document.notes if n.code == "other-lines"] == [
        "1 lines of the log are no records: passed over"
    ]


def test_paths_and_numbers_of_numpy_are_read_as_what_they_hold():
    text = "{'a': PosixPath('/x'), 'b': np.float64(0.5), 'c': (1, -2.5), 'd': {3}, 'e': nan}"
    value = parse_literal(text)
    assert str(value.pop("e")) == "nan"
    assert value == {"a": "/x", "b": 0.5, "c": [1, -2.5], "d": [3]}


def test_nothing_in_a_literal_is_ever_called():
    assert parse_literal("{'a': __import__('os').system('false')}") == {"a": "false"}


@pytest.mark.parametrize(
    "text", ["{'a':", "{'a': " * 5000, "x y", "", "{'a': 1" + "0" * 5000 + "}"]
)
def test_what_is_no_literal_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"literal|nested"):
        parse_literal(text)


def test_a_last_line_that_is_cut_off_is_refused_with_its_place():
    data = log(START, END)[:-10]
    with pytest.raises(DocumentError) as caught:
        read(data)
    assert caught.value.details["line"] == 2
    assert data[caught.value.details["offset"] :].startswith(b"{'activity_id': 'b2154d', 'end")
    assert caught.value.details["expected"] == "a Python dict"


def test_a_step_that_ends_before_it_starts_is_refused():
    with pytest.raises(DocumentError) as caught:
        parse(START, END | {"endTime": "2026-11-21T02:17:51.000000"})
    assert caught.value.details["line"] == 2


def test_a_time_that_is_none_is_refused():
    with pytest.raises(DocumentError, match="line 1: startTime: expected a time"):
        parse(START | {"startTime": "now"}, END)


LITERAL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=4,
)
FIELDS = sorted({key for r in (SESSION, START, END, R0, USED, MADE) for key in r})


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SESSION, START, END, R0, DL1, USED, MADE,
                             {"entity_id": "bb", "progenitor_id": "aa"},
                             {"entity_id": "bb", "member_id": "aa"}]),
            st.dictionaries(st.sampled_from([*FIELDS, "progenitor_id", "member_id"]), LITERAL,
                            max_size=2),
            st.sets(st.sampled_from(FIELDS), max_size=2),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_any_records_are_read_or_refused_with_a_reason(changed):
    records = [
        {key: value for key, value in (record | changes).items() if key not in dropped}
        for record, changes, dropped in changed
    ]
    try:
        document = parse(*records)
    except (DocumentError, UnrecognisedFormatError) as error:
        assert error.message  # noqa: PT017  # either outcome is right, nothing else is
    else:
        keys = {entity.key for entity in document.entities}
        assert {link.entity for link in (*document.used, *document.generated)} <= keys
