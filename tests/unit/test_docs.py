"""The documentation says what is there: links, commands, options, variables, generated pages."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w-])prod-[a-z]+(?:-[a-z]+)*\b")
_VARIABLE = re.compile(r"\bPROV_[A-Z][A-Z0-9_]*\b")


def load(name: str) -> ModuleType:
    """Import docs/<name>.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    """The commands that setup.cfg installs."""
    found: dict[str, click.Command] = load("commands").entry_points()
    return found


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them."""
    text = _BLOCK.sub("", page.read_text("utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_there_is_a_page_for_each_user_and_each_reference():
    wanted = {
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/index.md", "docs/tool-authors.md",
        "docs/operators.md", "docs/auditors.md", "docs/architecture.md", "docs/commands.md",
        "docs/http-api.md", "docs/identity.md", "docs/capture.md", "docs/conformance.md",
    }  # fmt: skip
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str):
    broken = []
    for target, anchor in _LINK.findall(text_of(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(f"{target}#{anchor}" if anchor else target)
    assert broken == []


def test_every_page_can_be_found_from_the_index():
    seen, queue = set(), [ROOT / "docs" / "index.md"]
    while queue:
        page = queue.pop()
        if page in seen:
            continue
        seen.add(page)
        if page.is_dir():
            queue += page.glob("*.md")
        elif page.suffix == ".md":
            found = _LINK.findall(page.read_text("utf-8"))
            queue += [(page.parent / target).resolve() for target, _ in found if target]
    assert {page for page in PAGES if page.parent != ROOT} <= seen


def test_the_reference_of_commands_is_what_the_commands_say():
    assert text_of("docs/commands.md") == load("commands").render(), "run: make docs"


def test_the_reference_of_the_http_api_is_what_the_service_says():
    assert text_of("docs/http-api.md") == load("http_api").render(), "run: make docs"


def test_every_command_has_a_section(commands: dict[str, click.Command]):
    headings = set(_HEADING.findall(text_of("docs/commands.md")))
    assert len(commands) >= 8
    assert set(commands) <= headings


@pytest.mark.parametrize("page", NAMES)
def test_commands_that_a_page_names_exist(page: str, commands: dict[str, click.Command]):
    assert set(_COMMAND.findall(text_of(page))) <= set(commands)


@pytest.mark.parametrize("page", NAMES)
def test_options_that_a_page_shows_exist(page: str, commands: dict[str, click.Command]):
    unknown = [
        f"{' '.join(words)}: {option}"
        for words in shown_commands(text_of(page), commands)
        for option in unknown_options(commands[words[0]], words)
    ]
    assert unknown == []


def shown_commands(page: str, commands: dict[str, click.Command]) -> Iterator[list[str]]:
    """Yield the words of each command line in the page's code, in blocks and in the text."""
    blocks = [body for kind, body in _BLOCK.findall(page) if kind in ("sh", "console", "")]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(prod-[^`]+)`", _BLOCK.sub("", page).replace("\n", " "))
    for line in lines:
        for part in re.split(r"&&|\||;|>", re.sub(r"\s#.*", "", line)):
            start = _COMMAND.search(part)
            words = part[start.start() :].replace("'", " ").split() if start else []
            if words and words[0] in commands and "[OPTIONS]" not in words:
                yield words


def unknown_options(command: click.Command, words: list[str]) -> list[str]:
    """Return the options among `words` that the command, or its subcommand, does not have."""
    context = click.Context(command, **command.context_settings)
    known = {name for p in command.get_params(context) for name in (*p.opts, *p.secondary_opts)}
    rest = words[1:]
    if isinstance(command, click.Group):
        named = rest[0] if rest and rest[0] in command.list_commands(context) else "start"
        inner = command.get_command(context, named)
        if inner is not None:
            params = inner.get_params(click.Context(inner, **inner.context_settings))
            known |= {name for p in params for name in (*p.opts, *p.secondary_opts)}
    if "--" in rest:
        rest = rest[: rest.index("--")]
    return [w for w in (r.partition("=")[0] for r in rest) if w.startswith("--") and w not in known]


@pytest.mark.parametrize("page", NAMES)
def test_variables_that_a_page_names_are_read_somewhere(page: str):
    assert set(_VARIABLE.findall(text_of(page))) <= read_variables()


def read_variables() -> set[str]:
    """The environment variables that the code names, and those of the server's settings."""
    from provmanager.config.settings import Settings

    sources = [*(ROOT / "provmanager").rglob("*.py"), *(ROOT / "client_scripts").rglob("*.py")]
    sources += [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    found = {name for path in sources for name in _VARIABLE.findall(path.read_text("utf-8"))}
    return found | {f"PROV_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("page", NAMES)
def test_pages_name_no_place_of_one_machine(page: str):
    # a path that begins with /work/, not one of a recorded run that has such a folder within
    places = (r"(?<![\w/-])/" + "work/", "/root/", "localhost:", r"pypi\.org", "index-url")
    assert [place for place in places if re.search(place, text_of(page))] == []


def test_examples_in_python_are_python():
    blocks = [b for page in NAMES for kind, b in _BLOCK.findall(text_of(page)) if kind == "python"]
    assert blocks
    for block in blocks:
        compile(block, "example", "exec")
