"""Classes of bursts: closed forms, recovery of a known mixture, the BATSE catalogue."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_catalogue import LIMIT, Catalogue, predict_held_out, read_catalogue
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.classification import (
    CLASSES,
    Mixture,
    batse_mixture,
    classify,
    reliability,
    train,
)


@pytest.fixture(scope="module")
def batse(test_data: Path) -> Catalogue:
    path = test_data / "grb" / "catalogues" / "BATSE_4B_catalogue.csv"
    if not path.is_file():
        pytest.skip(f"no BATSE catalogue at {path}")
    return read_catalogue(path)


def test_the_catalogue_is_the_one_of_the_reference(batse: Catalogue) -> None:
    assert len(batse.hardness) == 1954
    assert (batse.duration < LIMIT).sum() == 466


def test_training_on_the_catalogue_gives_the_stored_mixture(batse: Catalogue) -> None:
    found, stored = batse.train(), batse_mixture()
    # The stored numbers have six decimals.
    assert found.weights == pytest.approx(stored.weights, abs=2e-6)
    assert found.means == pytest.approx(stored.means, abs=2e-6)
    assert found.covariances == pytest.approx(stored.covariances, abs=2e-6)
    assert found.log_likelihood == pytest.approx(stored.log_likelihood, abs=1e-3)
    again = batse.train()
    assert np.array_equal(found.covariances, again.covariances)


def test_the_classes_are_what_their_names_say() -> None:
    mixture = batse_mixture()
    centre_s, centre_hardness = 10**mixture.means.T
    # Kouveliotou et al. 1993: short bursts last about 0.5 s and are harder, long ones 30 s;
    # Horvath et al. 2006: the third group between them, and the softest.
    short, long, soft = range(3)
    assert 0.3 < centre_s[short] < 1
    assert 20 < centre_s[long] < 50
    assert centre_s[short] < centre_s[soft] < centre_s[long]
    assert centre_hardness[soft] < centre_hardness[long] < centre_hardness[short]
    assert mixture.weights.sum() == pytest.approx(1, abs=1e-5)


def test_agreement_with_the_two_second_rule_on_the_catalogue(batse: Catalogue) -> None:
    is_short = (batse.duration < LIMIT).astype(bool)
    with_errors = batse.probabilities()[:, 0] > 0.5
    assert np.mean(with_errors == is_short) > 0.955
    labels = classify(batse.duration, batse.hardness).labels
    assert np.mean((labels == "short") == is_short) > 0.95


@pytest.fixture(scope="module")
def held_out(batse: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    return predict_held_out(batse)


def test_agreement_holds_for_bursts_not_trained_on(
    batse: Catalogue, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    assert np.mean((held_out[0] > 0.5) == (batse.duration < LIMIT)) > 0.95


def test_durations_are_predicted_from_hardness_at_the_stated_rate(
    batse: Catalogue, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    """The calibration that can fail: the outcome is real and was not shown to the mixture."""
    outcome = (batse.duration < LIMIT).astype(bool)
    found = reliability(held_out[1], outcome)
    filled = found.number >= 20
    assert filled.sum() >= 8
    # Every bin within three binomial errors.
    sigma = np.sqrt(found.predicted * (1 - found.predicted) / found.number)[filled]
    assert np.all(np.abs(found.predicted - found.observed)[filled] < 3 * sigma)
    assert found.expected_error < 0.03
    # And it is worth something: the share of short bursts alone has a Brier score of 0.18.
    share = outcome.mean()
    assert found.brier < 0.8 * share * (1 - share)


def test_class_probabilities_are_calibrated_where_the_class_is_known(batse: Catalogue) -> None:
    """Bursts drawn from the mixture with the catalogue's errors; a second draw trains."""
    rng = np.random.default_rng(20)
    truth, labels = draw(batse, rng)
    training, _ = draw(batse, rng)
    probabilities = truth.probabilities(training.train())
    for index, name in enumerate(CLASSES[:2]):
        found = reliability(probabilities[:, index], labels == index)
        # 1954 bursts in ten bins: the mean deviation of a calibrated forecast is about 0.01; the
        # classes learned from 1954 others add as much.
        assert found.expected_error < 0.04, name
    # The soft class is 9 % of the catalogue and overlaps both others: it is learned less well.
    assert reliability(probabilities[:, 2], labels == 2).expected_error < 0.08


def draw(batse: Catalogue, rng: np.random.Generator) -> tuple[Catalogue, np.ndarray]:
    mixture = batse_mixture()
    weights = mixture.weights / mixture.weights.sum()
    labels = rng.choice(3, size=len(batse.hardness), p=weights)
    points = np.array(
        [rng.multivariate_normal(mixture.means[i], mixture.covariances[i]) for i in labels]
    )
    duration_fraction = (batse.duration_error / batse.duration).value
    hardness_fraction = np.minimum(batse.hardness_error / batse.hardness, 1.0)
    fractions = np.stack([duration_fraction, hardness_fraction], axis=1)
    points += rng.normal(0, fractions / np.log(10))
    duration, hardness = 10**points.T
    return (
        Catalogue(
            duration * u.s,
            duration * duration_fraction * u.s,
            hardness,
            hardness * hardness_fraction,
        ),
        labels,
    )


