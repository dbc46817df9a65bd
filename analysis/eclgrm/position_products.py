"""Products of OTLOC in memory: QCL and QPO; TT stands in `products`."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .attitude import to_sky
from .imaging import SkyImage
from .lightcurve import FloatArray
from .otloc import Localisation, QuickPosition
from .products import Observed, Product, Value, row, table
from .r90 import Confidence
from .rate_ratio import RateLocalisation

NO_ROWS = slice(0, 0)


def confidence_level(what: Observed, instrument: str, found: Confidence) -> Product:
    """Make QCL: how sure the trigger is."""
    columns = row(
        SNR=found.snr,
        N_TRIAL=found.n_trial,
        PROBABILITY=found.probability,
        LEVEL=found.level,
    )
    return Product(f"QCL_{instrument}", what, (table("QCL", columns),))


def quick_position(
    what: Observed, found: Localisation, *, attitude: ArrayLike | None = None
) -> Product:
    """Make QPO: where the burst is; without a row where no position was found.

    Parameters
    ----------
    what : Observed
    found : Localisation
        Its image or map goes along.
    attitude : array of float, shape (4,), optional
        For the celestial coordinates of image and map (`attitude.pointing`); without it neither
        goes along.
    """
    columns = row(**_columns(found.position))
    if found.position is None:
        columns = {name: values[NO_ROWS] for name, values in columns.items()}
    extensions = [table("QPO", columns)]
    if attitude is not None and found.image is not None:
        extensions.append(sky_image(found.image, attitude))
    if attitude is not None and found.map is not None:
        extensions.append(sky_map(found.map, attitude))
    keywords: dict[str, Value] = {"QPSTATUS": found.status, "QPREASON": found.reason}
    if found.interval is not None:
        keywords |= {
            "QP_START": float(found.interval.start.to_value(u.s)),
            "QP_STOP": float(found.interval.stop.to_value(u.s)),
            "QP_EMIN": float(found.interval.band[0].to_value(u.keV)),
            "QP_EMAX": float(found.interval.band[1].to_value(u.keV)),
        }
    return Product(f"QPO_{found.instrument}", what, tuple(extensions), keywords)


def _columns(position: QuickPosition | None) -> dict[str, Any]:
    """Columns of QPO; NaN for what a method does not give. Any: scalars, with or without a unit."""

    def degrees(name: str, unit: u.UnitBase = u.deg) -> Quantity:
        value = None if position is None else getattr(position, name)
        return np.nan * unit if value is None else value.to(unit)

    place = None if position is None else position.coordinates.icrs
    coded = None if position is None else position.coded_fraction
    return {
        "RA": np.nan * u.deg if place is None else place.ra.to(u.deg),
        "DEC": np.nan * u.deg if place is None else place.dec.to(u.deg),
        "R90": degrees("r90"),
        "R90_LAW": degrees("r90_law"),
        "SEMI_MAJOR": degrees("semi_major"),
        "SEMI_MINOR": degrees("semi_minor"),
        "POS_ANGLE": degrees("position_angle"),
        "AREA_50": degrees("area_50", u.deg**2),
        "AREA_90": degrees("area_90", u.deg**2),
        "OFF_AXIS": degrees("off_axis"),
        "SNR": np.nan if position is None else position.snr,
        "CODED_FRACTION": np.nan if coded is None else coded,
        "METHOD": "" if position is None else position.method,
    }


def sky_image(image: SkyImage, attitude: ArrayLike) -> fits.ImageHDU:
    """Make the image of signal-to-noise ratios with celestial coordinates.

    The tangents of the image are gnomonic, so the projection TAN is exact.

    Parameters
    ----------
    image : SkyImage
    attitude : array of float, shape (4,)
    """
    axes = to_sky(np.eye(3), attitude).icrs
    towards, *sides = axes.cartesian.xyz.value.T
    ra, dec = axes[0].ra.rad, axes[0].dec.rad
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.cross(towards, east)
    step = float(np.degrees(image.tangent[1] - image.tangent[0]))
    hdu = fits.ImageHDU(image.snr.astype(np.float32), name="SKY_SNR")
    zero = 1.0 - image.tangent[0] / (image.tangent[1] - image.tangent[0])
    hdu.header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CUNIT1="deg", CUNIT2="deg", RADESYS="ICRS",
        CRVAL1=float(np.degrees(ra)), CRVAL2=float(np.degrees(dec)), CRPIX1=zero, CRPIX2=zero,
    )  # fmt: skip
    # The second index of the image, z, is the first axis of a FITS file.
    for axis, side in ((1, sides[1]), (2, sides[0])):
        hdu.header[f"CD1_{axis}"] = step * float(side @ east)
        hdu.header[f"CD2_{axis}"] = step * float(side @ north)
    return hdu


def sky_map(found: RateLocalisation, attitude: ArrayLike) -> fits.BinTableHDU:
    """Make the table of the probability of each direction, those of none left out."""
    likely: FloatArray = found.probability > 0
    places = to_sky(found.directions[likely], attitude).icrs
    columns = {
        "RA": places.ra.to(u.deg),
        "DEC": places.dec.to(u.deg),
        "PROBABILITY": found.probability[likely],
    }
    return table("SKY_MAP", columns)
