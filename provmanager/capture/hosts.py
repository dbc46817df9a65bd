"""Where the activity runs: the machine, and the container around it if there is one."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import file_uri

JSONDict = dict[str, Any]  # Any: free-form JSON

IMAGE_ROLE = "container image"
"""Role of the image that an activity ran in."""

_CONTAINER_ID = re.compile(r"(?:/|docker-|libpod-|crio-|cri-containerd-)(?P<id>[0-9a-f]{64})\b")
_DIGEST = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")
_ASSIGNMENT = re.compile(r'^(?P<key>\w+)="?(?P<value>[^"\n]*)"?$', re.MULTILINE)
_CGROUP_WORDS = (
    ("docker", "docker"),
    ("libpod", "podman"),
    ("kubepods", "kubernetes"),
    ("crio", "cri-o"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
)
_MAX_TEXT = 65_536


def describe_host() -> JSONDict:
    """Return the machine: name, operating system kernel, processor, cores, memory."""
    names = os.uname()
    host: JSONDict = {
        "name": names.nodename,
        "system": names.sysname,
        "release": names.release,
        "version": names.version,
        "machine": names.machine,
        "n_cpus": os.cpu_count(),
        "n_cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": _memory_bytes(),
    }
    return {key: value for key, value in host.items() if value is not None}


def detect_container(
    environ: Mapping[str, str] = os.environ, *, root: Path = Path("/")
) -> JSONDict | None:
    """Return the container around this process, or None.

    Keys: ``runtime``, ``image``, ``digest``, ``id``, ``name``, ``labels``, ``pod``; only those
    known. Docker tells its guests nothing of the image, podman only privileged ones: set
    ``PROV_CONTAINER_IMAGE`` and ``PROV_CONTAINER_DIGEST`` where it is started.
    """
    found = _apptainer(environ, root) or _podman(root) or _generic(environ, root)
    image = environ.get("PROV_CONTAINER_IMAGE") or environ.get("CI_JOB_IMAGE")
    digest = environ.get("PROV_CONTAINER_DIGEST")
    if found is None and not (environ.get("PROV_CONTAINER_IMAGE") or digest):
        return None
    container: JSONDict = {"runtime": None, **(found or {})}
    container["image"] = environ.get("PROV_CONTAINER_IMAGE") or container.get("image") or image
    container["digest"] = digest or container.get("digest")
    return {key: value for key, value in container.items() if value}


def image_items(container: JSONDict | None, *, host: str | None) -> list[JSONDict]:
    """Return the image of a container as what an activity in it used; empty if it is not certain.

    It is certain by its digest, or by a path, which names a file or folder of Apptainer.
    """
    image = str((container or {}).get("image") or "")
    digest = _DIGEST.fullmatch(str((container or {}).get("digest") or ""))
    if container is None or not image or not (digest or image.startswith("/")):
        return []
    item = {"url": image_url(image, host or ""), "role": IMAGE_ROLE, "name": image}
    if digest:
        item["sha256"] = digest["hex"]
    sources = [image_url(str(one)) for one in container.get("sources") or ()]
    return [{**item, "locations": sources} if sources else item]


def image_url(image: str, host: str = "") -> str:
    """Return ``docker://registry/name:tag`` of an image, or the place of its file or folder."""
    if image.startswith("/cvmfs/"):  # the same on every host
        return f"cvmfs://{image.removeprefix('/cvmfs/')}"
    if image.startswith("/"):
        return file_uri(image, host=host)
    name = image.removeprefix("docker://")
    first, slash, _ = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return f"docker://{name}"
    return f"docker://docker.io/{name if slash else f'library/{name}'}"


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_MAX_TEXT)
    except OSError:
        return ""


def _apptainer(environ: Mapping[str, str], root: Path) -> JSONDict | None:
    for runtime in ("apptainer", "singularity"):
        prefix = runtime.upper()
        image = environ.get(f"{prefix}_CONTAINER")
        if image or environ.get(f"{prefix}_NAME"):
            return {
                "runtime": runtime,
                "image": image,
                "name": environ.get(f"{prefix}_NAME"),
                "labels": _labels(root),
            }
    if (root / ".singularity.d").is_dir():
        return {"runtime": "apptainer", "labels": _labels(root)}
    return None


def _labels(root: Path) -> JSONDict | None:
    """Return the labels that an image was built with (``/.singularity.d/labels.json``)."""
    try:
        labels = json.loads(_read(root / ".singularity.d" / "labels.json") or "{}")
    except ValueError:
        return None
    return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else None


def _podman(root: Path) -> JSONDict | None:
    path = root / "run" / ".containerenv"
    if not path.exists():
        return None
    told = {match["key"]: match["value"] for match in _ASSIGNMENT.finditer(_read(path))}
    image_id = told.get("imageid", "")
    return {
        "runtime": told.get("engine", "podman").partition("-")[0],
        "image": told.get("image"),
        "digest": f"sha256:{image_id}" if re.fullmatch("[0-9a-f]{64}", image_id) else None,
        "id": told.get("id"),
        "name": told.get("name"),
    }


def _generic(environ: Mapping[str, str], root: Path) -> JSONDict | None:
    """Docker, Kubernetes and the like, from the traces that they leave."""
    groups = _read(root / "proc" / "self" / "cgroup")
    mounts = _read(root / "proc" / "self" / "mountinfo")
    is_pod = "KUBERNETES_SERVICE_HOST" in environ
    runtime = next((name for word, name in _CGROUP_WORDS if word in groups), None)
    if (root / ".dockerenv").exists():
        runtime = runtime or "docker"
    if environ.get("CH_RUNNING"):
        runtime = runtime or "charliecloud"
    runtime = runtime or environ.get("container") or ("kubernetes" if is_pod else None)
    if runtime is None:
        return None
    match = _CONTAINER_ID.search(groups)
    if match is None:
        lines = [m for m in mounts.splitlines() if "/containers/" in m and "/hostname" in m]
        match = _CONTAINER_ID.search("\n".join(lines))
    return {
        "runtime": runtime,
        "id": match["id"] if match else None,
        "pod": environ.get("HOSTNAME") if is_pod else None,
    }
