"""Short, long or soft: probabilities of a burst's class from its duration and hardness.

The catalogue of BATSE is described by three normal distributions in (log10 T90, log10 H32), where
H32 is the fluence in 100-300 keV over that in 50-100 keV. Their parameters are found by extreme
deconvolution (Bovy, Hogg & Roweis 2011, AnnApS 5, 1657): each burst enters with its own errors, so
that the distributions are those of the true values, and a burst of other errors, or seen by another
instrument, is classified with the errors that it has. The third, soft group is that of Horvath et
al. 2006 (A&A 447, 23): between the others in duration and the softest of all.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr

Array = NDArray[np.float64]

CLASSES = ("short", "long", "soft")
"""Names of the classes in the order of all arrays here."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normal distributions of the classes in (log10 T90 [s], log10 H32).

    Attributes
    ----------
    weights : ndarray of float, shape (3,)
        Share of each class.
    means : ndarray of float, shape (3, 2)
        Centres.
    covariances : ndarray of float, shape (3, 2, 2)
        Intrinsic covariances, without errors of measurement.
    log_likelihood : float
        Of the catalogue trained on.
    """

    weights: Array
    means: Array
    covariances: Array
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class Classification:
    """Classes of bursts.

    Attributes
    ----------
    probabilities : ndarray of float, shape (n, 3)
        Of each class; NaN throughout where neither duration nor hardness is known.
    labels : ndarray of str, shape (n,)
        Short if that is more probable than not, else the likelier of the others; empty if unknown.
    """

    probabilities: Array
    labels: NDArray[np.str_]


def train(
    duration: u.Quantity,
    hardness: Array,
    duration_error: u.Quantity,
    hardness_error: Array,
    *,
    max_iterations: int = 2000,
    tolerance: float = 1e-9,
) -> Mixture:
    """Find the distributions of the classes from a catalogue; the same catalogue, the same result.

    Parameters
    ----------
    duration, duration_error : Quantity [s], shape (n,)
        T90 and its error.
    hardness, hardness_error : ndarray of float, shape (n,)
        Ratio of the fluences in 100-300 and 50-100 keV, and its error.
    max_iterations : int
        Bound of the expectation-maximisation steps.
    tolerance : float
        Stop when the log-likelihood of a burst rises by less.

    Returns
    -------
    Mixture
        Short, long and soft. The soft class is the component that starts from bursts of 2 to 10 s
        with a hardness below their median.

    Raises
    ------
    ValueError
        A duration or hardness is not positive and finite, or the catalogue has fewer than 30.
    """
    points, errors = _logarithms(duration, hardness, duration_error, hardness_error)
    if len(points) < 30 or not np.all(np.isfinite(points)):
        raise ValueError("training needs at least 30 bursts with positive duration and hardness")
    weights, means, covariances = _first_guess(points)
    last = -np.inf
    for _ in range(max_iterations):
        log_density = _log_density(points, errors, weights, means, covariances)
        total = logsumexp(log_density, axis=1)
        now = float(total.sum())
        if now - last < tolerance * len(points):
            break
        last = now
        share = np.exp(log_density - total[:, None])
        weights, means, covariances = _maximise(points, errors, share, means, covariances)
    return Mixture(weights, means, covariances, now)


def classify(
    duration: u.Quantity,
    hardness: Array,
    *,
    duration_error: u.Quantity | None = None,
    hardness_error: Array | None = None,
    mixture: Mixture | None = None,
) -> Classification:
    """Give the probabilities of the classes.

    Parameters
    ----------
    duration : Quantity [s], shape (n,) or ()
        T90; NaN where unknown: then the hardness alone decides.
    hardness : ndarray of float, shape (n,) or ()
        H32; NaN where unknown: then the duration alone decides.
    duration_error : Quantity [s], optional
        Standard deviation of T90; none: exact.
    hardness_error : ndarray of float, optional
        Standard deviation of H32; none: exact.
    mixture : Mixture, optional
        The distributions; by default those of the BATSE catalogue.

    Returns
    -------
    Classification
        Arrays of the length of the input (1 for scalars).
    """
    points, errors = _logarithms(duration, hardness, duration_error, hardness_error)
    known = np.isfinite(points)
    # A missing value is one with an error that says nothing.
    points = np.where(known, points, 0.0)
    errors = np.where(known, errors, _UNINFORMATIVE)
    model = batse_mixture() if mixture is None else mixture
    log_density = _log_density(points, errors, model.weights, model.means, model.covariances)
    probabilities = np.exp(log_density - logsumexp(log_density, axis=1, keepdims=True))
    probabilities[~known.any(axis=1)] = np.nan
    rest = np.where(probabilities[:, 2] > probabilities[:, 1], CLASSES[2], CLASSES[1])
    labels = np.where(probabilities[:, 0] > 0.5, CLASSES[0], rest)
    labels = np.where(known.any(axis=1), labels, "")
    return Classification(probabilities, labels)


def batse_mixture() -> Mixture:
    """Give the distributions of the 1954 BATSE bursts with T90 and both fluences.

    Returns
    -------
    Mixture
        What `train` gives for the catalogue, rounded to six digits.
    """
    return Mixture(
        weights=np.array(_BATSE_WEIGHTS),
        means=np.array(_BATSE_MEANS),
        covariances=np.array(_BATSE_COVARIANCES),
        log_likelihood=_BATSE_LOG_LIKELIHOOD,
    )


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often what was given a probability came true.

    Attributes
    ----------
    predicted : ndarray of float, shape (n_bins,)
        Mean probability of each bin; NaN for an empty one.
    observed : ndarray of float, shape (n_bins,)
        Fraction that came true; NaN for an empty bin.
    lower, upper : ndarray of float, shape (n_bins,)
        Wilson interval (68.27 %) of that fraction.
    number : ndarray of int, shape (n_bins,)
        Cases in each bin.
    expected_error : float
        Mean of ``|predicted - observed|``, weighted with the number.
    brier : float
        Mean squared difference of probability and outcome.
    """

    predicted: Array
    observed: Array
    lower: Array
    upper: Array
    number: NDArray[np.int64]
    expected_error: float
    brier: float


