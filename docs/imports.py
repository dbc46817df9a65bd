"""Write the table of docs/imports.md: what is read of the test data's runs of other systems.

    python docs/imports.py [FOLDER]

FOLDER is the folder of the provenance documents (``$PROV_TEST_DATA/prov``). A test fails when the
table is not what this makes.
"""

import os
import sys
from collections import Counter
from pathlib import Path

from provmanager.formats import read
from provmanager.model import InformKind

PAGE = Path(__file__).with_suffix(".md")
BEGIN, END = "<!-- made by docs/imports.py -->\n", "<!-- end -->\n"
SETS = (
    ("CWLProv: specification, cwltool", "cwlprov", "**/*.cwlprov.json"),
    ("CWLProv: ML pipeline", "workflow-run-crate/cwlprov", "**/*.cwlprov.json"),
    ("RO-Crate: runcrate", "cwlprov", "**/ro-crate-metadata.json"),
    ("RO-Crate: COMPSs", "workflow-run-crate/COMPSs", "**/ro-crate-metadata.json"),
    ("RO-Crate: WfExS (CWL, Nextflow)", "workflow-run-crate/WfExS-backend", "**/*-metadata.json"),
    ("RO-Crate: Autosubmit", "workflow-run-crate/autosubmit", "**/ro-crate-metadata.json"),
    ("RO-Crate: Snakemake", "workflow-run-crate/snakemake", "**/ro-crate-metadata.json"),
    ("RO-Crate: Galaxy, StreamFlow, nf-prov, cwltool", "workflow-run-crate/draft",
     "**/ro-crate-metadata.json"),
    ("RO-Crate: examples of the profiles", "workflow-run-crate/sparql", "**/*-metadata.json"),
    ("OpenLineage: the specification's event", "openlineage/spec/tests", "example_*.json"),
)  # fmt: skip


def table(data: Path) -> str:
    """Return the table."""
    lines = [
        "| set | documents | runs | parts of runs | used | generated | notes |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for name, folder, pattern in SETS:
        counts: Counter[str] = Counter()
        notes: Counter[str] = Counter()
        for path in sorted((data / folder).glob(pattern)):
            document = read(path.read_bytes(), name=path.name)
            counts["documents"] += 1
            counts["runs"] += len(document.activities)
            counts["parts"] += sum(i.kind is InformKind.PART_OF for i in document.informed)
            counts["used"] += len(document.used)
            counts["generated"] += len(document.generated)
            notes.update({note.code for note in document.notes})
        said = ", ".join(f"`{code}` {n}" for code, n in sorted(notes.items()))
        keys = ("documents", "runs", "parts", "used", "generated")
        lines.append(f"| {name} | " + " | ".join(str(counts[k]) for k in keys) + f" | {said} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, made: str) -> str:
    """Return the page with its table replaced."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{made}\n{END}{tail}"


def main() -> None:
    """Write the page."""
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(
        os.environ.get("PROV_TEST_DATA", root)) / "prov"  # fmt: skip
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(page, table(data)), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
