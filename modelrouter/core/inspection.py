"""What was found in a request, and which tags that raises.

Findings may add a tag or raise it along the order in which its values are declared, and nothing else. A raised tag
binds what it would bind by itself **beside** what the request's own tags bind (`core.verdict.layers_for`), so that
inspecting a request can only take candidates away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNINSPECTED", "Inspected", "Ladder", "raised_tags"]


@dataclass(frozen=True, slots=True)
class Ladder:
    """A tag that findings raise.

    Attributes:
        values: from the lowest to the highest.
        raised_by: kind of finding to the value that it asks for at least.
    """

    values: tuple[str, ...]
    raised_by: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspected:
    """What inspection came to: kinds and counts, never what was found.

    Attributes:
        raised: tag to its higher value, for those that were raised.
    """

    found: Mapping[str, int] = field(default_factory=dict)
    raised: Mapping[str, str] = field(default_factory=dict)


UNINSPECTED: Final = Inspected()


def raised_tags(tags: Mapping[str, str], ladders: Mapping[str, Ladder], found: Mapping[str, int]) -> dict[str, str]:
    """The tags that these findings add or raise, with their new values."""
    raised: dict[str, str] = {}
    for tag, ladder in ladders.items():
        asked = [ladder.values.index(ladder.raised_by[kind]) for kind in found if kind in ladder.raised_by]
        if not asked:
            continue
        given = tags.get(tag)
        if given is None or given not in ladder.values or max(asked) > ladder.values.index(given):
            raised[tag] = ladder.values[max(asked)]
    return raised
