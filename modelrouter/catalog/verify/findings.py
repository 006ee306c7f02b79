"""What is wrong with a catalog, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from modelrouter.yaml12 import dotted

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.yaml12 import Path

__all__ = ["Finding", "Findings", "Kind"]


class Kind(Enum):
    """Kinds of findings, in the order in which they are shown within a line."""

    FILE = "file"  # missing, unreadable, no YAML, a key given twice
    ENTRY = "entry"  # not what the schema allows
    SOURCE = "source"  # a fact that nobody can check
    DATE = "date"  # of a day that has not come, or that is too long ago
    ID = "id"  # given twice, badly spelt, or of nothing that is there
    CYCLE = "cycle"
    CONTRADICTION = "contradiction"  # two facts of which one must be wrong
    GENERATED = "generated"  # the compiled files, or the prices, are not those of these files


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: within the catalog's folder, as `models/openai.yaml`.
        line: from 1; None where the file has no lines.
        key: as `gpt-4.1.licence`.
        message: what is wrong and what to change.
    """

    kind: Kind
    file: str
    line: int | None
    key: str | None
    message: str

    @property
    def place(self) -> str:
        """As `models/openai.yaml:12`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Findings:
    """Collects findings; one place of a file is told about once, by whoever finds it first."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Path], Finding] = {}

    def add(
        self, kind: Kind, file: str, path: Path, message: str, line: Callable[[Path], int | None] | int | None = None
    ) -> None:
        """Note what is wrong at a key."""
        number = line(path) if callable(line) else line
        self._found.setdefault((file, path), Finding(kind, file, number, dotted(path) or None, message))

    def is_told(self, file: str, path: Path) -> bool:
        """Whether something was found at a key, inside it, or in what it stands in."""
        return any(
            other == file and all(first == second for first, second in zip(found, path, strict=False))
            for other, found in self._found
        )

    def in_order(self) -> list[Finding]:
        """By file and line."""
        kinds = list(Kind)
        return sorted(self._found.values(), key=lambda each: (each.file, each.line or 0, kinds.index(each.kind)))
