"""Measuring: no text, definition, call or result is undercounted, and what is not text is never taken for it."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.bounds import Picture
from modelrouter.core.measuring import measure
from tests.strategies import everyday

if TYPE_CHECKING:
    from modelrouter.core.bounds import Size
    from modelrouter.core.request import JSON, Message

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "",
        "naïve",
        "中文提示",
        "😀" * 5,
        '"\\\n\t',
        "\x00\x01\x7f",
        "a" * 200,
        "\ufdfa" * 3,
        "\u0958",
        "e\u0301\u0323",
        "<&>'",
    ]
)
JSONS: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TEXT_PARTS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS})
OPAQUE_PARTS = st.sampled_from(
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
)
ARGUMENTS = TEXTS | JSONS.map(json.dumps)
CALLS = st.fixed_dictionaries(
    {
        "id": st.just("call_1"),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": TEXTS, "arguments": ARGUMENTS}),
    }
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": TEXTS | st.none() | st.lists(TEXT_PARTS | OPAQUE_PARTS, max_size=4),
        },
        optional={"name": TEXTS, "tool_calls": st.lists(CALLS, max_size=2), "tool_call_id": TEXTS},
    ),
    min_size=1,
    max_size=4,
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": TEXTS, "description": TEXTS, "parameters": JSONS}),
        }
    ),
    max_size=3,
)
ASKED: list[Message] = [{"role": "user", "content": ""}]


def leaves(value: JSON) -> list[str]:
    """Every text in a JSON value, keys left out."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in leaves(item)]
    if isinstance(value, Sequence):
        return [text for item in value for text in leaves(item)]
    return []


def long(text: str) -> int:
    """Its UTF-8 bytes."""
    return len(text.encode())


def texts_of(message: Message) -> list[str]:
    """The texts of its content."""
    content = message.get("content")
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else [content]
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return [text for text in texts if isinstance(text, str)]


def is_opaque(part: JSON) -> bool:
    """Whether a content part is anything but text."""
    return isinstance(part, Mapping) and part.get("type") != "text"


@everyday(300)
@given(MESSAGES)
def test_text_is_never_undercounted(messages: list[Message]) -> None:
    """All text of the messages, tool calls and results included, has at most as many bytes as were measured."""
    readable: list[JSON] = []
    opaque = 0
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, Sequence) and not isinstance(content, str) else [content]
        readable += [part["text"] if isinstance(part, Mapping) else part for part in parts if not is_opaque(part)]
        opaque += sum(is_opaque(part) for part in parts)
        readable += [value for key, value in message.items() if key != "content"]
    found = measure(messages, {})
    assert found.text_bytes + found.tool_bytes >= sum(map(long, leaves(readable)))
    assert found.opaque_count == opaque
    assert found.message_count == len(messages)


@everyday(300)
@given(MESSAGES)
def test_normal_forms_are_never_undercounted(messages: list[Message]) -> None:
    """Neither the texts apart nor those of a message joined become longer than measured, by NFC or NFKC."""
    found = measure(messages, {})
    own = [texts_of(message) for message in messages]
    for apart in ([text for texts in own for text in texts], ["".join(texts) for texts in own]):
        nfc = sum(long(unicodedata.normalize("NFC", text)) for text in apart)
        nfkc = sum(long(unicodedata.normalize("NFKC", text)) for text in apart)
        assert nfc <= found.text_bytes + found.tool_bytes + found.nfc_growth
        assert nfkc <= found.text_bytes + found.tool_bytes + found.nfkc_growth
    assert found.nfkc_growth >= found.nfc_growth >= 0


