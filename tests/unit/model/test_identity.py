"""The rules of docs/identity.md, one by one, and that they do not depend on any order."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from provmanager.model.identity import Identity, resolve
from provmanager.model.mention import Act, Mention, identifying_digests

_T0 = datetime(2026, 3, 1, 20, tzinfo=UTC)
_SHA = "sha256:" + "a" * 64
_OTHER = "sha256:" + "b" * 64
_PATH = "file://node/data/x.h5"


def run(n: int) -> UUID:
    return UUID(int=n)


def made(n: int, minute: int, **more) -> Mention:
    """An output of run `n`, which ended at `minute`."""
    start = _T0 + timedelta(minutes=minute - 1)
    more = {"locations": (_PATH,)} | more
    ref = f"made {n} {minute} {more}"
    return Mention(ref, Act.GENERATED, run(n), start, start + timedelta(minutes=1), **more)


def used(n: int, minute: int, **more) -> Mention:
    """An input of run `n`, which started at `minute` and took a minute."""
    start = _T0 + timedelta(minutes=minute)
    more = {"locations": (_PATH,)} | more
    ref = f"used {n} {minute} {more}"
    return Mention(ref, Act.USED, run(n), start, start + timedelta(minutes=1), **more)


def of(mention: Mention, *others: Mention) -> Identity:
    """The entity that `mention` is, among `others`."""
    found = [i for i in resolve([mention, *others]) if mention in i.mentions]
    assert len(found) == 1
    return found[0]


def test_a_read_is_of_the_version_that_stood_there() -> None:
    first, second, read = made(1, 5), made(2, 10), used(3, 7)
    assert of(read, first, second).producer == first
    assert of(read, first, second).rules[read.ref] == "location-version"


def test_a_read_before_any_write_is_of_another_file() -> None:
    assert of(used(3, 2), made(1, 50)).producer is None


def test_what_is_written_while_a_run_goes_on_can_be_read_by_it() -> None:
    read = used(3, 4)
    assert of(read, made(1, 5)).rules[read.ref] == "location-during"


def test_one_product_id_is_one_entity_wherever_it_lies() -> None:
    output = made(1, 5, product_ids=("urn:uuid:1",))
    read = used(2, 9, product_ids=("urn:uuid:1",), locations=("file://other/y.h5",))
    assert of(read, output).producer == output


def test_bytes_are_their_product_wherever_they_are_read() -> None:
    output = made(1, 5, digests=(_SHA,))
    read = used(2, 9, digests=(_SHA,), locations=("file://other/y.h5",))
    assert of(read, output).producer == output
    assert of(read, output).rules[read.ref] == "digest"


def test_two_activities_that_write_equal_bytes_made_two_products() -> None:
    here = made(1, 5, digests=(_SHA,))
    there = made(2, 6, digests=(_SHA,), locations=("file://node/data/y.h5",))
    read = used(3, 9, digests=(_SHA,), locations=("file://node/data/y.h5",))
    assert of(here, there, read).uuid != of(there, here, read).uuid
    assert of(read, here, there).producer == there


def test_an_activity_that_copies_a_file_does_not_read_its_own_output() -> None:
    read = used(1, 4, digests=(_SHA,))
    copy = made(1, 5, digests=(_SHA,), locations=("file://node/data/copy.h5",))
    assert of(read, copy).producer is None


def test_bytes_that_were_made_later_were_not_read() -> None:
    read = used(1, 2, digests=(_SHA,))
    assert of(read, made(2, 50, digests=(_SHA,))).producer is None


def test_other_bytes_at_the_path_are_another_file() -> None:
    read = used(2, 9, digests=(_OTHER,))
    assert of(read, made(1, 5, digests=(_SHA,))).producer is None


def test_a_reader_with_a_digest_teaches_the_version_it_read() -> None:
    output, read = made(1, 5), used(2, 9, digests=(_SHA,))
    copy = used(3, 12, digests=(_SHA,), locations=("file://other/y.h5",))
    assert of(copy, output, read).producer == output


def test_what_a_part_generated_is_not_the_outer_activitys() -> None:
    inner = made(1, 5, outer=frozenset({run(9)}))
    outer = made(9, 20, digests=(_SHA,))
    found = of(inner, outer)
    assert found.producer == inner
    assert found.outer == [outer]
    assert found.digests == {_SHA}


def test_parts_that_made_equal_bytes_made_two_products_and_the_outer_is_one_of_them() -> None:
    """A step copies: each has its product, and the workflow's is the one called like it."""
    within = frozenset({run(9)})
    first = made(1, 5, outer=within, digests=(_SHA,), locations=("file://node/1/said.txt",))
    read = used(2, 6, outer=within, digests=(_SHA,), locations=("file://node/1/said.txt",))
    copy = made(2, 7, outer=within, digests=(_SHA,), locations=("file://node/2/sorted.txt",))
    for name, inner, other in (("sorted.txt", copy, first), ("said.txt", first, copy)):
        outer = made(9, 20, digests=(_SHA,), locations=(f"file://node/products/{name}",))
        found = of(inner, outer, other, read)
        assert found.outer == [outer]
        assert found.producer == inner
        assert of(other, outer, inner, read).producer == other
        assert of(read, outer, first, copy).producer == first


def test_a_path_that_nobody_wrote_is_the_file_whose_digest_was_seen_there() -> None:
    known, unknown = used(1, 5, digests=(_SHA,)), used(2, 9)
    assert of(unknown, known).uuid == of(known, unknown).uuid
    third = used(3, 11, digests=(_OTHER,))
    assert of(unknown, known, third).uuid not in {
        of(known, unknown, third).uuid,
        of(third, unknown, known).uuid,
    }


def test_empty_files_and_checksums_identify_nothing() -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert identifying_digests([empty, "adler32:0000ffff", _SHA]) == (_SHA,)


_mentions = st.builds(
    lambda make, n, minute, digest, product, path, outer: make(
        n,
        minute,
        digests=digest,
        product_ids=product,
        locations=(f"file://node/data/{path}",),
        outer=frozenset({run(outer)} - {run(n)}) if outer > n else frozenset(),
    ),
    st.sampled_from([made, used]),
    st.integers(1, 5),
    st.integers(1, 12),
    st.sampled_from([(), (), (_SHA,), (_OTHER,)]),
    st.sampled_from([(), (), ("urn:uuid:1",), ("urn:uuid:2",)]),
    st.sampled_from("xyz"),
    st.integers(1, 6),
)


@settings(max_examples=400)
@given(st.lists(_mentions, max_size=9, unique_by=lambda m: m.ref), st.randoms())
def test_the_entities_do_not_depend_on_the_order(
    mentions: list[Mention], rng: random.Random
) -> None:
    def plain(identities: list[Identity]) -> set[tuple[object, ...]]:
        return {
            (
                i.uuid,
                i.producer,
                frozenset(m.ref for m in i.mentions),
                tuple(sorted(i.rules.items())),
            )
            for i in identities
        }

    expected = resolve(mentions)
    shuffled = list(mentions)
    rng.shuffle(shuffled)
    assert plain(resolve(shuffled)) == plain(expected)
    assert sorted(m.ref for i in expected for m in i.mentions) == sorted(m.ref for m in mentions)
    assert len({i.uuid for i in expected}) == len(expected)