def reliability(probability: Array, outcome: Array, *, n_bins: int = 10) -> Reliability:
    """Compare probabilities with outcomes: calibrated ones agree in every bin.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
        Probabilities given.
    outcome : ndarray of bool, shape (n,)
        What came true.
    n_bins : int
        Equal bins between 0 and 1.

    Returns
    -------
    Reliability
        The reliability diagram (Murphy & Winkler 1977).
    """
    given, true = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if given.shape != true.shape or np.any(~((given >= 0) & (given <= 1))):
        raise ValueError("expected one outcome for each probability between 0 and 1")
    index = np.minimum((given * n_bins).astype(np.int64), n_bins - 1)
    number = np.bincount(index, minlength=n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted = np.bincount(index, given, n_bins) / number
        observed = np.bincount(index, true, n_bins) / number
        centre = (observed + 0.5 / number) / (1 + 1 / number)
        spread = observed * (1 - observed) / number + 0.25 / number**2
        half = np.sqrt(spread) / (1 + 1 / number)
    return Reliability(
        predicted=predicted,
        observed=observed,
        lower=centre - half,
        upper=centre + half,
        number=number,
        expected_error=float(np.nansum(np.abs(predicted - observed) * number) / number.sum()),
        brier=float(np.mean((given - true) ** 2)),
    )


def probability_short_duration(
    hardness: Array, *, hardness_error: Array | None = None, limit: u.Quantity, mixture: Mixture
) -> Array:
    """Predict from the hardness alone how probable a duration below a limit is.

    It lets the mixture be tested against durations that it has not been shown.

    Parameters
    ----------
    hardness : ndarray of float, shape (n,)
        H32.
    hardness_error : ndarray of float, shape (n,), optional
        Its standard deviation.
    limit : Quantity [s]
        The duration.
    mixture : Mixture
        The distributions.

    Returns
    -------
    ndarray of float, shape (n,)
        ``P(T90 < limit | H32)``.
    """
    unknown = np.full(np.shape(hardness), np.nan) * u.s
    points, errors = _logarithms(unknown, hardness, None, hardness_error)
    shares = classify(
        unknown, hardness, hardness_error=hardness_error, mixture=mixture
    ).probabilities
    covariances = mixture.covariances
    variance = covariances[None, :, 1, 1] + errors[:, None, 1]
    slope = covariances[None, :, 0, 1] / variance
    mean = mixture.means[None, :, 0] + slope * (points[:, None, 1] - mixture.means[None, :, 1])
    width = np.sqrt(covariances[None, :, 0, 0] - slope * covariances[None, :, 0, 1])
    below = ndtr((np.log10(limit.to_value(u.s)) - mean) / width)
    return np.asarray((shares * below).sum(axis=1))


_UNINFORMATIVE = 1e6  # variance [dex2] of a value that is not known

# The result of `train` for the catalogue of 1954 bursts (HEASARC batsegrb): a test repeats it.
_BATSE_WEIGHTS = (0.250949, 0.660828, 0.088224)
_BATSE_MEANS = ((-0.277067, 0.741833), (1.569484, 0.422183), (0.631115, 0.285216))
_BATSE_COVARIANCES = (
    ((0.239108, 0.007620), (0.007620, 0.034882)),
    ((0.164528, -0.002351), (-0.002351, 0.041619)),
    ((0.104730, -0.022524), (-0.022524, 0.053808)),
)
_BATSE_LOG_LIKELIHOOD = -2255.875


def _logarithms(
    duration: u.Quantity,
    hardness: Array,
    duration_error: u.Quantity | None,
    hardness_error: Array | None,
) -> tuple[Array, Array]:
    """Give (log10 T90, log10 H32), shape (n, 2), and their variances; NaN where not positive."""
    columns, variances = [], []
    duration_s = duration.to_value(u.s)
    duration_error_s = None if duration_error is None else duration_error.to_value(u.s)
    for value, error in ((duration_s, duration_error_s), (hardness, hardness_error)):
        given = np.atleast_1d(np.asarray(value, dtype=np.float64))
        positive = np.where(given > 0, given, np.nan)
        columns.append(np.log10(positive))
        fraction = 0.0 if error is None else np.asarray(error) / positive
        variance = np.broadcast_to((fraction / np.log(10)) ** 2, given.shape)
        variances.append(np.minimum(variance, _UNINFORMATIVE))
    return np.stack(columns, axis=1), np.stack(variances, axis=1)


def _first_guess(points: Array) -> tuple[Array, Array, Array]:
    """Divide by duration, and the middle by hardness as well."""
    log_duration, log_hardness = points.T
    middle = (log_duration >= np.log10(2)) & (log_duration < 1)
    soft = middle & (log_hardness < np.median(log_hardness[middle])) if middle.any() else middle
    short = log_duration < np.log10(2)
    groups = (short, ~short & ~soft, soft)
    if min(int(group.sum()) for group in groups) < 5:
        raise ValueError("the catalogue lacks bursts of at least one class: short, long or soft")
    return (
        np.array([group.mean() for group in groups]),
        np.array([points[group].mean(axis=0) for group in groups]),
        np.array([np.cov(points[group].T) for group in groups]),
    )


def _log_density(
    points: Array, errors: Array, weights: Array, means: Array, covariances: Array
) -> Array:
    """Give ln(weight N(x | mean, covariance + errors)), shape (n, 3)."""
    offset, _, determinant, solved = _deviations(points, errors, means, covariances)
    distance = (offset * solved).sum(axis=2)
    return np.asarray(np.log(weights) - 0.5 * (distance + np.log(determinant)) - np.log(2 * np.pi))


def _deviations(
    points: Array, errors: Array, means: Array, covariances: Array
) -> tuple[Array, Array, Array, Array]:
    """Give x - mean, T = covariance + errors, its determinant and T^-1 (x - mean) of each pair."""
    offset = points[:, None, :] - means[None, :, :]
    total = covariances[None] + errors[:, None, :, None] * np.eye(2)
    a, b, d = total[..., 0, 0], total[..., 0, 1], total[..., 1, 1]
    determinant = a * d - b * b
    solved = np.stack(
        [
            (d * offset[..., 0] - b * offset[..., 1]) / determinant,
            (a * offset[..., 1] - b * offset[..., 0]) / determinant,
        ],
        axis=2,
    )
    return offset, total, determinant, solved


def _maximise(
    points: Array, errors: Array, share: Array, means: Array, covariances: Array
) -> tuple[Array, Array, Array]:
    """Do one step of Bovy et al. 2011, equations 16 and 17."""
    _, total, _, solved = _deviations(points, errors, means, covariances)
    expected = means[None] + np.einsum("jab,njb->nja", covariances, solved)
    inner = np.linalg.solve(total, np.broadcast_to(covariances, total.shape))
    remaining = covariances[None] - np.einsum("jab,njbc->njac", covariances, inner)
    number = share.sum(axis=0)
    new_means = np.einsum("nj,nja->ja", share, expected) / number[:, None]
    offset = expected - new_means[None]
    spread = offset[..., :, None] * offset[..., None, :] + remaining
    new_covariances = np.einsum("nj,njab->jab", share, spread) / number[:, None, None]
    return number / len(points), new_means, new_covariances
