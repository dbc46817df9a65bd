"""OTLOC: trigger time, quick confidence level and quick position of a burst (TT, QCL, QPO)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import Quantity

from .attitude import to_instrument, to_sky
from .background import choose_background
from .burst import BurstData, DetectorEvents, Instrument, light_curve
from .burst_interval import (
    Interval,
    before_trigger,
    brightest_interval,
    channels_in,
    covering,
    elementary_bands,
    pixel_counts,
    predicted,
)
from .eclairs import CodedMask, stand_in_mask
from .grm_response import GRD_NAMES
from .grm_table import grd_rate_table, in_field, is_visible
from .imaging import SkyImage, background_image, decode, find_peaks, working_pixels
from .lightcurve import (
    BoolArray,
    FloatArray,
    LightCurve,
    good_bins,
    select_bins,
    sum_curves,
)
from .r90 import SYSTEMATIC_R90, Confidence, ConfidenceSettings, confidence, law_r90
from .rate_ratio import (
    RateLocalisation,
    RateRatioError,
    RateTable,
    cell_names,
    localise_rates,
    select_cells,
)
from .source_fit import SourceFit, SourceFitError, fit_source, sky_position
from .trigger import Trigger, TriggerSettings, find_trigger

Status = Literal["located", "not located", "no trigger"]
GUARD = 2 * u.s
"""Left out between the background and the trigger's window."""
NO_ATTITUDE = "the burst has no attitude: nothing tells where the detectors looked"

ECL_TRIGGER = TriggerSettings(
    time_scales=[0.32, 2.56, 5.12, 10.24, 20.48] * u.s,
    bands=[[5, 8], [5, 20], [8, 50], [8, 120]] * u.keV,
    threshold=7.0,
    background=60 * u.s,
    min_background=25 * u.s,
)
"""Time scales and bands near those that the ECLAIRs notices of 2025 and 2026 name."""
GRM_TRIGGER = TriggerSettings(
    time_scales=[0.128, 1.024, 4.096] * u.s,
    bands=[[15, 50], [50, 300]] * u.keV,
    threshold=7.0,
)
"""Time scales near those of the GRM notices; bands within the range of the parametric response."""


@dataclass(frozen=True)
class OtlocSettings:
    """Settings of `locate`.

    Attributes
    ----------
    trigger : TriggerSettings or None
        By default `ECL_TRIGGER` or `GRM_TRIGGER`.
    bin : Quantity [time]
        Step of the trigger's windows; the time scales are multiples of it.
    background : Quantity [time]
        Stretch before the trigger that the backgrounds of the position come from.
    follow : Quantity [time]
        How long after the trigger the brightest interval is looked for.
    image_threshold : float
        Least signal-to-noise ratio of a source in the sky image.
    confidence : ConfidenceSettings
    systematic_r90 : Quantity [angle]
        Added in quadrature to the radius from the counts of ECLAIRs.
    rate_systematic : float
        Of `localise_rates`.
    min_p_value : float
        A direction is none whose predicted rates differ so far from those measured that chance
        would do it less often.
    """

    trigger: TriggerSettings | None = None
    bin: Quantity = 0.064 * u.s
    background: Quantity = 100 * u.s
    follow: Quantity = 60 * u.s
    image_threshold: float = 6.5
    confidence: ConfidenceSettings = field(default_factory=ConfidenceSettings)
    systematic_r90: Quantity = SYSTEMATIC_R90
    rate_systematic: float = 0.05
    min_p_value: float = 1e-4


@dataclass(frozen=True, eq=False)
class QuickPosition:
    """Quick position of one instrument (product QPO).

    Attributes
    ----------
    method : str
        "coded mask" or "rate ratio".
    coordinates : SkyCoord
        ICRS.
    r90 : Quantity [deg]
        Radius of the circle that holds the burst with a probability of 90 %, systematic included.
    r90_law : Quantity [deg] or None
        That of the law of the ECLAIRs notices for the same ratio; None for GRM.
    semi_major, semi_minor, position_angle : Quantity [deg] or None
        90 % ellipse from the counts; the angle from north through east. None for GRM.
    area_50, area_90 : Quantity [deg2] or None
        Of the regions that hold as much. None for ECLAIRs.
    off_axis : Quantity [deg]
        From the line of sight.
    snr : float
        Of the source in the image, or of the counts.
    coded_fraction : float or None
        Part of the detector that the source lights through the mask; None for GRM.
    """

    method: str
    coordinates: SkyCoord
    r90: Quantity
    off_axis: Quantity
    snr: float
    r90_law: Quantity | None = None
    semi_major: Quantity | None = None
    semi_minor: Quantity | None = None
    position_angle: Quantity | None = None
    area_50: Quantity | None = None
    area_90: Quantity | None = None
    coded_fraction: float | None = None


