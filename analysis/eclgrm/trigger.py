"""The count-rate trigger: sliding windows over several time scales and bands (OTLOC, TT)."""

from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from astropy.time import Time
from astropy.units import Quantity

from .lightcurve import (
    EDGE_TOLERANCE,
    FloatArray,
    IntArray,
    LightCurve,
    good_bins,
    select_band,
    sliding_windows,
)

BATSE_BANDS = ((50.0, 300.0), (20.0, 100.0), (100.0, np.inf))
"""keV. The band of the on-board trigger of most of the mission, a soft and a hard one."""


@dataclass(frozen=True)
class TriggerSettings:
    """Settings of `find_trigger`; the defaults are those of the documentation.

    Attributes
    ----------
    time_scales : Quantity [time]
        Widths of the windows; those finer than the data are passed over.
    bands : Quantity [energy], shape (n_band, 2)
        Each is searched by itself; those without a channel are passed over.
    threshold : float
        Signal-to-noise ratio to trigger at.
    background : Quantity [time]
        Stretch of data before the window that the background is taken from.
    min_background : Quantity [time]
        Least good time in that stretch; windows with less before them cannot trigger.
    guard : Quantity [time]
        Left between that stretch and the window, so that a slow rise is not taken as background.
    """

    time_scales: Quantity = field(default_factory=lambda: [0.064, 0.256, 1.024, 4.096] * u.s)
    bands: Quantity = field(default_factory=lambda: BATSE_BANDS * u.keV)
    threshold: float = 6.5
    background: Quantity = 30 * u.s
    min_background: Quantity = 12 * u.s
    guard: Quantity = 2 * u.s


@dataclass(frozen=True, eq=False)
class Trigger:
    """The first window above the threshold, and the best with its background kept.

    Attributes
    ----------
    start, stop : Quantity [s]
        The window; `stop` is when the trigger occurs.
    time : Time or None
        `stop` as an instant (T0, product TT), where the curve's reference is known.
    snr : float
        Signal-to-noise ratio of that window.
    time_scale : Quantity [s]
    band : Quantity [keV], shape (2,)
    background_rate, background_slope : Quantity [1 / s], Quantity [1 / s2]
        Of the band at `stop`, frozen from then on.
    peak_snr : float
        Highest ratio of any later window of the same scale and band against the frozen background.
    peak_stop : Quantity [s]
        End of that window.
    """

    start: Quantity
    stop: Quantity
    time: Time | None
    snr: float
    time_scale: Quantity
    band: Quantity
    background_rate: Quantity
    background_slope: Quantity
    peak_snr: float
    peak_stop: Quantity


def find_trigger(
    curve: LightCurve,
    *,
    settings: TriggerSettings | None = None,
    after: Quantity | None = None,
) -> Trigger | None:
    """Find the first window whose counts exceed the background before it.

    ``SNR = (S - B) / sqrt(B + var B)``, as the ECLAIRs count-rate trigger (arXiv:2604.24255); B
    is a straight line fitted to the counts of the stretch before the window and extrapolated to
    it, var B the variance of that extrapolation. Of windows that end together the highest ratio
    counts. From the trigger on the background stays that of the trigger: one that slides on takes
    in the burst.

    Parameters
    ----------
    curve : LightCurve
        Bad bins are skipped; no window contains any.
    settings : TriggerSettings, optional
    after : Quantity [time], optional
        Look only at windows that end later than this.

    Returns
    -------
    Trigger or None
        None where no window exceeds the threshold.
    """
    chosen = settings or TriggerSettings()
    seen = good_bins(curve)
    best: tuple[float, float, _Search, int] | None = None
    for low, high in chosen.bands:
        try:
            band = select_band(seen, low, high)
        except ValueError:
            continue
        for scale in chosen.time_scales:
            search = _Search(band, scale, Quantity([low, high]), chosen)
            hit = search.first_above(chosen.threshold, after)
            if hit is None:
                continue
            key = (float(search.stop[hit]), -float(search.snr[hit]))
            if best is None or key < best[:2]:
                best = (*key, search, hit)
    return None if best is None else best[2].trigger(best[3])


