"""Storage elements: where files lie under logical file names (LFNs), and how these are laid out.

============  ======================================================================
`interface`   what a storage can do; what it says of a file
`lfn`         LFNs, and templates that make them
`options`     which storage, and which templates: from a file of options
`directory`   a folder, on this machine or shared
`s3`          a bucket of S3
`datamanager` DIRAC's DataManager, where DIRAC is installed
`dirac_calls` the program that calls it, in DIRAC's own environment
`staging`     files brought in and out, their digests checked
============  ======================================================================
"""

from .interface import StorageElement, StoredFile
from .lfn import LfnTemplate, is_lfn, normal_lfn
from .options import ANY_OUTPUT, StorageOptions, make_storage
from .staging import stage_in, stage_out

__all__ = [
    "ANY_OUTPUT",
    "LfnTemplate",
    "StorageElement",
    "StorageOptions",
    "StoredFile",
    "is_lfn",
    "make_storage",
    "normal_lfn",
    "stage_in",
    "stage_out",
]
