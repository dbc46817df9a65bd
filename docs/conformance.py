"""Make docs/conformance.md: every W3C PROV document of the test data, read, kept and written.

    python docs/conformance.py [FOLDER]

FOLDER is the folder of the provenance documents (``$PROV_TEST_DATA/prov``). A test fails when the
page is not what this makes.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.model import ProvDocument

from provmanager.errors import DocumentError, UsageError
from provmanager.formats.prov_compare import difference
from provmanager.formats.prov_document import document_to_prov, read_prov, write
from provmanager.formats.prov_facts import instances_of
from provmanager.model import Document, Statement

PAGE = Path(__file__).with_suffix(".md")
IN_FORMATS = {".json": "prov-json", ".provn": "prov-n", ".xml": "prov-xml", ".provx": "prov-xml"}
OUT_FORMATS = ("prov-json", "prov-n", "prov-xml", "json-ld")
READERS = {"prov-json": "json", "prov-n": "provn", "prov-xml": "xml"}

SETS = (
    ("prov 3.2.3, PROV-JSON corpus", "prov-lib-3.2.3/json", ""),
    ("prov 3.2.3, PROV-XML examples", "prov-lib-3.2.3/xml", ""),
    ("prov 3.2.3, unification and constraints", "prov-lib-3.2.3/unification", ""),
    ("prov 3.2.3, PROV-N of ProvToolbox", "prov-lib-3.2.3/provn/provtoolbox", ""),
    ("prov 3.2.3, PROV-N corpus of ProvToolbox", "prov-lib-3.2.3/provn/provtoolbox-corpus", ""),
    ("PROV-N and PROV-DM Recommendations, examples", "prov-lib-3.2.3/provn/spec", ""),
    ("ProvToolbox validation", "provtoolbox-validation/validate", ""),
    ("ProvToolbox documents", "provtoolbox-validation/prov", ""),
    ("CWLProv, real runs", "cwlprov", ".cwlprov"),
    ("Workflow Run RO-Crate, CWLProv part", "workflow-run-crate", ".cwlprov"),
    ("LST OSA, real runs", "lstosa", ""),
    ("prov 3.2.3, malformed", "prov-lib-3.2.3/malformed", ""),
)

CONCEPTS = (
    # type, PROV-N word, where the model keeps it
    ("Entity", "entity", "Entity"),
    ("Activity", "activity", "Activity"),
    ("Agent", "agent", "Agent"),
    ("Generation", "wasGeneratedBy", "WasGeneratedBy, Entity.generated_at"),
    ("Usage", "used", "Used"),
    ("Communication", "wasInformedBy", "WasInformedBy"),
    ("Start", "wasStartedBy", "Activity.started_at; CWLProv: WasInformedBy part-of"),
    ("End", "wasEndedBy", "Activity.ended_at"),
    ("Invalidation", "wasInvalidatedBy", "Entity.invalidated_at"),
    ("Derivation", "wasDerivedFrom", "WasDerivedFrom"),
    ("Attribution", "wasAttributedTo", "WasAttributedTo"),
    ("Association", "wasAssociatedWith", "WasAssociatedWith"),
    ("Delegation", "actedOnBehalfOf", "statement only"),
    ("Influence", "wasInfluencedBy", "statement only"),
    ("Specialization", "specializationOf", "Entity.digests, of content; else statement only"),
    ("Alternate", "alternateOf", "statement only"),
    ("Membership", "hadMember", "HadMember"),
    ("Mention", "mentionOf", "statement only"),
    ("Bundle", "bundle", "bundle of the statements in it"),
    ("typed literal", "", "attributes; whole in the statement"),
    ("text in a language", "", "attributes; whole in the statement"),
)

LOSSES = (
    ("instant-text", "prov-json, prov-n, prov-xml", "in", "`prov` holds instants, not their text:"
     " `Z` comes out as `+00:00`, digits beyond microseconds are cut off. The verbatim document"
     " keeps them."),
    ("number-text", "prov-json, prov-n, prov-xml", "in", "`\"05\" %% xsd:int` comes out as `5`;"
     " the value is the same."),
    ("prefix-alias", "prov-json, prov-n, prov-xml", "in", "Of two prefixes for one namespace the"
     " first is kept; names are the same IRIs."),
    ("several-members", "prov-xml", "out", "A `hadMember` of several members is written as one"
     " `hadMember` a member."),
    ("xml-other", "prov-xml", "in", "`prov:other` and elements inside an attribute's value are no"
     " PROV; passed over, with a note."),
    ("unresolved-identifier", "prov-json", "in", "The identifier of a relation whose prefix is not"
     " declared is left out, with a note; the relation is kept."),
    ("unresolved-name", "prov-json, prov-n", "in", "A qualified name in a value whose prefix is"
     " not declared is kept as a literal, with a note."),
    ("blank-element", "prov-json", "in", "An element named by a blank node (`_:e`) is refused."),
    ("would-be-lost", "prov-json, prov-n", "in", "What `prov` would drop (a repeated key, a"
     " reference or datatype with an undeclared prefix, a time that is none) is refused."),
    ("document-type", "prov-xml", "in", "XML with a document type (DTD) is refused, whatever"
     " stands in it."),
    ("dictionary", "prov-n", "in", "PROV-Dictionary and extension statements are refused."),
    ("unprefixed-type", "prov-xml", "in", "An `xsd:QName` without prefix, where no default"
     " namespace is declared, is refused."),
    ("control-character", "prov-xml", "out", "Text with a control character is refused; XML has"
     " none."),
    ("identifier-character", "prov-n", "out", "A name with a character that PROV-N could write only"
     " percent-encoded (a space) is refused, since it would read as another IRI."),
    ("bundle-default", "prov-xml", "out", "A bundle with a default namespace of its own is refused:"
     " the writer of `prov` leaves the declaration out."),
    ("mention", "json-ld", "out", "A document with `mentionOf` is refused: PROV-JSONLD has no term"
     " for it."),
)  # fmt: skip

CASES = "provtoolbox-validation/validate"
# What the tests of ProvToolbox expect where the name does not say it.
CASES_INVALID = {"derivation2", "specialization4"}  # its OrderingTest finds a strict cycle
# ... and where it says another thing than the name: "SUCCESS: no uniqueness".
CASES_TESTED_VALID = {
    "usage-fail1", "usage-fail5", "usage-fail6", "usage-fail7", "delegation-fail4"
}  # fmt: skip
_USAGE = (
    "No constraint makes usages unique: an activity may use an entity several times. The test of"
    " ProvToolbox expects no failure either."
)
_DELEGATION = (
    "The activity of a delegation is expandable (Definition 4): '-' stands for an unknown one,"
    " which unifies. The test of ProvToolbox calls it a success."
)
_RESPONSIBLE = (
    "The responsible agent is not expandable (Definition 4), so '-' may not stand there;"
    " ProvToolbox leaves the case out of its tests."
)
EXPLANATIONS = {
    "usage-fail1": _USAGE, "usage-fail5": _USAGE, "usage-fail6": _USAGE, "usage-fail7": _USAGE,
    "delegation-fail4": _DELEGATION,
    "delegation-success3": _RESPONSIBLE, "delegation-success4": _RESPONSIBLE,
    "bundle-fail1": "Written in a draft of PROV-XML (`prov:bundle`); the final one has"
    " `prov:bundleContent`. `prov` does not read it either.",
}  # fmt: skip
for _stem in ("bundle-success1", "bundle-success2"):
    EXPLANATIONS[_stem] = EXPLANATIONS["bundle-fail1"]


@dataclass
class Row:
    """What became of the documents of one set in one format."""

    documents: int = 0
    read: int = 0
    equal: int = 0
    refused: int = 0
    written: Counter[str] = field(default_factory=Counter)


@dataclass
class Results:
    """What became of all documents."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    concepts_in: Counter[tuple[str, str]] = field(default_factory=Counter)
    concepts_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    concepts: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[str, str, bool]] = field(default_factory=list)
    unwritable: Counter[tuple[str, str]] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)
    cases: dict[str, Counter[str]] = field(default_factory=dict)
    disagreements: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    validity: dict[str, Counter[str]] = field(default_factory=dict)