@dataclass(frozen=True, eq=False)
class Localisation:
    """What OTLOC finds in the data of one instrument.

    Attributes
    ----------
    instrument : {"ECL", "GRM"}
    status : {"located", "not located", "no trigger"}
    reason : str
        Why there is no position; empty where there is one.
    trigger : Trigger or None
        TT.
    confidence : Confidence or None
        QCL; None without a trigger.
    interval : Interval or None
        What the position is made from.
    position : QuickPosition or None
        QPO.
    image : SkyImage or None
        Of ECLAIRs.
    source : SourceFit or None
        Of ECLAIRs.
    map : RateLocalisation or None
        Of GRM.
    """

    instrument: Instrument
    status: Status
    reason: str = ""
    trigger: Trigger | None = None
    confidence: Confidence | None = None
    interval: Interval | None = None
    position: QuickPosition | None = None
    image: SkyImage | None = None
    source: SourceFit | None = None
    map: RateLocalisation | None = None


def locate(
    burst: BurstData,
    instrument: Instrument,
    *,
    settings: OtlocSettings | None = None,
    mask: CodedMask | None = None,
    table: RateTable | None = None,
) -> Localisation:
    """Find trigger, confidence and position in the photons of one instrument.

    The position is made from the interval, among those of the trigger's time scales and bands,
    whose counts stand out most against the background before the trigger. ECLAIRs: the sky image
    of the interval, then a fit of the source's shadow. GRM: the ratios of the detectors' rates.

    Parameters
    ----------
    burst : BurstData
    instrument : {"ECL", "GRM"}
    settings : OtlocSettings, optional
    mask : CodedMask, optional
        The stand-in by default.
    table : RateTable, optional
        Responses of the detectors of the GRM role; cells named ``<detector> <low>-<high> keV`` as
        by `cell_names`. By default that of the parametric GRDs, for GRD1 to GRD3.

    Returns
    -------
    Localisation
        A burst without a trigger, outside the field of view or too faint for a position is a
        result that says so, not an error.

    Raises
    ------
    ValueError
        The burst has no detector of the instrument, or none with a channel in the bands.
    """
    chosen = settings or OtlocSettings()
    if instrument == "GRM":
        return _locate_grm(burst, chosen, table)
    search = chosen.trigger or ECL_TRIGGER
    bands = elementary_bands(search.bands)
    detectors = covering(burst.of_instrument(instrument), bands)
    curve = _curve(detectors, chosen.bin, bands)
    found = _triggered(instrument, curve, search, chosen)
    if found.interval is None:
        return found
    if burst.attitude is None:
        return replace(found, reason=NO_ATTITUDE)
    return _locate_eclairs(burst, found, chosen, mask or stand_in_mask())


def _locate_grm(burst: BurstData, settings: OtlocSettings, table: RateTable | None) -> Localisation:
    """Find the trigger in all detectors; compare those that have a channel in every band."""
    search = settings.trigger or GRM_TRIGGER
    bands = elementary_bands(search.bands)
    detectors = covering(burst.of_instrument("GRM"), bands)
    total = _curve(detectors, settings.bin, bands)
    found = _triggered("GRM", total, search, settings)
    if found.interval is None:
        return found
    curves = {
        one.name: light_curve(
            [one], settings.bin, bands=bands, start=total.start[0], stop=total.stop[-1]
        )
        for one in detectors
        if all(channels_in(one, band).any() for band in bands)
    }
    visible = None
    if set(curves) <= set(GRD_NAMES):
        earth = None
        if burst.earth is not None and burst.attitude is not None:
            earth = to_instrument(burst.earth, burst.attitude)
        table = table or grd_rate_table(bands, earth=earth)
        visible = is_visible(table.directions, earth) & in_field(table.directions)
    compared = {name: select_bins(curve, total.good) for name, curve in curves.items()}
    return _compare_rates(
        found, compared, table, attitude=burst.attitude, visible=visible, settings=settings
    )