class _Search:
    """All windows of one width in one band, each with the background before it."""

    def __init__(
        self, curve: LightCurve, scale: Quantity, band: Quantity, settings: TriggerSettings
    ) -> None:
        self.curve, self.scale, self.band = curve, scale, band
        self.first, self.last = sliding_windows(curve, scale)
        start, stop = curve.edges_s()
        self.start, self.stop = start[self.first], stop[self.last]
        counted = np.r_[0.0, np.cumsum(curve.total)]
        lived = np.r_[0.0, np.cumsum(curve.exposure_s())]
        self.counts = counted[self.last + 1] - counted[self.first]
        self.live = lived[self.last + 1] - lived[self.first]
        self._fit_lines(settings)
        expected = self.rate * self.live
        variance = np.maximum(expected, 1.0) + self.rate_variance * self.live**2
        with np.errstate(invalid="ignore"):
            self.snr = np.where(
                self.fitted & (expected > 0), (self.counts - expected) / np.sqrt(variance), -np.inf
            )

    def _fit_lines(self, settings: TriggerSettings) -> None:
        """Fit a line to the counts before each window; rates are at the window's middle.

        Least squares with the weights of a constant rate, by differences of running sums.
        """
        start, stop = self.curve.edges_s()
        guard, reach, least = (
            float(value.to_value(u.s))
            for value in (settings.guard, settings.background, settings.min_background)
        )
        slack = EDGE_TOLERANCE * (stop - start).min()
        begin = np.searchsorted(start, self.start - guard - reach - slack, side="left")
        end = np.searchsorted(stop, self.start - guard + slack, side="right")
        end = np.maximum(end, begin)
        live, middle = self.curve.exposure_s(), 0.5 * (start + stop)
        origin = middle.mean()
        middle = middle - origin
        sums = [
            _between(term, begin, end)
            for term in (
                live,
                live * middle,
                live * middle**2,
                self.curve.total,
                self.curve.total * middle,
            )
        ]
        s_w, s_t, s_tt, s_n, s_nt = sums
        self.fitted = s_w >= least
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_t, mean = s_t / s_w, s_n / s_w
            spread = s_tt - s_w * mean_t**2
            self.slope = (s_nt - mean_t * s_n) / spread
            lead = 0.5 * (self.start + self.stop) - origin - mean_t
            self.rate = mean + self.slope * lead
            self.rate_variance = np.maximum(mean, 0.0) * (1.0 / s_w + lead**2 / spread)
        self.fitted &= np.isfinite(self.rate) & np.isfinite(self.rate_variance)

    def first_above(self, threshold: float, after: Quantity | None) -> int | None:
        above = self.snr >= threshold
        if after is not None:
            above &= self.stop > float(after.to_value(u.s))
        return int(np.argmax(above)) if above.any() else None

    def trigger(self, at: int) -> Trigger:
        """Report a window, with the best of those after it against its background."""
        middle = 0.5 * (self.start + self.stop)
        rate = self.rate[at] + self.slope[at] * (middle[at:] - middle[at])
        # The line is good for seconds, not for minutes: where it falls below half of the
        # trigger's background it is held there.
        expected = np.maximum(rate, 0.5 * self.rate[at]) * self.live[at:]
        variance = np.maximum(expected, 1.0) + self.rate_variance[at] * self.live[at:] ** 2
        later = (self.counts[at:] - expected) / np.sqrt(variance)
        peak = int(np.argmax(later))
        stop = self.stop[at] * u.s
        zero = self.curve.reference
        return Trigger(
            start=self.start[at] * u.s,
            stop=stop,
            time=None if zero is None else zero + stop,
            snr=float(self.snr[at]),
            time_scale=self.scale.to(u.s),
            band=self.band.to(u.keV),
            background_rate=float(self.rate[at]) / u.s,
            background_slope=float(self.slope[at]) / u.s**2,
            peak_snr=float(later[peak]),
            peak_stop=self.stop[at + peak] * u.s,
        )


def _between(values: FloatArray, begin: IntArray, end: IntArray) -> FloatArray:
    running = np.r_[0.0, np.cumsum(values)]
    return np.asarray(running[end] - running[begin], float)
