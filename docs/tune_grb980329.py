"""Tune the pulses and the spectrum of the parametric GRB 980329 to the published numbers.

    python docs/tune_grb980329.py

Prints the table for ``analysis/eclgrm/grb980329.py``. Differential evolution finds the pulses for
durations and peaks, then all parameters are refined together by Nelder and Mead. Each number
weighs by its published error or by the floor below, whichever is larger: no sum of pulses under one
Band function can meet the errors of all, which are smaller than the calibration of the detector.
"""

import sys

import numpy as np
from scipy.optimize import differential_evolution, minimize

from analysis.eclgrm.grb980329 import PUBLISHED, catalogue_numbers, from_parameters

N_PULSE = 5
"""The last is a narrow one: the flux of 64 ms is higher than that of a second."""
FLOOR = {"t50": 0.02, "t90": 0.02, "peak_flux": 0.02, "fluence": 0.05}
BROAD = [(0.5, 14.0), (-1.0, 20.0), (0.2, 6.0), (0.2, 9.0)]
NARROW = [(0.2, 4.0), (6.0, 7.4), (0.02, 0.5), (0.02, 0.5)]
SHAPE = [(1.0, 4.0), (-1.6, 0.0), (150.0, 1200.0), (-2.8, -2.05)]
BOUNDS = np.array(BROAD * (N_PULSE - 1) + NARROW + SHAPE)
"""Of pulses as in `PULSES`, then peakedness, alpha, E_peak [keV] and beta."""
SEED = 980329


def unpack(point: np.ndarray) -> tuple:
    """Pulses in order of time, peakedness and shape of the spectrum."""
    rows = point[: 4 * N_PULSE].reshape(N_PULSE, 4)
    pulses = tuple(tuple(float(one) for one in row) for row in rows[np.argsort(rows[:, 1])])
    peakedness, *shape = (float(one) for one in point[4 * N_PULSE :])
    return pulses, peakedness, tuple(shape)


def scale(name: str) -> float:
    """Standard deviation that a number weighs by."""
    published = PUBLISHED[name]
    if name.endswith(("_start_s", "_stop")):
        return 0.1
    floor = next(value for key, value in FLOOR.items() if name.startswith(key))
    return max(published.error, floor * published.value)


def cost(point: np.ndarray) -> float:
    """Sum of squared pulls."""
    if (point < BOUNDS[:, 0]).any() or (point > BOUNDS[:, 1]).any():
        return 1e9
    found = catalogue_numbers(from_parameters(*unpack(point)))
    return float(sum(((found[name] - PUBLISHED[name].value) / scale(name)) ** 2 for name in found))


def main() -> None:
    """Optimise and print."""
    found = differential_evolution(
        cost, BOUNDS, seed=SEED, maxiter=300, popsize=5, tol=1e-6, polish=False
    )
    best = found.x
    for _ in range(4):
        best = minimize(
            cost, best, method="Nelder-Mead", options={"maxiter": 4000, "adaptive": True}
        ).x
    pulses, peakedness, shape = unpack(best)
    rows = tuple(tuple(round(one, 3) for one in row) for row in pulses)
    lines = [
        f"# cost {cost(best):.2f}",
        f"PULSES = {rows}",
        f"PEAKEDNESS = {peakedness:.3f}",
        f"ALPHA, E_PEAK_KEV, BETA = {tuple(round(one, 3) for one in shape)}",
    ]
    for name, value in catalogue_numbers(from_parameters(*unpack(best))).items():
        lines.append(f"{name:20s} {value:12.5g} {PUBLISHED[name].value:12.5g}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
