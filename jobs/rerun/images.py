"""Runs that were in a container: in the same image again, or why it cannot be had."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engines.containers import Image, find_image, is_here
from provmanager.capture.hosts import detect_container
from provmanager.errors import JSONDict, ProvError, UsageError
from provmanager.ids import file_sha256

if TYPE_CHECKING:
    from .plan import Plan


def recorded_image(activity: JSONDict) -> Image | None:
    """Return the image that a run was in; None if in none, or in the one that we are in too.

    An image without a digest is none that could be known again.
    """
    told = activity.get("container") or {}
    if not told.get("image") or not told.get("digest"):
        return None
    if (detect_container() or {}).get("digest") == told["digest"]:
        return None
    return Image(
        engine=str(told.get("runtime") or ""),
        name=str(told["image"]),
        digest=str(told["digest"]),
        sources=tuple(map(str, told.get("sources") or ())),
    )


def program_within(
    arguments: Sequence[str], executable: str | None
) -> tuple[tuple[str, ...], Sequence[str], list[str]]:
    """Return what to start in the image, the remaining arguments, and what is missing for it."""
    first = arguments[0]
    if first.startswith("-"):  # sys.argv of python -c, which has no program
        return (first,), arguments[1:], [f"{first}: the record does not say which program this was"]
    if first.endswith(".py") and executable:
        return (executable, first), arguments[1:], []
    return (first,), arguments[1:], []


def requirement_of(image: Image) -> JSONDict:
    """Return the CWL requirement of just this image: by its digest, whatever its name is now."""
    if image.name.startswith("/"):
        return {"dockerImageId": image.name}
    found = {"dockerImageId": str(image.digest)}
    return found | ({"dockerPull": image.sources[0]} if image.sources else {})


def container_engine(plan: "Plan") -> str | None:
    """Return the engine for the images of a plan; None if no run was in one.

    What podman has, docker may have, and the other way round.

    Raises
    ------
    UsageError
        It is not here, or there are several.
    """
    names = sorted({step.image.engine for step in plan.steps if step.image is not None})
    if len(names) > 1:
        raise UsageError(f"its runs were in containers of several engines: {', '.join(names)}")
    if not names:
        return None
    (name,) = names
    alike = ("podman", "docker") if name in ("podman", "docker") else (name,)
    here = [one for one in alike if is_here(one)]
    if not here:
        raise UsageError(f"its runs were in containers of {name}, which is not here")
    return name if name in here else here[0]


def missing_images(plan: "Plan") -> list[str]:
    """Say which images of a plan cannot be had here."""
    images = {step.image for step in plan.steps if step.image is not None}
    try:
        engine = container_engine(plan)
        return [text for image in images if (text := _missing(str(engine), image))]
    except ProvError as error:
        return [error.message]


def _missing(engine: str, image: Image) -> str | None:
    path = Path(image.name)
    if image.name.startswith("/"):
        if not path.is_file():
            return f"the container image {path} is not here"
        is_same = f"sha256:{file_sha256(path)}" == image.digest
        return None if is_same else f"the container image {path} was changed since: {image.digest}"
    if image.sources or find_image(engine, str(image.digest)) is not None:
        return None
    return (
        f"{engine} has no image {image.digest} ({image.name}), and the record names no registry "
        "that has it"
    )
