"""Measure how well simulated bursts are located, and make the figures of the page.

    python docs/science_eclgrm_localisation.py [N_SEEDS]

Needs the extra ``analysis`` and the test data (``PROV_TEST_DATA``); 200 seeds take some ten
minutes. The same seeds give the same figures.
"""

import os
import sys
from pathlib import Path

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis.eclgrm.attitude import direction, from_tangent, pointing, to_sky  # noqa: E402
from analysis.eclgrm.burst_interval import elementary_bands  # noqa: E402
from analysis.eclgrm.eclairs import coded_fraction, stand_in_mask  # noqa: E402
from analysis.eclgrm.gbm_table import NAI_NAMES  # noqa: E402
from analysis.eclgrm.grm_table import grd_rate_table  # noqa: E402
from analysis.eclgrm.io import (  # noqa: E402
    read_gbm_nai_rates,
    read_gbm_pointing,
    read_gbm_trigdat,
)
from analysis.eclgrm.otloc import GRM_TRIGGER, Localisation, locate  # noqa: E402
from analysis.eclgrm.r90 import STATISTICAL_R90, SYSTEMATIC_R90, law_r90  # noqa: E402
from analysis.eclgrm.reference_burst import ReferenceBurst, pulses_profile  # noqa: E402
from analysis.eclgrm.simulator import Scene, SimulationSettings, simulate  # noqa: E402
from analysis.eclgrm.spectral_models import BAND  # noqa: E402
from analysis.eclgrm.trigdat import locate_trigdat  # noqa: E402

DATA = Path(os.environ.get("PROV_TEST_DATA", ROOT.parent / "shared" / "data"))
FIGURES = ROOT / "docs" / "figures"
MASK = stand_in_mask()
ATTITUDE = pointing(100 * u.deg, 30 * u.deg, 10 * u.deg)
EARTH = direction(140 * u.deg, 30 * u.deg)
RECORDED = SimulationSettings(start=-110 * u.s, stop=30 * u.s)
QUANTILES = [0.1, 0.5, 0.9]
FINE = np.arange(-5.0, 30.0, 0.016)


