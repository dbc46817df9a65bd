"""Readers and writers of provenance documents, one module a format."""

from .detection import FORMATS, Format, Probe, read
from .embedded import extract
from .environments import Environments
from .json_stream import read_values
from .locations import absolute_uri, local_path, repair_mangled, split_location

__all__ = [
    "FORMATS",
    "Environments",
    "Format",
    "Probe",
    "absolute_uri",
    "extract",
    "local_path",
    "read",
    "read_values",
    "repair_mangled",
    "split_location",
]
