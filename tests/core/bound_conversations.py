"""Conversations that try to be longer than their bound: many scripts, expanders, emoji, code, deep schemas, long runs.

Seeded: the same number gives the same conversation on every machine and every Python.
"""

from __future__ import annotations

import json
import random
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelrouter.core.request import JSON, Message

__all__ = ["SCRIPTS", "Conversation", "conversations"]


RANGES: Final = {
    "arabic": ((0x0621, 0x064A), (0x064B, 0x0652), (0x06A9, 0x06CC)),
    "bengali": ((0x0985, 0x09B9), (0x09BE, 0x09CD), (0x09DC, 0x09DF)),
    "chinese": ((0x4E00, 0x9FA5), (0x3001, 0x3003), (0x20000, 0x20200)),
    "cyrillic": ((0x0410, 0x044F), (0x0400, 0x040F)),
    "devanagari": ((0x0904, 0x0939), (0x0958, 0x095F), (0x093E, 0x094D)),
    "greek": ((0x0391, 0x03C9), (0x1F00, 0x1FFC), (0x0390, 0x0390)),
    "hebrew": ((0x05D0, 0x05EA), (0x05B0, 0x05BC), (0xFB1D, 0xFB4E)),
    "japanese": ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xFF66, 0xFF9D)),
    "khmer": ((0x1780, 0x17B3), (0x17B6, 0x17D3)),
    "korean": ((0xAC00, 0xD7A3), (0xAC00, 0xD7A3), (0x1100, 0x1112)),
    "letterlike": ((0x1D400, 0x1D7FF), (0x2460, 0x24FF), (0xFF01, 0xFF5E), (0x3200, 0x33FF)),
    "marks": ((0x0061, 0x007A), (0x0300, 0x036F), (0x0300, 0x036F), (0x20D0, 0x20F0)),
    "music": ((0x1D15E, 0x1D164), (0x1D1BB, 0x1D1C0), (0x2ADC, 0x2ADC)),
    "private": ((0xE000, 0xF8FF), (0xF0000, 0xF0100)),
    "tamil": ((0x0B85, 0x0BB9), (0x0BBE, 0x0BCD), (0x0B94, 0x0B94)),
    "thai": ((0x0E01, 0x0E3A), (0x0E40, 0x0E4E)),
    "vietnamese": ((0x1EA0, 0x1EF9), (0x0061, 0x007A), (0x0061, 0x007A)),
}
WORDS: Final = (
    "the", "a", "model", "answers", "question", "with", "tokens", "budget", "limit", "Straße", "naïve", "over", "42",
    "3.14159", "it's", "e-mail@example.org", "https://pictures.example/a?b=c&d=e", "CamelCaseName", "snake_case_name",
)  # fmt: skip
EXPANDERS: Final = (
    "\ufdfa",
    "\ufdfb",
    "\ufdf2",
    "\u3316",
    "\u337b",
    "\ufb03",
    "\u00bd",
    "\u2122",
    "\u0344",
    "\u1e9b\u0323",
)
EMOJI: Final = ("👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👋🏽", "🇩🇪", "1️⃣", "❤️‍🔥", "😀", "🧑🏿‍🚀", "☃", "🫠")
LOOKALIKES: Final = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "end|>", "<s>", "</s>", "[INST]", "<|eot_id|>", "<think>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", "\uff1c\uff5cim_end\uff5c\uff1e", "<|start_header_id|>", "<0x0A>",
    "\u2581", "<unk>", "<pad>", "<EOT>", "\n\nHuman:", "<", "<|", "<tool_response>", "<|fim_prefix|>",
    "<|endofprompt|>",
)  # fmt: skip
CODE: Final = (
    "def f(x: int) -> int:\n    return x if x < 2 else f(x - 1) + f(x - 2)\n",
    'if (a && b || c <= d) { printf("%s\\n", "it\'s <b>&amp;</b>"); }\n',
    "SELECT * FROM t WHERE a <> 'x' AND b >= \"y\" -- \\ \t\n",
    '{"a": [1, 2.5e-10, {"b": null}], "c": "\\u00e9"}\n',
    "<div class='x' data-y=\"1\">&nbsp;</div>\r\n",
    "\t\t\tfor (;;) {\n\t\t\t\tcontinue;\n\t\t\t}\n",
)
BLANKS: Final = (" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u200b", " " * 17, "\n" * 9, "\v\f")
CONTROLS: Final = (*map(chr, range(32)), "\x7f", "\x85", "\u200d", "\u202e", "\ufeff", "\ufffd", "\U000e0041")
RUNS: Final = (
    "a",
    "A",
    " ",
    "\n",
    "0",
    "=",
    "é",
    "中",
    "\ufdfa",
    "😀",
    "\u0301",
    "ﾊﾞ",
    '"',
    "\\",
    "'",
    "\x00",
    "aA",
    "\u0958",
)


