"""From a request to the most it can cost, before it is sent.

**Why bytes bound tokens.** A tokenizer cuts the prompt into pieces, none of them empty, and each token stands for one
piece. Byte-level BPE (tiktoken's encodings, GPT-2's, Llama 3, Qwen, DeepSeek, Mistral's tekken, Kimi, GLM) cuts the
UTF-8 bytes, so there are at most as many tokens as bytes. SentencePiece and WordPiece cut characters, and fall back to
single bytes (or to one unknown mark a character), so there are at most as many again; the mark that SentencePiece
writes for a blank, U+2581, is one piece of each of its vocabularies, and the blank that it adds in front of a text, and
again behind each special token, is part of the template's overhead (a special token written by a caller is at least
three bytes long, and pays for its own). A special token is one token for all its bytes. Therefore

    tokens <= tokens_per_byte x bytes of what the tokenizer sees,

and no cut, merge or look-alike of a special token inside a text can break it: nothing is assumed of where cuts fall.

**What the tokenizer sees** is what the template writes: its own literals (the overhead), the texts of the messages as
they stand, and values printed as JSON. The literals count by their bytes where a bound is `proved`; a bound that is
`documented` may count a special token among them as one.

**Printed JSON.** Let a value's compact form (no blanks) have `c` bytes. A writer that prints it on one line puts at
most one blank behind each comma and colon. One that indents by `w` prints, for each container that is not empty and
has `k` members at depth `d + 1`, a line end and `w (d + 1)` blanks before each member, a line end and `w d` blanks
before its end, and a blank behind each of an object's colons. Summed over all containers, with
`marks = sum(k + 1) + colons` and `indents = sum(k (d + 1) + d)`, the printed form has at most

    c + marks + w x indents

bytes, which is reached by Python's `json.dumps(indent=w)`: `w x indents` grows with the square of the depth, and no
factor on `c` bounds it. Escapes lengthen `c` by what `Size` counts for each kind of writer. Numbers are counted with
room for every form in which a double can be printed, so that it does not matter who parses and prints them again.

**Normalisers** rewrite a text before it is cut. `Size` holds by how much NFC and NFKC lengthen each text, counted and
not estimated. The whole prompt is no longer than its parts: the template's literals are ASCII or special tokens, what
precedes a literal never composes with it, what follows it may only compose with its last character, and no primary
composite has more bytes than the two characters that it replaces (checked over all of Unicode in the tests). Characters
that the running Python's Unicode does not know yet count by their bytes.

**Images and audio** count by formulas that operators state, which is at best `documented`; without one, and for files
and whatever is not known, only the context window bounds the prompt.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.overhead import Escapes, ImageTokens, Normaliser, Overhead, Picture
from modelrouter.core.tariff import BilledAt, TokenClass

if TYPE_CHECKING:
    from modelrouter.core.pricing import PriceList, Span
    from modelrouter.core.usage import Uses

__all__ = [
    "Bound",
    "BoundBasis",
    "Escapes",
    "ImageTokens",
    "Normaliser",
    "Overhead",
    "Picture",
    "Shortfall",
    "Size",
    "bound",
    "input_bound_tokens",
]

BEYOND_TEXT: Final = frozenset(
    {TokenClass.AUDIO_INPUT, TokenClass.CACHED_AUDIO, TokenClass.IMAGE_INPUT, TokenClass.CACHED_IMAGE}
)
"""Classes in which a prompt is not billed that holds nothing but text."""


class BoundBasis(enum.IntEnum):
    """How the upper bound on input tokens is known, weakest first.

    `WINDOW`: only the context window bounds it (files, images and audio without a formula). `DOCUMENTED`: a byte is at
    most one token in the tokenizers of this field, plus the stated overhead of the server's template, plus the
    operator's formulas for images and audio. `PROVED`: own tokenizer and template known, or the overhead derived.
    """

    WINDOW = 1
    DOCUMENTED = 2
    PROVED = 3


@dataclass(frozen=True, slots=True)
class Size:
    """What of a request counts for its bound; `core.measuring` counts it.

    Attributes:
        text_bytes: UTF-8 bytes of all text and names in the messages.
        tool_bytes: UTF-8 bytes of what a template prints as JSON, compact: tool definitions, tool calls and results, a
            response schema, parameters that a template can read.
        message_count: messages.
        tool_count: tool definitions, plus one for a response schema.
        opaque_count: parts whose tokens no formula bounds: files, and whatever is not known.
        choices: how many answers are asked for (`n`).
        expected_tokens: what a tokenizer counted, for expected cost; None goes by the bytes. No bound reads it.
        call_count: tool calls, and tool results.
        printed_marks: line ends and blanks that a JSON writer may put between the members of what it prints.
        printed_indents: levels of indentation of all its lines together.
        html_growth: bytes by which escapes for HTML lengthen what is printed.
        ascii_growth: bytes by which escapes for all beyond ASCII lengthen it.
        nfc_growth: bytes by which NFC lengthens all texts, printed ones too.
        nfkc_growth: bytes by which NFKC does; no less than `nfc_growth`.
        pictures: images.
        audio_s: seconds of audio, each clip rounded up.
    """

    text_bytes: int
    tool_bytes: int = 0
    message_count: int = 1
    tool_count: int = 0
    opaque_count: int = 0
    choices: int = 1
    expected_tokens: int | None = None
    call_count: int = 0
    printed_marks: int = 0
    printed_indents: int = 0
    html_growth: int = 0
    ascii_growth: int = 0
    nfc_growth: int = 0
    nfkc_growth: int = 0
    pictures: tuple[Picture, ...] = ()
    audio_s: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """The most one attempt can cost, and the output limit that makes it so.

    Attributes:
        nano_usd: upper bound of the cost.
        input_tokens: upper bound of the input.
        max_output_tokens: what is sent as the output limit, for each choice.
        basis: what the input bound rests on.
    """

    nano_usd: int
    input_tokens: int
    max_output_tokens: int
    basis: BoundBasis


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why no bound could be given: an opaque part with no known window, or a ceiling that leaves too little output.

    Attributes:
        reason: one clause for people.
        needed_nano_usd: what the smallest acceptable answer would have needed; None where no number exists.
    """

    reason: str
    needed_nano_usd: int | None = None


