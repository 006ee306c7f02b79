"""What an outsider keeps of a book: one short text that no rewritten book can match.

A head names a line and hashes the last line of every writer up to it. Whoever keeps it, on paper or in another house,
can later see whether the book still says what it said, and whether lines were taken off its end: the two things that
nothing inside a book can prove.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.errors import RequestError
from modelrouter.ledger.audit.lines import compact

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ends", "Head", "head_of", "parse_head"]

Ends = dict[str, tuple[int, str]]
"""The last line of each writer, by writer id: its number in the writer's chain, and its hash."""

FORM: Final = re.compile(r"mr1:(0|[1-9][0-9]{0,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Head:
    """A book up to one line.

    Attributes:
        seq: the last line that it covers; 0 for a book without lines.
        digest: SHA-256 over the ends of all chains as of that line.
    """

    seq: int
    digest: str

    def __str__(self) -> str:
        """As it is kept."""
        return f"mr1:{self.seq}:{self.digest}"


def head_of(seq: int, ends: Mapping[str, tuple[int, str]]) -> Head:
    """The head of a book whose last line is `seq`."""
    text = compact([[writer_id, number, digest] for writer_id, (number, digest) in sorted(ends.items())])
    return Head(seq, hashlib.sha256(text.encode()).hexdigest())


def parse_head(text: str) -> Head:
    """The head that a text is.

    Raises:
        RequestError: it is none.
    """
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise RequestError(
            f"`{text.strip()[:90]}` is no head: it must look like `mr1:1200:` and 64 hex digits, as "
            "`modelrouter ledger head` prints it"
        )
    return Head(int(found[1]), found[2])
