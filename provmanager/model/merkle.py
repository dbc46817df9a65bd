"""Merkle trees and their proofs, as RFC 9162 §2.1 defines them (SHA-256).

Of the libraries there are, pymerkle is under the GPL and the others follow other definitions. Pure:
hashes in, hashes out.
"""

import hashlib
from collections.abc import Callable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (§2.1.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of the leaf for `entry` (§2.1.1): SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


Read = Callable[[int, int, int], Sequence[bytes]]
"""``read(level, first, count)``: hashes of complete subtrees of ``2 ** level`` leaves, in order."""

TILE_LEVELS = 8
"""A tile has the hashes of up to two to this power subtrees; what is kept is every such level."""


class Tree:
    """The tree of `size` leaves, of which `read` gives what is kept: leaves, and tiles above them.

    Root and proofs take O(log n) tiles. Only levels that are multiples of `TILE_LEVELS` are read.
    """

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    @classmethod
    def of(cls, leaves: Sequence[bytes]) -> "Tree":
        """Return the tree over leaf hashes that are at hand: 2 n hashes for n of them."""
        levels = [leaves]
        while len(levels[-1]) > 1:
            levels.append(_above(levels[-1]))

        def read(level: int, first: int, count: int) -> Sequence[bytes]:
            return levels[level][first : first + count]

        return cls(len(leaves), read)

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

    def subtree(self, level: int, index: int) -> bytes:
        """Return the root of the complete subtree `index` of ``2 ** level`` leaves."""
        base = level - level % TILE_LEVELS
        if level and base == level:  # of a whole tile below: what is kept above it
            base = level - TILE_LEVELS
        count = 1 << (level - base)
        hashes = self._hashes(base, index * count, count)
        while len(hashes) > 1:
            hashes = _above(hashes)
        return hashes[0]

    @staticmethod
    def _check(size: int, what: str, most: int) -> int:
        if not 0 <= size <= most:
            raise ValueError(f"the {what} {size} is not within 0 and {most}")
        return size

    def _range(self, low: int, high: int) -> bytes:
        """Return the hash over the leaves from `low` to before `high`, as the tree splits them."""
        count = high - low
        level = count.bit_length() - 1
        if count == 1 << level and low % count == 0:  # a complete subtree
            if level % TILE_LEVELS == 0:
                return self._hashes(level, low >> level, 1)[0]
            return self.subtree(level, low >> level)
        middle = low + _split(count)
        return _node(self._range(low, middle), self._range(middle, high))

    def _hashes(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Return hashes of one tile, which is read whole and once."""
        tile, begin = first >> TILE_LEVELS, first % (1 << TILE_LEVELS)
        if (level, tile) not in self._tiles:
            start = tile << TILE_LEVELS
            there = min(1 << TILE_LEVELS, (self.size >> level) - start)
            self._tiles[level, tile] = self._read(level, start, there)
        return self._tiles[level, tile][begin : begin + count]


def _above(below: Sequence[bytes]) -> list[bytes]:
    """Return the hashes of the pairs in `below`; one without a partner is left out."""
    return [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]


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
