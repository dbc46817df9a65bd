"""`prod-verify`: whether files, documents and the log are what the record says."""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from provmanager.errors import AmbiguousError, NotFoundError, UsageError

from ._cli import (
    Output,
    ProdCommand,
    ServerOptions,
    connect,
    moved_option,
    output_options,
    server_options,
)
from ._places import place_of

if TYPE_CHECKING:
    from provmanager.client import ProvClient
    from provmanager.client.findings import Finding, KeptCheckpoint, Progress

_EPILOG = """\b
Exit codes: 0 all as recorded, 1 failed, 2 wrong use, 3 nothing to check was found,
4 not allowed, 5 something differs, 6 some could not be checked, 75 the server is away,
130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""
_MARKS = {"ok": "ok", "differs": "DIFFERS", "missing": "missing", "unknown": "unknown"}
_SHOW_S = 0.5
_COLOURS = {"ok": "green", "differs": "red", "missing": "yellow", "unknown": "yellow"}


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER|PRODUCT]…")
@click.option(
    "--all", "everything", is_flag=True, help="Check the log, every document and every row."
)
@click.option(
    "--rows/--no-rows",
    default=True,
    help="Make the record anew from its documents and compare (with PRODUCT and --all).",
)
@click.option(
    "--upstream", is_flag=True, help="With each PRODUCT, check all that it came from too."
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check that the log continues the one of this file, and keep its checkpoint of now there.",
)
@click.option(
    "--record",
    "is_recorded",
    is_flag=True,
    help="Record what was found of files: their pages show when they were last verified.",
)
@moved_option
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Hash so many at once.",
)
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-verify")
def main(
    targets: tuple[str, ...],
    everything: bool,
    rows: bool,
    upstream: bool,
    checkpoint: Path | None,
    is_recorded: bool,
    moved: list[tuple[str, str]],
    threads: int,
    server: ServerOptions,
    output: Output,
) -> None:
    """Check files against digests, rows against documents, these against the log, that by its past.

    \b
    Examples:
      prod-verify *.fits                        are these the recorded bytes?
      prod-verify QT90_ECL.fits --upstream      and all that it came from?
      prod-verify lfn:/vo/run1.h5 --map lfn:/vo/=/data/vo/
      prod-verify --all --checkpoint ~/provenance.checkpoint
      prod-verify QT90_ECL.fits --upstream --record

    A FILE that lies here is hashed and looked up by its content, else by its place; a FOLDER stands
    for all files in it, at any depth. Each is told of as soon as it was read. For a PRODUCT
    (a UUID, location, product id, …) its file is looked for at its recorded places, the documents
    that told of it are proved to be in the log, and what the server derived from them of its whole
    lineage is derived again on this machine, in an empty database, and compared row by row.

    Every accepted document is a leaf of an append-only Merkle tree (RFC 9162). A checkpoint that
    you keep makes it impossible to change, take out or reorder anything before it unseen, also for
    those who run the server.
    """
    if not targets and not everything and checkpoint is None:
        raise UsageError("nothing to check: name files or products, or say --all")
    told = _Told(output)
    with connect(server) as client:
        job = _Job(client, output, moved, threads)
        with contextlib.closing(job.check(targets, upstream=upstream, with_rows=rows)) as found:
            told.all_of(found)
        if everything or checkpoint is not None:
            told.all_of(job.log(checkpoint, with_documents=everything, with_rows=rows))
        if is_recorded:
            _record(client, told.findings, output)
    told.end()


class _Job:
    """What to check with, and how to tell how far it is."""

    def __init__(
        self, client: "ProvClient", output: Output, moved: list[tuple[str, str]], n_threads: int
    ) -> None:
        self._client = client
        self._output = output
        self._moved = moved
        self._n_threads = n_threads
        self._shows = not output.is_quiet and sys.stderr.isatty()

    def check(
        self, targets: tuple[str, ...], *, upstream: bool, with_rows: bool
    ) -> Generator["Finding", None, None]:
        """Check what was named."""
        from provmanager.client import verification as v

        here = [place_of(t) for t in targets]
        files = [path for place in here for path in place.files]
        for place in here:
            yield from place.findings
        yield from v.verify_files(
            self._client, files, n_threads=self._n_threads, progress=self._progress("MB", 10**6)
        )
        named = [p.target for p in here if not (p.files or p.findings)]
        named += [str(path) for path in files] if upstream else []
        of, ids, unfound = self._entities(named, upstream=upstream, is_only=len(targets) == 1)
        yield from unfound
        entities = [self._client.entity(i) for i in ids]
        damaged: set[str] = set()
        for finding in v.verify_product_documents(self._client, *entities) if entities else ():
            if finding.outcome == "differs" and finding.document is not None:
                damaged.add(finding.document)
            yield finding
        yield from v.verify_products(
            entities,
            moved=self._moved,
            n_threads=self._n_threads,
            progress=self._progress("MB", 10**6),
        )
        if of and with_rows:
            yield from self._rows(of, damaged)

    def log(
        self, path: Path | None, *, with_documents: bool, with_rows: bool
    ) -> Iterator["Finding"]:
        """Check the log, from the checkpoint kept at `path` on; keep the new one if all is well."""
        from provmanager.client import verification as v
        from provmanager.client.log_check import verify_log
        from provmanager.client.rows_check import proved_by_leaves, verify_rows
        from provmanager.service.scratch import scratch_record

        kept = _read_checkpoint(path) if path is not None and path.exists() else None
        log = verify_log(self._client, kept, progress=self._progress("leaves"))
        yield from log.findings
        if with_documents and with_rows:
            with scratch_record() as scratch:
                yield from verify_rows(
                    self._client,
                    scratch,
                    proved_by_leaves(log),
                    suspects=log.suspects,
                    progress=self._progress("documents"),
                )
        elif with_documents:
            yield from v.verify_documents(self._client, progress=self._progress("documents"))
        now = log.checkpoint
        if path is not None and now is not None and all(f.outcome == "ok" for f in log.findings):
            partial = path.with_name(path.name + ".partial")
            partial.write_text(json.dumps({"note": now.note, "key": now.key}) + "\n")
            partial.replace(path)

    def _rows(self, of: list[str], damaged: set[str]) -> Iterator["Finding"]:
        """Check the rows of the lineages of products or runs."""
        from provmanager.client.rows_check import proved_one_by_one, verify_rows
        from provmanager.formats.checkpoint import verify
        from provmanager.service.scratch import scratch_record

        said = self._client.log_checkpoint()
        prove = proved_one_by_one(self._client, verify(said["note"], said["key"]))
        with scratch_record() as scratch:
            for uuid in of:
                yield from verify_rows(
                    self._client,
                    scratch,
                    prove,
                    of=uuid,
                    suspects=damaged,
                    progress=self._progress("documents"),
                )

    def _entities(
        self, named: list[str], *, upstream: bool, is_only: bool
    ) -> "tuple[list[str], list[str], list[Finding]]":
        """Return the ids of what was named, and of the products to look at; and what is nothing.

        Raises
        ------
        NotFoundError
            Nothing answers to the only name.
        """
        from provmanager.client.findings import Finding

        from .trace import find_product

        of: dict[str, None] = {}
        ids: dict[str, None] = {}
        unfound: list[Finding] = []
        for target in named:
            try:
                found, _ = find_product(self._client, target, read_files=True)
            except (NotFoundError, AmbiguousError) as error:
                if is_only:
                    raise
                unfound.append(Finding("file", target, "unknown", error.message))
                continue
            of[found["id"]] = None
            if upstream or found["kind"] != "entity":
                lineage = self._client.lineage(found["id"])
                ids |= dict.fromkeys(str(e["id"]) for e in lineage["entities"])
            else:
                ids[found["id"]] = None
        return list(of), list(ids), unfound

    def _progress(self, what: str, unit: int = 1) -> "Progress | None":
        """Return what shows how far it is, twice a second where that takes longer."""
        if not self._shows:
            return None
        last = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last > _SHOW_S:
                last = time.monotonic()
                click.echo(f"\r{done // unit} of {total // unit} {what} ", err=True, nl=False)

        return show


def _record(client: "ProvClient", findings: list["Finding"], output: Output) -> None:
    """Record what was found of products' files: of several files of one, the worst."""
    from ._assessing import assess

    worst = ("differs", "unknown", "missing", "ok")
    found: dict[str, str] = {}
    for f in findings:
        if f.kind == "file" and f.entity is not None:
            held = found.get(f.entity, f.outcome)
            found[f.entity] = min(held, f.outcome, key=worst.index)
    if found:
        told = ({"id": entity, "outcome": outcome} for entity, outcome in found.items())
        assessment = assess(client, "verification", entities=told)
        output.note(f"recorded as {assessment}")