def input_bound_tokens(
    size: Size, overhead: Overhead, basis: BoundBasis, context_tokens: int | None
) -> tuple[int, BoundBasis] | None:
    """The most input tokens a request can be counted as, with the basis that this rests on.

    Where the server refuses or cuts longer prompts, no more than the window is ever counted: the smaller of two upper
    bounds is one. A window is never more than documented.

    Returns:
        None where only the window could bound it and no window is known.
    """
    beyond = _beyond_text_tokens(size, overhead)
    if beyond is None or size.opaque_count or basis is BoundBasis.WINDOW:
        return None if context_tokens is None else (context_tokens, BoundBasis.WINDOW)
    tokens = _text_tokens(size, overhead)
    if size.pictures or size.audio_s:
        tokens += beyond
        basis = min(basis, BoundBasis.DOCUMENTED)
    if overhead.hard_window and context_tokens is not None and context_tokens < tokens:
        return context_tokens, min(basis, BoundBasis.DOCUMENTED)
    return tokens, basis


def _text_tokens(size: Size, overhead: Overhead) -> int:
    """Text, printed JSON and what the template adds; the module's docstring derives it."""
    printed = size.tool_bytes
    if overhead.json_escapes >= Escapes.HTML:
        printed += size.html_growth
    if overhead.json_escapes >= Escapes.ASCII:
        printed += size.ascii_growth
    if overhead.normaliser is Normaliser.NFC:
        printed += size.nfc_growth
    elif overhead.normaliser is Normaliser.NFKC:
        printed += size.nfkc_growth
    printed += overhead.json_mark_tokens * size.printed_marks + overhead.json_indent * size.printed_indents
    tokens = overhead.tokens_per_byte * (size.text_bytes + overhead.json_prints * printed)
    tokens += overhead.per_request_tokens + size.message_count * overhead.per_message_tokens
    if size.tool_count:
        tokens += overhead.per_toolset_tokens + size.tool_count * overhead.per_tool_tokens
    return tokens + size.call_count * overhead.per_call_tokens


def _beyond_text_tokens(size: Size, overhead: Overhead) -> int | None:
    """Tokens of images and audio, or None where the facts hold no formula for what is there."""
    tokens = 0
    if size.pictures:
        if overhead.image is None:
            return None
        tokens += sum(map(overhead.image.bound, size.pictures))
    if size.audio_s:
        if overhead.audio_tokens_per_s is None:
            return None
        tokens += size.audio_s * overhead.audio_tokens_per_s
    return tokens


def bound(
    price: PriceList,
    size: Size,
    *,
    overhead: Overhead,
    basis: BoundBasis,
    context_tokens: int | None,
    wanted_output_tokens: int,
    least_output_tokens: int,
    ceiling_nano_usd: int | None,
    span: Span | None = None,
    uses: Uses = (),
) -> Bound | Shortfall:
    """`input_bound x dearest input price + max_output x dearest output price + fees`, clamped to a ceiling.

    Only the ceiling shortens the answer, never below `least_output_tokens`. Each choice may bill what the output limit
    does not hold beside the limit itself.

    Args:
        span: from now until it is billed at the latest; None is any moment.
        uses: the most of each thing with a fee of its own that this request may use.

    Returns:
        the bound, or a Shortfall that says by how much the ceiling is too low.
    """
    estimate = input_bound_tokens(size, overhead, basis, context_tokens)
    if estimate is None:
        return Shortfall("parts that only the context window bounds, and the window is unknown")
    if uses:
        unpriced = price.unpriced(uses)
        if unpriced:
            return Shortfall(f"no fee is known for {', '.join(unpriced)}")
    if span is None and price.has_machine_hours:
        return Shortfall("a price by machine hours, and no deadline that bounds them")
    if price.billed_at is BilledAt.END and not price.covers(span):
        return Shortfall("a price that is not known for as long as the answer may take")
    input_tokens, found_basis = estimate
    without = () if size.opaque_count or size.pictures or size.audio_s else BEYOND_TEXT
    beyond = overhead.beyond_limit_tokens
    output_tokens, choices = wanted_output_tokens, size.choices
    least = min(least_output_tokens, wanted_output_tokens)
    if ceiling_nano_usd is not None:
        room = price.output_within(input_tokens, ceiling_nano_usd, span, uses, without=without)
        if room is not None:
            output_tokens = min(output_tokens, room // choices - beyond if room >= 0 else -1)
    if output_tokens < least:
        needed = price.worst_nano_usd(input_tokens, (least + beyond) * choices, span, uses, without=without)
        return Shortfall(f"{least} output tokens do not fit under the ceiling", needed)
    worst = price.worst_nano_usd(input_tokens, (output_tokens + beyond) * choices, span, uses, without=without)
    return Bound(worst, input_tokens, output_tokens, found_basis)