WRITERS = [
    pytest.param(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")), 0, "json", id="compact"),
    pytest.param(lambda value: json.dumps(value, ensure_ascii=False), 0, "json", id="one line"),
    pytest.param(lambda value: json.dumps(value, ensure_ascii=False, indent=2), 2, "json", id="indent=2"),
    pytest.param(lambda value: json.dumps(value, ensure_ascii=False, indent=4), 4, "json", id="indent=4"),
    pytest.param(lambda value: json.dumps(value, indent=4), 4, "ascii", id="indent=4, ASCII"),
    pytest.param(repr, 0, "ascii", id="Python"),
    pytest.param(
        lambda value: json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026").replace("'", "\\u0027"),
        0,
        "ascii",
        id="HTML",
    ),
]


def printed(size: Size, indent: int, escapes: str) -> int:
    """The formula of `core.bounds` for what is printed."""
    growth = size.html_growth + size.ascii_growth if escapes == "ascii" else 0
    return size.tool_bytes + growth + size.printed_marks + indent * size.printed_indents


@pytest.mark.parametrize(("write", "indent", "escapes"), WRITERS)
@everyday(60)
@given(TOOLS, st.none() | st.fixed_dictionaries({"type": st.just("json_schema"), "json_schema": JSONS}))
def test_no_writer_prints_more_than_was_measured(
    write: object, indent: int, escapes: str, tools: list[JSON], form: JSON
) -> None:
    """Definitions and a response schema, alone or as one list, in the forms that templates print them in."""
    assert callable(write)
    parts = [*tools, *([form] if form else [])]
    found = measure(ASKED, {"tools": tools, "response_format": form})
    most = printed(found, indent, escapes)
    assert sum(long(write(part)) for part in parts) <= most
    assert long(write(parts)) <= most + len("[]\n")
    assert found.tool_count == len(parts)


@pytest.mark.parametrize(("write", "indent", "escapes"), WRITERS)
@everyday(60)
@given(CALLS)
def test_a_call_is_counted_as_text_and_as_values(write: object, indent: int, escapes: str, call: Message) -> None:
    """Some templates print the arguments as the text that they are, others parse them and print them again."""
    assert callable(write)
    found = measure([{"role": "assistant", "content": None, "tool_calls": [call]}], {})
    most = printed(found, indent, escapes)
    assert long(write(call)) <= most
    function = call["function"]
    assert isinstance(function, Mapping)
    try:
        values = json.loads(str(function["arguments"]))
    except ValueError:
        return
    assert long(write({**call, "function": {**function, "arguments": values}})) <= most


def test_a_deep_schema_grows_with_the_square_of_its_depth() -> None:
    """Indentation alone makes a thin, deep schema more than ten times as long: no factor on its bytes would do."""
    deep: JSON = {}
    for _ in range(60):
        deep = {"a": deep}
    found = measure(ASKED, {"tools": [deep]})
    real = long(json.dumps(deep, indent=4))
    assert real > 10 * found.tool_bytes
    assert real <= printed(found, 4, "json") <= real * 1.1


@pytest.mark.parametrize(
    "number", [0, -1, 123456, 2**63, 1.0, -0.1, 1e22, 5e-324, 1.7976931348623157e308, 1e-7, 2**53 + 1]
)
def test_numbers_have_room_in_any_notation(number: float) -> None:
    """A server may parse and print a number again in its own way."""
    exact = Decimal(repr(float(number))).normalize()
    scientific = f"{exact:e}" if "e" in f"{exact:e}" else f"{exact:e}e+00"
    forms = [str(number), repr(float(number)), f"{float(number):g}", scientific]
    if not exact or Decimal("1e-7") <= abs(exact) < Decimal("1e21"):
        forms += [f"{exact:f}", f"{exact:f}.0"]
    nothing = measure(ASKED, {"tools": [[""]]}).tool_bytes - len('""')
    assert max(map(len, forms)) <= measure(ASKED, {"tools": [[number]]}).tool_bytes - nothing


def test_a_result_counts_as_printed() -> None:
    """Llama's template writes what a tool answered as JSON: quotes, backslashes and controls take more bytes there."""
    text = 'it said "no"\n\x00'
    found = measure([{"role": "tool", "tool_call_id": "1", "content": text}], {})
    assert found.tool_bytes == long(json.dumps(text))
    assert found.call_count == 1
    parts: JSON = [{"type": "text", "text": text}]
    assert measure([{"role": "tool", "content": parts}], {}).tool_bytes >= long(
        json.dumps(parts, separators=(",", ":"))
    )


def test_each_result_may_repeat_the_name_of_its_tool() -> None:
    """Harmony's template writes the function's name in front of each of its results."""
    call: JSON = {"id": "1", "type": "function", "function": {"name": "x" * 50, "arguments": "{}"}}
    asked: list[Message] = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "y"}]
    assert measure(asked, {}).text_bytes == len("assistant") + len("tool") + 50
    assert measure(asked, {}).call_count == 2


