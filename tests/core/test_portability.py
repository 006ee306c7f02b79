"""Which part of a conversation is whose, who takes it, and what a conversation becomes for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.adapting import adapted, grown, marked
from modelrouter.core.bounds import BoundBasis, input_bound_tokens
from modelrouter.core.history import MEMBER, Origin, Trait, history_of, without_marks
from modelrouter.core.measuring import measure
from modelrouter.core.overhead import Overhead
from modelrouter.core.policy import Outcome
from modelrouter.core.portability import Target, judge_history

USER: dict[str, Any] = {"role": "user", "content": "and then?"}
ANTHROPIC = Target(Origin("anthropic", "anthropic"), "claude-opus-4-6", is_vendor_api=True)
BEDROCK = Target(Origin("anthropic", "aws"), "claude-opus-4-6", is_vendor_api=False)
OPENAI = Target(Origin("openai", "openai"), "gpt-5.5", is_vendor_api=True)
AZURE = Target(Origin("openai", "azure"), "gpt-5.5", is_vendor_api=False)
MISTRAL = Target(Origin("mistral", "mistral"), "mistral-large-4", is_vendor_api=True)
OUR_MISTRAL = Target(Origin("mistral", "self"), "mistral-small-3.2", is_vendor_api=False)
STUDIO = Target(Origin("google", "google"), "gemini-3.5-flash", is_vendor_api=True)
OLD_STUDIO = Target(Origin("google", "google"), "gemini-2.5-flash", is_vendor_api=True)
VERTEX = Target(Origin("google", "google"), "gemini-3.5-flash", is_vendor_api=False)
DEEPSEEK = Target(Origin("deepseek", "deepseek"), "deepseek-v4-pro", is_vendor_api=True)
QUIET_DEEPSEEK = Target(Origin("deepseek", "deepseek"), "deepseek-v4-pro", is_vendor_api=True, thinks=False)
GROQ = Target(Origin("openai", "groq"), "gpt-oss-120b", is_vendor_api=False)
ROUTED = Target(Origin("anthropic", "anthropic", "openrouter"), "claude-opus-4-6", is_vendor_api=False)
OURS = Target(Origin("alibaba", "self"), "qwen3-32b", is_vendor_api=False)
ALL = (
    ANTHROPIC, BEDROCK, OPENAI, AZURE, MISTRAL, OUR_MISTRAL, STUDIO, OLD_STUDIO, VERTEX, DEEPSEEK, QUIET_DEEPSEEK, GROQ,
    ROUTED, OURS,
)  # fmt: skip


def call(call_id: str, **more: Any) -> dict[str, Any]:
    """One call of a tool."""
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def said(**members: Any) -> dict[str, Any]:
    """What an assistant said."""
    return {"role": "assistant", "content": "so", **members}


def with_file(file_id: str) -> dict[str, Any]:
    """A user's message with a file that a server keeps."""
    return {"role": "user", "content": [{"type": "file", "file": {"file_id": file_id}}]}


CLAUDES = said(thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": "c2ln"}])
REDACTED = said(content=[{"type": "redacted_thinking", "data": "eA=="}, {"type": "text", "text": "so"}])
MAGISTRALS = said(
    content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]
)
ITEM = said(content=[{"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"}, {"type": "text", "text": "so"}])
GEMINIS = said(tool_calls=[call("a", extra_content={"google": {"thought_signature": "c2ln"}})])
CARRIED = said(tool_calls=[call("call_1__thought__c2ln")])
ASIDE = said(tool_calls=[call("a", provider_specific_fields={"thought_signature": "c2ln"})])
ENCRYPTED = said(reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1"}])
STRANGE = said(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}])
SUMMARY = said(reasoning_details=[{"type": "reasoning.summary", "summary": "x", "format": "openai-responses-v1"}])
THOUGHT = said(reasoning_content="hm")
REASONED = said(reasoning="hm")
SOUND = said(audio={"id": "audio_1"})
DEEPSEEKS = said(reasoning_content="hm", **{MEMBER: {"developer": "deepseek", "operator": "deepseek"}})
GROQS = said(reasoning="hm", **{MEMBER: {"developer": "openai", "operator": "groq"}})
OPEN_SERVERS = {OURS, OUR_MISTRAL}
READERS = {DEEPSEEK, QUIET_DEEPSEEK, *OPEN_SERVERS}


