"""Products of the pipeline in memory: what each card holds, made of the results of the algorithms.

Pure functions; `product_io` reads and writes the files. What a card demands stands in
``schemas/cards/<CARD>.json``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.units import Quantity

from .background import Background
from .blocks import Burst
from .burst import BurstData
from .duration import Durations
from .lightcurve import FloatArray, LightCurve, Peak
from .trigger import Trigger

MJDREFI, MJDREFF = 57754, 69.184 / 86400
"""Epoch of SVOM's mission time, 2017-01-01 00:00:00 UTC, as a modified Julian day in TT."""

Value = str | int | float | bool
Extension = Any  # BinTableHDU or ImageHDU: astropy is not typed

CT_PER_S = u.ct / u.s
PHOTON_FLUX = u.ph / (u.cm**2 * u.s)


@dataclass(frozen=True, eq=False)
class Observed:
    """What a product is of.

    Attributes
    ----------
    burst_id, obs_id : str
    telescope : str
        SVOM or FERMI.
    reference : Time
        What the times of all columns count from.
    detectors : tuple of str
        Whose data were used.
    """

    burst_id: str
    obs_id: str
    telescope: str
    reference: Time
    detectors: tuple[str, ...] = ()


def observed(data: BurstData, detectors: Sequence[str]) -> Observed:
    """Tell what a product made from some detectors of a burst is of."""
    return Observed(data.burst_id, data.obs_id, data.telescope, data.reference, tuple(detectors))


@dataclass(frozen=True, eq=False)
class Product:
    """A product.

    Attributes
    ----------
    card : str
        Name of the card: QT90_ECL.
    observed : Observed
    extensions : tuple of BinTableHDU or ImageHDU
        All but the primary header.
    keywords : mapping of str to values
        Of the primary header, beyond those of all products.
    """

    card: str
    observed: Observed
    extensions: tuple[Extension, ...]
    keywords: Mapping[str, Value] = field(default_factory=dict)


def mission_time(instant: Time) -> float:
    """Seconds of SVOM's mission time, TT."""
    epoch = Time(MJDREFI, MJDREFF, format="mjd", scale="tt")
    return float((instant.tt - epoch).to_value(u.s))


def from_mission_time(seconds: float) -> Time:
    """Instant of a mission time in seconds."""
    return Time(MJDREFI, MJDREFF, format="mjd", scale="tt") + seconds * u.s


_FORMATS = {"f": "D", "i": "J", "b": "L"}


