"""Make the tables of docs/science-eclgrm.md on triggers, peaks and durations.

    python docs/science_eclgrm.py [FOLDER]

FOLDER is the folder of the burst data (``$PROV_TEST_DATA/grb``). What stands between the marks of
a table in the page is replaced.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import numpy as np

from analysis.eclgrm import io
from analysis.eclgrm.blocks import find_burst
from analysis.eclgrm.duration import measure_burst
from analysis.eclgrm.lightcurve import LightCurve, bin_events, find_peak, select_band
from analysis.eclgrm.trigger import find_trigger

PAGE = Path(__file__).with_name("science-eclgrm.md")
TRIGGERS = (143, 249, 543, 226, 105, 219, 398)
PEAK_1024 = {105: 4.16, 143: 2.88, 219: 115.328, 226: 47.232, 249: 22.08, 398: 1.216, 543: 1.28}
GBM = "gbm_bn080916009"
N_SEED = 200
BIN_S = 0.064


def percent(measured: float, published: float) -> str:
    """Write a relative difference."""
    return f"{100 * (measured / published - 1):+.1f} %"


def batse_table(folder: Path) -> list[str]:
    """Measure every BATSE burst with the same settings."""
    durations = io.read_batse_durations(folder / "batse" / "duration_table.txt")
    lines = [
        "| BATSE | T90 (s) | published | | T50 (s) | published | | trigger (s) | peak second ends"
        " (s) | published |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for trigger in TRIGGERS:
        row = durations[durations["trigger"] == trigger][0]
        curve = io.read_batse_64ms(folder / "batse" / f"cat64ms.{trigger:05d}")
        found = measure_burst(curve, rng=np.random.default_rng(trigger))[1]
        start = find_trigger(curve)
        band = select_band(curve, 50 * u.keV, 300 * u.keV)
        burst = find_burst(band)
        if start is None or burst is None:
            raise ValueError(f"BATSE {trigger} was not found")
        peak = find_peak(band, 1.024 * u.s, background=burst.background.expected(band))
        t90, t50 = found.t90.to_value(u.s), found.t50.to_value(u.s)
        lines.append(
            f"| {trigger} | {t90:.2f} ± {found.t90_error.to_value(u.s):.2f} "
            f"| {row['t90']:.2f} ± {row['t90_error']:.2f} | {percent(t90, row['t90'])} "
            f"| {t50:.2f} ± {found.t50_error.to_value(u.s):.2f} "
            f"| {row['t50']:.2f} ± {row['t50_error']:.2f} | {percent(t50, row['t50'])} "
            f"| {start.stop.to_value(u.s):+.2f} | {peak.stop.to_value(u.s):.3f} "
            f"| {PEAK_1024[trigger]:.3f} |"
        )
    return lines


def gbm_curves(folder: Path) -> dict[str, LightCurve]:
    """Read GRB 080916C in single photons and in trigger data."""
    events = io.read_gbm_tte(folder / GBM / "glg_tte_n3_bn080916009_v01.fit.gz")
    tte = bin_events(
        events.time,
        events.channel,
        edges=np.arange(-25.92, 300.6, BIN_S) * u.s,
        energy=events.energy,
        good_intervals=events.good_intervals,
        reference=events.reference,
    )
    trigdat = folder / GBM / "glg_trigdat_all_bn080916009_v02.fit"
    return {
        "TTE n3, 8-900 keV": select_band(tte, 8 * u.keV, 900 * u.keV),
        "TTE n3, 50-300 keV": select_band(tte, 50 * u.keV, 300 * u.keV),
        **{
            f"TRIGDAT {', '.join(f'n{number}' for number in detectors)}, 50-300 keV": select_band(
                io.read_gbm_trigdat(trigdat, detectors), 50 * u.keV, 300 * u.keV
            )
            for detectors in ([3, 4], [0, 3, 4, 6])
        },
    }


def gbm_table(folder: Path) -> list[str]:
    """Measure GRB 080916C."""
    lines = ["| GRB 080916C | T90 (s) | published | | begins (s) |", "|---|---|---|---|---|"]
    for name, curve in gbm_curves(folder).items():
        found = measure_burst(curve, rng=np.random.default_rng(916))[1]
        t90 = found.t90.to_value(u.s)
        lines.append(
            f"| {name} | {t90:.2f} ± {found.t90_error.to_value(u.s):.2f} | 62.98 ± 0.81 "
            f"| {percent(t90, 62.977)} | {found.t90_start.to_value(u.s):.2f} |"
        )
    return lines


def pulse_gaussian(middle: np.ndarray) -> np.ndarray:
    """Rate of a symmetric pulse, peak 1; `middle` in seconds."""
    return np.exp(-0.5 * ((middle - 120) / 5) ** 2)


def pulse_decay(middle: np.ndarray) -> np.ndarray:
    """Rate of a pulse with a long tail, peak 1; `middle` in seconds."""
    return np.where(middle > 100, np.exp(-(middle - 100) / 8), 0.0)


SIMULATED: tuple[tuple[str, Callable[[np.ndarray], np.ndarray], float, float], ...] = (
    ("Gaussian, sigma 5 s", pulse_gaussian, 2 * 1.644854 * 5, 2 * 0.674490 * 5),
    ("exponential decay, 8 s", pulse_decay, 8 * np.log(19), 8 * np.log(3)),
)


def closed_loop_table() -> list[str]:
    """Measure simulated bursts as blindly as the real ones."""
    middle = BIN_S * (np.arange(4000) + 0.5)
    lines = [
        "| pulse | peak / background | found | T90 true (s) | mean | within 1 σ | T50 true (s) "
        "| mean | within 1 σ |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, pulse, t90, t50 in SIMULATED:
        for height in (5.0, 1.0, 0.3):
            rng = np.random.default_rng(200)
            results = []
            for _ in range(N_SEED):
                counts = rng.poisson(100 * (1 + height * pulse(middle)))[:, None]
                curve = LightCurve(
                    start=(middle - BIN_S / 2) * u.s,
                    stop=(middle + BIN_S / 2) * u.s,
                    counts=counts.astype(float),
                    energy=[[50, 300]] * u.keV,
                )
                found = measure_burst(curve, rng=rng)[1]
                results.append(
                    [
                        value.to_value(u.s)
                        for value in (found.t90, found.t90_error, found.t50, found.t50_error)
                    ]
                )
            d90, e90, d50, e50 = np.array(results).T
            lines.append(
                f"| {name} | {height:g} | {len(results)}/{N_SEED} "
                f"| {t90:.2f} | {d90.mean():.2f} ± {d90.std() / N_SEED**0.5:.2f} "
                f"| {np.mean(np.abs(d90 - t90) < e90):.0%} "
                f"| {t50:.2f} | {d50.mean():.2f} ± {d50.std() / N_SEED**0.5:.2f} "
                f"| {np.mean(np.abs(d50 - t50) < e50):.0%} |"
            )
    return lines


def main() -> None:
    """Replace the tables in the page."""
    default = os.environ.get("PROV_TEST_DATA", "../shared/data") + "/grb"
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    tables = {
        "batse": batse_table(folder),
        "gbm": gbm_table(folder),
        "closed-loop": closed_loop_table(),
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, lines in tables.items():
        mark, end = f"<!-- table {name} -->", "<!-- end -->"
        pattern = re.compile(re.escape(mark) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"{PAGE}: no mark {mark!r} with {end!r} after it")
        page = pattern.sub("\n".join([mark, *lines, end]), page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