def _from_ranges(ranges: tuple[tuple[int, int], ...]) -> Callable[[random.Random, int], str]:
    def text(rng: random.Random, length: int) -> str:
        letters = (chr(rng.randint(*rng.choice(ranges))) for _ in range(length))
        return "".join(each if rng.random() > 0.15 else each + " " for each in letters)

    return text


def _of(pieces: tuple[str, ...], between: str = "") -> Callable[[random.Random, int], str]:
    def text(rng: random.Random, length: int) -> str:
        return between.join(rng.choice(pieces) for _ in range(max(1, length // 4)))

    return text


def _run(rng: random.Random, length: int) -> str:
    return rng.choice(RUNS) * (length * 3)


def _any_character(rng: random.Random, length: int) -> str:
    codes = (rng.randrange(0x110000) for _ in range(length))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


def _decomposed(rng: random.Random, length: int) -> str:
    letters = "".join(chr(rng.randint(0xC0, 0x17F)) for _ in range(length))
    return unicodedata.normalize("NFD", letters)


def _hexadecimal(rng: random.Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length + 4):x}"


def _mixed(rng: random.Random, length: int) -> str:
    parts = [SCRIPTS[rng.choice(PURE)](rng, max(1, length // 5)) for _ in range(5)]
    return rng.choice(("", " ", "\n")).join(parts)


SCRIPTS: Final[dict[str, Callable[[random.Random, int], str]]] = {
    **{name: _from_ranges(ranges) for name, ranges in RANGES.items()},
    "any character": _any_character,
    "blanks": _of((*BLANKS, "a")),
    "code": _of(CODE),
    "controls": _of((*CONTROLS, "b")),
    "decomposed": _decomposed,
    "emoji": _of(EMOJI),
    "english": _of(WORDS, " "),
    "expanders": _of(EXPANDERS),
    "hexadecimal": _hexadecimal,
    "look-alikes": _of(LOOKALIKES),
    "run of one": _run,
}
PURE: Final = tuple(sorted(SCRIPTS))
SCRIPTS["mixed"] = _mixed


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is asked, and in which script."""

    script: str
    messages: tuple[Message, ...]
    parameters: dict[str, JSON]


def conversations(seed: int, count: int) -> Iterator[Conversation]:
    """So many conversations, the scripts in turn."""
    names = sorted(SCRIPTS)
    for number in range(count):
        yield _Writer(random.Random(f"{seed}/{number}"), names[number % len(names)]).conversation()


class _Writer:
    """Writes one conversation."""

    def __init__(self, rng: random.Random, script: str) -> None:
        self.rng = rng
        self.script = script

    def conversation(self) -> Conversation:
        rng = self.rng
        parameters = self.parameters() if rng.random() < 0.45 else {}
        messages: list[Message] = []
        if rng.random() < 0.4:
            messages.append({"role": rng.choice(("system", "developer")), "content": self.text()})
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            messages.append(self.user())
            if rng.random() < 0.5:
                messages.extend(self.turn())
        return Conversation(self.script, tuple(messages), parameters)

    def text(self) -> str:
        length = self.rng.choice((0, 1, 2, 3, 10, 40, 120, 120, 400))
        return SCRIPTS[self.script](self.rng, length) if length else ""

    def word(self) -> str:
        return "".join(self.rng.choice("abcdefgh_") for _ in range(self.rng.randint(1, 9)))

    def user(self) -> Message:
        rng = self.rng
        message: dict[str, JSON] = {"role": "user", "content": self.text()}
        if rng.random() < 0.25:
            message["content"] = [{"type": "text", "text": self.text()} for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.15:
            message["name"] = self.word()
        return message

    def turn(self) -> Iterator[Message]:
        """An answer, perhaps with tool calls and their results."""
        rng = self.rng
        answer: dict[str, JSON] = {"role": "assistant", "content": self.text()}
        if rng.random() < 0.3:
            answer["reasoning_content"] = self.text()
        if rng.random() < 0.5:
            yield answer
            return
        calls = [self.call(number) for number in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            answer["content"] = None
        yield {**answer, "tool_calls": calls}
        for number in range(len(calls)):
            yield {"role": "tool", "tool_call_id": f"call_{number}", "content": self.result()}

    def call(self, number: int) -> JSON:
        arguments = {self.word(): self.value(self.rng.choice((0, 1, 3, 9))) for _ in range(self.rng.randint(0, 4))}
        written = json.dumps(arguments, ensure_ascii=self.rng.random() < 0.5)
        if self.rng.random() < 0.1:
            written = written[: len(written) // 2]  # cut off, as an answer at its limit is
        return {"id": f"call_{number}", "type": "function", "function": {"name": self.word(), "arguments": written}}

    def result(self) -> str:
        return self.text() if self.rng.random() < 0.5 else json.dumps(self.value(3), ensure_ascii=False)

    def value(self, depth: int) -> JSON:
        """Any JSON; a depth of n is a chain of n containers with something beside it at each level."""
        rng = self.rng
        if depth <= 0:
            leaves: tuple[JSON, ...] = (
                self.text()[:80], rng.randint(-(10**9), 10**15), rng.uniform(-1e300, 1e300), 1e22, 1e-7, 5e-324, 0,
                True, False, None, [], {}, "",
            )  # fmt: skip
            return rng.choice(leaves)
        inner = self.value(depth - 1)
        if rng.random() < 0.3:
            return [inner, *(self.value(0) for _ in range(rng.randint(0, 2)))]
        return {self.word(): inner, **{self.word(): self.value(0) for _ in range(rng.randint(0, 2))}}

    def schema(self, depth: int) -> JSON:
        rng = self.rng
        if depth <= 0:
            kind: dict[str, JSON] = {"type": rng.choice(("string", "integer", "boolean"))}
            if rng.random() < 0.3:
                kind["description"] = self.text()[:60]
            if rng.random() < 0.2:
                kind["enum"] = [self.word() for _ in range(rng.randint(1, 4))]
            return kind
        properties = {
            self.word(): self.schema(depth - 1),
            **{self.word(): self.schema(0) for _ in range(rng.randint(0, 3))},
        }
        if rng.random() < 0.2:
            return {"type": "array", "items": self.schema(depth - 1)}
        return {
            "type": "object",
            "properties": properties,
            "required": sorted(properties),
            "additionalProperties": False,
        }

    def tool(self) -> JSON:
        depth = self.rng.choice((0, 1, 2, 3, 3, 6, 14))
        return {
            "type": "function",
            "function": {"name": self.word(), "description": self.text()[:200], "parameters": self.schema(depth)},
        }

    def parameters(self) -> dict[str, JSON]:
        rng = self.rng
        found: dict[str, JSON] = {"temperature": 0.5}
        if rng.random() < 0.9:
            found["tools"] = [self.tool() for _ in range(rng.choice((1, 1, 2, 5)))]
        if rng.random() < 0.25:
            schema = {"name": self.word(), "schema": self.schema(rng.choice((1, 4, 10)))}
            found["response_format"] = {"type": "json_schema", "json_schema": schema}
        if rng.random() < 0.2:
            found["chat_template_kwargs"] = {"note": self.text(), "enable_thinking": False}
        return found
