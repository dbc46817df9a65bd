"""`prod-impact`: everything that a file, a package, a setting or a run has touched."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from provmanager.errors import NotFoundError, UsageError

from ._cli import (
    Output,
    ProdCommand,
    ServerOptions,
    connect,
    moved_option,
    output_options,
    server_options,
)
from .search import find_all
from .trace import find_product

if TYPE_CHECKING:
    from jobs.rerun import Plan
    from provmanager.client import ProvClient, SummaryAnswer

_EPILOG = """\b
Exit codes: 0 shown, 1 failed, 2 wrong use, 3 nothing found, 4 not allowed, 5 the plan
lacks something that cannot be had again, 75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""

JSON = Mapping[str, Any]  # Any: free-form JSON


_MOST_LISTED = 10_000
_MOST_ASKED = 100_000


class Step(NamedTuple):
    """Runs of one tool and version."""

    name: str
    runs: Counter[str]
    """How many ended how."""
    n_products: int


class Affected:
    """Runs and products downstream of something, each once."""

    def __init__(self) -> None:
        self.activities: dict[str, JSON] = {}
        self.products: dict[str, JSON] = {}
        self.is_listed = True
        self.summarised: SummaryAnswer | None = None

    def add(self, lineage: JSON, *, without: str | None = None) -> None:
        """Add what a lineage found, but for the record that it begins with."""
        self.is_listed &= not lineage["truncated"]
        self.activities |= {a["id"]: a for a in lineage["activities"]}
        self.products |= {e["id"]: e for e in lineage["entities"] if e["id"] != without}

    def check_listed(self, purpose: str) -> None:
        """Raise UsageError where not every record is known by its id."""
        if not self.is_listed:
            raise UsageError(
                f"{purpose} needs each affected run by itself, and there are more than "
                f"{_MOST_ASKED}: ask for less, such as one activity's products"
            )

    def counts(self) -> tuple[int, int]:
        """Return how many runs and products there are."""
        if self.summarised is None:
            return len(self.activities), len(self.products)
        boxes = self.summarised["boxes"]
        runs = sum(b["count"] for b in boxes if b["kind"] == "activity")
        return runs, sum(b["count"] for b in boxes if b["kind"] == "product" and not b["is_focus"])

    def steps(self) -> list[Step]:
        """Return name and version, runs and products of each step, in order of start."""
        if self.summarised is not None:
            return _summarised(self.summarised)
        runs: dict[str, Counter[str]] = {}
        made: Counter[str] = Counter(e["generated_by"] for e in self.products.values())
        products: dict[str, int] = defaultdict(int)
        for a in sorted(self.activities.values(), key=lambda a: (a["started_at"] or "", a["id"])):
            name = _called(a["name"], a["version"])
            runs.setdefault(name, Counter())[a["status"]] += 1
            products[name] += made[a["id"]]
        return [Step(name, counts, products[name]) for name, counts in runs.items()]


def _called(name: str | None, version: str | None) -> str:
    return f"{name or '(no name)'} {version or ''}".strip()


