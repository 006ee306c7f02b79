"""Requests: what is needed is never overlooked, and what is no conversation is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.request import CAPABILITIES, Needs, needs_of, normalise_messages
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.request import JSON, Message


@pytest.mark.parametrize(
    ("message", "parameters", "capabilities"),
    [
        ({"role": "user", "content": "x"}, {}, set()),
        ({"role": "user", "content": [{"type": "text", "text": "x"}]}, {}, set()),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}, {}, {"vision"}),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, {}, {"audio_input"}),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, {}, {"files"}),
        ({"role": "tool", "content": "x", "tool_call_id": "1"}, {}, {"tools"}),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, {}, {"tools"}),
        ({"role": "user", "content": "x"}, {"tools": [{"type": "function"}]}, {"tools"}),
        ({"role": "user", "content": "x"}, {"tools": []}, set()),
        ({"role": "user", "content": "x"}, {"response_format": {"type": "json_schema"}}, {"json_schema"}),
        ({"role": "user", "content": "x"}, {"response_format": {"type": "json_object"}}, {"json_object"}),
        ({"role": "user", "content": "x"}, {"response_format": {"type": "text"}}, set()),
        ({"role": "user", "content": "x"}, {"logprobs": True}, {"logprobs"}),
    ],
)
def test_needs_follow_from_what_is_asked(
    message: Message, parameters: Mapping[str, JSON], capabilities: set[str]
) -> None:
    """Each content part and parameter that a model may not know becomes a need."""
    found = needs_of([message], parameters)
    assert capabilities <= found.capabilities <= CAPABILITIES
    assert found.capabilities - capabilities == frozenset()
    assert found.parameters == frozenset(parameters)


NEEDS = st.builds(
    Needs,
    st.none() | st.integers(1, 10**6),
    st.frozensets(st.sampled_from(sorted(CAPABILITIES))),
    st.frozensets(st.sampled_from(["temperature", "seed", "tools"])),
)


@given(NEEDS, NEEDS)
def test_joined_needs_ask_for_everything_that_either_asked(left: Needs, right: Needs) -> None:
    """Both windows fit, both sets are there, and the order does not matter."""
    both = left.joined(right)
    assert both == right.joined(left)
    assert both.capabilities == left.capabilities | right.capabilities
    assert both.parameters == left.parameters | right.parameters
    windows = {left.context_tokens, right.context_tokens} - {None}
    assert both.context_tokens == (max(windows, key=lambda each: each or 0) if windows else None)


def test_a_prompt_becomes_one_user_message() -> None:
    """Plain text is the most common request."""
    assert normalise_messages("hello") == ({"role": "user", "content": "hello"},)


@pytest.mark.parametrize("prompt", ["", "  \n", [], ()])
def test_nothing_asked_is_refused(prompt: str | Sequence[Message]) -> None:
    """An empty prompt costs money and means a mistake."""
    with pytest.raises(RequestError, match="empty"):
        normalise_messages(prompt)


@pytest.mark.parametrize("prompt", [5, 1.5, b"hello", {"role": "user", "content": "x"}, iter(["x"])])
def test_what_is_neither_text_nor_a_list_is_refused(prompt: Any) -> None:
    """A number, bytes, and the one message that was to stand in a list: the sentence shows how it is written."""
    with pytest.raises(RequestError, match=r"messages as `\[\{'role': 'user', 'content'"):
        normalise_messages(prompt)


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_a_message_that_says_nothing_is_refused(role: str) -> None:
    """Who speaks must say something; an assistant may have called tools instead."""
    for said in ({}, {"content": None}):
        with pytest.raises(RequestError, match=r"messages\[1\]: `content` is missing"):
            normalise_messages([{"role": "user", "content": "x"}, {"role": role, **said}])
    assert len(normalise_messages([{"role": "assistant", "content": None}, {"role": "tool"}])) == 2


@pytest.mark.parametrize(
    "message", [{"content": "x"}, {"role": ["user"], "content": "x"}, {"role": "robot", "content": "x"}, "x", None]
)
def test_a_message_without_a_known_role_is_refused_by_its_place(message: Message) -> None:
    """The sentence says which message it is."""
    with pytest.raises(RequestError, match=r"messages\[1\]"):
        normalise_messages([{"role": "user", "content": "x"}, message])
