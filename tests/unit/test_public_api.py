"""What other code may rely on: names and signatures are those of tests/data/public_api.json."""

import enum
import functools
import importlib
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, is_typeddict

import pytest
from data.snapshots import assert_is_snapshot

from provmanager.errors import all_errors

PACKAGES = ("capture", "client", "config", "formats", "model")


def shown(value: object) -> str:
    """Return a text that is the same in every Python from 3.11 on."""
    text = re.sub(r" at 0x[0-9a-f]+", "", str(value))
    text = text.replace("pathlib._local.", "pathlib.").replace("typing.", "")
    return re.sub(r"<class '([\w.]+)'>", r"\1", text)


def signature(function: Callable[..., object]) -> str:
    return shown(inspect.signature(function))


def described(value: object) -> Any:
    """Return what a public name is."""
    if inspect.isclass(value):
        if issubclass(value, enum.Enum):
            return {"members": {member.name: member.value for member in value}}
        if is_typeddict(value):
            fields = {name: shown(kind) for name, kind in value.__annotations__.items()}
            return {"fields": fields, "optional": sorted(value.__optional_keys__)}
        return {"signature": signature(value), "members": members(value)}
    if inspect.isroutine(value):
        return signature(value)
    if isinstance(value, tuple | frozenset | list):
        items = [getattr(item, "name", item) for item in value]
        return sorted(items) if isinstance(value, frozenset) else items
    return shown(value)


def members(cls: type) -> dict[str, str]:
    """Return the public methods and properties of a class; its fields stand in its signature."""
    found: dict[str, str] = {}
    for name, value in inspect.getmembers_static(cls):
        if name.startswith("_"):
            continue
        plain = getattr(value, "__func__", value)  # of class and static methods
        if isinstance(plain, property | functools.cached_property):
            found[name] = "property"
        elif inspect.isroutine(plain):
            found[name] = signature(plain)
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_names_and_signatures_are_those_of_the_snapshot(name: str) -> None:
    package = importlib.import_module(f"provmanager.{name}")
    found = {public: described(getattr(package, public)) for public in package.__all__}
    assert_is_snapshot(f"public_api.{name}", found)


@pytest.mark.parametrize("name", PACKAGES)
def test_all_holds_every_public_name_once(name: str) -> None:
    """What `__init__` imports and does not name would be public by accident."""
    package = importlib.import_module(f"provmanager.{name}")
    assert len(package.__all__) == len(set(package.__all__))
    imported = {
        public
        for public, value in vars(package).items()
        if not public.startswith("_") and not isinstance(value, ModuleType)
    }
    assert imported == set(package.__all__)


def test_errors_are_those_of_the_snapshot() -> None:
    found = {
        code: {"class": cls.__name__, "http_status": cls.http_status, "exit_code": cls.exit_code}
        for code, cls in all_errors().items()
    }
    assert_is_snapshot("errors", found)