def _summarised(summary: "SummaryAnswer") -> list[Step]:
    """Return the steps of a summary by version; the run that it begins with is a box of its own."""
    is_focus = {box["id"] for box in summary["boxes"] if box["is_focus"]}
    made: Counter[str] = Counter()
    for arrow in summary["arrows"]:
        if arrow["kind"] == "generated" and arrow["target"] not in is_focus:
            made[arrow["source"]] += arrow["count"]
    runs: dict[str, Counter[str]] = {}
    products: Counter[str] = Counter()
    for box in sorted(summary["boxes"], key=lambda b: (b["first_at"] or "", b["id"])):
        if box["kind"] == "activity":
            name = _called(box["name"], box["versions"][0] if box["versions"] else None)
            runs.setdefault(name, Counter()).update(box["statuses"])
            products[name] += made[box["id"]]
    return [Step(name, counts, products[name]) for name, counts in runs.items()]


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("entity", required=False)
@click.option("--software", multiple=True, metavar="NAME[==VERSION]", help="Runs with a package.")
@click.option("--parameter", multiple=True, metavar="PATH=VALUE", help="Runs with a setting.")
@click.option("--activity", metavar="PATTERN", help="Runs of that name, with *.")
@click.option("--version", "tool_version", metavar="PATTERN", help="… of that version, with *.")
@click.option("--products", "with_products", is_flag=True, help="List the products too.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the CWL workflow that repeats exactly the affected runs, for prod-submit.",
)
@click.option(
    "--replace-by",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --plan: what the runs are to read instead of ENTITY.",
)
@click.option(
    "--invalidate",
    metavar="REASON",
    help="Mark ENTITY and all products that came of it as invalid (role curator).",
)
@click.option(
    "--revoke",
    nargs=2,
    metavar="ID REASON",
    help="Take the marking ID back, which stays in the record (role curator).",
)
@moved_option
@server_options
@output_options
@click.version_option(None, "-V", "--program-version", package_name="provmanager")
def main(
    entity: str | None,
    software: tuple[str, ...],
    parameter: tuple[str, ...],
    activity: str | None,
    tool_version: str | None,
    with_products: bool,
    plan_file: Path | None,
    replace_by: Path | None,
    invalidate: str | None,
    revoke: tuple[str, str] | None,
    moved: list[tuple[str, str]],
    server: ServerOptions,
    output: Output,
) -> None:
    """Show everything that came of ENTITY, or of runs with a package, a setting or a name.

    \b
    Examples:
      prod-impact flatfield_run12.fits
      prod-impact --software scipy==1.11.0 --products
      prod-impact flatfield_run12.fits --plan again.cwl --replace-by flatfield_run12_v2.fits
      prod-submit again.cwl
      prod-impact flatfield_run12.fits --invalidate "taken with the lid closed"

    Each step is a line: its runs by how they ended, and how many products they made. With --json
    the ids of all are listed too; of more than 10000 runs only with --products. A plan repeats
    each affected run once, in the order of their dependencies, with the recorded command lines, on
    inputs that are still here with the recorded bytes.
    """
    filters = {
        "package": list(software),
        "parameter": list(parameter),
        "name": activity,
        "version": tool_version,
    }
    wanted = {name: value for name, value in filters.items() if value}
    if revoke is not None:
        if entity is not None or wanted or plan_file is not None or invalidate is not None:
            raise UsageError("--revoke stands alone: it takes back what --invalidate recorded")
        _revoke(server, *revoke, output)
        return
    if (entity is None) == (not wanted):
        raise UsageError("name an entity, or say --software, --parameter, --activity or --version")
    if replace_by is not None and (plan_file is None or entity is None):
        raise UsageError("--replace-by needs --plan and an entity that it replaces")
    needs = {"--plan": plan_file, "--invalidate": invalidate, "--products": with_products or None}
    purposes = [option for option, value in needs.items() if value is not None]
    with connect(server) as client:
        focus, affected = _find(client, entity, wanted, purposes, lists_few=output.as_json)
        plan = None
        if plan_file is not None:
            replaced = {focus: replace_by.absolute()} if focus and replace_by else {}
            plan = _plan(client, affected, moved, replaced)
            if not plan.missing:
                _write(plan, plan_file)
        marked = None if invalidate is None else _invalidate(client, focus, affected, invalidate)
    if output.as_json:
        output.json(_as_json(affected, plan) | ({"assessment": marked} if marked else {}))
    else:
        _show(affected, with_products, output)
    if marked is not None:
        output.note(f"marked as invalid; this undoes it: prod-impact --revoke {marked} REASON")
    if plan is not None:
        _tell_plan(plan, plan_file, output)
    click.get_current_context().exit(5 if plan is not None and plan.missing else 0)


def _tell_plan(plan: "Plan", plan_file: Path | None, output: Output) -> None:
    for text in plan.missing:
        click.echo(f"missing: {text}", err=True)
    done = "not written: something is missing" if plan.missing else f"prod-submit {plan_file}"
    output.note(f"plan of {len(plan.steps)} runs: {done}")


def _find(
    client: "ProvClient",
    entity: str | None,
    wanted: dict[str, Any],
    purposes: list[str],
    *,
    lists_few: bool,
) -> tuple[str | None, Affected]:
    if entity is None:
        affected = _downstream_of_runs(client, wanted)
        affected.check_listed("a search for runs")
        return None, affected
    focus, affected = _downstream(client, entity, lists=bool(purposes), lists_few=lists_few)
    for purpose in purposes:
        affected.check_listed(purpose)
    return focus, affected


