"""Attempts of a grid or batch job: what is rescheduled, requeued or restarted begins again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """One attempt: of which job, by system and id, and how often that had begun before."""

    job: tuple[str, str]
    number: int


def attempt_of(job: object) -> Attempt | None:
    """Return the attempt that a record's ``job`` names; None where it names none."""
    said: Mapping[Any, Any] = job if isinstance(job, Mapping) else {}  # Any: JSON
    number, id_ = said.get("attempt"), said.get("id")
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        number = int(number)
    if id_ is None or type(number) is not int or number < 0:
        return None
    return Attempt((str(said.get("system") or ""), str(id_)), number)
