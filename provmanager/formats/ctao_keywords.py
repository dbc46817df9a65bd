"""FITS keywords of CTAO's data product metadata, to their places in its JSON form.

From the ``fits_keyword`` of each field of the JSON Schema of `Product`, ctao-datamodel 1.4.0
(metadata version 2.1.0). Fields without one stand as ``HIERARCH CTAO <PATH>``. Version 1.0.0
called ``ACTCONF`` ``ANAMODE``.
"""

from typing import Any

from .fits_header import Value

PLACES = {
    "CTAOMETA": "ctao_metadata_version",
    "TITLE": "description",
    "DATALEVL": "data.level",
    "DATADIV": "data.division",
    "DATAASSO": "data.association",
    "DATATYPE": "data.type",
    "DATAID": "instance.id",
    "OBS_ID": "instance.obs_id",
    "EVTYPE": "instance.event_type",
    "AE_ID": "instance.ae_id",
    "AE_CLASS": "instance.ae_class",
    "SUB_ID": "instance.subarray_id",
    "CHUNK_ID": "instance.chunk_id",
    "BATCH_ID": "instance.batch_id",
    "OBSNIGHT": "instance.observing_night",
    "SUBLVL": "instance.sublevel_id",
    "OBJECT": "instance.target_id",
    "PERIOD": "instance.observing_period_id",
    "LUNCYCLE": "instance.lunar_cycle_id",
    "TELESCOP": "instance.facility_name",
    "INSTRUME": "instance.site_id",
    "PDGID": "instance.particle_pdgid",
    "MSNGR": "instance.messenger",
    "DATACAT": "instance.category",
    "DATASRC": "instance.data_source",
    "ASSEMBLY": "instance.assembly_name",
    "LOCRUNID": "instance.local_run_id",
    "RELEASE": "curation.release",
    "REFERENC": "curation.reference",
    "LICENSE": "curation.license",
    "LICENURL": "curation.license_url",
    "COPYRIGH": "curation.copyright",
    "RIGHTS": "curation.rights",
    "PUBDATE": "curation.release_date",
    "MODEL": "model.name",
    "MODELVER": "model.version",
    "MODELURL": "model.url",
    "COMMENT": "disclaimer",
    "CREATED": "creation_time",
    "AUTHOR": "contact.name",
    "ORIGIN": "contact.organization",
    "EMAIL": "contact.email",
    "ACTPROC": "activity.process",
    "ACTIVITY": "activity.name",
    "ACTDESC": "activity.description",
    "ACTID": "activity.id",
    "ACTSTART": "activity.start",
    "ACTSTOP": "activity.end",
    "SOFTWARE": "activity.software.name",
    "SOFTVER": "activity.software.version",
    "SOFTURL": "activity.software.url",
    "ACTCONF": "activity.configuration_id",
    "ANAMODE": "activity.configuration_id",
    "TSTART": "observation.coverage.time.t_min",
    "TSTOP": "observation.coverage.time.t_max",
    "TREFPOS": "observation.coverage.time.reference.position",
    "TIMEUNIT": "observation.coverage.time.reference.unit",
    "TIMESYS": "observation.coverage.time.reference.system",
    "TIMEDELT": "observation.coverage.time.reference.resolution",
    "MJDREF": "observation.coverage.time.reference.time_mjd",
    "RADESYS": "observation.coverage.space.frame",
    "RA_PNT": "observation.coverage.space.ra",
    "DEC_PNT": "observation.coverage.space.dec",
    "FOV": "observation.coverage.space.field_of_view",
    "REGION": "observation.coverage.space.region_of_interest",
    "EMIN": "observation.coverage.energy.energy_min",
    "EMAX": "observation.coverage.energy.energy_max",
    "ALT_MIN": "observation.coverage.tracking.elevation_min",
    "ALT_MAX": "observation.coverage.tracking.elevation_max",
    "AZ_MEAN": "observation.coverage.tracking.azimuth_mean",
    "AZ_RANGE": "observation.coverage.tracking.azimuth_range",
    "TRACKING": "observation.coverage.tracking.mode",
    "OBSGEO-L": "observation.location.longitude",
    "OBSGEO-B": "observation.location.latitude",
    "OBSGEO-H": "observation.location.height",
    "SB_ID": "acquisition.sb_id",
    "LOCRUNTP": "acquisition.local_run_type",
    "SDC_NSB": "sdc.sky_brightness",
    "SIMPROD": "simulation.production_name",
    "SIMZEN": "simulation.node.zenith",
    "SIMAZ": "simulation.node.azimuth",
    "SIMHA": "simulation.node.hour_angle",
    "SIMDEC": "simulation.node.declination",
    "SIMNSB": "simulation.node.nsb_factor",
}

_PREFIX = "CTAO "
_MARKERS = (
    "CTAOMETA",
    "DATAID",
    "CTA PRODUCT ID",
    "CTAO CTAO_METADATA_VERSION",  # written without the short keywords
    "CTAO INSTANCE ID",
)


def marker_of(header: dict[str, Value]) -> str | None:
    """Return the keyword by which `header` is known to describe a product, or None."""
    return next((keyword for keyword in _MARKERS if header.get(keyword)), None)


def product_of(header: dict[str, Value]) -> dict[str, Any]:  # Any: free-form JSON
    """Return the JSON form of the product that `header` describes; empty values are left out."""
    product: dict[str, Any] = {}
    for keyword, value in header.items():
        if value is None or value == "":
            continue
        if keyword.startswith(_PREFIX):
            _put(product, keyword.removeprefix(_PREFIX).lower().split(), value)
        elif place := PLACES.get(keyword):
            _put(product, place.split("."), value)
    activity = product.get("activity")
    if isinstance(activity, dict) and isinstance(activity.get("inputs"), dict):
        inputs = activity["inputs"]
        activity["inputs"] = [inputs[index] for index in sorted(inputs, key=_number)]
    return product


def _put(parent: dict[str, Any], path: list[str], value: Value) -> None:
    for token in path[:-1]:
        below = parent.setdefault(token, {})
        if not isinstance(below, dict):
            return
        parent = below
    parent.setdefault(path[-1], value)


def _number(token: str) -> tuple[int, str]:
    return (int(token) if token.isdecimal() else 0), token
