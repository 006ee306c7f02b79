"""Counts what of a request bounds its input: bytes of text, of JSON that a template prints, and what bytes do not.

`core.bounds` derives why these counts are enough. Whatever is not plainly text, an image or a clip counts as opaque,
however short its address is: it may stand for any number of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import is_normalized, normalize

from modelrouter.core.bounds import Size
from modelrouter.core.media import audio_s, picture

if TYPE_CHECKING:
    from modelrouter.core.overhead import Picture
    from modelrouter.core.request import JSON, Message

__all__ = ["measure"]

TEXT_KEYS: Final = frozenset({"content", "name", "reasoning", "reasoning_content", "refusal", "role", "tool_call_id"})
RESULT_ROLES: Final = frozenset({"function", "tool"})
SILENT_PARAMETERS: Final = frozenset(
    {
        "frequency_penalty",
        "functions",
        "logit_bias",
        "logprobs",
        "metadata",
        "min_p",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "repetition_penalty",
        "response_format",
        "safety_identifier",
        "seed",
        "stop",
        "temperature",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
    }
)
"""Parameters that no template reads, and those that are counted for themselves. Any other may be printed, as
`chat_template_kwargs` and `reasoning_effort` are."""

COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
ESCAPED: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode
FOR_HTML: Final = "<>&'\x7f"
"""Characters that only writers for HTML escape, and the one that Python's `repr` does; six bytes in place of one."""
FLOAT_BYTES: Final = 32
"""Room for a double in any notation: 17 digits with sign, point and exponent, or 21 digits and `0.00000` in front."""
WHOLE_BYTES: Final = 5
"""By how much a whole number grows if somebody prints it as a double: `1234567` as `1.234567e+06`."""
OUTERMOST: Final = 1
"""Depth at which a value is printed: templates print tools and calls alone, or as members of one list."""


class _Printed(NamedTuple):
    """One value as JSON, in the counts of `Size`."""

    plain: int
    marks: int
    indents: int
    html: int
    ascii: int
    nfc: int
    nfkc: int


