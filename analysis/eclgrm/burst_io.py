"""The burst file: photons of all detectors of one burst in FITS; and GBM data made into it.

The primary header holds the SVOM keywords, the detectors (DETNAMS), the trigger (TRIGTIME, seconds
of TT since MJDREF), and where known attitude (QUAT1 to QUAT4: x, y, z, w, spacecraft to ICRS),
Earth (EARTH_RA, EARTH_DE) and source (RA_OBJ, DEC_OBJ). Each detector has three extensions:
``EVENTS_<name>`` (TIME [s] relative to the trigger, PI channel from 0; with pixels RAWY, RAWZ),
``EBOUNDS_<name>`` and ``GTI_<name>``, the intervals in which it recorded: what lies outside is a
gap, not a zero. A simulation adds TRUTH, names and JSON values.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.units import Quantity

from .burst import INSTRUMENTS, BurstData, DetectorEvents
from .eclairs import N_PIXEL
from .fits_write import to_bytes, write_bytes
from .io import EventList, InputFileError, open_fits, read_gbm_tte, read_table
from .lightcurve import FloatArray, IntArray

CARD = "BURST"
MJDREF = (57754, 69.184 / 86400.0)
"""2017-01-01 00:00 UTC in TT, days; SVOM headers give the integer part."""
_QUATERNION = ("QUAT1", "QUAT2", "QUAT3", "QUAT4")


def write_burst(
    burst: BurstData, path: Path | str, *, header: Mapping[str, Any] | None = None
) -> None:
    """Write a burst file.

    Parameters
    ----------
    burst : BurstData
    path : Path
        Target; it appears whole or not at all, and replaces an older one.
    header : mapping, optional
        Further keywords of the primary header.
    """
    origin = Time(MJDREF[0], MJDREF[1], format="mjd", scale="tt")
    trigger_s = float((burst.reference.tt - origin).to_value(u.s))
    primary = fits.PrimaryHDU()
    primary.header.update(_primary_cards(burst, trigger_s))
    primary.header.update(header or {})
    hdus: list[Any] = [primary]
    for detector in burst.detectors:
        hdus += _detector_hdus(detector, trigger_s)
    if burst.truth:
        hdus.append(_truth_hdu(burst.truth))
    write_bytes(to_bytes(hdus), path)


def _primary_cards(burst: BurstData, trigger_s: float) -> list[tuple[str, Any, str]]:
    cards: list[tuple[str, Any, str]] = [
        ("TELESCOP", burst.telescope, ""),
        ("INSTRUME", "".join(burst.instruments), ""),
        ("CARD", CARD, "photons of all detectors"),
        ("DSTREAM", "VHF", ""),
        ("OBS_ID", burst.obs_id, ""),
        ("BURST_ID", burst.burst_id, ""),
        ("DETNAMS", ",".join(one.name for one in burst.detectors), "detectors held"),
        *_time_cards(trigger_s),
    ]
    if burst.attitude is not None:
        for key, value in zip(_QUATERNION, burst.attitude, strict=True):
            cards.append((key, float(value), "spacecraft to ICRS"))
    for place, keys in ((burst.earth, ("EARTH_RA", "EARTH_DE")), (burst.source, _SOURCE)):
        if place is not None:
            cards.append((keys[0], float(place.icrs.ra.deg), "[deg] ICRS"))
            cards.append((keys[1], float(place.icrs.dec.deg), "[deg] ICRS"))
    return cards


_SOURCE = ("RA_OBJ", "DEC_OBJ")


def _time_cards(trigger_s: float) -> list[tuple[str, Any, str]]:
    return [
        ("TIMESYS", "TT", ""),
        ("TIMEREF", "LOCAL", ""),
        ("TIMEUNIT", "s", ""),
        ("MJDREFI", MJDREF[0], ""),
        ("MJDREFF", MJDREF[1], ""),
        ("TRIGTIME", trigger_s, "[s] time zero of this file, since MJDREF"),
    ]


def _detector_hdus(detector: DetectorEvents, trigger_s: float) -> list[fits.BinTableHDU]:
    events = detector.events
    columns = [
        fits.Column("TIME", "D", unit="s", array=events.time.to_value(u.s)),
        fits.Column("PI", "I", array=events.channel),
    ]
    if detector.pixel is not None:
        columns.append(fits.Column("RAWY", "I", array=detector.pixel[:, 0]))
        columns.append(fits.Column("RAWZ", "I", array=detector.pixel[:, 1]))
    low_high = events.energy.to_value(u.keV)
    spans = np.atleast_2d(events.good_intervals.to_value(u.s))
    tables = {
        "EVENTS": columns,
        "EBOUNDS": [
            fits.Column("CHANNEL", "I", array=np.arange(len(low_high))),
            fits.Column("E_MIN", "D", unit="keV", array=low_high[:, 0]),
            fits.Column("E_MAX", "D", unit="keV", array=low_high[:, 1]),
        ],
        "GTI": [
            fits.Column("START", "D", unit="s", array=spans[:, 0]),
            fits.Column("STOP", "D", unit="s", array=spans[:, 1]),
        ],
    }
    hdus = []
    for kind, held in tables.items():
        hdu = fits.BinTableHDU.from_columns(held, name=f"{kind}_{detector.name}")
        hdu.header["INSTRUME"] = detector.instrument
        hdu.header["DETNAM"] = detector.name
        if kind != "EBOUNDS":
            hdu.header.update(_time_cards(trigger_s))
            hdu.header["TIMEZERO"] = (trigger_s, "[s] to be added to the times here")
        hdus.append(hdu)
    return hdus


def _truth_hdu(truth: Mapping[str, Any]) -> fits.BinTableHDU:
    names = list(truth)
    values = [json.dumps(truth[name], allow_nan=False) for name in names]
    return fits.BinTableHDU.from_columns(
        [
            fits.Column("NAME", f"{max(map(len, names))}A", array=names),
            fits.Column("VALUE", f"{max(map(len, values))}A", array=values),
        ],
        name="TRUTH",
    )


def read_burst(path: Path | str) -> BurstData:
    """Read a burst file.

    Raises
    ------
    InputFileError
        The file is truncated, holds no detector, or a keyword, extension, column or value is not
        as the format says; the message names file, extension and what was expected.
    """
    file = Path(path)
    with open_fits(file) as hdus:
        header = hdus[0].header
        reference = _reference(file, header)
        names = [hdu.name[7:] for hdu in hdus if hdu.name.startswith("EVENTS_")]
        if not names:
            held = ", ".join(hdu.name for hdu in hdus)
            raise InputFileError(
                file, "file", f"extensions {held}", "a burst file with extensions EVENTS_<detector>"
            )
        if ",".join(names) != header["DETNAMS"]:
            raise InputFileError(
                file, "file", f"detectors {','.join(names)}", f"{header['DETNAMS']} (truncated?)"
            )
        return BurstData(
            burst_id=str(header["BURST_ID"]),
            obs_id=str(header.get("OBS_ID", "")),
            telescope=str(header.get("TELESCOP", "")),
            detectors=tuple(_read_detector(file, hdus, name, reference) for name in names),
            attitude=_quaternion(file, header),
            earth=_place(header, ("EARTH_RA", "EARTH_DE")),
            source=_place(header, _SOURCE),
            truth=_read_truth(file, hdus),
        )


def _reference(path: Path, header: fits.Header) -> Time:
    wanted = ("BURST_ID", "DETNAMS", "TRIGTIME", "MJDREFI", "MJDREFF")
    missing = [key for key in wanted if key not in header]
    if missing:
        raise InputFileError(
            path, "extension PRIMARY", f"no {', '.join(missing)}", "the keywords of a burst file"
        )
    origin = Time(int(header["MJDREFI"]), float(header["MJDREFF"]), format="mjd", scale="tt")
    return origin + float(header["TRIGTIME"]) * u.s


def _read_detector(path: Path, hdus: fits.HDUList, name: str, reference: Time) -> DetectorEvents:
    part = f"EVENTS_{name}"
    table = read_table(path, hdus, part, ("TIME", "PI"))
    instrument = str(hdus[part].header.get("INSTRUME", "")).strip()
    if instrument not in INSTRUMENTS:
        raise InputFileError(path, f"extension {part}", f"INSTRUME {instrument!r}", "ECL or GRM")
    bounds = read_table(path, hdus, f"EBOUNDS_{name}", ("E_MIN", "E_MAX"))
    energy = np.stack([bounds["E_MIN"], bounds["E_MAX"]], axis=1).astype(float)
    if not len(energy) or not (energy[:, 1] > energy[:, 0]).all():
        raise InputFileError(
            path, f"extension EBOUNDS_{name}", "no or inverted channels", "E_MIN < E_MAX in each"
        )
    time, channel = np.asarray(table["TIME"], float), np.asarray(table["PI"], np.int64)
    _check_events(path, part, time, channel, len(energy))
    order = np.argsort(time, kind="stable")
    return DetectorEvents(
        name=name,
        instrument="ECL" if instrument == "ECL" else "GRM",
        events=EventList(
            time=Quantity(time[order], u.s),
            channel=channel[order],
            energy=Quantity(energy, u.keV),
            good_intervals=_read_intervals(path, hdus, f"GTI_{name}"),
            reference=reference,
        ),
        pixel=_read_pixels(path, part, table, order),
    )


def _check_events(
    path: Path, part: str, time: FloatArray, channel: IntArray, n_channel: int
) -> None:
    bad = ~np.isfinite(time)
    if bad.any():
        raise InputFileError(
            path, f"extension {part}", f"TIME {time[bad][0]} in row {bad.argmax()}", "finite times"
        )
    bad = (channel < 0) | (channel >= n_channel)
    if bad.any():
        raise InputFileError(
            path,
            f"extension {part}",
            f"PI {channel[bad][0]} in row {bad.argmax()}",
            f"channels 0 to {n_channel - 1}, as in its EBOUNDS",
        )


def _read_intervals(path: Path, hdus: fits.HDUList, part: str) -> Quantity:
    table = read_table(path, hdus, part, ("START", "STOP"))
    spans = np.stack([table["START"], table["STOP"]], axis=1).astype(float)
    if not len(spans) or not (spans[:, 1] > spans[:, 0]).all():
        raise InputFileError(
            path, f"extension {part}", f"intervals {spans.tolist()}", "at least one, START < STOP"
        )
    return Quantity(spans, u.s)


def _read_pixels(path: Path, part: str, table: fits.FITS_rec, order: IntArray) -> IntArray | None:
    held = [column for column in ("RAWY", "RAWZ") if column in table.names]
    if not held:
        return None
    if len(held) == 1:
        raise InputFileError(path, f"extension {part}", f"only {held[0]}", "both RAWY and RAWZ")
    pixel = np.stack([table["RAWY"], table["RAWZ"]], axis=1).astype(np.int64)[order]
    if ((pixel < 0) | (pixel >= N_PIXEL)).any():
        raise InputFileError(
            path,
            f"extension {part}",
            f"pixels {pixel.min()} to {pixel.max()}",
            f"RAWY and RAWZ from 0 to {N_PIXEL - 1}",
        )
    return pixel


def _quaternion(path: Path, header: fits.Header) -> FloatArray | None:
    values = [header[key] for key in _QUATERNION if key in header]
    if not values:
        return None
    attitude = np.array(values, float)
    if attitude.size != 4 or not np.isclose(np.linalg.norm(attitude), 1.0, atol=1e-3):
        raise InputFileError(
            path, "extension PRIMARY", f"attitude {values}", "QUAT1 to QUAT4, a unit quaternion"
        )
    return attitude


def _place(header: fits.Header, keys: tuple[str, str]) -> SkyCoord | None:
    if not all(key in header for key in keys):
        return None
    return SkyCoord(float(header[keys[0]]) * u.deg, float(header[keys[1]]) * u.deg, frame="icrs")


def _read_truth(path: Path, hdus: fits.HDUList) -> dict[str, Any]:
    if "TRUTH" not in hdus:
        return {}
    table = read_table(path, hdus, "TRUTH", ("NAME", "VALUE"))
    try:
        return {str(row["NAME"]): json.loads(row["VALUE"]) for row in table}
    except json.JSONDecodeError as error:
        raise InputFileError(path, "extension TRUTH", str(error), "JSON values") from error


def import_gbm(
    paths: Sequence[Path | str], *, burst_id: str | None = None, source: SkyCoord | None = None
) -> BurstData:
    """Make burst data of GBM event files, one detector each; they play the part of GRM.

    The position in the headers is that of a first, automatic localisation, often far off, and is
    not taken.

    Parameters
    ----------
    paths : sequence of Path
        TTE files of one burst, one for each detector.
    burst_id : str, optional
        By default bn and the number in the first file's OBJECT, as bn080916009.
    source : SkyCoord, optional
        Where the burst is.

    Raises
    ------
    InputFileError
        A file is not a TTE file, or two files are not of the same burst or detector.
    """
    detectors: list[DetectorEvents] = []
    found_id = burst_id
    for path in map(Path, paths):
        events = read_gbm_tte(path)
        with open_fits(path) as hdus:
            header = hdus[0].header
            name = _gbm_name(path, str(header.get("DETNAM", "")))
            found_id = found_id or "bn" + str(header.get("OBJECT", "")).removeprefix("GRB")
        one = DetectorEvents(name=name, instrument="GRM", events=events)
        if name in [other.name for other in detectors]:
            raise InputFileError(path, "extension PRIMARY", f"DETNAM {name} again", "one file each")
        if detectors:
            first = detectors[0].events.reference
            if abs((events.reference - first).to_value(u.s)) > 1e-6:
                raise InputFileError(
                    path,
                    "extension PRIMARY",
                    f"trigger {events.reference.isot}",
                    f"{first.isot}, the trigger of {paths[0]}",
                )
        detectors.append(one)
    return BurstData(
        burst_id=found_id or "", telescope="FERMI", detectors=tuple(detectors), source=source
    )


def gbm_detector(path: Path | str) -> str:
    """Tell from a GBM file's header which detector it is of: N3, B0.

    Raises
    ------
    InputFileError
        The header does not say.
    """
    with open_fits(Path(path)) as hdus:
        return _gbm_name(Path(path), str(hdus[0].header.get("DETNAM", "")))


def _gbm_name(path: Path, detnam: str) -> str:
    """NAI_03 is N3, NAI_10 NA, NAI_11 NB, BGO_00 B0."""
    kind, _, number = detnam.partition("_")
    if kind not in ("NAI", "BGO") or not number.isdigit():
        raise InputFileError(
            path, "extension PRIMARY", f"DETNAM {detnam!r}", "NAI_00 to NAI_11, BGO_00 or BGO_01"
        )
    return f"{kind[0]}{int(number):X}"
