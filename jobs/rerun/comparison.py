"""Whether a product that was made again is the same: by its bytes, else by its values."""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from provmanager.ids import file_sha256

Outcome = Literal["same-bytes", "same-values", "differs", "unknown"]

VOLATILE = re.compile(
    r"(^|[/ @])(DATE|DATE-(HDU|MAP)|CHECKSUM|DATASUM|ACTID|CREATED|HISTORY|INH\d+)$"
    r"|CTA (ACTIVITY|PRODUCT) (ID|(START|STOP|CREATION) TIME)$|TIMESTAMP$",
    re.IGNORECASE,
)
"""Keywords that say when and by which run a file was made: they differ in every run."""

_MOST = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing two files."""

    outcome: Outcome
    message: str


def compare_files(
    former: Path | None, now: Path, *, sha256: str | None, rtol: float = 1e-9, atol: float = 0.0
) -> Comparison:
    """Compare a product with the one that was made again.

    Parameters
    ----------
    former
        The recorded one, if it is here; its bytes must be those of `sha256` to count.
    now
        The one made again.
    sha256
        Digest that was recorded.
    rtol, atol
        Numbers a and b are equal where |a - b| <= atol + rtol |b|; NaN equals NaN.
    """
    found = file_sha256(now)
    if sha256 is not None and found == sha256:
        return Comparison("same-bytes", f"SHA-256 {found}")
    if former is None:
        return Comparison(
            "unknown", "other bytes, and the former one is not here to compare values"
        )
    held = file_sha256(former)
    if sha256 is not None and held != sha256:
        return Comparison(
            "unknown", f"{former} is not the recorded one any more: it has the SHA-256 {held}"
        )
    if held == found:
        return Comparison("same-bytes", f"SHA-256 {found}")
    reader = _reader(now)
    if reader is None:
        return Comparison(
            "differs", f"other bytes; values of {now.suffix or 'such'} files are not compared"
        )
    try:
        before, after = dict(reader(former)), dict(reader(now))
    except (OSError, ValueError, KeyError, TypeError, Warning) as error:
        return Comparison("differs", f"other bytes, and values cannot be read: {error}")
    return _judge(before, after, rtol, atol)


def _judge(
    before: dict[str, Any], after: dict[str, Any], rtol: float, atol: float
) -> Comparison:  # Any: values of several kinds
    names = sorted(before.keys() | after.keys())
    changed = [n for n in names if not _is_close(before.get(n), after.get(n), rtol, atol)]
    volatile = [n for n in changed if VOLATILE.search(n)]
    real = [n for n in changed if n not in volatile]
    if not real:
        last = {n.rpartition("/")[2] for n in volatile}
        what = f"; {', '.join(sorted(last))} differ, as in every run" if last else ""
        return Comparison("same-values", f"other bytes, the same {len(names)} values{what}")
    shown = [f"{n}: {_short(before.get(n))} → {_short(after.get(n))}" for n in real[:_MOST]]
    more = f"; and {len(real) - _MOST} more" if len(real) > _MOST else ""
    return Comparison("differs", "; ".join(shown) + more)


def _is_close(a: Any, b: Any, rtol: float, atol: float) -> bool:  # Any: values of several kinds
    if hasattr(a, "dtype") and hasattr(b, "dtype"):
        import numpy as np

        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            return False
        if a.dtype.kind == "O":  # texts, or rows of several lengths
            pairs = zip(a.flat, b.flat, strict=True)
            return all(_is_close(_row(x), _row(y), rtol, atol) for x, y in pairs)
        if a.dtype.kind in "fc":
            return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))
        return bool(np.array_equal(a, b))
    if {type(a), type(b)} in ({float}, {float, int}):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return math.isinf(a) == math.isinf(b) and (a == b or abs(a - b) <= atol + rtol * abs(b))
    return bool(type(a) is type(b) and a == b)


def _row(value: Any) -> Any:  # Any: a text, a row of values, or what JSON has
    import numpy as np

    return np.asarray(value) if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:  # Any: values of several kinds
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "…"


def _reader(path: Path) -> "Callable[[Path], Iterator[tuple[str, Any]]] | None":  # Any: values
    name = path.name.removesuffix(".gz").lower()
    for endings, reader in (
        ((".fits", ".fit", ".pha", ".rsp", ".arf", ".rmf"), _read_fits),
        ((".h5", ".hdf5"), _read_hdf5),
        ((".ecsv",), _read_table),
        ((".json",), _read_json),
    ):
        if name.endswith(endings):
            return reader
    return None


def _read_fits(path: Path) -> Iterator[tuple[str, Any]]:
    import numpy as np
    from astropy.io import fits
    from astropy.io.fits.verify import VerifyWarning

    with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
        warnings.simplefilter("error", VerifyWarning)  # a file that is cut off is one to astropy
        for number, hdu in enumerate(hdus):
            name = f"{number} {hdu.name}".strip()
            for card in hdu.header.cards:
                if card.keyword not in ("COMMENT", ""):
                    yield f"{name}/{card.keyword}", card.value
            if hdu.data is None:
                continue
            if hdu.data.dtype.names:
                for column in hdu.data.names:
                    values = hdu.data[column]
                    is_ragged = values.dtype.kind == "O"
                    yield (
                        f"{name}/{column}",
                        np.concatenate([np.zeros(0), *(np.ravel(v) for v in values)])
                        if is_ragged
                        else np.asarray(values),
                    )
            else:
                yield f"{name}/data", np.asarray(hdu.data)


def _read_hdf5(path: Path) -> Iterator[tuple[str, Any]]:
    import h5py
    import numpy as np

    with suppress(ImportError):  # ctapipe, and whoever writes with PyTables, compresses with blosc
        import hdf5plugin  # noqa: F401

    found: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:  # Any: h5py's objects
        found.extend((f"{name}/@{key}", str(value)) for key, value in item.attrs.items())
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item[()])
            columns = values.dtype.names
            found.extend((f"{name}/{c}", values[c]) for c in columns or ())
            if not columns:
                found.append((name, values))

    with h5py.File(path, "r") as file:
        found.extend((f"@{key}", str(value)) for key, value in file.attrs.items())
        file.visititems(visit)
    yield from found


def _read_table(path: Path) -> Iterator[tuple[str, Any]]:
    import numpy as np
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that astropy does not know
        table = Table.read(path, format="ascii.ecsv")
    yield from ((f"@{key}", value) for key, value in table.meta.items())
    for name in table.colnames:
        column = table[name]
        yield f"{name}@unit", str(column.unit)
        if hasattr(column, "mask"):
            yield f"{name}@mask", np.asarray(column.mask)
            column = column.filled()
        yield name, np.asarray(column)


def _read_json(path: Path) -> Iterator[tuple[str, Any]]:
    def walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:  # Any: JSON
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, f"{place}/{key}")
        elif isinstance(value, list):
            yield f"{place}#", len(value)
            for number, inner in enumerate(value):
                yield from walk(inner, f"{place}/{number}")
        else:
            yield place, value

    yield from walk(json.loads(path.read_text("utf-8")), "")
