"""Merkle trees and their proofs, as RFC 9162 §2.1 defines them (SHA-256).

Of the libraries there are, pymerkle is under the GPL and the others follow other definitions. Pure:
hashes in, hashes out.
"""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (§2.1.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of the leaf for `entry` (§2.1.1): SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree over `leaves`, which are leaf hashes in their order.

    All levels are hashed once, 2 n hashes for n leaves; a proof then takes O(log² n).
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append(
                [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            )
        self.size = len(leaves)

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, or all (§2.1.1)."""
        size = self._check(self.size if size is None else size, "size", self.size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return what proves that leaf `index` is in the tree of the first `size` (§2.1.3.1)."""
        size = self._check(self.size if size is None else size, "size", self.size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} in a tree of {size}")
        proof: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._range(middle, high))
                high = middle
            else:
                proof.append(self._range(low, middle))
                low = middle
        return proof[::-1]

    def consistency_proof(self, first: int, second: int | None = None) -> list[bytes]:
        """Return what proves that the tree of `second` leaves begins with `first` (§2.1.4.1)."""
        second = self._check(self.size if second is None else second, "size", self.size)
        self._check(first, "former size", second)
        if first in (0, second):
            return []
        proof: list[bytes] = []
        low, high, is_whole = 0, second, True
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                proof.append(self._range(middle, high))
                high = middle
            else:
                proof.append(self._range(low, middle))
                low, is_whole = middle, False
        if not is_whole:
            proof.append(self._range(low, high))
        return proof[::-1]

    @staticmethod
    def _check(size: int, what: str, most: int) -> int:
        if not 0 <= size <= most:
            raise ValueError(f"the {what} {size} is not within 0 and {most}")
        return size

    def _range(self, low: int, high: int) -> bytes:
        """Return the hash over the leaves from `low` to before `high`, as the tree splits them."""
        count = high - low
        if count & (count - 1) == 0 and low % count == 0:  # a complete subtree
            return self._levels[count.bit_length() - 1][low // count]
        middle = low + _split(count)
        return _node(self._range(low, middle), self._range(middle, high))


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows that `leaf` is leaf `index` of the tree of `root` (§2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, found = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = _node(step, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = _node(found, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == root


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether `proof` shows that the second tree only appends to the first (§2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for step in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = _node(step, old), _node(step, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = _node(new, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and old == first_root and new == second_root