@pytest.mark.parametrize(
    ("message", "trait", "takers"),
    [
        (CLAUDES, Trait.THINKING_BLOCKS, {ANTHROPIC, BEDROCK}),
        (REDACTED, Trait.THINKING_PARTS, {ANTHROPIC, BEDROCK}),
        (MAGISTRALS, Trait.THINKING_LISTS, {MISTRAL, OUR_MISTRAL}),
        (ITEM, Trait.ENCRYPTED_ITEM, set()),
        (GEMINIS, Trait.THOUGHT_SIGNATURE, {STUDIO, OLD_STUDIO, VERTEX}),
        (CARRIED, Trait.CARRIED_SIGNATURE, {VERTEX}),
        (ASIDE, Trait.CARRIED_SIGNATURE, {VERTEX}),
        (ENCRYPTED, Trait.SIGNED_DETAILS, {ROUTED}),
        (STRANGE, Trait.SIGNED_DETAILS, set()),
        (SUMMARY, Trait.DETAILS, {ROUTED}),
        (THOUGHT, Trait.REASONING_CONTENT, READERS),
        (REASONED, Trait.REASONING_TEXT, {GROQ, ROUTED, *OPEN_SERVERS}),
        (DEEPSEEKS, Trait.REASONING_CONTENT, READERS),
        (GROQS, Trait.REASONING_TEXT, {GROQ, OPENAI, AZURE, ROUTED, *OPEN_SERVERS}),
        (SOUND, Trait.AUDIO_ID, {OPENAI, AZURE}),
        (with_file("file-abc123"), Trait.FILE_ID, {OPENAI, AZURE}),
        (with_file("file_011CNha"), Trait.FILE_ID, {ANTHROPIC}),
        (with_file("gs://bucket/a.pdf"), Trait.FILE_ID, {STUDIO, OLD_STUDIO, VERTEX}),
        (with_file("7f3c"), Trait.FILE_ID, set()),
    ],
)  # fmt: skip
def test_who_takes_what(message: dict[str, Any], trait: Trait, takers: set[Target]) -> None:
    """Each shape is recognised as what it is, and taken by those alone that are known to take it."""
    history = history_of([USER, message, USER])
    assert {shape.trait for shape in history.shapes} == {trait}
    assert not history.is_plain
    shapes = {target for target in ALL if judge_history(history, target, strips=False).outcome is Outcome.PERMITTED}
    named = {target for target in ALL if trait.value in judge_history(history, target, strips=False).reason}
    assert named == set(ALL) - takers
    assert shapes <= takers


@pytest.mark.parametrize(
    ("call_id", "takers"),
    [
        ("aB3dE6gH9", set(ALL) - {DEEPSEEK, STUDIO}),
        ("call_1", set(ALL) - {DEEPSEEK, STUDIO, MISTRAL, OUR_MISTRAL}),
        ("c" * 41, {OLD_STUDIO, VERTEX, QUIET_DEEPSEEK, GROQ, OURS, ANTHROPIC, BEDROCK, ROUTED}),
        ("functions.f:0", {OPENAI, AZURE, OLD_STUDIO, VERTEX, QUIET_DEEPSEEK, GROQ, OURS}),
    ],
)  # fmt: skip
def test_ids_of_tool_calls_have_forms(call_id: str, takers: set[Target]) -> None:
    """Mistral takes nine letters and digits, OpenAI forty characters; DeepSeek and Gemini want what led to a call."""
    messages = [USER, said(tool_calls=[call(call_id)]), {"role": "tool", "tool_call_id": call_id, "content": "1"}]
    history = history_of(messages)
    found = {each for each in ALL if judge_history(history, each, strips=False).outcome is Outcome.PERMITTED}
    assert found == takers
    assert all(judge_history(history, each, strips=True).outcome is Outcome.PERMITTED for each in ALL)


