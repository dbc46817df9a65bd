"""What the database can hold: names short enough to be looked up.

PostgreSQL finds rows by an index, whose entries have at most 2704 bytes. A longer name is not a
name: somebody put contents where an identifier belongs, and is told so before anything is stored.
"""

from collections.abc import Iterable, Iterator

from provmanager.errors import DocumentError
from provmanager.formats import split_location
from provmanager.model import Activity, DescriptionDocument, Document, Entity

MAX_NAME_BYTES = 2500
_SURELY_SHORT = MAX_NAME_BYTES // 4  # a character has four bytes at most

Named = tuple[str, str | None]
"""(What it is, in words; the name)."""


def check_storable(document: Document, checked: set[int]) -> None:
    """Refuse a document with a name that is too long to be found again.

    Parameters
    ----------
    checked : set of int
        Identities of the environments that were looked at before; grows. The caller keeps them.

    Raises
    ------
    DocumentError
        With ``expected`` and ``found``, in bytes.
    """
    for what, name in _names(document, checked):
        if name is not None and len(name) > _SURELY_SHORT:
            check_name(what, name)


def check_name(what: str, name: str, *, pointer: str | None = None) -> None:
    """Refuse `name` if it is too long to be found again; `what` it is, in words."""
    if len(name) <= _SURELY_SHORT:  # nearly all names pass without being encoded
        return
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > MAX_NAME_BYTES:
        raise DocumentError(
            f"the {what} {name[:60]!r}… has {size} bytes; a name has {MAX_NAME_BYTES} at most: put "
            "long text where it is not looked up, in the configuration or a comment",
            pointer=pointer,
            expected=MAX_NAME_BYTES,
            found=size,
        )


def _names(document: Document, checked: set[int]) -> Iterator[Named]:
    yield from _of_activities(document.activities, checked)
    yield from _of_entities(document.entities)
    for agent in document.agents:
        yield "agent", agent.iri
        yield "name of an agent", agent.name
    for prefix in document.namespaces:
        yield "prefix", prefix
    yield from (("role", used.role) for used in document.used)
    yield from (("role", generated.role) for generated in document.generated)
    yield from (("role", associated.role) for associated in document.associated)
    yield from (("role", attributed.role) for attributed in document.attributed)
    if document.descriptions is not None:
        yield from _of_descriptions(document.descriptions)


def _of_activities(activities: Iterable[Activity], checked: set[int]) -> Iterator[Named]:
    for activity in activities:
        yield "activity name", activity.name
        yield "activity identifier", activity.iri
        if activity.job is not None:
            job = activity.job.get("id")
            yield "job id", job if isinstance(job, str) else None
        environment = activity.environment
        if environment is not None and id(environment) not in checked:
            yield from _packages(environment.get("packages"))
            checked.add(id(environment))  # only now: it was found good


def _of_entities(entities: Iterable[Entity]) -> Iterator[Named]:
    for entity in entities:
        yield "name of a product", entity.name
        if entity.producer is not None:
            yield "activity name", entity.producer.name
        for identifier in (*entity.product_ids, *entity.digests):
            yield "identifier of a product", identifier
        for location in entity.locations:
            if len(location) > _SURELY_SHORT:
                folder, name = split_location(location)
                yield "folder of a product", folder
                yield "file name of a product", name


def _of_descriptions(described: DescriptionDocument) -> Iterator[Named]:
    yield from (("name of a description", e.name) for e in described.entities)
    for activity in described.activities:
        yield "name of a description", activity.name
        yield "version of a description", activity.version
        yield from (("role", flow.role) for flow in (*activity.usages, *activity.generations))
        yield from (("name of a parameter", p.name) for p in activity.parameters)
        yield from (("name of a configuration file", c.name) for c in activity.config_files)


def _packages(packages: object) -> Iterator[Named]:
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict):
            yield "package", str(package.get("name"))
            yield "version of a package", str(package.get("version"))
