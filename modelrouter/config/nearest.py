"""What somebody probably meant by an unknown word."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nearest", "nearest_name"]

SHOWN_MAX = 8


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, whatever the case; None if none is like it."""
    folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.55)
    return folded[close[0]] if close else None


def nearest(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word, as the end of a sentence: the nearest one, or all of a short list."""
    names = sorted(known)
    close = nearest_name(word, names)
    if close:
        return f": did you mean `{close}`?"
    if not names:
        return ": none is defined"
    if len(names) <= SHOWN_MAX:
        return f": choose one of {', '.join(f'`{name}`' for name in names)}"
    return ""
