"""`prod-init-prov`: say what activities are expected to do."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from provmanager.errors import DocumentError, NotFoundError, UsageError

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options

Item = Mapping[str, Any]  # Any: JSON

_EPILOG = """\b
Exit codes: 0 done, 1 the descriptions are not right, 2 wrong use, 3 no such file, 4 not allowed,
75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("file", required=False)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--export", is_flag=True, help="Write what the server has, as YAML (--json: JSON).")
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-init-prov")
def main(
    file: str | None, dry_run: bool, export: bool, server: ServerOptions, output: Output
) -> None:
    """Describe activities: their inputs, outputs and settings, by name and version.

    \b
    Examples:
      prod-init-prov descriptions.yaml
      prod-init-prov descriptions.yaml --dry-run
      prod-init-prov --export > descriptions.yaml

    FILE is YAML or JSON (schema descriptions.v1), or - for standard input. What it describes is
    added or changed; what it does not name stays. Again, it changes nothing.
    """
    if export == (file is not None):
        raise UsageError("name one file of descriptions, or --export (see prod-init-prov --help)")
    if file is None:
        _export(server, output)
        return
    wanted = _read(file)
    with connect(server) as client:
        result = client.put_descriptions(json.dumps(wanted).encode(), dry_run=dry_run)
    if output.as_json:
        output.json(dict(result))
        return
    for line in _lines(result["items"], output):
        click.echo(line)
    _summarise(result["items"], dry_run, output)
    if result["document"] is not None:
        output.detail(f"recorded as document {result['document']}")


def _read(file: str) -> dict[str, Any]:  # Any: schema descriptions.v1
    """Return the descriptions in a file; what is wrong with them is told with its line."""
    from provmanager.formats.description_document import read_descriptions, to_json

    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{file}: there is no such file") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    try:
        return to_json(read_descriptions(data))
    except DocumentError as error:
        raise type(error)(f"{file}: {error.message}", **error.details) from error


def _export(server: ServerOptions, output: Output) -> None:
    from provmanager.formats.description_document import from_json, to_yaml

    with connect(server) as client:
        held = client.descriptions()
    if output.as_json:
        output.json(held)
    else:
        click.echo(to_yaml(from_json(held)), nl=False)


def _lines(items: "list[Any]", output: Output) -> Iterator[str]:  # Any: JSON
    from .rendering.text import look_of, printable

    look = look_of(verbose=output.is_verbose)
    styles = {"new": "good", "changed": "warn", "unchanged": "dim"}
    for item in items:
        if item["outcome"] == "unchanged" and not output.is_verbose:
            continue
        version = f" {item['version']}" if item["version"] else ""
        outcome = look.paint(item["outcome"].ljust(9), styles[item["outcome"]])
        yield f"{outcome}  {item['kind']} {printable(item['name'] + version)}"
        for field, before, after in _changes(item):
            yield f"  {field}: {printable(before)} -> {printable(after)}"


def _changes(item: Item) -> Iterator[tuple[str, str, str]]:
    """Yield (field, before, after); of a list only the entries that differ."""
    for change in item["changes"]:
        field, before, after = change["field"], change["from"], change["to"]
        if not (isinstance(before, list) and isinstance(after, list)):
            yield field, _shown(before), _shown(after)
            continue
        held = {_name_of(entry): entry for entry in before}
        said = {_name_of(entry): entry for entry in after}
        for name in sorted({*held, *said}):
            if held.get(name) != said.get(name):
                was, now = _differing(held.get(name), said.get(name))
                yield f"{field} {name}", was, now


def _differing(before: Any, after: Any) -> tuple[str, str]:  # Any: JSON
    if isinstance(before, dict) and isinstance(after, dict):
        fields = [name for name in after if before.get(name) != after[name]]
        before, after = ({name: entry.get(name) for name in fields} for entry in (before, after))
    return _shown(before), _shown(after)


def _name_of(entry: Any) -> str:  # Any: JSON
    return str(entry.get("role") or entry.get("name")) if isinstance(entry, dict) else str(entry)


def _shown(value: Any) -> str:  # Any: JSON
    if value is None:
        return "none"
    if isinstance(value, dict):
        told = (f"{name} {_shown(v)}" for name, v in value.items() if v not in (None, []))
        return ", ".join(told) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _summarise(items: "list[Any]", dry_run: bool, output: Output) -> None:  # Any: JSON
    counts = {word: 0 for word in ("new", "changed", "unchanged")}
    for item in items:
        counts[item["outcome"]] += 1
    told = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    output.note(f"{len(items)} descriptions: {told}" + (" (dry run)" if dry_run else ""))


if __name__ == "__main__":
    main()
