"""Light curves whose answers are known, and where the real ones lie."""

from pathlib import Path

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike

from analysis.eclgrm.lightcurve import LightCurve

BATSE_TRIGGERS = (105, 143, 219, 226, 249, 398, 543)
ONE_CHANNEL = [[50.0, 300.0]] * u.keV


def make_curve(
    counts: ArrayLike, *, width: float = 0.064, start: float = 0.0, **fields: object
) -> LightCurve:
    """Build a curve of equal bins with one channel."""
    rows = np.asarray(counts, float)
    edges = start + width * np.arange(rows.shape[0] + 1)
    table = rows[:, None] if rows.ndim == 1 else rows
    return LightCurve(
        start=edges[:-1] * u.s, stop=edges[1:] * u.s, counts=table, energy=ONE_CHANNEL, **fields
    )


def batse_file(data: Path, trigger: int) -> Path:
    return data / "grb" / "batse" / f"cat64ms.{trigger:05d}"


def batse_rows(data: Path, trigger: int) -> np.ndarray:
    """Read the rows of a real file without the reader under test."""
    words = batse_file(data, trigger).read_text().split("\n", 2)[2].split()
    return np.array(words, float).reshape(-1, 4)


def gbm_file(data: Path, name: str) -> Path:
    return data / "grb" / "gbm_bn080916009" / name
