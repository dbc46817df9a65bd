"""Geometry of ECLAIRs: a coded mask above a plane of pixels, and the shadow that it casts.

The sizes are those in the literature on the instrument (Godet et al. 2014, Proc. SPIE 9144, 914424;
Schanne 2017). The pattern of the flight mask is not public: `stand_in_mask` is a random pattern of
the same open fraction and cell size, not that of the instrument.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from .lightcurve import BoolArray, FloatArray

N_CELL = 46
CELL_MM = 11.4
DISTANCE_MM = 458.0
N_PIXEL = 80
PITCH_MM = 4.5
PIXEL_MM = 4.0
OPEN_FRACTION = 0.4
STAND_IN_SEED = 20260101


@dataclass(frozen=True, eq=False)
class CodedMask:
    """A square mask parallel to a square plane of pixels, both centred on the line of sight.

    Thin and opaque: a photon passes through an open cell or not at all, and none comes in beside
    the mask.

    Attributes
    ----------
    is_open : ndarray of bool, shape (n_cell, n_cell)
        By y, then z.
    cell_mm, distance_mm : float
        Width of a cell; height of the mask above the pixels.
    n_pixel : int
        Pixels along y, and along z.
    pitch_mm, pixel_mm : float
        Distance of pixels, and width of the sensitive part of one.
    """

    is_open: BoolArray = field(repr=False)
    cell_mm: float = CELL_MM
    distance_mm: float = DISTANCE_MM
    n_pixel: int = N_PIXEL
    pitch_mm: float = PITCH_MM
    pixel_mm: float = PIXEL_MM

    def __post_init__(self) -> None:
        cells = np.array(self.is_open, bool)
        if cells.ndim != 2 or cells.shape[0] != cells.shape[1] or cells.size == 0:
            raise ValueError(f"is_open has the shape {cells.shape}; expected (n_cell, n_cell)")
        if not 0 < self.pixel_mm <= self.pitch_mm:
            raise ValueError(f"pixels of {self.pixel_mm} mm do not fit a pitch of {self.pitch_mm}")
        cells.flags.writeable = False
        object.__setattr__(self, "is_open", cells)

    @property
    def mask_mm(self) -> float:
        """Width of the mask."""
        return self.is_open.shape[0] * self.cell_mm

    @property
    def plane_mm(self) -> float:
        """Width of the plane of pixels, from outer edge to outer edge."""
        return (self.n_pixel - 1) * self.pitch_mm + self.pixel_mm

    @property
    def fully_coded(self) -> float:
        """Largest absolute tangent, along either axis, at which the mask covers all pixels."""
        return (self.mask_mm - self.plane_mm) / (2.0 * self.distance_mm)

    @property
    def edge(self) -> float:
        """Absolute tangent, along either axis, from which on no pixel sees the mask."""
        return (self.mask_mm + self.plane_mm) / (2.0 * self.distance_mm)


def stand_in_mask(seed: int = STAND_IN_SEED) -> CodedMask:
    """Make a random mask that stands in for that of ECLAIRs: 846 of 46 x 46 cells are open.

    The pattern depends on nothing but the seed: the raw words of a bit generator, which NumPy keeps
    the same in all its versions, put the cells in order, and the first 40 % are open.
    """
    words = np.random.PCG64(seed).random_raw(N_CELL**2)
    cells = np.zeros(N_CELL**2, bool)
    cells[np.argsort(words, kind="stable")[: round(OPEN_FRACTION * N_CELL**2)]] = True
    return CodedMask(cells.reshape(N_CELL, N_CELL))


def shadowgram(mask: CodedMask, tangent: ArrayLike) -> FloatArray:
    """Fraction of each pixel that a distant source lights, shape (n_pixel, n_pixel), by y, z.

    Exact for a thin mask: the mean over the sensitive square of the pixel. Multiply by the
    pixel's area and by the cosine of the off-axis angle for the area towards the source.

    Parameters
    ----------
    mask : CodedMask
    tangent : array of float, shape (2,)
        Direction of the source, (y / x, z / x). A pixel at y sees the mask at
        y + distance * tangent.

    Returns
    -------
    ndarray of float, shape (n_pixel, n_pixel)
        0 where the mask does not cover the pixel; all 0 outside the field of view.

    Raises
    ------
    ValueError
        The tangent is not two finite numbers.
    """
    along = np.asarray(tangent, float)
    if along.shape != (2,) or not np.isfinite(along).all():
        raise ValueError(f"the tangent is {along.tolist()}; expected two finite numbers")
    rows, columns = (overlap(mask, float(value)) for value in along)
    return np.asarray(rows @ mask.is_open @ columns.T, float)


def overlap(mask: CodedMask, tangent: float) -> FloatArray:
    """Part of each pixel's width that looks at each cell of the mask, along one axis.

    Returns
    -------
    ndarray of float, shape (n_pixel, n_cell)
        Rows sum to 1 where the mask covers the pixel.
    """
    n_cell = mask.is_open.shape[0]
    middle = (np.arange(mask.n_pixel) - 0.5 * (mask.n_pixel - 1)) * mask.pitch_mm
    low = middle + mask.distance_mm * tangent - 0.5 * mask.pixel_mm
    edges = (np.arange(n_cell + 1) - 0.5 * n_cell) * mask.cell_mm
    inside = np.clip(edges[None, :] - low[:, None], 0.0, mask.pixel_mm)
    return np.asarray(np.diff(inside, axis=1) / mask.pixel_mm, float)


def coded_fraction(mask: CodedMask, tangent: ArrayLike) -> FloatArray:
    """Part of the pixels' area that looks at the mask, shape (..., 2) to (...).

    1 in the fully coded field, 0 outside the field of view.
    """
    values = np.asarray(tangent, float)
    flat = [
        float(np.prod([overlap(mask, v).sum(axis=1).mean() for v in pair]))
        for pair in values.reshape(-1, 2)
    ]
    return np.asarray(flat, float).reshape(values.shape[:-1])


def lit_area_cm2(mask: CodedMask, tangent: ArrayLike) -> float:
    """Sensitive area that a source lights, as seen from the source [cm2].

    The sum of the shadowgram, times the area of a pixel and the cosine of the off-axis angle.
    """
    along = np.asarray(tangent, float)
    cosine = 1.0 / np.sqrt(1.0 + float(along @ along))
    return float(shadowgram(mask, along).sum() * (mask.pixel_mm / 10.0) ** 2 * cosine)
