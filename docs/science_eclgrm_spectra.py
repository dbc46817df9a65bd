"""Make the figures of docs/science-eclgrm-spectra.md: reliability, closed loop, spectrum.

    python docs/science_eclgrm_spectra.py

Needs the extra ``analysis`` and the test data (``PROV_TEST_DATA``). The same seeds give the same
figures.
"""

import os
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "science" / "eclgrm")]

from eclgrm_catalogue import LIMIT, predict_held_out, read_catalogue  # noqa: E402
from eclgrm_spectra import pulls, simulated  # noqa: E402

from analysis.eclgrm.classification import Reliability, reliability  # noqa: E402
from analysis.eclgrm.fitting import fit, predict  # noqa: E402
from analysis.eclgrm.ogip import read_response, read_spectrum  # noqa: E402
from analysis.eclgrm.spectral_models import (  # noqa: E402
    BAND,
    CUTOFF_POWER_LAW,
    SpectralModel,
)
from analysis.eclgrm.spectrum import observe  # noqa: E402

Array = NDArray[np.float64]
DATA = Path(os.environ.get("PROV_TEST_DATA", ROOT.parent / "shared" / "data")) / "grb"
FIGURES = ROOT / "docs" / "figures"
N_SEEDS = 200
WIDTH, HEIGHT, MARGIN = 300, 260, 45
COLOURS = ("#1f5fa8", "#c2571a", "#3b7d3b", "#7a4a9e")


class Panel:
    """A plot: linear axes, lines, points with errors."""

    def __init__(
        self, title: str, x_label: str, y_label: str, x: tuple[float, float], y: tuple[float, float]
    ) -> None:
        self.x, self.y = x, y
        self.parts = [
            f'<rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH}" height="{HEIGHT}" class="frame"/>',
            _text(MARGIN + WIDTH / 2, MARGIN - 14, title, "title"),
            _text(MARGIN + WIDTH / 2, MARGIN + HEIGHT + 36, x_label),
            f'<g transform="rotate(-90)">{_text(-MARGIN - HEIGHT / 2, 12, y_label)}</g>',
        ]

    def ticks(self, x: dict[float, str], y: dict[float, str]) -> None:
        """Label the axes at some values."""
        for value, label in x.items():
            px, _ = self.at(value, self.y[0])
            self.parts.append(_text(px, MARGIN + HEIGHT + 16, label))
        for value, label in y.items():
            _, py = self.at(self.x[0], value)
            self.parts.append(_text(MARGIN - 6, py + 4, label, "left"))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place a point on the drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (np.clip(y, *self.y) - self.y[0]) / (self.y[1] - self.y[0])
        return MARGIN + WIDTH * across, MARGIN + HEIGHT * (1 - up)

    def line(self, x: Array, y: Array, colour: str, *, dashed: bool = False) -> None:
        """Draw a line."""
        points = " ".join("{:.1f},{:.1f}".format(*self.at(a, b)) for a, b in zip(x, y, strict=True))
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self.parts.append(f'<polyline points="{points}" stroke="{colour}"{dash} fill="none"/>')

    def point(self, x: float, y: float, low: float, high: float, colour: str) -> None:
        """Draw a point with its error."""
        px, py = self.at(x, y)
        _, bottom = self.at(x, low)
        _, top = self.at(x, high)
        self.parts.append(
            f'<path d="M{px:.1f} {bottom:.1f}V{top:.1f}" stroke="{colour}"/>'
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5" fill="{colour}"/>'
        )

    def note(self, text: str, line: int, colour: str = "#333", *, across: int = 8) -> None:
        """Write into the upper left corner, or further across."""
        self.parts.append(
            f'<text x="{MARGIN + across}" y="{MARGIN + 16 + 14 * line}" style="fill:{colour}" '
            f'class="note">{text}</text>'
        )


def _text(x: float, y: float, text: str, kind: str = "label") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{text}</text>'


def save(name: str, panels: list[Panel]) -> None:
    """Write panels side by side."""
    step = WIDTH + MARGIN + 30
    total = step * len(panels) + 20
    body = "\n".join(
        f'<g transform="translate({i * step},0)">' + "\n".join(panel.parts) + "</g>"
        for i, panel in enumerate(panels)
    )
    style = (
        "text{font:11px sans-serif;text-anchor:middle;fill:#333}.title{font-size:13px}"
        ".left{text-anchor:end}.note{text-anchor:start}.frame{fill:none;stroke:#999}"
    )
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / name).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT + 2 * MARGIN}">\n'
        f'<style>{style}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n',
        encoding="utf-8",
    )


UNIT = {value: f"{value:g}" for value in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}


def reliability_panel(found: Reliability, title: str, x_label: str, y_label: str) -> Panel:
    """Draw a reliability diagram."""
    panel = Panel(title, x_label, y_label, (0, 1), (0, 1))
    panel.ticks(UNIT, UNIT)
    panel.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#999", dashed=True)
    for row in zip(
        found.predicted, found.observed, found.lower, found.upper, found.number, strict=True
    ):
        if row[4]:
            panel.point(*(float(value) for value in row[:4]), COLOURS[0])
    panel.note(f"mean deviation {found.expected_error:.3f}", 0)
    panel.note(f"Brier score {found.brier:.3f}", 1)
    return panel


