"""Products of spectra in memory: RSP, QSP, QHR and CRCLASS; see `products`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.units import Quantity

from .classification import CLASSES, Classification
from .fitting import FitResult, predict
from .flux import Measured
from .hardness import Band, Hardness
from .ogip_write import response_hdus
from .products import PHOTON_FLUX, Extension, Observed, Product, Value, row, table
from .response import Response
from .spectral_models import PHOTON_DENSITY
from .spectrum import Observation

PARAMETERS = ("amplitude", "alpha", "e_peak", "beta")
"""Columns of QSP; the index of a power law stands with alpha."""


def responses(
    what: Observed,
    instrument: str,
    matrices: Mapping[str, Response],
    *,
    is_parametric: bool,
    position: Quantity | None = None,
) -> Product:
    """Make RSP: one matrix a detector.

    Parameters
    ----------
    what : Observed
    instrument : str
        ECL or GRM.
    matrices : mapping of str to Response
        By detector.
    is_parametric : bool
        Whether they are a model rather than calibrated.
    position : Quantity [deg], shape (2,), optional
        Right ascension and declination, ICRS, that they are for.
    """
    extensions: list[Extension] = []
    for number, (name, response) in enumerate(matrices.items(), start=1):
        for hdu in response_hdus(response):
            hdu.header["DETNAM"] = name
            hdu.header["TELESCOP"] = what.telescope
            hdu.header["INSTRUME"] = instrument
            hdu.ver = number
            extensions.append(hdu)
    keywords: dict[str, Value] = {"RSPKIND": "parametric" if is_parametric else "calibrated"}
    if position is not None:
        ra, dec = (float(value) for value in position.to_value(u.deg))
        keywords |= {"RSP_RA": ra, "RSP_DEC": dec}
    return Product(f"RSP_{instrument}", what, tuple(extensions), keywords)


@dataclass(frozen=True, eq=False)
class BandFlux:
    """The chosen model in a band.

    Attributes
    ----------
    energy : Quantity [keV], shape (2,)
    photon_flux, energy_flux, fluence : Measured
        Fluence in energy.
    """

    energy: Quantity
    photon_flux: Measured
    energy_flux: Measured
    fluence: Measured


@dataclass(frozen=True, eq=False)
class FittedSpectrum:
    """What QSP tells.

    Attributes
    ----------
    observations : sequence of Observation
        The detectors fitted.
    instruments : sequence of str
        Of each: ECL or GRM.
    fits : sequence of FitResult
        All models tried.
    chosen : FitResult
        One of them.
    fluxes : sequence of BandFlux
        Of the chosen one; empty where its covariance cannot be used.
    interval : Quantity [s], shape (2,)
        Relative to the burst's time zero.
    """

    observations: Sequence[Observation]
    instruments: Sequence[str]
    fits: Sequence[FitResult]
    chosen: FitResult
    fluxes: Sequence[BandFlux]
    interval: Quantity


def spectrum(what: Observed, found: FittedSpectrum) -> Product:
    """Make QSP."""
    start, stop = found.interval.to_value(u.s)
    return Product(
        "QSP_GRM",
        what,
        (
            table("FIT", _fit_columns(found)),
            table("FLUX", _flux_columns(found.fluxes)),
            table("DETECTORS", _detector_columns(found)),
            table("SPECTRUM", _channel_columns(found)),
        ),
        {"SP_START": float(start), "SP_STOP": float(stop)},
    )


def _fit_columns(found: FittedSpectrum) -> dict[str, Any]:
    fits = found.fits
    values = np.full((len(fits), len(PARAMETERS)), np.nan)
    errors = values.copy()
    covariances = np.full((len(fits), len(PARAMETERS), len(PARAMETERS)), np.nan)
    for index, fit in enumerate(fits):
        names = ["alpha" if name == "index" else name for name in fit.model.parameters]
        places = [PARAMETERS.index(name) for name in names]
        values[index, places], errors[index, places] = fit.values, fit.errors
        covariances[index][np.ix_(places, places)] = fit.covariance
    units = (PHOTON_DENSITY * u.ph, u.one, u.keV, u.one)
    columns: dict[str, Any] = {
        "MODEL": np.array([fit.model.name for fit in fits]),
        "CHOSEN": np.array([fit is found.chosen for fit in fits]),
        "VALID": np.array([fit.is_valid for fit in fits]),
        "AT_LIMIT": np.array([" ".join(fit.at_limit) for fit in fits]),
    }
    for index, (name, unit) in enumerate(zip(PARAMETERS, units, strict=True)):
        columns[name.upper()] = values[:, index] * unit
        columns[f"{name.upper()}_ERR"] = errors[:, index] * unit
    return columns | {
        "COVARIANCE": covariances,
        "STAT": np.array([fit.statistic for fit in fits]),
        "DOF": np.array([fit.dof for fit in fits]),
    }


def _flux_columns(fluxes: Sequence[BandFlux]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "E_MIN": Quantity([one.energy[0].to_value(u.keV) for one in fluxes], u.keV),
        "E_MAX": Quantity([one.energy[1].to_value(u.keV) for one in fluxes], u.keV),
    }
    kinds = (
        ("PHOTON_FLUX", "photon_flux", 1 / (u.cm**2 * u.s), PHOTON_FLUX),
        ("ENERGY_FLUX", "energy_flux", *(2 * (u.erg / (u.cm**2 * u.s),))),
        ("FLUENCE", "fluence", *(2 * (u.erg / u.cm**2,))),
    )
    for name, attribute, unit, stored_unit in kinds:
        for end, bound in (("", "value"), ("_LO", "lower"), ("_HI", "upper")):
            values = [getattr(getattr(one, attribute), bound).to_value(unit) for one in fluxes]
            columns[name + end] = Quantity(values, stored_unit)
    return columns


def _detector_columns(found: FittedSpectrum) -> dict[str, Any]:
    chosen = found.chosen
    return {
        "DETECTOR": np.array([one.name for one in found.observations]),
        "INSTRUMENT": np.array(list(found.instruments)),
        "EXPOSURE": Quantity([one.exposure_s for one in found.observations], u.s),
        "AREA_FACTOR": chosen.area_factors,
        "AREA_ERR": chosen.area_errors,
        "STAT": chosen.statistic_by_detector,
    }


def _channel_columns(found: FittedSpectrum) -> dict[str, Any]:
    pieces: dict[str, list[Any]] = {}
    for one, factor in zip(found.observations, found.chosen.area_factors, strict=True):
        model = predict(one, found.chosen.model, found.chosen.values, area_factor=float(factor))
        columns = {
            "DETECTOR": np.full(one.counts.size, one.name),
            "E_MIN": one.channel_low_kev * u.keV,
            "E_MAX": one.channel_high_kev * u.keV,
            "COUNTS": one.counts * u.ct,
            "BKG": one.background * u.ct,
            "BKG_ERR": one.background_error * u.ct,
            "MODEL": model * u.ct,
        }
        for name, values in columns.items():
            pieces.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in pieces.items()}


@dataclass(frozen=True, eq=False)
class BandCounts:
    """A band of a hardness ratio: its edges, whose counts, and the counts.

    Attributes
    ----------
    energy : Quantity [keV], shape (2,)
    detectors : tuple of str
    band : Band
        `area` is the mean effective area in cm2.
    """

    energy: Quantity
    detectors: tuple[str, ...]
    band: Band


def hardness(
    what: Observed,
    instrument: str,
    pair: tuple[BandCounts, BandCounts],
    ratio: Hardness,
    *,
    interval: Quantity,
    fluence_ratio: tuple[float, float, float] = (np.nan, np.nan, np.nan),
    model: str = "",
) -> Product:
    """Make QHR.

    Parameters
    ----------
    what : Observed
    instrument : str
        ECL, GRM or ECLGRM.
    pair : (BandCounts, BandCounts)
        Soft and hard.
    ratio : Hardness
    interval : Quantity [s], shape (2,)
        Of the counts.
    fluence_ratio : (float, float, float)
        H32 with its bounds.
    model : str
        The spectrum that it is of.
    """
    columns: dict[str, Any] = {}
    for name, one in zip(("SOFT", "HARD"), pair, strict=True):
        columns |= row(
            **{
                f"{name}_MIN": one.energy[0].to(u.keV),
                f"{name}_MAX": one.energy[1].to(u.keV),
                f"{name}_DET": " ".join(one.detectors),
                f"{name}_COUNTS": one.band.counts * u.ct,
                f"{name}_BKG": one.band.background * u.ct,
                f"{name}_BKG_ERR": one.band.background_error * u.ct,
                f"{name}_AREA": one.band.area * u.cm**2,
            }
        )
    for name, attribute in (("RATIO", "ratio"), ("COLOR", "color"), ("DIFF", "difference")):
        columns |= _with_bounds(
            name, *(getattr(ratio, attribute + end) for end in ("", "_lower", "_upper"))
        )
    fluence = _with_bounds("H32", *fluence_ratio) | row(MODEL=model)
    start, stop = interval.to_value(u.s)
    return Product(
        f"QHR_{instrument}",
        what,
        (table("QHR", columns), table("FLUENCE_RATIO", fluence)),
        {"HR_START": float(start), "HR_STOP": float(stop)},
    )


def _with_bounds(name: str, value: Any, lower: Any, upper: Any) -> dict[str, Any]:
    """Make the columns of a value and its interval. Any: floats or scalar quantities."""
    return row(**{name: value, f"{name}_LO": lower, f"{name}_HI": upper})


def burst_class(
    what: Observed,
    result: Classification,
    *,
    duration: tuple[Quantity, Quantity],
    fluence_ratio: tuple[float, float],
    sources: tuple[str, str],
) -> Product:
    """Make CRCLASS.

    Parameters
    ----------
    what : Observed
    result : Classification
        Of one burst.
    duration : (Quantity, Quantity) [s]
        T90 and its error; NaN if there is none.
    fluence_ratio : (float, float)
        H32 and its error.
    sources : (str, str)
        Cards that the two are from; empty for none.
    """
    probabilities = dict(zip(CLASSES, result.probabilities[0], strict=True))
    columns = row(
        CLASS=str(result.labels[0]),
        **{f"P_{name.upper()}": float(value) for name, value in probabilities.items()},
        T90=duration[0].to(u.s),
        T90_ERR=duration[1].to(u.s),
        H32=fluence_ratio[0],
        H32_ERR=fluence_ratio[1],
        T90_CARD=sources[0],
        H32_CARD=sources[1],
    )
    return Product("CRCLASS", what, (table("CLASS", columns),))
