"""Directions in the frame of an instrument and on the sky.

The frame of ECLAIRs and GRM has its x axis along the line of sight of the telescope, its y and z
axes along the columns RAWY and RAWZ of the detector plane. An attitude is a unit quaternion, scalar
last, that turns vectors of the instrument's frame into ICRS; the files of GBM hold it in this form.
"""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from .lightcurve import FloatArray


def direction(off_axis: Quantity, azimuth: Quantity) -> FloatArray:
    """Unit vectors from the angle to the x axis and the azimuth from y towards z.

    Parameters
    ----------
    off_axis, azimuth : Quantity [angle]
        Of one shape, or shapes that broadcast.

    Returns
    -------
    ndarray of float, shape (..., 3)
    """
    theta, phi = np.broadcast_arrays(off_axis.to_value(u.rad), azimuth.to_value(u.rad))
    return np.stack(
        [np.cos(theta), np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi)], axis=-1
    )


def from_tangent(tangent: ArrayLike) -> FloatArray:
    """Unit vectors from gnomonic coordinates (y / x, z / x), shape (..., 2) to (..., 3)."""
    values = np.asarray(tangent, float)
    vectors = np.concatenate([np.ones((*values.shape[:-1], 1)), values], axis=-1)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), float)


def to_tangent(directions: ArrayLike) -> FloatArray:
    """Gnomonic coordinates (y / x, z / x) of vectors, shape (..., 3) to (..., 2).

    NaN for directions 90 degrees or more from the line of sight.
    """
    vectors = np.asarray(directions, float)
    ahead = np.where(vectors[..., :1] > 0, vectors[..., :1], np.nan)
    return np.asarray(vectors[..., 1:] / ahead, float)


def pointing(ra: Quantity, dec: Quantity, roll: Quantity) -> FloatArray:
    """Attitude of an instrument that looks at (ra, dec), shape (4,).

    Parameters
    ----------
    ra, dec : Quantity [angle]
        Where the x axis points.
    roll : Quantity [angle]
        Position angle of the z axis: from north through east.
    """
    turned = Rotation.from_euler(
        "ZYX", [ra.to_value(u.rad), -dec.to_value(u.rad), -roll.to_value(u.rad)]
    )
    return np.asarray(turned.as_quat(), float)


def to_sky(directions: ArrayLike, attitude: ArrayLike) -> SkyCoord:
    """Turn vectors of the instrument's frame, shape (..., 3), into ICRS coordinates.

    Raises
    ------
    ValueError
        The attitude is not a unit quaternion.
    """
    vectors = np.asarray(directions, float)
    turned = _rotation(attitude).apply(vectors.reshape(-1, 3)).reshape(vectors.shape)
    ra = np.arctan2(turned[..., 1], turned[..., 0]) % (2 * np.pi)
    dec = np.arctan2(turned[..., 2], np.hypot(turned[..., 0], turned[..., 1]))
    return SkyCoord(ra * u.rad, dec * u.rad, frame="icrs")


def to_instrument(coordinates: SkyCoord, attitude: ArrayLike) -> FloatArray:
    """Turn coordinates into unit vectors of the instrument's frame, shape (..., 3).

    Raises
    ------
    ValueError
        The attitude is not a unit quaternion.
    """
    position = coordinates.icrs.cartesian.xyz.value
    vectors = np.moveaxis(np.asarray(position, float), 0, -1)
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    turned = _rotation(attitude).inv().apply(vectors.reshape(-1, 3))
    return np.asarray(turned.reshape(vectors.shape), float)


def _rotation(attitude: ArrayLike) -> Rotation:
    values = np.asarray(attitude, float)
    norm = float(np.linalg.norm(values)) if values.shape == (4,) else float("nan")
    if not abs(norm - 1.0) < 1e-3:
        raise ValueError(
            f"the attitude is {values.tolist()}; expected four numbers of norm 1, scalar last"
        )
    return Rotation.from_quat(values)
