"""What stands between a request and the tokens that its server counts: template, tokenizer, images. Facts, and pure.

Each figure is an upper bound, in tokens. Where a deployment's bound is to be `proved`, count the bytes of what the
template writes itself instead of its tokens: `core.bounds` says why that is enough.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Escapes", "ImageTokens", "Normaliser", "Overhead", "Picture"]


class Normaliser(enum.IntEnum):
    """How a tokenizer rewrites Unicode before it cuts, by how much that can lengthen a text; each covers those before.

    `NONE`: not at all. `NFC`: canonical composition; U+0958 becomes two characters, and no character more than three
    times its UTF-8 bytes. `NFKC`: compatibility composition; U+FDFA becomes 18 characters, 11 times its bytes. (Unicode
    Standard Annex 15, table 14, "maximum expansion factors".)
    """

    NONE = 0
    NFC = 1
    NFKC = 2


class Escapes(enum.IntEnum):
    r"""What a template's JSON writer escapes in text; each covers those before.

    `JSON`: what JSON demands, as Hugging Face's `tojson` and llama.cpp do. `HTML`: `<`, `>`, `&` and `'` too, six bytes
    each, as Jinja's own `tojson` and MiniJinja do. `ASCII`: every character beyond ASCII too, as `\uXXXX` or a pair, as
    Python's `json` does if it is not told otherwise; Python's `repr` is no longer than that.
    """

    JSON = 0
    HTML = 1
    ASCII = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a request.

    Attributes:
        width: pixels; None where only the server will know, as of an address. Both sides are known, or neither.
        height: pixels.
        detail: as asked for: `low`, `high`, `auto`, …; empty where nothing was asked.
    """

    width: int | None = None
    height: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """The most tokens of an image: `base + tokens_per_patch x patches`, no less than `least`, no more than `most`.

    Operators scale an image down before they cut it into patches or tiles. That keeps its proportions, so neither side
    and therefore neither factor of `ceil(width / px) x ceil(height / px)` grows, and the formula over the size as sent
    bounds what is counted. Where they scale small images up, `least_tokens` says to how many tokens.

    Attributes:
        most_tokens: of any image at any detail; also what an image of unknown size counts as.
        patch_px: side of a patch or tile; None knows no formula, and every image counts as the most.
        tokens_per_patch: exact.
        base_tokens: added once to each image.
        least_tokens: what the smallest image is scaled up to.
        low_tokens: of an image at detail `low`; None treats it as any other.
    """

    most_tokens: int
    patch_px: int | None = None
    tokens_per_patch: Decimal = Decimal(1)
    base_tokens: int = 0
    least_tokens: int = 0
    low_tokens: int | None = None

    def bound(self, picture: Picture) -> int:
        """The most that one image can count as."""
        if picture.detail == "low" and self.low_tokens is not None:
            return self.low_tokens
        if self.patch_px is None or picture.width is None or picture.height is None:
            return self.most_tokens
        patches = -(-picture.width // self.patch_px) * -(-picture.height // self.patch_px)
        numerator, denominator = self.tokens_per_patch.as_integer_ratio()
        counted = self.base_tokens - (-patches * numerator // denominator)
        return min(self.most_tokens, max(self.least_tokens, counted))


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a server's chat template and tokenizer make of a request beyond its own bytes, each an upper bound.

    Attributes:
        per_request_tokens: begin and end marks, a default system prompt, the start of the answer, what the deployment's
            own parameters make the template say.
        per_message_tokens: what frames one message, beside its role and content.
        per_toolset_tokens: once where there are tools or a response schema: how to use them.
        per_tool_tokens: what frames one tool definition or response schema, beside its own JSON.
        per_call_tokens: what frames one earlier tool call, and what frames one tool result beyond any message.
        json_indent: spaces per level where the template prints JSON on several lines; 0 prints it on one.
        json_mark_tokens: tokens that the template puts between the members of JSON, for each comma, colon and bracket;
            1 is the blank or line end of any JSON writer, XML-like templates take more.
        json_prints: how often each member is printed; 2 for a template that writes a name to open and to close.
        json_escapes: which characters its JSON writer escapes.
        normaliser: how the tokenizer rewrites text.
        tokens_per_byte: of text as the tokenizer sees it; 1 unless something stranger than byte fallback is known.
        beyond_limit_tokens: output of each answer that is billed and that the output limit does not hold, as thinking
            at some operators.
        hard_window: the server refuses or cuts a prompt that is longer than the known context window.
        image: tokens of an image; None knows no formula, so that only the window bounds it.
        audio_tokens_per_s: tokens of a second of audio; None as above.
    """

    per_request_tokens: int = 64
    per_message_tokens: int = 16
    per_toolset_tokens: int = 512
    per_tool_tokens: int = 64
    per_call_tokens: int = 64
    json_indent: int = 4
    json_mark_tokens: int = 1
    json_prints: int = 1
    json_escapes: Escapes = Escapes.ASCII
    normaliser: Normaliser = Normaliser.NFC
    tokens_per_byte: int = 1
    beyond_limit_tokens: int = 0
    hard_window: bool = False
    image: ImageTokens | None = None
    audio_tokens_per_s: int | None = None
