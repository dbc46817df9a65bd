"""The BATSE catalogue as the classification takes it (for tests and figures)."""

import csv
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np

from analysis.eclgrm.classification import Mixture, classify, probability_short_duration, train

LIMIT = 2 * u.s


@dataclass
class Catalogue:
    duration: u.Quantity
    duration_error: u.Quantity
    hardness: np.ndarray
    hardness_error: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Catalogue":
        return Catalogue(
            self.duration[rows],
            self.duration_error[rows],
            self.hardness[rows],
            self.hardness_error[rows],
        )

    def train(self) -> Mixture:
        return train(self.duration, self.hardness, self.duration_error, self.hardness_error)

    def probabilities(self, mixture: Mixture | None = None) -> np.ndarray:
        return classify(
            self.duration,
            self.hardness,
            duration_error=self.duration_error,
            hardness_error=self.hardness_error,
            mixture=mixture,
        ).probabilities


def read_catalogue(path: Path) -> Catalogue:
    """Read the bursts with T90 and both fluences from the HEASARC table batsegrb."""
    names = ("t90", "t90_error", "fluence_2", "fluence_2_error", "fluence_3", "fluence_3_error")
    rows = []
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                rows.append([float(row[name]) for name in names])
            except ValueError:
                continue
    table = np.array(rows)
    table = table[(table[:, 0] > 0) & (table[:, 2] > 0) & (table[:, 4] > 0)]
    t90, t90_error, soft, soft_error, hard, hard_error = table.T
    ratio = hard / soft
    return Catalogue(
        t90 * u.s, t90_error * u.s, ratio, ratio * np.hypot(soft_error / soft, hard_error / hard)
    )


def predict_held_out(batse: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """P(short) and P(T90 < 2 s | hardness) of each burst by a mixture that has not seen it."""
    fold = np.arange(len(batse.hardness)) % 5
    short, below = np.empty(len(fold)), np.empty(len(fold))
    for one in range(5):
        mixture, rest = batse[fold != one].train(), batse[fold == one]
        short[fold == one] = rest.probabilities(mixture)[:, 0]
        below[fold == one] = probability_short_duration(
            rest.hardness, hardness_error=rest.hardness_error, limit=LIMIT, mixture=mixture
        )
    return short, below