def _downstream(
    client: "ProvClient", entity: str, *, lists: bool, lists_few: bool
) -> tuple[str | None, Affected]:
    """Return the id of `entity` if it is a product, and all that came of it.

    They are counted where there are any number; each by itself only where it is asked for.
    """
    found, _ = find_product(client, entity, read_files=True)
    focus = found["id"] if found["kind"] == "entity" else None
    affected = Affected()
    affected.summarised = client.lineage_summary(found["id"], direction="down", group="version")
    if affected.summarised["truncated"]:
        raise UsageError("more than a million records came of it: ask for a part of them")
    is_small = affected.counts()[0] <= _MOST_LISTED
    if lists or (lists_few and is_small):
        lineage = client.lineage(found["id"], direction="down", limit=_MOST_ASKED)
        affected.add(lineage, without=focus)
    else:
        affected.is_listed = False
    return focus, affected


def _downstream_of_runs(client: "ProvClient", wanted: dict[str, Any]) -> Affected:
    runs = [
        record
        for record, _ in find_all(
            lambda n, cursor: client.search_activities(**wanted, limit=n, cursor=cursor), None
        )
    ]
    if not runs:
        raise NotFoundError("no recorded run is like that: prod-search activities shows what is")
    affected = Affected()
    for run in runs:
        if run["id"] not in affected.activities:
            affected.add(client.lineage(run["id"], direction="down", limit=_MOST_ASKED))
    return affected


def _invalidate(client: "ProvClient", focus: str | None, affected: Affected, reason: str) -> str:
    """Mark what is affected as invalid; return the id by which that can be taken back."""
    from ._assessing import assess

    marked = dict.fromkeys([*([focus] if focus else []), *affected.products])
    if not marked:
        raise NotFoundError("no product is affected: there is nothing to mark")
    return assess(client, "invalidation", reason=reason, entities=({"id": i} for i in marked))


def _revoke(server: ServerOptions, assessment: str, reason: str, output: Output) -> None:
    """Take a marking back."""
    from ._assessing import assess

    with connect(server) as client:
        told = client.activity(assessment)
        if told["type"] != "Assessment" or told["name"] != "invalidate":
            raise UsageError(f"{assessment} is no marking as invalid: it is {told['name']}")
        done = assess(client, "revocation", reason=reason, revokes=assessment)
    if output.as_json:
        output.json({"assessment": done, "revokes": assessment})
    else:
        output.data(done)


def _plan(
    client: "ProvClient",
    affected: Affected,
    moved: list[tuple[str, str]],
    replaced: dict[str, Path],
) -> "Plan":
    from jobs.rerun import make_repeat_plan
    from provmanager.client.verification import local_path

    runs = sorted(affected.activities.values(), key=lambda a: (a["started_at"] or "", a["id"]))
    return make_repeat_plan(
        client, [a["id"] for a in runs], lambda at: local_path(at, moved), replaced=replaced
    )


def _write(plan: "Plan", path: Path) -> None:
    from jobs.rerun import make_document

    path.write_text(json.dumps(make_document(plan, once=True), indent=2) + "\n")


def _show(affected: Affected, with_products: bool, output: Output) -> None:
    from .rendering.text import counted

    n_all_runs, n_all_products = affected.counts()
    output.note(f"{n_all_runs} runs and {n_all_products} products")
    for name, counts, n_products in affected.steps():
        statuses = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        n_runs = counted(counts.total(), "run")
        output.data(f"{name}: {n_runs} ({statuses}), {counted(n_products, 'product')}")
    if with_products:
        for line in _products(affected.products.values()):
            output.data(line)


def _products(products: Iterable[JSON]) -> Iterable[str]:
    for product in products:
        yield f"  {product['id']}  {product.get('location') or product['name'] or ''}"


def _as_json(affected: Affected, plan: "Plan | None") -> dict[str, Any]:
    steps = [
        {"name": name, "runs": dict(counts), "n_products": n_products}
        for name, counts, n_products in affected.steps()
    ]
    n_runs, n_products = affected.counts()
    return {
        "steps": steps,
        "n_runs": n_runs,
        "n_products": n_products,
        "activities": list(affected.activities) if affected.is_listed else None,
        "products": list(affected.products) if affected.is_listed else None,
        **({"planned": [s.activity for s in plan.steps], "missing": plan.missing} if plan else {}),
    }
