"""Merkle trees of RFC 9162: the known roots, the definition itself, and proofs that fail."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.model.merkle import EMPTY_ROOT, Tree, is_consistent, is_included, leaf_hash

# The reference trees of Certificate Transparency (RFC 6962, whose tree is that of RFC 9162).
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(i).encode()) for i in range(count)]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of §2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    both = root_by_definition(leaves[:k]) + root_by_definition(leaves[k:])
    return hashlib.sha256(b"\x01" + both).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_reference_trees_have_their_roots(size):
    tree = Tree.of([leaf_hash(entry) for entry in ENTRIES])
    assert tree.root(size).hex() == ROOTS[size]
    assert Tree.of([leaf_hash(entry) for entry in ENTRIES[:size]]).root().hex() == ROOTS[size]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 31, 33, 100])
def test_roots_follow_the_definition(size):
    assert Tree.of(leaves_of(size)).root() == root_by_definition(leaves_of(size))


def test_every_leaf_of_every_small_tree_is_proved_in_and_nothing_else():
    for size in range(1, 34):
        tree = Tree.of(leaves_of(size))
        for index, leaf in enumerate(leaves_of(size)):
            proof = tree.inclusion_proof(index)
            assert is_included(leaf, index, size, proof, tree.root())
            assert len(proof) <= (size - 1).bit_length()
            assert not is_included(leaf_hash(b"other"), index, size, proof, tree.root())
            assert not is_included(leaf, index, size, [*proof, leaf], tree.root())
            if size > 1:
                assert not is_included(leaf, (index + 1) % size, size, proof, tree.root())
                assert not is_included(leaf, index, size, proof[:-1], tree.root())


def test_every_small_tree_is_proved_to_begin_with_each_smaller_one():
    tree = Tree.of(leaves_of(33))
    for second in range(34):
        for first in range(second + 1):
            proof = tree.consistency_proof(first, second)
            roots = tree.root(first), tree.root(second)
            assert is_consistent(first, second, *roots, proof)
            if 0 < first < second:
                other = Tree.of([*leaves_of(first - 1), leaf_hash(b"x")]).root()
                assert not is_consistent(first, second, other, roots[1], proof)
                assert not is_consistent(first, second, roots[0], EMPTY_ROOT, proof)
                assert not is_consistent(first, second, *roots, proof[:-1])
                assert not is_consistent(first, second, *roots, [*proof, roots[0]])


@given(st.data(), st.integers(2, 300))
def test_a_history_that_was_changed_has_no_proof(data, second):
    first = data.draw(st.integers(1, second - 1))
    changed = data.draw(st.integers(0, first - 1))
    before = Tree.of(leaves_of(first)).root()
    leaves = leaves_of(second)
    leaves[changed] = leaf_hash(b"changed")
    after = Tree.of(leaves)
    assert not is_consistent(first, second, before, after.root(), after.consistency_proof(first))


def test_indices_and_sizes_that_are_not_there_are_refused():
    tree = Tree.of(leaves_of(5))
    for call in (
        lambda: tree.root(6),
        lambda: tree.inclusion_proof(5),
        lambda: tree.inclusion_proof(0, 0),
        lambda: tree.consistency_proof(6),
        lambda: tree.consistency_proof(-1),
    ):
        with pytest.raises(ValueError, match=r"not within|there is no leaf"):
            call()
    assert not is_included(b"", 5, 5, [], tree.root())
    assert not is_consistent(5, 4, tree.root(), tree.root(4), [])
