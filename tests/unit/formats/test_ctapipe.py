"""The traps of ctapipe's provenance logs, each by its name."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from ctapipe_records import MADE_UP, META, PRODUCT, UUID_1, UUID_2, parse, record

from provmanager.errors import ActivityCollisionError
from provmanager.model import Document, InformKind, Status


def codes(document: Document) -> list[str]:
    return [note.code for note in document.notes]


def inputs(*files: dict[str, Any]) -> Document:
    return parse([record(input=list(files), output=[])])


# what a clean record states


def test_a_clean_record_is_read_whole():
    document = parse([record()])
    assert document.format == "ctapipe"
    assert document.reason == 'JSON records with "activity_uuid" and "system.ctapipe_version"'
    assert document.notes == ()
    [activity] = document.activities
    assert activity.uuid == UUID(UUID_2)
    assert (activity.name, activity.version) == ("ctapipe-process", "0.32.0")
    assert (activity.status, activity.status_raw, activity.exit_code) == (
        Status.COMPLETED, "completed", 0,
    )  # fmt: skip
    assert activity.started_at == datetime(2026, 11, 21, 1, 19, 42, 187000, UTC)
    assert activity.ended_at == datetime(2026, 11, 21, 1, 19, 52, 972000, UTC)
    assert activity.started_raw == "2026-11-21T01:19:42.187"
    assert activity.configuration == {"ProcessorTool": {"overwrite": True}}
    assert activity.arguments == ("ctapipe-process", "--overwrite")
    assert activity.executable == "/venv/bin/python"
    assert not activity.is_claim


def test_the_environment_has_nothing_of_the_host_the_clock_or_the_command():
    [activity] = parse([record()]).activities
    assert activity.environment == {
        "python": {
            "version_string": "3.12.1",
            "version": ["3", "12", "1"],
            "compiler": "GCC",
            "implementation": "CPython",
        },
        "packages": [{"name": "numpy", "version": "2.5.5"}],
        "variables": {"CONDA_PREFIX": None, "PATH": "/venv/bin", "USER": "cta"},
        "platform": {
            "system": "Linux",
            "machine": "x86_64",
            "architecture_bits": "64bit",
            "architecture_linkage": "ELF",
            "libcver": ["glibc", "2.36"],
        },
        "ctapipe_version": "0.32.0",
    }
    assert activity.host == {
        "name": "Worker7.site.example",
        "system": "Linux",
        "release": "6.1",
        "version": "#1 SMP",
        "machine": "x86_64",
        "n_cpus": 2,
    }


def test_what_has_no_field_of_its_own_is_kept():
    samples = [{"time_utc": "2026-11-21T01:19:43.000"}]
    start = {"time_utc": "2026-11-21T01:19:42.187", "memory": {"total": 1}}
    [activity] = parse([record(samples=samples, start=start, tomorrow={"a": 1})]).activities
    assert activity.attributes == {
        "samples": samples,
        "tomorrow": {"a": 1},
        "duration_min": 0.18,
        "start": {"memory": {"total": 1}},
        "system": {
            "start_time_utc": "2026-11-21T01:19:42.938",
            "platform": {"boot_time": "2026-11-21T00:31:25.000"},
        },
    }


def test_cpus_count_under_their_old_name_too():
    old = record()
    old["system"]["platform"]["num_cpus"] = old["system"]["platform"].pop("n_cpus")
    [activity] = parse([old]).activities
    assert activity.host is not None
    assert activity.host["n_cpus"] == 2


def test_old_software_versions_belong_to_the_environment():
    old = record()
    old["system"] |= {"ctapipe_resources_version": "0.2.17", "eventio_version": "1.1"}
    [activity] = parse([old]).activities
    assert activity.environment is not None
    assert activity.environment["ctapipe_resources_version"] == "0.2.17"
    assert activity.environment["eventio_version"] == "1.1"


def test_files_are_linked_with_their_host_and_role():
    document = parse([record()])
    [used], [generated] = document.used, document.generated
    entities = {entity.key: entity for entity in document.entities}
    assert (used.role, generated.role) == ("Event", "DL1/Event")
    assert entities[used.entity].locations == ("file://worker7.site.example/data/g1.dl1.h5",)
    assert entities[used.entity].name == "g1.dl1.h5"
    assert entities[used.entity].product_ids == (f"urn:uuid:{PRODUCT}",)
    assert entities[used.entity].generated_at == datetime(2026, 11, 21, 1, 17, 54, 963000, UTC)
    assert entities[generated.entity].locations == ("file://worker7.site.example/data/g1.dl2.h5",)


def test_the_account_is_a_person_of_that_host():
    document = parse([record()])
    [agent], [link] = document.agents, document.associated
    assert agent.iri == "urn:provmanager:account:cta@worker7.site.example"
    assert (agent.name, agent.kind) == ("cta", "Person")
    assert (link.agent, link.role) == (agent.key, "Operator")


def test_no_account_no_person():
    without = record()
    without["system"]["environment"]["USER"] = None
    assert parse([without]).agents == ()


# the traps


def test_appended_arrays_without_separator():
    other = record(activity_uuid=UUID_1)
    assert len(parse([record()], [other]).activities) == 2


def test_empty_array_is_a_document_without_activities():
    document = parse([])
    assert document.format == "ctapipe"
    assert document.activities == ()
    assert [(note.code, note.pointer) for note in document.notes] == [("no-activities", "/0")]


def test_empty_array_before_a_record():
    assert [a.uuid for a in parse([], [record()]).activities] == [UUID(UUID_2)]


def test_nan_in_the_configuration_becomes_a_word():
    document = parse([record(config={"X": {"e": float("nan"), "inf": float("-inf")}})])
    [activity] = document.activities
    assert activity.configuration == {"X": {"e": "NaN", "inf": "-Infinity"}}
    assert codes(document) == ["non-finite-number"]


def test_a_record_dumped_again_counts_once():
    document = parse([record()], [record(), record(activity_uuid=UUID_1)])
    assert [str(a.uuid) for a in document.activities] == [UUID_2, UUID_1]
    assert len(document.used) == 2
    [note] = document.notes
    assert (note.code, note.pointer) == ("repeated-activity", "/1/0")


def test_a_record_with_nan_dumped_again_counts_once():
    same = record(config={"e": float("nan")})
    assert "repeated-activity" in codes(parse([same], [same]))


def running() -> dict[str, Any]:
    unfinished = record(status="running", stop={}, exit_code=None, output=[])
    del unfinished["duration_min"]
    return unfinished


@pytest.mark.parametrize("order", [1, -1])
def test_a_finished_record_completes_a_running_one_in_either_order(order):
    extra = {"url": "/data/only-while-running.h5", "role": None}
    pair = [running() | {"input": [extra]}, record()][::order]
    document = parse(*pair)
    [activity] = document.activities
    assert activity.status is Status.COMPLETED
    assert activity.ended_raw == "2026-11-21T01:19:52.972"
    assert {entity.name for entity in document.entities} == {
        "g1.dl1.h5", "g1.dl2.h5", "only-while-running.h5",
    }  # fmt: skip
    assert codes(document) == ["completed-record"]


def test_of_two_finished_records_that_differ_the_later_counts():
    document = parse([record(), record(exit_code=1, status="error")])
    assert document.activities[0].status is Status.ERROR
    assert codes(document) == ["repeated-differently"]


def test_one_id_for_two_runs_is_a_collision():
    with pytest.raises(ActivityCollisionError) as caught:
        parse([record(), record(start={"time_utc": "2026-11-20T01:19:42.187"})])
    assert caught.value.details["pointer"] == "/0/1/activity_uuid"


@pytest.mark.parametrize(
    ("exit_code", "status"),
    [
        (None, Status.COMPLETED),
        (0, Status.COMPLETED),
        (1, Status.ERROR),
        (130, Status.INTERRUPTED),
    ],
)
def test_status_that_is_the_name_gives_way_to_the_exit_code(exit_code, status):
    document = parse([record(activity_name="sub", status="sub", exit_code=exit_code)])
    [activity] = document.activities
    assert activity.status is status
    assert activity.status_raw == "sub"
    assert [(n.code, n.pointer) for n in document.notes] == [("status-is-name", "/0/0/status")]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", Status.COMPLETED),
        ("success", Status.COMPLETED),
        ("error", Status.ERROR),
        ("interrupted", Status.INTERRUPTED),
    ],
)
def test_the_known_words_of_status(word, status):
    assert parse([record(status=word)]).activities[0].status is status


def test_a_word_that_ctapipe_does_not_have_is_unknown():
    document = parse([record(status="vanished", exit_code=None)])
    assert document.activities[0].status is Status.UNKNOWN
    assert codes(document) == ["unknown-status"]


def test_missing_configuration_of_an_early_failure():
    failed = record(status="error", exit_code=2)
    del failed["config"]
    [activity] = parse([failed]).activities
    assert activity.configuration is None
    assert activity.status is Status.ERROR


@pytest.mark.parametrize(
    ("mangled", "location", "name"),
    [
        ("/cwd/https:/example.org/data/x.fits", "https://example.org/data/x.fits", "x.fits"),
        ("/data/shift/s3:/bucket/key", "s3://bucket/key", "key"),
        ("/https:/example.org/x.fits", "https://example.org/x.fits", "x.fits"),
        ("/cwd/file:/data/x.h5", "file:///data/x.h5", "x.h5"),
    ],
)
def test_mangled_urls_are_repaired(mangled, location, name):
    document = inputs({"url": mangled, "role": None})
    [entity] = document.entities
    assert entity.locations[0].replace("worker7.site.example", "") == location
    assert entity.name == name
    assert [(n.code, n.pointer) for n in document.notes] == [("mangled-url", "/0/0/input/0/url")]


def test_fabricated_product_ids_are_ignored():
    document = inputs({"url": "/data/geometry.fits.gz", "role": "x", "reference_meta": MADE_UP})
    [entity] = document.entities
    assert entity.product_ids == ()
    assert entity.producer is None
    assert entity.attributes == {}
    [note] = document.notes
    assert (note.code, note.pointer) == ("fabricated-product-id", "/0/0/input/0/reference_meta")


def test_stale_activity_id_of_an_output_is_ignored():
    output = {"url": "/data/applied.dl2.h5", "role": None, "reference_meta": META}
    document = parse([record(input=[], output=[output])])
    [entity] = document.entities
    assert entity.producer is None
    assert entity.product_ids == (f"urn:uuid:{PRODUCT}",)
    assert [str(g.activity) for g in document.generated] == [UUID_2]
    assert codes(document) == ["stale-activity-id"]


def test_activity_id_of_an_input_is_a_claim():
    [entity] = inputs({"url": "/data/g1.dl1.h5", "role": None, "reference_meta": META}).entities
    assert entity.producer is not None
    assert entity.producer.uuid == UUID(UUID_1)
    assert (entity.producer.name, entity.producer.version) == ("ctapipe-process", "0.32.0")
    assert entity.producer.started_at == datetime(2026, 11, 21, 1, 16, 10, 528000, UTC)
    assert entity.producer.ended_at is None


def test_one_input_in_two_roles_is_one_entity_used_twice():
    file = {"url": "/data/merged.dl1.h5", "reference_meta": META}
    document = inputs(file | {"role": "data product to merge"}, file | {"role": "Event data"})
    [entity] = document.entities
    assert {(used.entity, used.role) for used in document.used} == {
        (entity.key, "data product to merge"),
        (entity.key, "Event data"),
    }


def test_one_input_twice_in_one_role_is_one_use():
    document = inputs({"url": "/data/dup.h5", "role": None}, {"url": "/data/dup.h5", "role": None})
    assert len(document.used) == len(document.entities) == 1


def test_one_path_with_two_product_ids_is_two_entities():
    other = META | {"CTA PRODUCT ID": UUID_2}
    document = inputs(
        {"url": "/data/x.h5", "role": "a", "reference_meta": META},
        {"url": "/data/x.h5", "role": "b", "reference_meta": other},
    )
    assert len(document.entities) == 2


def test_a_path_that_is_read_and_written_is_two_versions():
    file = {"url": "/data/dl1.h5", "role": None}
    document = parse([record(input=[file], output=[file])])
    assert len(document.entities) == 2
    assert document.used[0].entity != document.generated[0].entity
    assert len({entity.locations for entity in document.entities}) == 1


def test_two_activities_that_read_one_path_mention_it_each():
    document = parse([record(output=[]), record(activity_uuid=UUID_1, output=[])])
    assert len(document.entities) == 2
    assert len({entity.product_ids for entity in document.entities}) == 1


def test_running_record_has_no_end():
    document = parse([running()])
    [activity] = document.activities
    assert (activity.status, activity.status_raw) == (Status.RUNNING, "running")
    assert (activity.ended_at, activity.ended_raw) == (None, None)
    assert codes(document) == ["running-record"]


def test_running_record_of_old_versions_has_no_status():
    unfinished = running()
    del unfinished["status"], unfinished["exit_code"]
    assert parse([unfinished]).activities[0].status is Status.RUNNING


def test_single_object_instead_of_a_list():
    assert len(parse(record()).activities) == 1


def test_lstchain_record_with_values_made_text():
    stored = running() | {"exit_code": "0"}
    stored["config"] = {"path": "/data/x", "quantity": "5.0 deg"}
    document = parse(stored)
    [activity] = document.activities
    assert activity.status is Status.RUNNING
    assert activity.exit_code == 0
    assert "lstchain" in document.notes[0].message


def test_times_without_zone_are_utc_and_others_become_it():
    zoned = record(stop={"time_utc": "2026-11-21T02:19:52.972+01:00"})
    assert parse([zoned]).activities[0].ended_at == datetime(
        2026, 11, 21, 1, 19, 52, 972000, UTC
    )  # fmt: skip


def test_a_leap_second_is_a_time():
    leap = record(
        start={"time_utc": "2016-12-31T23:59:60.500"}, stop={"time_utc": "2017-01-01T00:00:01.000"}
    )
    assert parse([leap]).activities[0].started_at == datetime(2017, 1, 1, 0, 0, 0, 500000, UTC)


@pytest.mark.parametrize("value", [0.0, "0", 0])
def test_exit_code_as_numpy_or_text_is_a_number(value):
    assert parse([record(exit_code=value)]).activities[0].exit_code == 0


def test_bytes_in_a_path_that_are_no_text_are_kept_apart():
    one, other = "/data/run\udce9.h5", "/data/run\udcea.h5"
    document = inputs({"url": one, "role": None}, {"url": other, "role": None})
    assert [entity.locations[0].rpartition("/")[2] for entity in document.entities] == [
        "run%E9.h5",
        "run%EA.h5",
    ]
    assert document.entities[0].name == "run\ufffd.h5"


def test_nul_characters_are_replaced():
    [activity] = parse([record(config={"a\0": "b\0"})]).activities
    assert activity.configuration == {"a\ufffd": "b\ufffd"}


# nesting


def at(second: int) -> dict[str, str]:
    return {"time_utc": f"2026-11-21T01:00:{second:02}.000"}


def timed(name: str, number: int, start: int, stop: int | None) -> dict[str, Any]:
    return record(
        activity_name=name,
        activity_uuid=str(UUID(int=number)),
        start=at(start),
        stop={} if stop is None else at(stop),
    )


def nesting(*values: Any) -> set[tuple[str, str]]:
    document = parse(*values)
    names = {activity.key: activity.name for activity in document.activities}
    assert all(part.kind is InformKind.PART_OF for part in document.informed)
    assert all(part.rule == "contained-in-time" for part in document.informed)
    return {(str(names[p.informed]), str(names[p.informant])) for p in document.informed}


def test_children_are_part_of_their_direct_parent_only():
    assert nesting(
        [timed("leaf", 1, 3, 4), timed("child", 2, 2, 5), timed("last", 3, 6, 7),
         timed("root", 4, 1, 9)]
    ) == {("leaf", "child"), ("child", "root"), ("last", "root")}  # fmt: skip


def test_a_child_may_end_with_its_parent():
    assert nesting([timed("child", 1, 2, 9), timed("root", 2, 1, 9)]) == {("child", "root")}


def test_what_follows_is_not_inside():
    assert nesting([timed("first", 1, 1, 2), timed("second", 2, 2, 3)]) == set()


def test_what_began_in_the_same_millisecond_is_not_inside():
    assert nesting([timed("first", 1, 1, 1), timed("second", 2, 1, 3)]) == set()


def test_runs_of_two_processes_are_never_nested():
    assert nesting([timed("one", 1, 2, 3)], [timed("other", 2, 1, 9)]) == set()


def test_nesting_survives_a_second_dump():
    first = [timed("child", 1, 2, 3), timed("root", 2, 1, 4)]
    assert nesting(first, [*first, timed("next", 3, 5, 6)]) == {("child", "root")}


def test_an_unfinished_activity_takes_no_part():
    assert nesting([timed("child", 1, 2, 3), timed("root", 2, 1, None)]) == set()
