"""The bound test: no prompt counts more tokens than its proved bound, over templates, tokenizers and scripts.

Every day a seeded few; with `-m long` a tenth of the release's 50,000, which `benchmarks/bounds.py` records.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.bounds import BoundBasis, Normaliser, input_bound_tokens
from modelrouter.core.measuring import measure
from tests.core.bound_conversations import SCRIPTS, conversations
from tests.core.bound_tokenizers import TOKENIZERS
from tests.core.bound_trial import proved_bound, rendered, table, trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.core.bounds import Overhead, Size
    from tests.core.bound_conversations import Conversation
    from tests.core.bound_trial import Outcome, Rendered

SEED = 20_261_122


@pytest.fixture(scope="module")
def prompts() -> list[Rendered]:
    """Ten conversations of each script, rendered once."""
    return list(rendered(conversations(SEED, 10 * len(SCRIPTS))))


def no_breach(outcome: Outcome) -> None:
    """Every prompt is within its bound, every script was there, and the figures are printed."""
    sys.stdout.write(table(outcome.rows))
    assert [(each.tokenizer, each.template, each.bound, each.counted) for each in outcome.breaches] == []
    assert {row.script for row in outcome.rows} == set(SCRIPTS)


def test_no_prompt_is_longer_than_its_proved_bound(prompts: list[Rendered]) -> None:
    """Seven templates by their bytes, and every tokenizer beside."""
    outcome = trial(prompts[: 3 * len(SCRIPTS)])
    no_breach(outcome)
    assert {each.name for each in TOKENIZERS} < {row.tokenizer for row in outcome.rows}


def test_the_bound_is_reached(prompts: list[Rendered]) -> None:
    """A bound that no prompt comes near would be no proof of anything: some come within half a per cent."""
    outcome = trial(prompts, tokens=False)
    no_breach(outcome)
    nearest: dict[str, float] = {}
    for row in outcome.rows:
        nearest[row.tokenizer] = min(row.least, nearest.get(row.tokenizer, 9.9))
    assert all(1 <= least < 1.01 for least in nearest.values()), nearest


def with_size(change: Callable[[Size, Conversation], Size]) -> Callable[[Conversation], Callable[[Overhead], int]]:
    """A bound that measures wrongly."""

    def bounding(conversation: Conversation) -> Callable[[Overhead], int]:
        size = change(measure(conversation.messages, conversation.parameters), conversation)

        def at(overhead: Overhead) -> int:
            found = input_bound_tokens(size, overhead, BoundBasis.PROVED, None)
            assert found is not None
            return found[0]

        return at

    return bounding


def with_overhead(change: Callable[[Overhead], Overhead]) -> Callable[[Conversation], Callable[[Overhead], int]]:
    """A bound that takes the facts for others."""

    def bounding(conversation: Conversation) -> Callable[[Overhead], int]:
        right = proved_bound(conversation)
        return lambda overhead: right(change(overhead))

    return bounding


def a_factor_for_indentation(conversation: Conversation) -> Callable[[Overhead], int]:
    """What stood here before: four times the bytes of compact JSON, however deep it is nested."""
    right = measure(conversation.messages, conversation.parameters)
    size = replace(right, tool_bytes=4 * right.tool_bytes, printed_indents=0, printed_marks=0)

    def at(overhead: Overhead) -> int:
        found = input_bound_tokens(size, replace(overhead, json_indent=0), BoundBasis.PROVED, None)
        assert found is not None
        return found[0]

    return at


def in_letters(size: Size, conversation: Conversation) -> Size:
    """Text counted by its characters."""
    contents = (each.get("content") for each in conversation.messages)
    letters = sum(len(each) for each in contents if isinstance(each, str))
    return replace(size, text_bytes=min(size.text_bytes, letters))


@pytest.mark.parametrize(
    "weaker",
    [
        pytest.param(a_factor_for_indentation, id="a factor for indentation"),
        pytest.param(with_size(in_letters), id="characters for bytes"),
        pytest.param(with_size(lambda size, _: replace(size, printed_marks=0)), id="no line ends"),
        pytest.param(with_size(lambda size, _: replace(size, ascii_growth=0)), id="no escapes beyond ASCII"),
        pytest.param(with_size(lambda size, _: replace(size, html_growth=0)), id="no escapes for HTML"),
        pytest.param(with_size(lambda size, _: replace(size, tool_bytes=size.tool_bytes * 9 // 10)), id="a tenth off"),
        pytest.param(
            with_overhead(lambda each: replace(each, per_message_tokens=each.per_message_tokens - 1)),
            id="a message one byte short",
        ),
        pytest.param(
            with_overhead(lambda each: replace(each, per_request_tokens=each.per_request_tokens - 1)),
            id="a request one byte short",
        ),
    ],
)
def test_a_weaker_formula_is_caught_by_bytes(
    prompts: list[Rendered], weaker: Callable[[Conversation], Callable[[Overhead], int]]
) -> None:
    """The trial finds each way of counting too little, so that its silence means something."""
    assert trial(prompts, weaker, tokens=False).breaches


@pytest.mark.parametrize("normaliser", [Normaliser.NONE, Normaliser.NFC])
def test_a_normaliser_that_was_overlooked_is_caught(prompts: list[Rendered], normaliser: Normaliser) -> None:
    """A tokenizer with NFKC breaks a bound that was made without it, or with NFC alone."""
    weaker = with_overhead(lambda each: replace(each, normaliser=normaliser))
    asked = [each for each in prompts if each.conversation.script in {"expanders", "letterlike"}]
    breaches = trial(asked, weaker).breaches
    assert {each.tokenizer for each in breaches} & {"byte-level, NFKC", "anthropic (2023, NFKC)"}


def test_conversations_are_the_same_everywhere() -> None:
    """A seed names them: what broke a bound on one machine breaks it on another."""
    first, second = (list(conversations(SEED, 30)) for _ in range(2))
    assert first == second
    assert list(conversations(SEED + 1, 30)) != first
    assert all(json.dumps([each.messages, each.parameters]).isascii() for each in first)


@pytest.mark.long
def test_a_tenth_of_the_release_trial() -> None:
    """5,000 conversations over everything."""
    no_breach(trial(rendered(conversations(SEED, 5_000))))
