"""Definitions of datasets, as CTADIRAC's ``cta-prod-show-dataset NAME --long`` prints them."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provmanager.errors import NotFoundError, UsageError

Datasets = Mapping[str, Mapping[str, Any]]  # Any: values of metadata

_NAME = re.compile(r"Dataset name:\s*(\S+)")
_QUERY = re.compile(r"\{.*\}")


def read_datasets(path: Path) -> Datasets:
    """Return the metadata query of each dataset that a file tells of.

    Raises
    ------
    NotFoundError
        There is no such file.
    UsageError
        It tells of no dataset, or of one without its query.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    found: dict[str, Mapping[str, Any]] = {}
    name = None
    for number, line in enumerate(lines, 1):
        begins = _NAME.search(line)
        if begins:
            name = begins[1]
        elif name is not None and name not in found and (told := _QUERY.search(line)):
            found[name] = _query(told[0], f"{path}:{number}")
    if name is None or name not in found:
        what = f"the query of {name}" if name else "datasets"
        raise UsageError(
            f"{path}: expected {what}, as cta-prod-show-dataset NAME --long prints it: "
            "Dataset name, MetaQuery, and an object of metadata"
        )
    return found


def _query(text: str, where: str) -> Mapping[str, Any]:
    try:
        told = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where}: no Python object of plain values: {error}") from error
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        raise UsageError(f"{where}: expected an object with names of metadata")
    return told
