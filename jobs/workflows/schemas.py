"""CWL's schemas as cwltool has parsed them, kept beside our bytecode: parsing them takes 0.4 s.

As with bytecode, a copy is of one version of everything, is written where that is allowed, and
whoever can write there can have us run anything: trust and ``PYTHONDONTWRITEBYTECODE`` are alike.
"""

import copyreg
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cwltool import process
from schema_salad import schema
from schema_salad.ref_resolver import NormDict

_FOLDER = Path(__file__).parent / "__pycache__"
_VERSIONS = frozenset({"v1.0", "v1.1", "v1.2"})
_OF_FILES = "v1.0"  # cwltool takes File, Directory and Any from it, whatever the document's version


def load_schemas(cwl_version: object) -> None:
    """Have the schemas for a document of that version loaded, from a copy where there is one."""
    if schema.cached_metaschema is None:
        schema.cached_metaschema = _kept("metaschema", schema.get_metaschema)
    for name in {_OF_FILES, *(_VERSIONS & {str(cwl_version)})} - set(process.SCHEMA_CACHE):
        process.SCHEMA_CACHE[name] = _kept(name, partial(process.get_schema, name))


def _kept(name: str, make: Callable[[], Any]) -> Any:  # Any: what cwltool parsed
    """Return the copy of that name, or what `make` returns, which is copied for the next time."""
    path = _FOLDER / f"{_key(name)}.pickle"
    # A copy that cannot be read, whatever the reason, is one that is not there.
    with suppress(OSError, pickle.PickleError, EOFError, ImportError, LookupError, AttributeError,
                  TypeError, ValueError):  # fmt: skip
        return pickle.loads(path.read_bytes())  # noqa: S301
    made = make()
    if not sys.dont_write_bytecode:
        copyreg.pickle(NormDict, _reduce)  # which does not by itself
        unfinished = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            unfinished.write_bytes(pickle.dumps(made))
            unfinished.replace(path)
    return made


def _key(name: str) -> str:
    return ".".join(["schema", name, *_made_by(), str(sys.implementation.cache_tag)])


@cache
def _made_by() -> tuple[str, ...]:
    return tuple(f"{package}-{version(package)}" for package in ("cwltool", "schema-salad"))


def _reduce(found: NormDict) -> tuple[Any, ...]:  # Any: what pickle takes
    return _made, (found.normalize, dict(found))


def _made(normalize: Any, items: dict[str, Any]) -> NormDict:  # Any: of cwltool
    made = NormDict(normalize)
    dict.update(made, items)
    return made
