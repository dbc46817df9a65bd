"""`prod-diff`: how two products, or two runs, differ, and where their histories parted."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options
from .trace import find_product

_EPILOG = """\b
Exit codes: 0 nothing differs, 1 failed, 2 wrong use, 3 not found or ambiguous,
4 not allowed, 5 something differs, 75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""
_REASONS = {
    "step": "other steps",
    "software": "other software",
    "configuration": "another configuration",
    "status": "another status",
    "inputs": "more or fewer inputs",
    "file": "another file, which no recorded run made",
    "end": "only one of both was made by a recorded run",
}
_ALWAYS = {"started", "duration in s", "name"}
"""Fields in which two runs differ that did the same."""

JSON = Mapping[str, Any]  # Any: free-form JSON


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("a")
@click.argument("b")
@click.option("--all", "with_equal", is_flag=True, help="Show what is equal too.")
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-diff")
def main(a: str, b: str, with_equal: bool, server: ServerOptions, output: Output) -> None:
    """Compare A and B, two products or two activities, and say where their histories parted.

    \b
    Examples:
      prod-diff QT90_ECL_sb26112101.fits QT90_ECL_sb26112102.fits
      prod-diff 9a3e5c1e-52b0-4d0a-8d52-2f1f3a0c7b11 7c9e6679-7425-40de-944b-e07fc1f90ae7

    What is equal is counted, not shown. Below "parted" stands the earliest run or file of the two
    histories at which they came to differ while all before it is the same: the cause, as far as the
    record knows it. That a run began at another time, or took longer, is no difference.
    """
    with connect(server) as client:
        pair = [find_product(client, ref, read_files=True)[0]["id"] for ref in (a, b)]
        found = client.compare(*pair)
    if output.as_json:
        output.json(dict(found))
    else:
        for line in _lines(found, with_equal):
            output.data(line)
    click.get_current_context().exit(5 if _differs(found) else 0)


def _differs(found: JSON) -> bool:
    fields = (f for s in found["sections"] for f in s["fields"])
    return any(f["state"] != "equal" and f["name"] not in _ALWAYS for f in fields)


def _lines(found: JSON, with_equal: bool) -> Iterator[str]:
    for side in ("a", "b"):
        one = found[side]
        yield f"{side}  {one['name'] or one['id']}  {one['id']}"
    if found["is_same"]:
        yield "they are the same record"
    for section in found["sections"]:
        n_equal = f"{section['n_equal']} equal" if section["n_equal"] else ""
        n_other = f"{section['n_differing']} differ" if section["n_differing"] else ""
        counts = ", ".join(filter(None, (n_other, n_equal)))
        yield f"{click.style(section['name'], bold=True)}: {counts}"
        for field in section["fields"]:
            if field["state"] != "equal":
                yield from _difference(field)
            elif with_equal:
                yield f"    {field['name']} = {_shown(field['a'])}"
    yield from _parted(found["partings"])


def _difference(field: JSON, indent: str = "  ") -> Iterator[str]:
    if field["state"] == "differs":
        yield f"{indent}{field['name']}: {_shown(field['a'])} → {_shown(field['b'])}"
    else:
        side, value = ("a", field["a"]) if field["state"] == "only_a" else ("b", field["b"])
        yield f"{indent}{field['name']}: {_shown(value)} (only {side})"


def _parted(partings: JSON) -> Iterator[str]:
    if not partings["total"]:
        yield "parted: nowhere, as far as is recorded"
        return
    yield click.style("parted:", bold=True)
    for item in partings["items"]:
        names = {item["a"]["name"] or item["a"]["id"], item["b"]["name"] or item["b"]["id"]}
        why = ", ".join(_REASONS.get(reason, reason) for reason in item["reasons"])
        yield f"  {item['kind']} {' / '.join(sorted(names))}: {why}"
        yield f"    a {item['a']['id']}  b {item['b']['id']}"
        for field in item["fields"]:
            yield from _difference(field, "      ")
    if partings["total"] > len(partings["items"]):
        yield f"  and {partings['total'] - len(partings['items'])} more"
    if partings["is_cut"]:
        yield "  (only the nearest part of a long history was looked at)"


def _shown(value: Any) -> str:  # Any: free-form JSON
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= 200 else text[:197] + "…"
