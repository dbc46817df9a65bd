"""Detector images of a source and a background under the stand-in mask."""

import numpy as np

from analysis.eclgrm.eclairs import shadowgram, stand_in_mask
from analysis.eclgrm.imaging import background_image

MASK = stand_in_mask()
BACKGROUND = 12.0
"""Counts a pixel: some 20 s of the background of ECLAIRs."""


def uneven_background(level: float = BACKGROUND) -> np.ndarray:
    """Expected counts that fall towards the edges and rise along y."""
    along = np.linspace(-1, 1, MASK.n_pixel)
    shape = 1 - 0.25 * (along[:, None] ** 2 + along[None, :] ** 2) + 0.1 * along[:, None]
    return level * shape / shape.mean()


def draw_image(tangent, n_source, rng, *, level=BACKGROUND):
    """Draw the counts of the burst's image, and make the background of one taken before."""
    lit = shadowgram(MASK, tangent)
    counts = rng.poisson(uneven_background(level) + n_source * lit / lit.sum())
    before = rng.poisson(20 * uneven_background(level))
    return counts, background_image(before) / 20


def offset_deg(one, other) -> float:
    """Angle on the sky between two directions given as tangents [deg]."""
    first, second = (np.r_[1.0, np.asarray(at)] for at in (one, other))
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