def test_gemini_wants_signatures_of_this_turn_alone() -> None:
    """Calls before the user's last message are not looked at."""
    done = [USER, said(tool_calls=[call("a")]), {"role": "tool", "tool_call_id": "a", "content": "1"}, USER]
    assert judge_history(history_of(done), STUDIO, strips=False).outcome is Outcome.PERMITTED
    assert judge_history(history_of(done[:-1]), STUDIO, strips=False).outcome is Outcome.REFUSED


def test_what_is_plain_needs_no_verdict() -> None:
    """Words and pictures are everybody's."""
    picture: dict[str, Any] = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}],
    }
    assert history_of([{"role": "system", "content": "x"}, USER, said(), picture]).is_plain
    assert history_of([]).is_plain


def test_replies_are_marked_where_it_matters() -> None:
    """A message of words stays as it is; one that holds reasoning says who wrote it, and the mark is never sent."""
    words = said()
    assert marked(words, Origin("deepseek", "deepseek")) is words
    kept = marked(said(reasoning_content="hm"), Origin("deepseek", "deepseek"))
    assert kept[MEMBER] == {"developer": "deepseek", "operator": "deepseek"}
    history = history_of((USER, kept))
    assert history.origins == {1: Origin("deepseek", "deepseek")}
    assert without_marks((USER, kept)) == (USER, said(reasoning_content="hm"))


def test_a_mark_that_is_none_says_nothing() -> None:
    """Whatever a caller writes there, nothing breaks."""
    marks: list[Any] = [None, 5, [], {"developer": 7}, {}, {"developer": "Canary text"}]
    for mark in marks:
        history = history_of([said(reasoning_content="hm", **{MEMBER: mark})])
        assert "Canary" not in judge_history(history, OPENAI, strips=False).reason
        assert history.shapes


# --- stripped ---------------------------------------------------------------------------------------------------------


def test_stripped_for_mistral() -> None:
    """Reasoning goes, ids are written anew in both places, words and arguments stay."""
    messages = (
        USER,
        said(reasoning_content="hm", tool_calls=[call("call_1"), call("call_2")]),
        {"role": "tool", "tool_call_id": "call_2", "content": "2"},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    )
    _, answer, second, first = adapted(messages, history_of(messages), MISTRAL)
    assert isinstance(answer["tool_calls"], list)
    ids = [each["id"] for each in answer["tool_calls"] if isinstance(each, dict)]
    assert [first["tool_call_id"], second["tool_call_id"]] == ids
    assert len(set(ids)) == 2
    assert "reasoning_content" not in answer
    assert answer["content"] == "so"


def test_stripped_for_deepseek_and_gemini() -> None:
    """Thinking DeepSeek gets an empty thought where there is none, Gemini the signature that Google documents."""
    messages = (USER, said(tool_calls=[call("a"), call("b")]))
    history = history_of(messages)
    assert adapted(messages, history, DEEPSEEK)[1]["reasoning_content"] == ""
    calls: Any = adapted(messages, history, STUDIO)[1]["tool_calls"]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert calls[1] == call("b")
    assert adapted(messages, history, OURS) == messages


def test_content_that_was_nothing_but_thinking_is_empty_then() -> None:
    """No empty list is sent, which some servers refuse."""
    messages = (USER, said(content=[{"type": "redacted_thinking", "data": "eA=="}]))
    assert adapted(messages, history_of(messages), OPENAI)[1]["content"] == ""


def test_what_stands_for_content_is_never_stripped() -> None:
    """Without its file a question is another question."""
    history = history_of([with_file("file-abc")])
    judgement = judge_history(history, MISTRAL, strips=True)
    assert judgement.outcome is Outcome.REFUSED
    assert judgement.remedy == "the content itself in place of an id"


