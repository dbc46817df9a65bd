"""Job descriptions of DIRAC for prod-submit: made CWL documents, and their LFNs found."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provmanager.errors import JSONDict, NotFoundError, ProvError, UsageError

from ._cli import Output, ServerOptions, connect

if TYPE_CHECKING:
    from jobs.ctadirac import Additions, DiracJob
    from jobs.engines import RunRequest


@dataclass(frozen=True)
class DescribedJob:
    """A job description as prod-submit takes it.

    Attributes
    ----------
    document : str
        Path of the CWL document made of it.
    inputs : dict
        Its inputs object.
    """

    job: "DiracJob"
    document: str
    inputs: JSONDict

    def complete(
        self,
        request: "RunRequest",
        moved: Sequence[tuple[str, str]],
        server: ServerOptions,
        *,
        engine: str,
    ) -> "RunRequest":
        """Return the request with what the job asks of the grid, and its LFNs told apart.

        An LFN is read where ``--map`` says; else from the storage of the grid, if there is one;
        else where the record knows its bytes to lie here.

        Raises
        ------
        NotFoundError
            One is nowhere that can be read.
        """
        from jobs.ctadirac import INPUT_DATA, LFNS, asked_of_grid
        from jobs.rerun import grid_options

        has_storage = engine == "diracx" and grid_options().storage is not None
        by_name = {lfn.rpartition("/")[2]: lfn for lfn in self.job.input_data}
        places, lfns = [], []
        for place in request.inputs.get(INPUT_DATA) or []:
            location = str(place["location"])
            is_lfn = location.startswith("LFN:")
            lfns.append(location if is_lfn else by_name.get(location.rpartition("/")[2], ""))
            copy = _mapped(location, moved) if is_lfn else None
            if copy is None and is_lfn and not has_storage:
                copy = _copy_of(location, server)
            places.append({**place, "location": copy.absolute().as_uri()} if copy else place)
        missing = [place["location"] for place in places if place["location"].startswith("LFN:")]
        if missing and not has_storage:
            raise NotFoundError(
                f"{len(missing)} input files are not here, as far as the record knows: "
                f"{', '.join(missing[:3])}: say where LFNs lie with --map LFN:/vo/=/folder/, or "
                "name the files with --set input_data=FILE, once for each"
            )
        inputs = {**request.inputs, INPUT_DATA: places, LFNS: lfns}
        return replace(request, inputs=inputs, job=asked_of_grid(self.job))


def translated(
    source: str | None, settings: tuple[str, ...], output: Output
) -> tuple[str | None, tuple[str, ...]]:
    """Return the production that a file of CTADIRAC's ``ProdSteps`` is; other sources as they are.

    What it is made of lies in the state directory, under the digest of all of it. Of the settings
    (``NAME=VALUE``) those are returned that the translation has no use for.
    """
    path = Path(source or "")
    if path.suffix not in (".yml", ".yaml"):  # before anything heavy is imported
        return source, settings
    from jobs.ctadirac import is_prod_steps, translate_production

    if not is_prod_steps(path):
        return source, settings
    from provmanager.config import state_dir
    from provmanager.ids import digest_of, file_sha256

    more, others = _additions(settings)
    told = {"file": file_sha256(path), "more": asdict(more)}
    folder = state_dir() / "documents" / digest_of(told)[:16]
    made = translate_production(path, folder, more)
    output.note(f"{path} is a production of CTADIRAC, translated to {made}")
    return str(made), others


def _additions(settings: tuple[str, ...]) -> "tuple[Additions, tuple[str, ...]]":
    """Return what ``--set`` says of datasets, runs and the name, and the other settings."""
    from jobs.ctadirac import Additions, read_datasets

    told: dict[str, list[str]] = {"datasets": [], "runs": [], "name": []}
    others = []
    for setting in settings:
        name, _, value = setting.partition("=")
        if name in told:
            told[name].append(value)
        else:
            others.append(setting)
    runs = told["runs"][-1] if told["runs"] else None
    if runs is not None and not (runs.isascii() and runs.isdigit() and int(runs) > 0):
        raise UsageError(f"--set runs={runs}: expected a whole number from 1 on")
    datasets = {n: q for file in told["datasets"] for n, q in read_datasets(Path(file)).items()}
    more = Additions(
        datasets=datasets,
        runs=int(runs) if runs else None,
        name=told["name"][-1] if told["name"] else None,
    )
    return more, tuple(others)


def read_source(source: str) -> DescribedJob | None:
    """Return the job that a file describes; None if it is no description by its name.

    The document lies in the state directory under its digest, as runs are read again later.
    """
    if not source.lower().endswith((".xml", ".jdl")):  # before anything heavy is imported
        return None
    from jobs.ctadirac import make_document, make_inputs, read_job
    from provmanager.config import state_dir
    from provmanager.ids import digest_of

    job = read_job(Path(source))
    inputs = make_inputs(job)
    document = make_document(job)
    folder = state_dir() / "documents" / digest_of(document)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in job.name) or "job"
    path = folder / f"{name}.cwl"
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return DescribedJob(job, str(path), inputs)


def _mapped(lfn: str, moved: Sequence[tuple[str, str]]) -> Path | None:
    from provmanager.client.verification import local_path

    there = local_path(lfn, moved)
    return there if there is not None and there.is_file() else None


def _copy_of(lfn: str, server: ServerOptions) -> Path | None:
    """Return a file that lies here and has the bytes that the record knows of an LFN."""
    from provmanager.client.verification import local_path, recorded_sha256
    from provmanager.ids import file_sha256

    with suppress(ProvError), connect(server) as client:
        entity = client.entity(client.resolve(lfn)["id"])
        recorded = recorded_sha256(entity)
        for location in entity["locations"]:
            path = local_path(location)
            if path and path.is_file() and recorded == file_sha256(path):
                return path
    return None
