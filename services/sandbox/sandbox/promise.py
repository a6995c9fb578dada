"""One promise and how it was found; and the way differences are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TOLD = 5


@dataclass(frozen=True, slots=True)
class Promise:
    """What must be true: `expected` and `found` are for people, `holds` is the verdict."""

    name: str
    holds: bool
    expected: str
    found: str


@dataclass(slots=True)
class Findings:
    """Promises of one side with what was counted for them."""

    promises: list[Promise]
    figures: dict[str, Any] = field(default_factory=dict)


def of_differences(name: str, expected: str, differences: list[str], found: str | None = None) -> Promise:
    """Holds when there is no difference; tells the first few otherwise."""
    if not differences:
        return Promise(name, True, expected, found or expected)
    more = f" … and {len(differences) - _TOLD} more" if len(differences) > _TOLD else ""
    return Promise(name, False, expected, "; ".join(differences[:_TOLD]) + more)


def of_sets(name: str, expected: str, sides: Mapping[str, tuple[int, int]], found: str) -> Promise:
    """Holds when no side lacks or exceeds anything: side → (lacking, exceeding)."""
    differences = [
        f"{side}: {lacking} lacking, {exceeding} too many"
        for side, (lacking, exceeding) in sides.items()
        if lacking or exceeding
    ]
    return of_differences(name, expected, differences, found)
