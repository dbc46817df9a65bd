"""PROV-CONSTRAINTS by the size of a document: ``python -m tests.benchmarks.constraints [N …]``.

Shapes of N statements, by CPU time of the check alone; and, where ``PROV_TEST_DATA`` has them, the
PROV documents of real CWL runs: reading them, and checking them as ingest does.
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from provmanager.formats import read
from provmanager.logic.validity import check_validity
from provmanager.model.constraints import Fact, check

_BEGUN = datetime(2026, 1, 1)  # noqa: DTZ001 - as PROV documents give it, without a zone


def chain(n: int) -> list[Fact]:
    """Return runs that each make a file of the one before, with agents and derivations."""
    facts: list[Fact] = []
    for i in range(n // 8):
        run, file, made = f"a{i}", f"e{i}", f"e{i + 1}"
        at = _BEGUN + timedelta(minutes=i)
        facts += [
            Fact("activity", run, (at, at)),
            Fact("entity", file),
            Fact("used", f"u{i}", (run, file, at)),
            Fact("wasGeneratedBy", f"g{i}", (made, run, at)),
            Fact("wasDerivedFrom", None, (made, file, run, f"g{i}", f"u{i}")),
            Fact("wasAssociatedWith", None, (run, "agent", None)),
            Fact("wasAttributedTo", None, (made, "agent")),
            Fact("wasInformedBy", None, (run, f"a{max(i - 1, 0)}")),
        ]
    return facts


def hub(n: int) -> list[Fact]:
    """Return one run that uses one file many times and generates many."""
    many = [
        fact
        for i in range(n // 2)
        for fact in (
            Fact("used", None, ("a", "e", None)),
            Fact("wasGeneratedBy", None, (f"f{i}", "a", None)),
        )
    ]
    return [Fact("activity", "a", (None, None)), Fact("entity", "e"), *many]


def specializations(n: int) -> list[Fact]:
    """Return a chain of specializations; its transitive closure has N²/2."""
    many = [Fact("specializationOf", None, (f"e{i + 1}", f"e{i}"), source=i) for i in range(n)]
    return [Fact("entity", "e0"), *many]


def ring(n: int) -> list[Fact]:
    """Return derivations that close a circle, which is one violation."""
    m = n // 2
    entities = [Fact("entity", f"e{i}", source=i) for i in range(m)]
    return entities + [
        Fact("wasDerivedFrom", None, (f"e{(i + 1) % m}", f"e{i}", None, None, None), source=m + i)
        for i in range(m)
    ]


def one_identifier(n: int) -> list[Fact]:
    """Return generations of one identifier that cannot be one: N - 1 violations."""
    return [Fact("wasGeneratedBy", "g", (f"e{i}", "a", None), source=i) for i in range(n)]


SHAPES: tuple[Callable[[int], list[Fact]], ...] = (
    chain,
    hub,
    specializations,
    ring,
    one_identifier,
)


def real_runs(folder: Path) -> None:
    """Read and check the PROV documents of real CWL runs."""
    documents = [p.read_bytes() for p in sorted(folder.rglob("*.cwlprov.json"))]
    reading = checking = 0.0
    n_statements = 0
    for data in documents:
        begin = time.process_time()
        document = read(data)
        reading += time.process_time() - begin
        begin = time.process_time()
        check_validity(document)
        checking += time.process_time() - begin
        n_statements += len(document.statements)
    print(
        f"{len(documents)} CWLProv documents, {n_statements} statements: read {reading:.2f} s,"
        f" check {checking:.2f} s of CPU time"
    )


def main() -> None:
    """Measure."""
    for n in [int(a) for a in sys.argv[1:]] or [10_000, 100_000]:
        for shape in SHAPES:
            facts = shape(n)
            begin = time.process_time()
            found = check(facts)
            elapsed = time.process_time() - begin
            print(f"{shape.__name__}, {len(facts)} statements: {elapsed:.2f} s, {len(found)} found")
    data = Path(os.environ.get("PROV_TEST_DATA", "../shared/data")) / "prov" / "cwlprov"
    if data.is_dir():
        real_runs(data)


if __name__ == "__main__":
    main()