class _Tally:
    """What has been counted so far, beside text that is all ASCII."""

    __slots__ = (
        "audio_s", "call_count", "longest_name", "nfc", "nfkc", "opaque_count", "pictures", "printed", "result_count",
        "text_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.text_bytes = self.nfc = self.nfkc = 0
        self.call_count = self.result_count = self.longest_name = 0
        self.opaque_count = self.audio_s = 0
        self.pictures: list[Picture] = []
        self.printed: list[_Printed] = []

    def text(self, text: str) -> None:
        """Text that a template writes as it stands."""
        plain, nfc, nfkc = _text_bytes(text)
        self.text_bytes += plain
        self.nfc += nfc
        self.nfkc += nfkc

    def member(self, key: str, value: JSON, *, is_result: bool) -> None:
        """A member of a message that is not plain text."""
        if key == "content" and is_result:
            self.result(value)
        elif key in TEXT_KEYS and isinstance(value, str):
            self.text(value)
        elif key == "content" and isinstance(value, Sequence):
            self.parts(value)
        elif key == "tool_calls":
            for call in _listed(value):
                self.call(call)
        elif key == "function_call":
            self.call(value)
        else:
            self.opaque_count += 1

    def parts(self, parts: Sequence[JSON]) -> None:
        """Content in parts, which templates write with one line end between them, or with nothing.

        Across a seam without a line end a mark may join the letter before it, so the texts are counted both ways.
        """
        texts = [text for part in parts if (text := _text_of(part)) is not None]
        apart = [_text_bytes(text) for text in texts]
        self.text_bytes += sum(plain for plain, _, _ in apart) + len(texts)
        nfc, nfkc = sum(each for _, each, _ in apart), sum(each for _, _, each in apart)
        if len(texts) > 1 and not all(map(str.isascii, texts)):
            _, whole_nfc, whole_nfkc = _text_bytes("".join(texts))
            nfc, nfkc = max(nfc, whole_nfc), max(nfkc, whole_nfkc)
        self.nfc += nfc
        self.nfkc += nfkc
        self.media(parts)

    def media(self, parts: Sequence[JSON]) -> None:
        """Images and clips among the parts; whatever is neither, nor text, is opaque."""
        for part in parts:
            if _text_of(part) is not None:
                continue
            image = picture(part) if isinstance(part, Mapping) else None
            seconds = audio_s(part) if isinstance(part, Mapping) and image is None else None
            if image is not None:
                self.pictures.append(image)
            elif seconds is not None:
                self.audio_s += seconds
            else:
                self.opaque_count += 1

    def result(self, value: JSON) -> None:
        """What a tool answered: templates write it as it stands, or printed as JSON, which is never shorter."""
        if isinstance(value, str):
            self.printed.append(_print(value))
        elif isinstance(value, Sequence):
            self.printed.append(_print([part for part in value if _text_of(part) is not None]))
            self.media(value)
        else:
            self.opaque_count += 1

    def call(self, call: JSON) -> None:
        """An earlier tool call, whose arguments are printed as the text that they are, or parsed and printed again."""
        self.call_count += 1
        self.printed.append(_printed_call(call))
        function = call.get("function", call) if isinstance(call, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str):
            self.longest_name = max(self.longest_name, sum(_text_bytes(name)))

    def parameters(self, parameters: Mapping[str, JSON]) -> int:
        """What a template prints of the parameters: tools, a schema, and whatever is not known to be silent.

        Returns:
            tools, with one for a response schema.
        """
        if not parameters:
            return 0
        form = parameters.get("response_format")
        tools = [*_listed(parameters.get("tools")), *_listed(parameters.get("functions")), *([form] if form else ())]
        self.printed.extend(map(_print, tools))
        self.printed.extend(
            _print(value)
            for name, value in parameters.items()
            if name not in SILENT_PARAMETERS and value is not None and value is not False
        )
        return len(tools)


def measure(messages: Sequence[Message], parameters: Mapping[str, JSON]) -> Size:
    """The size of a request, for `bound`."""
    tally, text_bytes = _Tally(), 0
    for message in messages:
        is_result = message.get("role") in RESULT_ROLES
        tally.result_count += is_result
        for key, value in message.items():
            if type(value) is str and value.isascii() and key in TEXT_KEYS and not (is_result and key == "content"):
                text_bytes += len(value)
            elif value is not None:
                tally.member(key, value, is_result=is_result)
    tool_count = tally.parameters(parameters)
    choices = parameters.get("n")
    return Size(
        # a template may write the name of the tool that was called in front of each result
        text_bytes=text_bytes + tally.text_bytes + tally.result_count * tally.longest_name,
        tool_bytes=sum(each.plain for each in tally.printed),
        message_count=len(messages),
        tool_count=tool_count,
        opaque_count=tally.opaque_count,
        choices=choices if isinstance(choices, int) and not isinstance(choices, bool) and choices > 0 else 1,
        call_count=tally.call_count + tally.result_count,
        printed_marks=sum(each.marks for each in tally.printed),
        printed_indents=sum(each.indents for each in tally.printed),
        html_growth=sum(each.html for each in tally.printed),
        ascii_growth=sum(each.ascii for each in tally.printed),
        nfc_growth=tally.nfc + sum(each.nfc for each in tally.printed),
        nfkc_growth=tally.nfkc + sum(each.nfkc for each in tally.printed),
        pictures=tuple(tally.pictures),
        audio_s=tally.audio_s,
    )


# --- one text, one value ----------------------------------------------------------------------------------------------


def _text_of(part: JSON) -> str | None:
    """The text of a content part, or None if it is of another kind."""
    if not isinstance(part, Mapping):
        return part if isinstance(part, str) else None
    for kind in ("text", "refusal"):
        text = part.get(kind)
        if part.get("type") == kind and isinstance(text, str):
            return text
    return None


def _listed(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _text_bytes(text: str) -> tuple[int, int, int]:
    """UTF-8 bytes of a text, and by how many NFC and NFKC lengthen it; neither is credited where it shortens."""
    plain = _bytes(text)
    if plain == len(text):
        return plain, 0, 0
    composed = plain if is_normalized("NFC", text) else max(plain, _bytes(normalize("NFC", text)))
    compatible = composed if is_normalized("NFKC", text) else max(composed, _bytes(normalize("NFKC", text)))
    return plain, composed - plain, compatible - plain


def _print(value: JSON) -> _Printed:
    """A value as JSON, by any of the writers that `Escapes` names."""
    text = COMPACT(value)
    plain, nfc, nfkc = _text_bytes(text)
    growth = 0 if plain == len(text) else len(ESCAPED(value)) - plain
    html = 5 * sum(map(text.count, FOR_HTML))
    marks, indents, numbers = (0, 0, 0) if type(value) is str else _shape(value)
    # its own line and comma, for where it is printed as a member of a list
    return _Printed(plain + numbers, marks + 2, indents + OUTERMOST, html, growth, nfc, nfkc)


def _shape(value: JSON) -> tuple[int, int, int]:
    """Marks and indents as `core.bounds` defines them, and room for other notations of numbers."""
    marks = indents = numbers = 0
    waiting: list[tuple[JSON, int]] = [(value, OUTERMOST)]
    while waiting:
        item, depth = waiting.pop()
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            numbers += WHOLE_BYTES
        elif kind is float:
            numbers += FLOAT_BYTES
        elif isinstance(item, Mapping):
            count = len(item)
            if count:
                marks += 2 * count + 1
                indents += count * (depth + 1) + depth
                waiting.extend([(each, depth + 1) for each in item.values()])
        elif isinstance(item, Sequence) and item and not isinstance(item, str):
            count = len(item)
            marks += count + 1
            indents += count * (depth + 1) + depth
            waiting.extend([(each, depth + 1) for each in item])
    return marks, indents, numbers


def _printed_call(call: JSON) -> _Printed:
    """The longest forms of a tool call, count by count."""
    stands = _print(call)
    if not isinstance(call, Mapping):
        return stands
    function = call.get("function")
    holder = function if isinstance(function, Mapping) else call
    text = holder.get("arguments")
    if not isinstance(text, str):
        return stands
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return stands  # what is no JSON can only be printed as the text that it is
    again = {**holder, "arguments": parsed}
    other = _print({**call, "function": again} if holder is function else again)
    return _Printed(*map(max, stands, other))