def _triggered(
    instrument: Instrument, curve: LightCurve, search: TriggerSettings, settings: OtlocSettings
) -> Localisation:
    """Find trigger, interval and confidence; the position is still to come."""
    seen = good_bins(curve)
    trigger = find_trigger(seen, settings=search)
    if trigger is None:
        reason = f"no window reaches a signal-to-noise ratio of {search.threshold:g}"
        return Localisation(instrument, "no trigger", reason)
    interval = brightest_interval(
        seen, trigger, search, reach=settings.background, follow=settings.follow
    )
    level = confidence(
        interval.snr if interval else trigger.snr,
        n_trial=_n_window(seen, search),
        settings=settings.confidence,
    )
    return Localisation(
        instrument,
        "not located",
        reason="" if interval else "too little background before the trigger for a position",
        trigger=trigger,
        interval=interval,
        confidence=level,
    )


def _curve(detectors: Sequence[DetectorEvents], width: Quantity, bands: Quantity) -> LightCurve:
    held = [band for band in bands if any(channels_in(one, band).any() for one in detectors)]
    return light_curve(detectors, width, bands=Quantity(held))


def _n_window(curve: LightCurve, search: TriggerSettings) -> float:
    """Windows side by side in which the trigger could have been found by chance."""
    live = float(curve.exposure_s().sum())
    each = np.maximum(live / search.time_scales.to_value(u.s), 1.0)
    return float(each.sum() * len(np.atleast_2d(search.bands)))


def _locate_eclairs(
    burst: BurstData, found: Localisation, settings: OtlocSettings, mask: CodedMask
) -> Localisation:
    """Image the interval, find the source and fit it."""
    (detector,) = burst.of_instrument("ECL")
    assert found.interval is not None
    assert found.trigger is not None
    if detector.pixel is None:
        return replace(found, reason=f"{detector.name} has no pixels: no image can be made")
    end = found.trigger.start - GUARD
    counts = pixel_counts(detector, found.interval, mask.n_pixel)
    before = pixel_counts(
        detector,
        replace(found.interval, start=end - settings.background, stop=end),
        mask.n_pixel,
    )
    if not before.sum() > 0:
        return replace(found, reason="no counts before the trigger: the background is not known")
    works = working_pixels(before)
    background = background_image(before, efficiency=works)
    # The counts expected include those of pixels that are left out.
    background *= found.interval.background / before.sum()
    image = decode(mask, counts, background=background, efficiency=works)
    found = replace(found, image=image)
    peaks = find_peaks(image, n_peak=1)
    if not peaks or peaks[0].snr < settings.image_threshold:
        best = f"{peaks[0].snr:.1f}" if peaks else "none"
        return replace(
            found,
            reason=f"no source in the sky image: highest ratio {best}, "
            f"{settings.image_threshold:g} needed; the burst may lie outside the field of view",
        )
    try:
        source = fit_source(mask, counts, peaks[0].tangent, background=background, efficiency=works)
    except SourceFitError as error:
        return replace(found, reason=str(error))
    assert burst.attitude is not None
    place = sky_position(source, burst.attitude)
    position = QuickPosition(
        method="coded mask",
        coordinates=place.coordinates,
        r90=np.hypot(source.r90, settings.systematic_r90),
        off_axis=np.degrees(np.arctan(np.hypot(*source.tangent))) * u.deg,
        snr=source.snr,
        r90_law=law_r90(source.snr),
        semi_major=place.semi_major,
        semi_minor=place.semi_minor,
        position_angle=place.position_angle,
        coded_fraction=source.coded_fraction,
    )
    return replace(found, status="located", position=position, source=source)


