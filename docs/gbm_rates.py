"""Make the table of direct rates of GBM's sodium-iodide detectors from that of astro-gdt-fermi.

    pip download --no-deps astro-gdt-fermi && unzip astro_gdt_fermi-*.whl -d gdt
    python docs/gbm_rates.py gdt

The package (Apache License 2.0) holds tables of what the flight team's localisation program expects
for 41168 directions, 12 detectors and three spectra in 50-300 keV; they begin with azimuth and
zenith angle in the spacecraft's axes, in arc minutes. They are interpolated to 6000 evenly spread
directions and scaled to 12 bits: `analysis/eclgrm/tables/gbm_nai_rates.npz`, with the licence
beside it.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from analysis.eclgrm.rate_ratio import even_directions

FOLDER = "gdt/missions/fermi/gbm/localization/dol/data"
N_DIRECTION = 6000
TARGET = Path(__file__).parent.parent / "analysis" / "eclgrm" / "tables" / "gbm_nai_rates.npz"


def main() -> None:
    """Read the tables under the folder named and write ours."""
    out = {}
    for ours, theirs in (("soft", "soft"), ("normal", "norm"), ("hard", "hard")):
        path = Path(sys.argv[1]) / FOLDER / f"band_1deg_50_300_{theirs}.npy"
        # A pickle: run this on a package from the registry only.
        table = np.load(path, allow_pickle=True, encoding="bytes").item()[b"table"]
        azimuth, zenith = np.radians(table[:2] / 60.0)
        known = np.stack(
            [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)],
            axis=1,
        )
        distance, near = cKDTree(known).query(even_directions(N_DIRECTION), 4)
        weight = 1.0 / np.maximum(distance, 1e-6) ** 2
        weight /= weight.sum(axis=1, keepdims=True)
        rates = np.einsum("dk,dkj->dj", weight, table[2:14].T[near].astype(float))
        out[ours] = np.rint(rates / rates.max() * 4095).astype(np.uint16)
    np.savez_compressed(TARGET, **out)


if __name__ == "__main__":
    main()
