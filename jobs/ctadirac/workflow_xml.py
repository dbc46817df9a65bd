"""Writes the workflow XML of a job, in the form of DIRAC's ``Workflow.toXML``."""

from xml.sax.saxutils import escape

from .description import DiracJob, DiracStep

_MODULE = "cta_script"
_PARAMETERS = ("executable", "arguments", "applicationLog")


def write_xml(job: DiracJob) -> str:
    """Return the XML; `read_job` reads the same job from it."""
    parts = ["<Workflow>", f"<name>{escape(job.name)}</name>"]
    for name, value in job.demands.items():
        text = value if isinstance(value, str) else ";".join(value)
        parts.append(_parameter(name, text, kind="JDL"))
    parts += [_definition(number) for number, _ in enumerate(job.steps, 1)]
    parts += [_instance(number, step) for number, step in enumerate(job.steps, 1)]
    return "\n".join([*parts, "</Workflow>", ""])


def _parameter(name: str, value: str, *, kind: str = "string") -> str:
    return (
        f'<Parameter name="{escape(name)}" type="{kind}"><value>{escape(value)}</value></Parameter>'
    )


def _definition(number: int) -> str:
    parameters = "\n".join(_parameter(name, "") for name in _PARAMETERS)
    return (
        f"<StepDefinition>\n<type>ScriptStep{number}</type>\n{parameters}\n<ModuleInstance>"
        f"<name>{_MODULE}</name><type>{_MODULE}</type></ModuleInstance>\n</StepDefinition>"
    )


def _instance(number: int, step: DiracStep) -> str:
    values = zip(_PARAMETERS, (step.executable, step.arguments, step.log_file), strict=True)
    parameters = "\n".join(_parameter(name, value) for name, value in values)
    return (
        f"<StepInstance>\n<name>{escape(step.name)}</name>\n<type>ScriptStep{number}</type>\n"
        f"{parameters}\n</StepInstance>"
    )