def test_training_recovers_a_known_mixture() -> None:
    rng = np.random.default_rng(3)
    n = 6000
    labels = rng.choice(3, size=n, p=[0.3, 0.5, 0.2])
    means = np.array([[-0.5, 0.9], [1.6, 0.5], [0.7, 0.0]])
    points = means[labels] + rng.normal(0, [0.3, 0.15], (n, 2))
    noise = np.array([0.1, 0.2])
    points += rng.normal(0, noise, (n, 2))
    duration, hardness = 10**points.T
    found = train(
        duration * u.s,
        hardness,
        duration * noise[0] * np.log(10) * u.s,
        hardness * noise[1] * np.log(10),
    )
    # Errors of the means: 0.3 / sqrt(1200) = 0.009 in the worst case; three of them and overlap.
    assert found.means == pytest.approx(means, abs=0.04)
    assert found.weights == pytest.approx([0.3, 0.5, 0.2], abs=0.03)
    # The covariances are those without noise: deconvolved.
    assert found.covariances[:, 0, 0] == pytest.approx(0.09, rel=0.15)
    assert found.covariances[:, 1, 1] == pytest.approx(0.0225, rel=0.25)


def two(separation: float) -> Mixture:
    """Classes of equal weight and unit covariance, apart in duration only; the third far away."""
    return Mixture(
        np.array([0.5, 0.5, 1e-300]),
        np.array([[0.0, 0.0], [separation, 0.0], [0.0, 50.0]]),
        np.stack([np.eye(2)] * 3),
        0.0,
    )


@given(st.floats(-2.0, 4.0), st.floats(-1.0, 1.0), st.floats(0.0, 2.0))
@settings(max_examples=50)
def test_two_equal_classes_follow_the_logistic_function(
    log_duration: float, log_hardness: float, sigma: float
) -> None:
    duration = 10**log_duration * u.s
    found = classify(
        duration,
        np.array(10**log_hardness),
        duration_error=duration * sigma * np.log(10),
        mixture=two(2.0),
    )
    exact = 1 / (1 + np.exp((2 * log_duration - 2) / (1 + sigma**2)))
    assert found.probabilities[0, 0] == pytest.approx(exact, rel=1e-9)


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1e2), st.floats(0.0, 1e3), st.floats(0.0, 1e3))
@settings(max_examples=100)
def test_probabilities_are_a_distribution(
    duration: float, hardness: float, duration_error: float, hardness_error: float
) -> None:
    found = classify(
        duration * u.s,
        np.array(hardness),
        duration_error=duration_error * u.s,
        hardness_error=np.array(hardness_error),
    )
    assert found.probabilities.sum() == pytest.approx(1)
    assert np.all((found.probabilities >= 0) & (found.probabilities <= 1))
    assert found.labels[0] in CLASSES


def test_published_bursts() -> None:
    # BATSE 6665 = GRB 980329 (18.56 s, H32 3.84), a long burst; 0.5 s and hard is short.
    found = classify(np.array([18.56, 0.5, 3.5]) * u.s, np.array([3.8439, 6.0, 0.9]))
    assert found.labels.tolist() == ["long", "short", "soft"]
    assert found.probabilities[0, 0] < 0.02
    # A regression: the mixture's six decimals bear four digits here.
    assert found.probabilities[:, 0] == pytest.approx(REGRESSION, rel=1e-3)


REGRESSION = [2.23094e-3, 0.996981, 1.31721e-4]


def test_what_is_not_known_does_not_decide() -> None:
    unknown = np.array([np.nan])
    only_duration = classify(np.array([0.3]) * u.s, unknown)
    assert only_duration.labels[0] == "short"
    assert only_duration.probabilities[0, 0] > 0.9
    only_hardness = classify(unknown * u.s, np.array([2.6]))
    assert only_hardness.labels[0] == "long"
    nothing = classify(unknown * u.s, unknown)
    assert np.isnan(nothing.probabilities).all()
    assert nothing.labels[0] == ""
    # A duration of 0 or a negative fluence is not a measurement.
    assert np.isnan(classify(np.array([0.0]) * u.s, np.array([-1.0])).probabilities).all()
    # A huge error is as good as none.
    vague = classify(
        np.array([0.3]) * u.s, np.array([2.6]), hardness_error=np.array([2.6e6])
    ).probabilities
    assert vague == pytest.approx(only_duration.probabilities, abs=1e-4)


def test_training_refuses_a_useless_catalogue() -> None:
    ones = np.ones(10)
    with pytest.raises(ValueError, match="at least 30 bursts"):
        train(ones * u.s, ones, ones * u.s, ones)
    many = np.full(50, 30.0)
    with pytest.raises(ValueError, match="lacks bursts of at least one class"):
        train(many * u.s, many, many * u.s, many)


def test_reliability_by_hand() -> None:
    found = reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([0, 1, 1, 1]), n_bins=2)
    assert found.number.tolist() == [2, 2]
    assert found.predicted == pytest.approx([0.05, 0.975])
    assert found.observed == pytest.approx([0.5, 1.0])
    assert found.expected_error == pytest.approx((2 * 0.45 + 2 * 0.025) / 4)
    assert found.brier == pytest.approx((0.05**2 + 0.95**2 + 0.05**2 + 0) / 4)
    assert found.lower[0] == pytest.approx(0.5 - np.sqrt(0.125 + 0.0625) / 1.5)
    with pytest.raises(ValueError, match="one outcome for each probability"):
        reliability(np.array([1.2]), np.array([1]))


def test_calibrated_forecasts_look_calibrated_and_others_do_not() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(size=20000)
    outcome = rng.uniform(size=20000) < truth
    assert reliability(truth, outcome).expected_error < 0.015
    assert reliability(truth**3, outcome).expected_error > 0.1