def test_parameters_that_a_template_reads_are_counted() -> None:
    """Text in `chat_template_kwargs` reaches the prompt; a temperature does not."""
    note = "n" * 500
    assert measure(ASKED, {"chat_template_kwargs": {"note": note}}).tool_bytes >= 500
    assert measure(ASKED, {"temperature": 0.5, "seed": 7, "stop": [note], "user": note, "n": 2}).tool_bytes == 0
    assert measure(ASKED, {"something_new": note}).tool_bytes >= 500


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "https://films.example/1.mp4"}},
        {"type": "input_image", "image_url": "https://pictures.example/1.png"},
        {"type": "image_url", "image_url": "https://pictures.example/1.png"},
        {"type": "document", "source": {"type": "url", "url": "https://papers.example/1.pdf"}},
        {"image": "https://pictures.example/1.png"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        7,
    ],
)
def test_a_part_of_an_unknown_kind_is_bounded_by_the_window_alone(part: JSON) -> None:
    """What is not plainly text may stand for any number of tokens, however short its address is."""
    found = measure([{"role": "user", "content": [part]}], {})
    assert (found.opaque_count, found.pictures, found.audio_s) == (1, (), 0)


def test_an_image_is_counted_apart() -> None:
    """Its address is no text, and its size is unknown until the server fetches it."""
    part: JSON = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png", "detail": "low"}}
    found = measure([{"role": "user", "content": [part, {"type": "text", "text": "what?"}]}], {})
    assert (found.pictures, found.opaque_count) == ((Picture(detail="low"),), 0)
    assert found.text_bytes == len("user") + len("what?") + 1


def test_earlier_audio_named_by_its_id_is_bounded_by_the_window_alone() -> None:
    """An assistant message may point to audio of an earlier answer with a few bytes."""
    assert measure([{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}], {}).opaque_count == 1


def test_old_style_functions_count_beside_tools() -> None:
    """A request that carries both pays for both."""
    function: JSON = {"name": "look_up", "parameters": {"type": "object"}}
    tool: JSON = {"type": "function", "function": function}
    both = measure(ASKED, {"tools": [tool], "functions": [function]})
    assert both.tool_count == 2
    compact = json.dumps(function, separators=(",", ":"))
    assert both.tool_bytes >= measure(ASKED, {"tools": [tool]}).tool_bytes + len(compact)


@pytest.mark.parametrize(("asked", "choices"), [(1, 1), (3, 3), (0, 1), (None, 1), ("5", 1), (True, 1)])
def test_choices_are_a_whole_number_of_one_or_more(asked: JSON, choices: int) -> None:
    """What is no count asks for one answer."""
    assert measure(ASKED, {"n": asked}).choices == choices


def test_composing_two_characters_never_takes_more_bytes() -> None:
    """What lets a bound be summed over texts: over all of Unicode, a primary composite is no longer than its two parts.

    And nothing composes with an ASCII character before it where the second of the two is ASCII.
    """
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        parts = unicodedata.decomposition(letter).split()
        if len(parts) != 2 or parts[0].startswith("<"):
            continue
        pair = "".join(chr(int(part, 16)) for part in parts)
        if unicodedata.normalize("NFC", pair) == letter:
            assert long(letter) <= long(pair)
            assert not pair[1].isascii()
