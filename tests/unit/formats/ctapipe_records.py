"""Records as ctapipe 0.32 writes them, for tests."""

import json
from typing import Any

from provmanager.formats import read
from provmanager.model import Document

UUID_1 = "c1c8e2cb-2502-470c-8348-0256d7972cec"
UUID_2 = "4020696d-c0af-443c-93ce-2cb81b37c878"
PRODUCT = "8d83ad75-c35a-47bf-9674-881025afdbd3"

META = {
    "CTA CONTACT NAME": "root",
    "CTA PRODUCT CREATION TIME": "2026-11-21 01:17:54.963",
    "CTA PRODUCT DATA LEVELS": "DL1_IMAGES,DL1_PARAMETERS",
    "CTA PRODUCT FORMAT": "hdf5",
    "CTA PRODUCT ID": PRODUCT,
    "CTA ACTIVITY ID": UUID_1,
    "CTA ACTIVITY NAME": "ctapipe-process",
    "CTA ACTIVITY SOFTWARE VERSION": "0.32.0",
    "CTA ACTIVITY START TIME": "2026-11-21 01:16:10.528",
    "CTA ACTIVITY STOP TIME": None,
}
MADE_UP = {"CTA PRODUCT ID": PRODUCT, "CTA ACTIVITY ID": "", "CTA PRODUCT FORMAT": ""}


def record(**changes: Any) -> dict[str, Any]:
    """Return one record as ctapipe 0.32 writes it, with `changes` at its top level."""
    return {
        "activity_name": "ctapipe-process",
        "activity_uuid": UUID_2,
        "status": "completed",
        "start": {"time_utc": "2026-11-21T01:19:42.187"},
        "stop": {"time_utc": "2026-11-21T01:19:52.972"},
        "system": {
            "ctapipe_version": "0.32.0",
            "ctapipe_svc_path": None,
            "executable": "/venv/bin/python",
            "platform": {
                "architecture_bits": "64bit",
                "architecture_linkage": "ELF",
                "machine": "x86_64",
                "processor": "",
                "node": "Worker7.site.example",
                "version": "#1 SMP",
                "system": "Linux",
                "release": "6.1",
                "libcver": ["glibc", "2.36"],
                "n_cpus": 2,
                "boot_time": "2026-11-21T00:31:25.000",
            },
            "python": {
                "version_string": "3.12.1",
                "version": ["3", "12", "1"],
                "compiler": "GCC",
                "implementation": "CPython",
                "packages": [{"name": "numpy", "version": "2.5.5"}],
            },
            "environment": {"CONDA_PREFIX": None, "PATH": "/venv/bin", "USER": "cta"},
            "arguments": ["ctapipe-process", "--overwrite"],
            "start_time_utc": "2026-11-21T01:19:42.938",
        },
        "input": [{"url": "/data/g1.dl1.h5", "role": "Event", "reference_meta": META}],
        "output": [{"url": "/data/g1.dl2.h5", "role": "DL1/Event", "reference_meta": None}],
        "config": {"ProcessorTool": {"overwrite": True}},
        "exit_code": 0,
        "duration_min": 0.18,
    } | changes  # fmt: skip


def parse(*values: Any) -> Document:
    return read("".join(map(json.dumps, values)).encode(), name="run.json")