def _read_checkpoint(path: Path) -> "KeptCheckpoint":
    from provmanager.client.findings import KeptCheckpoint

    try:
        said = json.loads(path.read_text())
        return KeptCheckpoint(str(said["note"]), str(said["key"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds no checkpoint ({error}); expected what prod-verify --checkpoint wrote"
        ) from error


class _Told:
    """What was found so far: told line by line, or as JSON in the end."""

    def __init__(self, output: Output) -> None:
        self.findings: list[Finding] = []
        self._output = output

    def all_of(self, found: "Iterable[Finding]") -> None:
        """Tell of each; where that is interrupted, how many there were."""
        try:
            for f in found:
                self.findings.append(f)
                if not self._output.as_json:
                    mark = click.style(f"{_MARKS[f.outcome]:8}", fg=_COLOURS[f.outcome])
                    self._output.data(f"{mark} {f.what}  {f.message}")
        except KeyboardInterrupt:
            self._output.note(
                f"interrupted: {len(self.findings)} were checked; name the others again"
            )
            raise

    def end(self) -> NoReturn:
        """Tell how many there were of each kind, what to do next, and exit."""
        counts: Counter[str] = Counter(f.outcome for f in self.findings)
        if self._output.as_json:
            items = [
                {"kind": f.kind, "what": f.what, "outcome": f.outcome, "message": f.message}
                for f in self.findings
            ]
            self._output.json({"counts": dict(counts), "findings": items})
        parts = (f"{counts[o]} {text}" for o, text in _WORDS.items() if counts[o])
        self._output.note(", ".join(parts) or "nothing to check was found")
        wrong = {f.kind for f in self.findings if f.outcome == "differs"}
        for kind, text in _NEXT.items():
            if kind in wrong:
                self._output.note(f"  {text}")
        click.get_current_context().exit(_exit_code(counts))


_WORDS = {
    "ok": "as recorded",
    "differs": "differ",
    "missing": "not here",
    "unknown": "could not be checked",
}
_NEXT = {
    "file": "files: fetch them from another recorded place, or make them again: prod-rerun",
    "row": "rows: the documents count; archiving the record and restoring it (prod-server) gives "
    "the rows that follow from them",
    "document": "documents: what hangs on them is not proved until the operator puts their bytes "
    "back, from a backup or any file with that SHA-256",
    "log": "log: keep this and your checkpoint; somebody changed the past, or restored an older "
    "copy: ask the operator which",
}


def _exit_code(counts: Counter[str]) -> int:
    if counts["differs"]:
        return 5
    if not counts["ok"]:
        return 3
    return 6 if counts["missing"] or counts["unknown"] else 0


if __name__ == "__main__":
    main()