def table(name: str, columns: Mapping[str, Any]) -> fits.BinTableHDU:
    """Make a table of arrays and quantities, all of one length; a Quantity gives the unit.

    Any: a column is anything that numpy takes; texts become fixed-width strings.
    """
    made = []
    for key, values in columns.items():
        unit = values.unit if isinstance(values, Quantity) and values.unit != u.one else None
        array = np.asarray(values.value if isinstance(values, Quantity) else values)
        if array.dtype.kind == "U":
            width = max(1, array.dtype.itemsize // 4)
            made.append(fits.Column(key, f"{width}A", array=array))
            continue
        cell = array.shape[1:]
        code = _FORMATS[array.dtype.kind]
        size = int(np.prod(cell)) if cell else 1
        shape = f"({','.join(map(str, reversed(cell)))})" if len(cell) > 1 else None
        text = None if unit is None else unit.to_string("fits")
        made.append(
            fits.Column(key, f"{size if cell else ''}{code}", unit=text, dim=shape, array=array)
        )
    return fits.BinTableHDU.from_columns(made, name=name)


def row(**columns: Any) -> dict[str, Any]:
    """Make the columns of a table of one row. Any: scalars, with or without a unit."""
    return {
        key: Quantity([value]) if isinstance(value, Quantity) else np.array([value])
        for key, value in columns.items()
    }


def bands_table(energy: Quantity) -> fits.BinTableHDU:
    """Make the table of bands, shape (n_band, 2)."""
    return table("BANDS", {"E_MIN": energy[:, 0].to(u.keV), "E_MAX": energy[:, 1].to(u.keV)})


def trigger_time(what: Observed, instrument: str, trigger: Trigger) -> Product:
    """Make TT: the trigger."""
    instant = what.reference + trigger.stop
    columns = row(
        TIME=trigger.stop.to(u.s),
        START=trigger.start.to(u.s),
        SNR=trigger.snr,
        TIMESCALE=trigger.time_scale.to(u.s),
        E_MIN=trigger.band[0].to(u.keV),
        E_MAX=trigger.band[1].to(u.keV),
        BKG_RATE=trigger.background_rate.value * CT_PER_S,
        BKG_SLOPE=trigger.background_slope.value * u.ct / u.s**2,
        PEAK_SNR=trigger.peak_snr,
        PEAK_TIME=trigger.peak_stop.to(u.s),
    )
    keywords: dict[str, Value] = {
        "TRIGTIME": mission_time(instant),
        "DATE-OBS": instant.utc.isot,
    }
    return Product(f"TT_{instrument}", what, (table("TT", columns),), keywords)


def onboard_light_curve(what: Observed, instrument: str, curve: LightCurve) -> Product:
    """Make OBLC: counts as on board, background included."""
    columns = {
        "START": curve.start,
        "STOP": curve.stop,
        "COUNTS": curve.counts * u.ct,
        "GOOD": curve.good,
    }
    return Product(f"OBLC_{instrument}", what, (table("OBLC", columns), bands_table(curve.energy)))


def quick_light_curve(
    what: Observed, instrument: str, curve: LightCurve, backgrounds: Sequence[Background]
) -> Product:
    """Make QLC: counts, background and net rates.

    Parameters
    ----------
    what : Observed
    instrument : str
        ECL or GRM.
    curve : LightCurve
        Its channels are the bands.
    backgrounds : sequence of Background
        One a band.
    """
    live = curve.exposure_s()[:, None]
    expected = np.stack([one.expected(curve) for one in backgrounds], axis=1)
    from_fit = np.stack([_variance(curve, one) for one in backgrounds], axis=1)
    bad = ~curve.good[:, None] | ~(live > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(bad, np.nan, (curve.counts - expected) / live)
        error = np.where(bad, np.nan, np.sqrt(np.maximum(curve.counts, 1.0) + from_fit) / live)
    columns = {
        "START": curve.start,
        "STOP": curve.stop,
        "EXPOSURE": curve.exposure,
        "COUNTS": curve.counts * u.ct,
        "BKG": np.where(bad, np.nan, expected) * u.ct,
        "RATE": rate * CT_PER_S,
        "ERROR": error * CT_PER_S,
        "GOOD": curve.good,
    }
    return Product(f"QLC_{instrument}", what, (table("QLC", columns), bands_table(curve.energy)))


def _variance(curve: LightCurve, background: Background) -> FloatArray:
    """Variance of the expected counts of each bin, from the fit."""
    design = background.design(curve)
    return np.asarray(np.einsum("ij,jk,ik->i", design, background.covariance, design))


@dataclass(frozen=True, eq=False)
class PeakFlux:
    """A peak and the photon flux in it.

    Attributes
    ----------
    width : Quantity [time]
    peak : Peak
    flux, flux_error : Quantity [ph / (cm2 s)]
        NaN where no spectrum could be fitted.
    """

    width: Quantity
    peak: Peak
    flux: Quantity = np.nan * PHOTON_FLUX
    flux_error: Quantity = np.nan * PHOTON_FLUX


def peak_fluxes(
    what: Observed, instrument: str, peaks: Sequence[PeakFlux], band: Quantity
) -> Product:
    """Make QPF; band : Quantity [keV], shape (2,)."""
    n_row = len(peaks)
    columns = {
        "TIMESCALE": Quantity([one.width.to(u.s) for one in peaks]),
        "START": Quantity([one.peak.start.to(u.s) for one in peaks]),
        "STOP": Quantity([one.peak.stop.to(u.s) for one in peaks]),
        "E_MIN": Quantity([band[0].to(u.keV)] * n_row),
        "E_MAX": Quantity([band[1].to(u.keV)] * n_row),
        "NET": np.array([one.peak.net for one in peaks]) * u.ct,
        "NET_ERR": np.array([one.peak.net_error for one in peaks]) * u.ct,
        "RATE": np.array([one.peak.rate.to_value(1 / u.s) for one in peaks]) * CT_PER_S,
        "FLUX": Quantity([one.flux.to(PHOTON_FLUX) for one in peaks]),
        "FLUX_ERR": Quantity([one.flux_error.to(PHOTON_FLUX) for one in peaks]),
    }
    return Product(f"QPF_{instrument}", what, (table("QPF", columns),))


def durations(
    what: Observed, instrument: str, burst: Burst, measured: Durations, band: Quantity
) -> Product:
    """Make QT90; band : Quantity [keV], shape (2,), whose counts were measured."""
    columns = row(
        T90=measured.t90,
        T90_ERR=measured.t90_error,
        T90_START=measured.t90_start,
        T50=measured.t50,
        T50_ERR=measured.t50_error,
        T50_START=measured.t50_start,
        E_MIN=band[0].to(u.keV),
        E_MAX=band[1].to(u.keV),
        NET=measured.net * u.ct,
        NET_ERR=measured.net_error * u.ct,
        START=burst.start,
        STOP=burst.stop,
        SIGNIFICANCE=burst.significance,
        GAP=measured.gap,
    )
    episodes = {"START": burst.episodes[:, 0].to(u.s), "STOP": burst.episodes[:, 1].to(u.s)}
    extensions = (table("QT90", columns), table("EPISODES", episodes))
    return Product(f"QT90_{instrument}", what, extensions)