IDS = st.sampled_from(["a", "call_1", "aB3dE6gH9", "functions.f:0", "c" * 50, "call_9__thought__c2ln", "", "aB3dE6gH8"])
CALLS = st.lists(
    st.builds(
        lambda call_id, more: call(call_id, **more),
        IDS,
        st.sampled_from(
            [{}, {"extra_content": {"google": {"thought_signature": "s"}}},
             {"provider_specific_fields": {"thought_signature": "s"}}]
        ),
    ),
    min_size=1, max_size=3,
)  # fmt: skip
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_content": st.just("hm"),
        "reasoning": st.just("hm"),
        "thinking_blocks": st.just(CLAUDES["thinking_blocks"]),
        "thought_signatures": st.just(["s"]),
        "reasoning_details": st.sampled_from(
            [ENCRYPTED["reasoning_details"], STRANGE["reasoning_details"], SUMMARY["reasoning_details"]]
        ),
        "content": st.sampled_from(["x", REDACTED["content"], MAGISTRALS["content"], ITEM["content"]]),
        "tool_calls": CALLS,
        MEMBER: st.sampled_from(
            [{"developer": each.origin.developer, "operator": each.origin.operator} for each in ALL]
        ),
    },
)
MESSAGES = st.lists(
    st.one_of(
        st.just(USER),
        st.builds(lambda members: said(**members), MEMBERS),
        st.builds(lambda call_id: {"role": "tool", "tool_call_id": call_id, "content": "1"}, IDS),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def texts_of(message: Any) -> tuple[Any, ...]:
    """What was said in a message: its role, its words, and what tools were called with."""
    content = message.get("content")
    words = "".join(part.get("text", "") for part in content) if isinstance(content, list) else content
    calls = [(each["function"]["name"], each["function"]["arguments"]) for each in message.get("tool_calls", ())]
    return message["role"], words, calls


@given(MESSAGES, st.sampled_from(ALL))
def test_what_was_stripped_for_a_candidate_can_be_taken_by_it(messages: list[Any], target: Target) -> None:
    """Its stripped form needs no more stripping, and says the same."""
    history = history_of(messages)
    plain = without_marks(tuple(messages))
    made = adapted(plain, history, target)
    again = history_of([{**each, MEMBER: messages[at].get(MEMBER)} for at, each in enumerate(made)])
    judgement = judge_history(again, target, strips=False)
    assert judgement.outcome is Outcome.PERMITTED, judgement.reason
    assert [texts_of(each) for each in made] == [texts_of(each) for each in plain]
    assert adapted(made, again, target) == made


OVERHEADS = st.builds(
    Overhead,
    json_indent=st.sampled_from([0, 4, 8]),
    json_mark_tokens=st.integers(0, 4),
    json_prints=st.integers(1, 3),
    tokens_per_byte=st.integers(1, 2),
)
"""Templates that print calls in many ways."""


def tokens_of(found: Any, overhead: Overhead) -> int:
    """What text and printed calls are bounded by; opaque parts go by the window, whatever is stripped."""
    bounded = input_bound_tokens(replace(measure(found, {}), opaque_count=0), overhead, BoundBasis.PROVED, None)
    assert bounded is not None
    return bounded[0]


@given(MESSAGES, st.sampled_from(ALL), OVERHEADS)
def test_no_candidates_form_exceeds_what_was_measured(messages: list[Any], target: Target, overhead: Overhead) -> None:
    """However a template prints it, the bound of what is sent is no higher than the one that was reserved."""
    plain = without_marks(tuple(messages))
    made = adapted(plain, history_of(messages), target)
    assert tokens_of(made, overhead) <= tokens_of(grown(plain), overhead)


@pytest.mark.parametrize("overhead", [Overhead(json_indent=8), Overhead(json_prints=3), Overhead(json_mark_tokens=9)])
def test_a_signature_that_is_written_in_is_printed_as_often_as_its_call(overhead: Overhead) -> None:
    """Blanks of an indented signature, and its second printing, are in the bound beside its bytes."""
    asked: tuple[Any, ...] = (USER, *({"role": "assistant", "tool_calls": [call("1")]} for _ in range(4)))
    made = adapted(asked, history_of(asked), STUDIO)
    assert tokens_of(asked, overhead) < tokens_of(made, overhead) <= tokens_of(grown(asked), overhead)


@given(MESSAGES, st.sampled_from(ALL))
def test_ids_stay_apart_and_together(messages: list[Any], target: Target) -> None:
    """Two calls never get one id, and a result keeps the id of its call."""

    def ids(found: Any) -> list[str]:
        calls = [each["id"] for message in found for each in message.get("tool_calls", ())]
        return calls + [message["tool_call_id"] for message in found if message["role"] == "tool"]

    made = adapted(tuple(messages), history_of(messages), target)
    pairs = set(zip(ids(messages), ids(made), strict=True))
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