def documents_of(folder: Path, infix: str) -> Iterator[tuple[Path, str]]:
    """Yield the documents of a set and their formats, in order."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in IN_FORMATS and infix in path.name:
            yield path, IN_FORMATS[path.suffix]


def through_json(document: Document) -> Document:
    """Return `document` with its statements as they come out of a jsonb column."""
    rows = [[s.bundle, s.type, s.identifier, s.attributes] for s in document.statements]
    text = json.dumps([rows, dict(document.namespaces)], sort_keys=True, allow_nan=False)
    loaded, namespaces = json.loads(text)
    statements = tuple(
        Statement(
            bundle=bundle,
            type=type_,
            identifier=identifier,
            attributes=tuple((name, value) for name, value in attributes),
        )
        for bundle, type_, identifier, attributes in loaded
    )
    return replace(document, statements=statements, namespaces=namespaces)


def read_by_prov(path: Path, format_: str) -> ProvDocument | None:
    """Return what `prov` alone reads, or None where it fails."""
    with collect_warnings():
        try:
            return ProvDocument.deserialize(str(path), format=READERS[format_])
        except (ProvLibraryError, ValueError, SyntaxError, AttributeError):
            return None  # what the library does with what it cannot read


def measure(data: Path) -> Results:
    """Read, keep and write every document under `data`."""
    results = Results()
    for name, folder, infix in SETS:
        for path, format_ in documents_of(data / folder, infix):
            row = results.rows.setdefault((name, format_), Row())
            row.documents += 1
            _measure_one(path, str(path.relative_to(data)), format_, row, results)
            _validate_one(path, name, folder == CASES, results)
    return results


def _validate_one(path: Path, set_name: str, is_case: bool, results: Results) -> None:
    """Check a document against PROV-CONSTRAINTS, and a case against what is expected of it."""
    try:
        document = read_prov(path.read_bytes())
    except DocumentError:
        found, rules = "refused", set()
    else:
        violations = [v for i in instances_of(document) for v in i.violations()]
        found = "invalid" if violations else "valid"
        rules = {v.rule.number or v.rule.name for v in violations}
    if not is_case:
        counts = results.validity.setdefault(set_name, Counter())
        counts[found] += 1
        counts.update(f"rule {rule}" for rule in rules)
        return
    is_invalid = "-fail" in path.stem or path.stem in CASES_INVALID
    expected = "invalid" if is_invalid else "valid"
    kind = re.sub(r"(-success|-fail)?\d*$", "", path.stem)
    kind = kind if path.parent.name in ("unification", "validate") else (
        path.parent.name if path.parent.name == "issue" else f"{path.parent.name} {kind}"
    )  # fmt: skip
    counts = results.cases.setdefault(kind, Counter())
    counts["cases"] += 1
    counts["agree"] += found == expected
    counts[found] += 1
    tested = "valid" if path.stem in CASES_TESTED_VALID else expected
    counts["tested"] += found == tested
    if found != expected:
        name = f"{path.parent.name}/{path.name}"
        unread = "Not read, see above." if found == "refused" else ""
        why = EXPLANATIONS.get(path.stem, unread)
        results.disagreements.append((name, expected, tested, found, why))


def _measure_one(path: Path, name: str, format_: str, row: Row, results: Results) -> None:
    original = read_by_prov(path, format_)
    try:
        document = read_prov(path.read_bytes())
    except DocumentError as error:
        row.refused += 1
        results.refusals.append((name, error.message, original is not None))
        return
    row.read += 1
    again = document_to_prov(through_json(document))
    if original is not None and again == original and difference(again, original) is None:
        row.equal += 1
    else:
        results.different.append(name)
    found = _concepts(document)
    results.concepts.update(found)
    results.concepts_in.update({(c, format_): n for c, n in found.items()})
    for out in OUT_FORMATS:
        try:
            write(again, out)
        except UsageError as error:
            results.unwritable[out, error.message] += 1
            continue
        row.written[out] += 1
        results.concepts_out.update({(c, out): n for c, n in found.items()})


def _concepts(document: Document) -> Counter[str]:
    found = Counter(statement.type for statement in document.statements)
    for statement in document.statements:
        for _, value in statement.attributes:
            if isinstance(value, dict):
                found["text in a language" if "lang" in value else "typed literal"] += 1
    return found


def render(results: Results) -> str:
    """Return the page."""
    total = Row()
    for row in results.rows.values():
        total.documents += row.documents
        total.read += row.read
        total.equal += row.equal
        total.refused += row.refused
        total.written += row.written
    return "\n".join(
        [
            "# Conformance: W3C PROV",
            "",
            "<!-- Made by docs/conformance.py from the test data; do not edit. -->",
            "",
            f"{total.documents} documents: {total.read} read, {total.refused} refused. Of those"
            f" read, {total.equal} come out of the statements that the database keeps equal to"
            " what the `prov` library reads from the original: by its own `==`, and record by"
            " record (also records given twice, NaN, empty bundles). What lineages are exported as,"
            " and what checks it: [exports.md](exports.md).",
            "",
            "## Documents read",
            "",
            *_document_table(results, total),
            "",
            "*Written* counts the documents that were written in that format and read back equal;"
            " the others were refused, never altered: " + _unwritable(results) + ".",
            "",
            "## Concepts",
            "",
            "Records (below: attribute values) read from each format, and written to each, with"
            " the class of the model that answers questions about them. All are kept whole as"
            " statements.",
            "",
            *_concept_table(results),
            "",
            "## Losses and refusals, by name",
            "",
            "| name | formats | | what happens |",
            "|---|---|---|---|",
            *(f"| `{n}` | {formats} | {way} | {text} |" for n, formats, way, text in LOSSES),
            "",
            "## Documents refused",
            "",
            "`prov` reads none of these either, except where marked.",
            "",
            "| document | reason |",
            "|---|---|",
            *(_refusal(*refusal) for refusal in results.refusals),
            "",
            *_constraint_tables(results),
        ]
    )


def _constraint_tables(results: Results) -> list[str]:
    total: Counter[str] = Counter()
    for counts in results.cases.values():
        total.update(counts)
    rows = [*sorted(results.cases.items()), ("**all**", total)]
    columns = ("cases", "agree", "tested", "valid", "invalid", "refused")
    return [
        "## PROV-CONSTRAINTS",
        "",
        "The validation cases of ProvToolbox, and what `prod-validate` finds. A case's name says"
        " what it is (`-success`, `-fail`); where it does not, and where they say another thing,"
        " the tests of ProvToolbox itself (its classes `ValidateTest` and `OrderingTest`) do."
        f" {_share(total, 'agree')} agree with the names, {_share(total, 'tested')} with those"
        " tests.",
        "",
        "| class | cases | agree with name | with test | found valid | found invalid | not read |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(f"| {k} | " + " | ".join(str(n[c]) for c in columns) + " |" for k, n in rows),
        "",
        "Every disagreement:",
        "",
        "| case | by its name | by the test | found | why |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(disagreement)} |" for disagreement in results.disagreements),
        "",
        "The other documents. A violated rule is counted once a document.",
        "",
        "| set | valid | invalid | not read | rules violated |",
        "|---|--:|--:|--:|---|",
        *(_validity_row(name, counts) for name, counts in results.validity.items()),
        "",
        "All runs of CWLProv violate Constraint 28: cwltool states the start of the run a fraction"
        " of a millisecond later than the start time of its activity, and both are one instant.",
        "",
    ]


def _share(total: Counter[str], key: str) -> str:
    return f"{total[key]} of {total['cases']} ({total[key] / total['cases']:.1%})"


def _validity_row(name: str, counts: Counter[str]) -> str:
    rules = sorted(
        ((key.removeprefix("rule "), n) for key, n in counts.items() if key.startswith("rule ")),
        key=lambda pair: (len(pair[0]), pair[0]),
    )
    told = ", ".join(f"{rule} ({n})" for rule, n in rules)
    numbers = " | ".join(str(counts[key]) for key in ("valid", "invalid", "refused"))
    return f"| {name} | {numbers} | {told} |"


def _document_table(results: Results, total: Row) -> list[str]:
    lines = [
        "| set | format | documents | read | equal | refused | "
        + " | ".join(f"written as {out}" for out in OUT_FORMATS)
        + " |",
        "|---|---|" + "--:|" * (4 + len(OUT_FORMATS)),
    ]
    named = {("**all**", ""): total}
    for (name, format_), row in (results.rows | named).items():
        counts = [row.documents, row.read, row.equal, row.refused]
        counts += [row.written[out] for out in OUT_FORMATS]
        lines.append(f"| {name} | {format_} | " + " | ".join(map(str, counts)) + " |")
    return lines


def _concept_table(results: Results) -> list[str]:
    ins = list(READERS)
    lines = [
        "| concept | "
        + " | ".join(f"in {f}" for f in ins)
        + " | "
        + " | ".join(f"out {f}" for f in OUT_FORMATS)
        + " | in the model |",
        "|---|" + "--:|" * (len(ins) + len(OUT_FORMATS)) + "---|",
    ]
    for name, word, place in CONCEPTS:
        counts = [results.concepts_in[name, f] for f in ins]
        counts += [results.concepts_out[name, f] for f in OUT_FORMATS]
        title = f"{name} `{word}`" if word else name
        lines.append(f"| {title} | " + " | ".join(map(str, counts)) + f" | {place} |")
    return lines


def _unwritable(results: Results) -> str:
    causes: Counter[str] = Counter()
    for (out, message), count in results.unwritable.items():
        is_mention = "mentionOf" in message
        causes[f"{out} (`{'mention' if is_mention else 'bundle-default'}`)"] += count
    return ", ".join(f"{count} as {cause}" for cause, count in sorted(causes.items()))


def _refusal(name: str, message: str, is_read_by_prov: bool) -> str:
    text = message.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    text = text if len(text) <= 160 else text[:157] + "…"
    return f"| {name} | {text}{' **(`prov` reads it)**' if is_read_by_prov else ''} |"


def main() -> None:
    """Write the page."""
    root = Path(__file__).resolve().parent.parent
    default = Path(os.environ.get("PROV_TEST_DATA", root.parent / "shared" / "data")) / "prov"
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    PAGE.write_text(render(measure(data)), encoding="utf-8")


if __name__ == "__main__":
    main()