def locate_rates(
    curves: Mapping[str, LightCurve],
    table: RateTable | None,
    *,
    attitude: FloatArray | None,
    visible: BoolArray | None = None,
    settings: OtlocSettings | None = None,
) -> Localisation:
    """Find trigger, confidence and position in the light curves of several detectors.

    Parameters
    ----------
    curves : mapping of str to LightCurve
        By detector; all with the same bins, and channels that do not overlap.
    table : RateTable
        Cells named as by `cell_names` for these detectors and channels; cells of other detectors
        are left out. Without it there is no position.
    attitude : ndarray of float, shape (4,), or None
        Quaternion from the frame of the table to ICRS (`attitude`).
    visible : ndarray of bool, shape (n_direction,), optional
        Directions of the table that the burst can come from.
    settings : OtlocSettings, optional
        Bands of the trigger outside the curves' channels are passed over.

    Raises
    ------
    ValueError
        No curve, or bins that differ.
    """
    chosen = settings or OtlocSettings()
    search = chosen.trigger or GRM_TRIGGER
    total = sum_curves(curves)
    found = _triggered("GRM", total, search, chosen)
    if found.interval is None:
        return found
    compared = {name: select_bins(curve, total.good) for name, curve in curves.items()}
    return _compare_rates(
        found, compared, table, attitude=attitude, visible=visible, settings=chosen
    )


def _compare_rates(
    found: Localisation,
    curves: Mapping[str, LightCurve],
    table: RateTable | None,
    *,
    attitude: FloatArray | None,
    visible: BoolArray | None,
    settings: OtlocSettings,
) -> Localisation:
    """Make the position of the interval from the rates of the detectors; their bins are good."""
    assert found.interval is not None
    assert found.trigger is not None
    names = ", ".join(curves)
    if attitude is None:
        return replace(found, reason=NO_ATTITUDE)
    if len(curves) < 3:
        return replace(found, reason=f"{names}: rates of at least three detectors are needed")
    if table is None:
        return replace(found, reason=f"{names}: there is no table of responses for them")
    cells: dict[str, tuple[float, float, float]] = {}
    for name, curve in curves.items():
        measured = _cells(curve, found.interval, found.trigger, settings)
        cells.update(zip(cell_names([name], curve.energy), measured, strict=True))
    responses = select_cells(table, cells)
    if len(responses.detectors) < len(cells):
        missing = sorted(set(cells) - set(responses.detectors))
        return replace(found, reason=f"the table of responses lacks {', '.join(missing)}")
    counts, background, error = np.array([cells[name] for name in responses.detectors]).T
    try:
        result = localise_rates(
            responses,
            counts,
            background,
            error,
            is_visible=visible,
            systematic=settings.rate_systematic,
        )
    except RateRatioError as reason:
        return replace(found, reason=str(reason))
    if result.p_value < settings.min_p_value:
        return replace(
            found,
            reason=f"no direction explains the rates of {names}: chi-square {result.chi2:.0f} "
            f"for {result.n_dof} degrees of freedom at best",
        )
    noise = np.sqrt(background.sum() + float((error**2).sum()))
    position = _rate_position(result, attitude, float((counts - background).sum() / noise))
    return replace(found, status="located", position=position, map=result)


def _rate_position(result: RateLocalisation, attitude: FloatArray, snr: float) -> QuickPosition:
    return QuickPosition(
        method="rate ratio",
        coordinates=to_sky(result.direction, attitude),
        r90=result.r90,
        off_axis=np.degrees(np.arccos(np.clip(result.direction[0], -1, 1))) * u.deg,
        snr=snr,
        area_50=result.area_50,
        area_90=result.area_90,
    )


def _cells(
    curve: LightCurve, interval: Interval, trigger: Trigger, settings: OtlocSettings
) -> list[tuple[float, float, float]]:
    """Counts, background and its error of a detector in each channel of the interval."""
    start, stop = curve.edges_s()
    middle = 0.5 * (start + stop)
    on = (middle > interval.start.to_value(u.s)) & (middle < interval.stop.to_value(u.s))
    use = before_trigger(curve, trigger, settings.background, GUARD)
    out = []
    for channel in range(curve.counts.shape[1]):
        chosen = replace(
            curve,
            counts=curve.counts[:, channel : channel + 1],
            energy=curve.energy[channel : channel + 1],
        )
        fit = choose_background(chosen, use, max_order=1)
        expected, error = predicted(chosen, fit, on)
        out.append((float(chosen.total[on].sum()), max(expected, 0.0), error))
    return out