def draw_reliability() -> None:
    """Reliability of the classification on BATSE bursts held out of training."""
    batse = read_catalogue(DATA / "catalogues" / "BATSE_4B_catalogue.csv")
    outcome = (batse.duration < LIMIT).astype(bool)
    short, below = predict_held_out(batse)
    save(
        "eclgrm-reliability.svg",
        [
            reliability_panel(
                reliability(below, outcome),
                "Duration from hardness, held out",
                "P(T90 &lt; 2 s | hardness)",
                "fraction with T90 &lt; 2 s",
            ),
            reliability_panel(
                reliability(short, outcome),
                "Class short against the 2-s rule, held out",
                "P(short)",
                "fraction with T90 &lt; 2 s",
            ),
        ],
    )


def draw_closed_loop() -> None:
    """Pulls of simulated bursts, cumulated, against the normal law."""
    from scipy.special import ndtr

    cases: list[tuple[SpectralModel, list[float]]] = [
        (CUTOFF_POWER_LAW, [0.03, -0.9, 300.0]),
        (BAND, [0.2, -1.0, 300.0, -2.3]),
    ]
    panels = []
    grid = np.linspace(-3, 3, 121)
    for model, values in cases:
        truth = np.array(values)
        fits = [fit(simulated(model, truth, seed=seed), model) for seed in range(N_SEEDS)]
        deviation = pulls(fits, truth)
        panel = Panel(
            f"{model.name}, {N_SEEDS} seeds",
            "(fit - truth) / error",
            "cumulative fraction",
            (-3, 3),
            (0, 1),
        )
        panel.ticks({value: f"{value:g}" for value in (-3, -2, -1, 0, 1, 2, 3)}, UNIT)
        panel.line(grid, ndtr(grid), "#999", dashed=True)
        for index, name in enumerate(model.parameters):
            pull = np.sort(deviation[:, index])
            panel.line(grid, np.searchsorted(pull, grid) / len(pull), COLOURS[index])
            inside = np.mean(np.abs(pull) < 1)
            panel.note(
                f"{name}: mean {pull.mean():+.2f}, {100 * inside:.1f} % within 1σ",
                index,
                COLOURS[index],
            )
        panels.append(panel)
    save("eclgrm-closed-loop.svg", panels)


def draw_spectrum() -> None:
    """GRB 090217A: net count rates with the fitted model, and the residuals."""
    folder = DATA / "gbm_bn090217206"
    observations = [
        observe(
            read_spectrum(folder / f"bn090217206_{name}_srcspectra.pha"),
            read_spectrum(folder / f"bn090217206_{name}_bkgspectra.bak"),
            read_response(folder / f"bn090217206_{name}_weightedrsp.rsp"),
            energy_ranges=[(low * u.keV, high * u.keV)],
        )
        for name, low, high in (("n6", 8, 900), ("n9", 8, 900), ("b1", 250, 38000))
    ]
    found = fit(observations, CUTOFF_POWER_LAW)
    decades = {1.0: "10 keV", 2.0: "100 keV", 3.0: "1 MeV", 4.0: "10 MeV"}
    counts = Panel(
        "GRB 090217A, cutoff power law", "energy", "net counts / s keV", (0.8, 4.7), (-5, 1)
    )
    counts.ticks(decades, {float(k): f"1e{k}" for k in range(-5, 2)})
    rest = Panel("Residuals", "energy", "(counts - model) / error", (0.8, 4.7), (-5, 5))
    rest.ticks(decades, {float(k): str(k) for k in (-4, -2, 0, 2, 4)})
    rest.line(np.array([0.8, 4.7]), np.zeros(2), "#999", dashed=True)
    for index, (one, name) in enumerate(zip(observations, ("n6", "n9", "b1"), strict=True)):
        model = predict(one, found.model, found.values)
        centre = 0.5 * np.log10(one.channel_low_kev * one.channel_high_kev)
        width = (one.channel_high_kev - one.channel_low_kev) * one.exposure_s
        net = one.counts - one.background
        error = np.sqrt(model + one.background + one.background_error**2)
        counts.line(centre, np.log10(model / width), COLOURS[index])
        counts.note(name, index, COLOURS[index], across=WIDTH - 30)
        for x, y, e, w, m in zip(centre, net, error, width, model, strict=True):
            low, high = (np.log10(max(value / w, 1e-9)) for value in (y - e, y + e))
            if y / w > 1e-5:
                counts.point(x, np.log10(y / w), low, high, COLOURS[index])
            rest.point(x, (y - m) / e, (y - m) / e - 1, (y - m) / e + 1, COLOURS[index])
    save("eclgrm-spectrum.svg", [counts, rest])


if __name__ == "__main__":
    draw_reliability()
    draw_closed_loop()
    draw_spectrum()
