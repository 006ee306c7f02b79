"""The bound beside what was counted: over templates and tokenizers, by script.

    python -m tests.core.bound_trial 50000     prints the table of a run of that length

`benchmarks/bounds.py` records one. A bound under test is a function, so that a weaker one can be planted.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from modelrouter.core.bounds import BoundBasis, input_bound_tokens
from modelrouter.core.measuring import measure
from tests.core.bound_conversations import conversations
from tests.core.bound_templates import TEMPLATES
from tests.core.bound_tokenizers import BYTES, TOKENIZERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from modelrouter.core.bounds import Overhead
    from tests.core.bound_conversations import Conversation

__all__ = ["Breach", "Outcome", "Rendered", "Row", "proved_bound", "rendered", "rows_of", "table", "trial"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation with its prompts, in the order of `TEMPLATES`."""

    conversation: Conversation
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """A prompt that counted more tokens than its bound."""

    tokenizer: str
    template: str
    bound: int
    counted: int
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Row:
    """Bound / counted for one tokenizer and script."""

    tokenizer: str
    script: str
    prompts: int
    least: float
    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of one run."""

    conversations: int
    prompts: int
    rows: tuple[Row, ...]
    breaches: tuple[Breach, ...]


def proved_bound(conversation: Conversation) -> Callable[[Overhead], int]:
    """The bound on input tokens of a deployment whose template and tokenizer are known."""
    size = measure(conversation.messages, conversation.parameters)

    def at(overhead: Overhead) -> int:
        found = input_bound_tokens(size, overhead, BoundBasis.PROVED, None)
        if found is None or found[1] is not BoundBasis.PROVED:
            raise AssertionError("a conversation of text and tools has a proved bound without any window")
        return found[0]

    return at


def rendered(asked: Iterable[Conversation]) -> Iterator[Rendered]:
    """Every conversation as each of the templates writes it."""
    for each in asked:
        yield Rendered(each, tuple(template.render(each) for template in TEMPLATES))


def trial(
    asked: Iterable[Rendered],
    bound: Callable[[Conversation], Callable[[Overhead], int]] = proved_bound,
    *,
    tokens: bool = True,
) -> Outcome:
    """Count each prompt by its bytes and, unless `tokens` is false, one prompt of each conversation by every tokenizer.

    The templates take turns in that.
    """
    ratios: list[tuple[str, str, float]] = []
    breaches: list[Breach] = []
    total = 0
    for each in asked:
        conversation = each.conversation
        for tokenizer, template, most, counted in _counted(each, total, bound(conversation), tokens=tokens):
            ratios.append((tokenizer, conversation.script, most / max(counted, 1)))
            if most < counted:
                breaches.append(Breach(tokenizer, template, most, counted, conversation))
        total += 1
    rows = rows_of(ratios)
    return Outcome(total, sum(row.prompts for row in rows), rows, tuple(breaches))


def rows_of(ratios: Iterable[tuple[str, str, float]]) -> tuple[Row, ...]:
    """Bound / counted by tokenizer and script."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for tokenizer, script, ratio in ratios:
        cells[tokenizer, script].append(ratio)
    return tuple(
        Row(tokenizer, script, len(found), min(found), median(found), max(found))
        for (tokenizer, script), found in sorted(cells.items())
    )


def _counted(
    each: Rendered, number: int, bound: Callable[[Overhead], int], *, tokens: bool
) -> Iterator[tuple[str, str, int, int]]:
    for template, prompt in zip(TEMPLATES, each.prompts, strict=True):
        overhead = replace(template.overhead, normaliser=BYTES.normaliser)
        yield f"bytes, {template.name}", template.name, bound(overhead), BYTES.count(prompt)
    if not tokens:
        return
    place = number % len(TEMPLATES)
    for tokenizer in TOKENIZERS:
        own = TEMPLATES[place].overhead
        overhead = replace(
            own,
            normaliser=tokenizer.normaliser,
            per_request_tokens=own.per_request_tokens + tokenizer.added_tokens,
        )
        yield tokenizer.name, TEMPLATES[place].name, bound(overhead), tokenizer.count(each.prompts[place])


def table(rows: Iterable[Row]) -> str:
    """The rows as text."""
    head = f"{'tokenizer':<34}{'script':<16}{'prompts':>8}{'least':>9}{'median':>9}{'worst':>10}"
    lines = (
        f"{row.tokenizer:<34}{row.script:<16}{row.prompts:>8}{row.least:>9.3f}{row.median:>9.2f}{row.worst:>10.2f}"
        for row in rows
    )
    return "\n".join((head, *lines))


if __name__ == "__main__":
    found = trial(rendered(conversations(20_261_122, int(sys.argv[1]))))
    sys.stdout.write(f"{table(found.rows)}\n{len(found.breaches)} of {found.prompts} prompts over their bound\n")
    sys.exit(1 if found.breaches else 0)
