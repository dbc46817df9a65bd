"""Job descriptions as DIRAC's and CTADIRAC's classes write them: workflow XML, and JDL.

`DIRAC.Interfaces.API.Job` makes both: the XML holds the steps, the JDL starts ``dirac-jobexec`` on
it and says what the job needs. Read here without DIRAC.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

from provmanager.errors import NotFoundError, UsageError

MODULES = ("Script", "cta_script")
"""Modules of workflows that run an executable; any other is Python code of its own."""

_LISTS = ("InputData", "InputSandbox", "OutputSandbox", "Site", "BannedSites", "Tags")
_TOKEN = re.compile(
    r'(?P<space>\s+|//[^\n]*|#[^\n]*)|"(?P<text>[^"]*)"|(?P<sign>[][{}=;,])|(?P<word>[^][{}=;,"\s]+)'
)


@dataclass(frozen=True, slots=True)
class DiracStep:
    """One step: an executable with its arguments, in the folder of the job."""

    name: str
    executable: str
    arguments: str = ""
    log_file: str = ""

    @property
    def program(self) -> str:
        """The executable's own name."""
        return self.executable.rpartition("/")[2]

    def words(self) -> list[str]:
        """Return the arguments, taken apart as DIRAC's modules do.

        Raises
        ------
        UsageError
            A quotation is not closed.
        """
        try:
            return shlex.split(self.arguments)
        except ValueError as error:
            raise UsageError(f"step {self.name}: arguments {self.arguments!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class DiracJob:
    """A job: its steps in their order, and what it asks for.

    Attributes
    ----------
    path : Path
        The description that holds the steps: the XML, or a JDL that starts another program.
    demands : dict
        Other attributes of the JDL, such as ``JobType``, ``Site`` and ``CPUTime``, as texts or
        lists of texts.
    """

    path: Path
    name: str
    steps: tuple[DiracStep, ...]
    input_data: tuple[str, ...] = ()
    input_sandbox: tuple[str, ...] = ()
    output_sandbox: tuple[str, ...] = ()
    demands: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def read_job(path: Path) -> DiracJob:
    """Read a job description, XML or JDL.

    Raises
    ------
    NotFoundError
        It is not there, or the XML that the JDL names is not beside it.
    UsageError
        It is none, or a step runs Python code of a module that is not here.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return _read_jdl(path, text) if path.suffix.lower() == ".jdl" else _read_xml(path, text)


def _read_xml(path: Path, text: str) -> DiracJob:
    if "<!" in re.sub(r"<!\[CDATA\[.*?\]\]>|<!--.*?-->", "", text, flags=re.DOTALL):
        raise UsageError(f"{path}: declarations (<!DOCTYPE …) are not read: DIRAC writes none")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (entities are declared in a DOCTYPE)
    except ElementTree.ParseError as error:
        raise UsageError(f"{path}:{error.position[0]}: no XML: {error}") from error
    if root.tag != "Workflow":
        raise UsageError(f"{path}: expected a <Workflow> of DIRAC, found <{root.tag}>")
    common = _parameters(root)
    told = {name: _value(name, value) for name, value in common.items() if value}
    definitions = {_text(d, "type"): d for d in root.findall("StepDefinition")}
    steps = tuple(_step(path, one, definitions, common) for one in root.findall("StepInstance"))
    if not steps:
        raise UsageError(f"{path}: the workflow has no step (<StepInstance>)")
    return _job(path, told | {"JobName": common.get("JobName") or _text(root, "name")}, steps)


def _parameters(element: ElementTree.Element) -> dict[str, str]:
    return {
        parameter.get("name", ""): (parameter.findtext("value") or "").strip()
        for parameter in element.findall("Parameter")
    }


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _step(
    path: Path,
    instance: ElementTree.Element,
    definitions: Mapping[str, ElementTree.Element],
    common: Mapping[str, str],
) -> DiracStep:
    name, kind = _text(instance, "name"), _text(instance, "type")
    definition = definitions.get(kind)
    if definition is None:
        raise UsageError(f"{path}: step {name}: there is no <StepDefinition> of type {kind!r}")
    modules = [_text(module, "type") for module in definition.findall("ModuleInstance")]
    if len(modules) != 1 or modules[0] not in MODULES:
        raise UsageError(
            f"{path}: step {name} runs the module {', '.join(modules) or 'of no name'}, which is "
            f"Python code of DIRAC; expected one of {', '.join(MODULES)}"
        )
    told = _parameters(definition)
    for parameter in instance.findall("Parameter"):
        key, value = parameter.get("name", ""), (parameter.findtext("value") or "").strip()
        if parameter.get("linked_module") == "self":
            value = common.get(parameter.get("linked_parameter", ""), value)
        told[key] = value or told.get(key, "")
    executable = told.get("executable", "")
    if not executable:
        raise UsageError(f"{path}: step {name} has no executable")
    arguments = told.get("arguments") or common.get("arguments", "")
    return DiracStep(name, executable, arguments, told.get("applicationLog", ""))


def _read_jdl(path: Path, text: str) -> DiracJob:
    told = dict(_attributes(path, text))
    executable = _one(told, "Executable")
    if not executable:
        raise UsageError(f"{path}: a job description needs an Executable")
    arguments = _one(told, "Arguments")
    if executable.rpartition("/")[2] == "dirac-jobexec":
        words = arguments.split()
        if not words:
            raise UsageError(f"{path}: dirac-jobexec without the XML that it runs")
        inner = read_job(path.parent / words[0])
        found = _job(inner.path, {**inner.demands, **told}, inner.steps)
        return replace(found, input_data=found.input_data or inner.input_data)
    name = _one(told, "JobName") or path.stem
    step = DiracStep(name, executable, arguments, _one(told, "StdOutput"))
    return _job(path, {"JobName": name, **told}, (step,))


def _attributes(path: Path, text: str) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield the attributes of a ClassAd; several of one name are for DIRAC to merge, not for us."""
    tokens = _tokens(path, text)
    for line, kind, name in tokens:
        if kind == "sign" and name in "[];":
            continue
        if kind != "word":
            raise UsageError(f"{path}:{line}: expected the name of an attribute, found {name!r}")
        values: list[str] = []
        is_list = False
        for position, (at, its_kind, value) in enumerate(tokens):
            if position == 0 and value != "=":
                raise UsageError(f"{path}:{at}: expected = after {name}, found {value!r}")
            if its_kind == "sign" and value in ";]":
                break
            is_list = is_list or (its_kind == "sign" and value == "{")
            if its_kind != "sign":
                values.append(value)
        yield name, _value(name, values if is_list else " ".join(values))


def _tokens(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        line = text.count("\n", 0, position) + 1
        if found is None:
            raise UsageError(f"{path}:{line}: a quotation that does not end")
        position = found.end()
        kind = str(found.lastgroup)
        if kind != "space":
            yield line, kind, found[kind]


def _value(name: str, value: str | list[str]) -> str | tuple[str, ...]:
    if isinstance(value, str) and name in _LISTS:
        value = [part for part in re.split(r"[;,]", value) if part]
    return value if isinstance(value, str) else tuple(part.strip() for part in value)


def _one(told: Mapping[str, str | tuple[str, ...]], name: str) -> str:
    value = told.get(name, "")
    return value if isinstance(value, str) else " ".join(value)


def _several(told: Mapping[str, str | tuple[str, ...]], name: str) -> tuple[str, ...]:
    value = told.get(name, ())
    return (value,) if isinstance(value, str) else value


def _job(
    path: Path, told: Mapping[str, str | tuple[str, ...]], steps: tuple[DiracStep, ...]
) -> DiracJob:
    return DiracJob(
        path=path,
        name=_one(told, "JobName") or path.stem,
        steps=steps,
        input_data=tuple(_lfn(name) for name in _several(told, "InputData")),
        input_sandbox=_several(told, "InputSandbox"),
        output_sandbox=_several(told, "OutputSandbox"),
        demands=dict(told),
    )


def _lfn(name: str) -> str:
    from jobs.storage import normal_lfn

    return f"LFN:{normal_lfn(name)}"
