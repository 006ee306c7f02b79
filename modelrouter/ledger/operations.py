"""What a book is asked to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from modelrouter.core.budget import Budget
    from modelrouter.ports import Correction, Document, RefusedCalls, Reservation, Resolution

__all__ = ["ApplyBudgets", "Corrections", "DeleteKey", "MakeKey", "Operation", "Refusals"]


@dataclass(frozen=True, slots=True)
class ApplyBudgets:
    """Put these budgets in force, whatever was."""

    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Book what attempts turned out to have cost; all of them or none."""

    corrections: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """Write down requests that nobody might serve."""

    refused: tuple[RefusedCalls, ...]


@dataclass(frozen=True, slots=True)
class MakeKey:
    """Make a key for a personal tag, unless it has one."""

    tag: str


@dataclass(slots=True)
class DeleteKey:
    """Delete the key of a personal tag; `found` says afterwards whether there was one."""

    tag: str
    found: bool = False


Operation: TypeAlias = (
    "Reservation | Resolution | tuple[Document, ...] | ApplyBudgets | Corrections | Refusals | MakeKey | DeleteKey"
)
"""A tuple is documents to keep; an empty one asks for nothing, and is answered when all before it was."""