def draw_tangent(field: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a direction evenly in the tangent plane of a part of the field."""
    while True:
        tangent = rng.uniform(-MASK.edge, MASK.edge, 2)
        coded = float(coded_fraction(MASK, tangent))
        if (coded > 0.999) if field == "fully coded" else (0.2 < coded < 0.999):
            return tangent


def draw_burst(rng: np.random.Generator) -> ReferenceBurst:
    """Draw a burst of one pulse: peak flux 0.2 to 10 photons / (cm2 s), Epeak 50 to 600 keV."""
    flux = 0.2 * 50 ** rng.random()
    profile = pulses_profile([(flux, 3.0, 0.3 * 10 ** rng.random(), 10 ** rng.random())], FINE)
    shape = [rng.normal(-1.0, 0.3), 50 * 12 ** rng.random(), -2.4]
    return ReferenceBurst("one pulse", profile, BAND, np.array([1.0, *shape]))


def measure(n_seed: int) -> Table:
    """Simulate and locate; one row for each seed, field and instrument."""
    table = grd_rate_table(elementary_bands(GRM_TRIGGER.bands), earth=EARTH)
    rows = []
    for seed in range(n_seed):
        for field in ("fully coded", "partially coded"):
            rng = np.random.default_rng([seed, field == "fully coded"])
            source = to_sky(from_tangent(draw_tangent(field, rng)), ATTITUDE)
            scene = Scene(ATTITUDE, source, Time("2026-03-02"), earth=to_sky(EARTH, ATTITUDE))
            data = simulate(draw_burst(rng), scene, rng=rng, settings=RECORDED)
            for instrument in ("ECL", "GRM"):
                given = table if instrument == "GRM" else None
                found = locate(data, instrument, table=given)
                rows.append((seed, field, instrument, found.status, *_numbers(found, source)))
    names = ("seed", "field", "instrument", "status", "snr", "r90", "east", "north", "area_90")
    return Table(rows=rows, names=names)


def _numbers(found: Localisation, source: object) -> tuple[float, ...]:
    """Ratio, radius from the counts alone, offsets in the instrument's axes, area; degrees."""
    if found.position is None:
        return (np.nan,) * 5
    radius = found.source.r90 if found.source is not None else found.position.r90
    east, north = source.spherical_offsets_to(found.position.coordinates)
    area = found.position.area_90
    return (
        found.position.snr,
        radius.to_value(u.deg),
        east.to_value(u.deg),
        north.to_value(u.deg),
        np.nan if area is None else area.to_value(u.deg**2),
    )


def report(rows: Table) -> None:
    """Print the figures of the page."""
    for instrument, fields in (("ECL", ("fully coded", "partially coded")), ("GRM", ("all",))):
        for field in fields:
            chosen = rows[rows["instrument"] == instrument]
            if field != "all":
                chosen = chosen[chosen["field"] == field]
            located = chosen[chosen["status"] == "located"]
            offset = np.hypot(located["east"], located["north"])
            bias = [
                f"{np.mean(located[axis] / located['r90']):+.3f} ± "
                f"{np.std(located[axis] / located['r90']) / np.sqrt(len(located)):.3f}"
                for axis in ("east", "north")
            ]
            print(  # noqa: T201
                f"{instrument} {field}: {len(chosen)} bursts, "
                f"{(chosen['status'] != 'no trigger').sum()} triggered, {len(located)} located; "
                f"within R90 {np.mean(offset < located['r90']):.3f}, "
                f"bias east and north in units of R90 {bias}, median R90 "
                f"{np.median(located['r90']):.3f} deg, offset {np.median(offset):.3f} deg, "
                f"R90 x SNR {np.quantile(np.asarray(located['r90'] * located['snr']), QUANTILES)}"
            )


def draw(rows: Table) -> None:
    """Draw R90 against the ratio, and how often the burst lies within a multiple of it."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    located = rows[rows["status"] == "located"]
    ecl = located[located["instrument"] == "ECL"]
    for field, marker in (("fully coded", "o"), ("partially coded", "^")):
        one = ecl[ecl["field"] == field]
        left.plot(one["snr"], one["r90"], marker, ms=3, alpha=0.6, label=f"fit, {field}")
    snr = np.geomspace(6, 300, 100)
    left.plot(snr, law_r90(snr), "k-", lw=1, label="notices")
    left.plot(snr, STATISTICAL_R90 / snr, "k:", lw=1, label=f"without {SYSTEMATIC_R90:.4f}")
    left.set(xscale="log", yscale="log", xlabel="SNR", ylabel="R90 [deg]", title="ECLAIRs")
    left.legend(fontsize=8)
    groups = [
        ("ECL, fully coded", ecl[ecl["field"] == "fully coded"]),
        ("ECL, partially coded", ecl[ecl["field"] == "partially coded"]),
        ("GRM", located[located["instrument"] == "GRM"]),
    ]
    for name, one in groups:
        ratio = np.sort(np.hypot(one["east"], one["north"]) / one["r90"])
        right.plot(ratio, (np.arange(ratio.size) + 0.5) / ratio.size, label=name)
    grid = np.linspace(0, 2, 100)
    right.plot(grid, 1 - 0.1 ** (grid**2), "k-", lw=1, label="Gaussian")
    right.plot([1], [0.9], "k+", ms=10)
    right.set(xlim=(0, 2), xlabel="offset / R90", ylabel="part of the bursts", title="coverage")
    right.legend(fontsize=8)
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / "eclgrm-localisation.png", dpi=100)


def draw_sky() -> None:
    """Draw a sky image of ECLAIRs, and the map of GRB 080916C from GBM's trigger data."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rng = np.random.default_rng(9)
    tangent = np.array([0.35, -0.25])
    scene = Scene(ATTITUDE, to_sky(from_tangent(tangent), ATTITUDE), Time("2026-03-02"))
    found = locate(simulate(draw_burst(rng), scene, rng=rng, settings=RECORDED), "ECL")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    edges = [found.image.tangent[0], found.image.tangent[-1]] * 2
    shown = left.imshow(
        found.image.snr, origin="lower", extent=edges, vmin=-5, vmax=30, cmap="gray_r"
    )
    left.plot(tangent[1], tangent[0], "rs", ms=14, fillstyle="none")
    left.set(xlabel="z / x", ylabel="y / x", title="ECLAIRs, simulated: SNR of the sky image")
    figure.colorbar(shown, ax=left)
    trigdat = DATA / "grb" / "gbm_bn080916009" / "glg_trigdat_all_bn080916009_v02.fit"
    curves = {name: read_gbm_trigdat(trigdat, [at]) for at, name in enumerate(NAI_NAMES)}
    pointing_table = read_gbm_pointing(trigdat)
    at = int(np.argmin(np.abs(pointing_table["time"])))
    attitude, position = pointing_table["attitude"][at], pointing_table["position"][at]
    real = locate_trigdat(curves, read_gbm_nai_rates(), attitude=attitude, position=position)
    catalogue = SkyCoord(119.8, -56.6, unit="deg")
    separation = real.position.coordinates.separation(catalogue)
    print(  # noqa: T201
        f"GRB 080916C: trigger {real.trigger.stop:.3f}, {separation.deg:.2f} deg from the "
        f"catalogue, R90 {real.position.r90:.2f}, areas {real.position.area_50:.0f} "
        f"{real.position.area_90:.0f}, chi2 {real.map.chi2:.1f} / {real.map.n_dof}"
    )
    sky = to_sky(real.map.directions, attitude)
    near = sky.separation(catalogue) < 25 * u.deg
    east, north = catalogue.spherical_offsets_to(sky[near])
    order = np.argsort(real.map.probability)[::-1]
    content = np.empty(order.size)
    content[order] = np.cumsum(real.map.probability[order])
    right.tricontourf(
        east.deg, north.deg, content[near], levels=[0, 0.5, 0.9], colors=["#3b6fa8", "#b5cbe4"]
    )
    here = catalogue.spherical_offsets_to(real.position.coordinates)
    right.plot(0, 0, "r*", ms=11, label="GBM catalogue")
    right.plot(here[0].deg, here[1].deg, "rx", label="here")
    right.set(
        xlim=(20, -20),
        ylim=(-20, 20),
        aspect="equal",
        title="GRB 080916C, TRIGDAT: 50 and 90 % regions",
    )
    right.set(xlabel="east of the catalogue [deg]", ylabel="north [deg]")
    right.legend(fontsize=8)
    figure.savefig(FIGURES / "eclgrm-sky.png", dpi=72)


if __name__ == "__main__":
    measured = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    report(measured)
    draw(measured)
    draw_sky()
