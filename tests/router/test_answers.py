"""Answers that are none: each has a kind, a rule of the route, and a bill; plain and streamed, sync and async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
import pytest

from modelrouter import errors
from modelrouter.core.attempts import Billing, FailureKind
from modelrouter.openai import AsyncOpenAI, OpenAI
from modelrouter.testing import FakeTransport, MemoryLedger, reply
from tests.router.played import played
from tests.router.speaking import MODES, Speaking, ask_async, ask_in, choice, speaking

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter import Router

COST = 1500
GOOD = choice({"content": "good"})
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "hours": {"type": "integer", "minimum": 0}},
    "required": ["city", "hours"],
    "additionalProperties": False,
}
ASKED: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
FITTING = choice({"content": '{"city": "Ulm", "hours": 3}'})

UNSAID = [
    ("on_refusal", choice({"content": None, "refusal": "I will not."}), FailureKind.REFUSED),
    ("on_refusal", choice({"content": ""}, "refusal"), FailureKind.REFUSED),
    ("on_filtered", choice({"content": ""}, "content_filter"), FailureKind.CONTENT_FILTERED),
    ("on_empty", choice({"content": ""}), FailureKind.EMPTY),
    ("on_empty", choice({"content": None}), FailureKind.EMPTY),
    ("on_out_of_tokens", choice({"content": ""}, "length"), FailureKind.OUT_OF_TOKENS_EMPTY),
]
"""Whole replies in which nothing was said: the key of the route, the choice, the kind."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "said", "kind"), UNSAID)
def test_the_next_candidate_is_asked_and_the_answer_is_booked(
    tmp_path: Path, mode: str, key: str, said: dict[str, Any], kind: FailureKind
) -> None:
    """Nothing was handed out, so another may answer; what was said to nobody is paid at its usage."""
    ledger = MemoryLedger()
    with (
        Speaking(bad=said, good=GOOD) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=ledger) as router,
    ):
        got = ask_in(mode, router)
    assert (got.text, got.deployment, got.flaw) == ("good", "good", None)
    first, second = got.attempts
    assert first.failure is not None
    assert (first.failure.kind, first.billing, first.cost_nano_usd) == (kind, Billing.BILLED, COST)
    assert (second.billing, got.cost_nano_usd) == (Billing.BILLED, 2 * COST)
    assert {each.cost_nano_usd for each in ledger.resolutions.values()} == {COST}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "said", "kind"), UNSAID)
def test_a_route_may_want_it_returned(
    tmp_path: Path, mode: str, key: str, said: dict[str, Any], kind: FailureKind
) -> None:
    """The caller gets it as the server gave it, flagged with its kind, and nobody else is asked."""
    ledger = MemoryLedger()
    with (
        Speaking(bad=said, good=GOOD) as server,
        speaking(tmp_path, server, ["bad", "good"], route=f"{key}: return", ledger=ledger) as router,
    ):
        got = ask_in(mode, router)
    assert (got.deployment, got.flaw, len(got.attempts)) == ("bad", kind, 1)
    assert (got.cost_nano_usd, got.attempts[0].failure) == (COST, None)
    assert server.asked == ["bad"]


@pytest.mark.parametrize("mode", MODES)
def test_thinking_that_used_up_the_tokens_is_no_answer(tmp_path: Path, mode: str) -> None:
    """Reasoning alone, cut off at the limit: a plain call falls back, a stream has handed the reasoning out."""
    thinking = choice({"content": "", "reasoning_content": "well, let us see"}, "length")
    with (
        Speaking(bad=thinking, good=GOOD) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=MemoryLedger()) as router,
    ):
        if "stream" not in mode:
            assert ask_in(mode, router).attempts[0].failure.kind is FailureKind.OUT_OF_TOKENS_EMPTY
            return
        with pytest.raises(errors.StreamBrokenError) as raised:
            ask_in(mode, router)
    (attempt,) = raised.value.attempts
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.cost_nano_usd) == (FailureKind.OUT_OF_TOKENS_EMPTY, COST)


@pytest.mark.parametrize("mode", ["stream", "astream"])
@pytest.mark.parametrize("rule", ["fallback", "return"])
def test_a_filter_in_the_middle_of_a_stream(tmp_path: Path, mode: str, rule: str) -> None:
    """Text was handed out: the stream ends as broken, with the text and its cost, or as the route wants, flagged."""
    said = choice({"content": "half of it"}, "content_filter")
    with (
        Speaking(bad=said, good=GOOD) as server,
        speaking(tmp_path, server, ["bad", "good"], route=f"on_filtered: {rule}", ledger=MemoryLedger()) as router,
    ):
        if rule == "return":
            got = ask_in(mode, router)
            assert (got.text, got.flaw, got.cost_nano_usd) == ("half of it", FailureKind.CONTENT_FILTERED, COST)
            return
        with pytest.raises(errors.StreamBrokenError) as raised:
            ask_in(mode, router)
    assert raised.value.text == "half of it"
    assert raised.value.cost_usd is not None
    assert raised.value.cost_usd * 10**9 == COST
    assert server.asked == ["bad"]


# --- JSON -------------------------------------------------------------------------------------------------------------

UNFIT = [
    ("not json at all", "the answer is not JSON"),
    ('```json\n{"city": "Ulm", "hours": 3}\n```', "the answer is not JSON"),
    ('{"city": "Ulm"}', "breaks the asked schema (`required`)"),
    ('{"city": "Ulm", "hours": -1}', "breaks the asked schema (`minimum`)"),
    ('{"city": "Ulm", "hours": 3, "more": 1}', "breaks the asked schema (`additionalProperties`)"),
    ("[]", "breaks the asked schema (`type`)"),
]


@pytest.mark.parametrize("mode", ["plain", "async"])
@pytest.mark.parametrize(("content", "detail"), UNFIT)
def test_an_answer_that_is_not_the_asked_json(tmp_path: Path, mode: str, content: str, detail: str) -> None:
    """It is rejected with the keyword that it breaks and none of its words, booked, and the next is asked."""
    with (
        Speaking(bad=choice({"content": content}), good=FITTING) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=MemoryLedger()) as router,
    ):
        got = ask_in(mode, router, response_format=ASKED)
    failed = got.attempts[0]
    assert (got.deployment, failed.failure.kind, failed.cost_nano_usd) == ("good", FailureKind.REJECTED, COST)
    assert detail in failed.failure.detail
    assert "Ulm" not in failed.failure.detail


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_a_stream_is_held_against_the_schema_at_its_end(tmp_path: Path, mode: str) -> None:
    """Content was handed out by then, so it ends as broken, or flagged where the route returns such answers."""
    with (
        Speaking(bad=choice({"content": '{"city": 5}'}), good=FITTING) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=MemoryLedger()) as router,
        pytest.raises(errors.StreamBrokenError, match="breaks the asked schema"),
    ):
        ask_in(mode, router, response_format=ASKED)
    with (
        Speaking(bad=choice({"content": '{"city": 5}'})) as server,
        speaking(tmp_path, server, ["bad"], route="on_schema: return", ledger=MemoryLedger()) as router,
    ):
        assert ask_in(mode, router, response_format=ASKED).flaw is FailureKind.REJECTED


def test_what_is_not_held_against_a_schema(tmp_path: Path) -> None:
    """Tool calls, answers to requests that asked for no JSON, and JSON that fits."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = choice({"content": None, "tool_calls": [call]}, "tool_calls")
    with (
        Speaking(one=tools, two=FITTING, three=choice({"content": "words"})) as server,
        speaking(tmp_path, server, ["one", "two", "three"], ledger=MemoryLedger()) as router,
    ):
        assert router.complete("ask", "x", response_format=ASKED).tool_calls == (call,)
    for name, options in (
        ("two", {"response_format": ASKED}),
        ("three", {}),
        ("two", {"response_format": {"type": "json_object"}}),
    ):
        with (
            Speaking(two=FITTING, three=choice({"content": "words"})) as server,
            speaking(tmp_path, server, [name], ledger=MemoryLedger()) as router,
        ):
            assert len(router.complete("ask", "x", **options).attempts) == 1


def test_json_without_a_schema_is_any_object(tmp_path: Path) -> None:
    """`json_object` is met by an object and by nothing else."""
    lane = FakeTransport(reply("[1]"), reply('{"a": 1}'))
    with played(tmp_path, lane) as router:
        got = router.complete("ask", "x", response_format={"type": "json_object"})
    assert got.text == '{"a": 1}'
    assert got.attempts[0].failure is not None
    assert got.attempts[0].failure.detail == "the answer is no JSON object"


def test_json_that_was_cut_off_says_so(tmp_path: Path) -> None:
    """Half an object is rejected, and the limit is named as the reason."""
    lane = FakeTransport(reply('{"city": "U', finish_reason="length"), reply('{"city": "Ulm", "hours": 1}'))
    with played(tmp_path, lane) as router:
        got = router.complete("ask", "x", response_format=ASKED)
    assert got.attempts[0].failure is not None
    assert "cut off at its output limit" in got.attempts[0].failure.detail


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"$ref": "https://example.org/schema.json"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
        ({"pattern": "("}, "no regular expression"),
        ({"enum": list(range(20_001)), "items": [{}] * 20_001}, "is too large"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused_before_anything_is_sent(
    tmp_path: Path, schema: dict[str, Any], said: str
) -> None:
    """The caller hears what is wrong with it; nothing is reserved, sent or fetched."""
    lane, ledger = FakeTransport(), MemoryLedger()
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with played(tmp_path, lane, ledger=ledger) as router, pytest.raises(errors.RequestError, match=said):
        router.complete("ask", "x", response_format=form)
    assert not lane.calls
    assert not ledger.reservations


# --- the caller's own test --------------------------------------------------------------------------------------------


async def is_long(message: Any) -> bool:
    """An async test of an answer."""
    await asyncio.sleep(0)
    return len(message["content"]) > 5


class IsLong:
    """A test of an answer as an object."""

    def __call__(self, message: Any) -> bool:
        """The same."""
        return len(message["content"]) > 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("accept", [is_long, IsLong(), lambda message: is_long({**message})])
def test_an_answer_that_the_caller_does_not_take(tmp_path: Path, mode: str, accept: Any) -> None:
    """A plain call goes on to the next candidate, a stream ends as broken; both book what was said."""
    ledger = MemoryLedger()
    with (
        Speaking(bad=choice({"content": "no"}), good=choice({"content": "long enough"})) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=ledger) as router,
    ):
        if "stream" in mode:
            with pytest.raises(errors.StreamBrokenError, match="`accept` did not take the answer"):
                ask_in(mode, router, accept=accept)
        else:
            got = ask_in(mode, router, accept=accept)
            assert (got.text, got.attempts[0].failure.kind) == ("long enough", FailureKind.REJECTED)
    assert all(each.cost_nano_usd == COST for each in ledger.resolutions.values())


@pytest.mark.parametrize("mode", MODES)
def test_what_the_callers_test_raises_is_the_callers(tmp_path: Path, mode: str) -> None:
    """It arrives as it was raised, nobody else is asked, and the answer is settled at its usage, not at its bound."""

    def broken(_message: object) -> bool:
        raise ZeroDivisionError("mine")

    ledger = MemoryLedger()
    with (
        Speaking(one=GOOD, two=GOOD) as server,
        speaking(tmp_path, server, ["one", "two"], ledger=ledger) as router,
        pytest.raises(ZeroDivisionError, match="mine"),
    ):
        ask_in(mode, router, accept=broken)
    (resolution,) = ledger.resolutions.values()
    assert (resolution.billing, resolution.cost_nano_usd) == (Billing.BILLED, COST)
    assert server.asked == ["one"]


def test_a_test_that_stops_an_iteration_is_told_at_once(tmp_path: Path) -> None:
    """`next` on nothing is the caller's error as any other: it does not hang, and the answer is no rejected one."""
    ledger = MemoryLedger()
    with (
        played(tmp_path, FakeTransport(reply("x")), ledger=ledger) as router,
        pytest.raises(RuntimeError, match="`accept` raised StopIteration"),
    ):
        router.complete("ask", "x", accept=lambda _message: next(iter(())), timeout_s=5)
    (resolution,) = ledger.resolutions.values()
    assert (resolution.billing, resolution.attempt.failure) == (Billing.BILLED, None)


def test_a_test_that_answers_neither_true_nor_false(tmp_path: Path) -> None:
    """A forgotten `return` is the caller's error, not a rejection that costs another call."""
    lane = FakeTransport(reply("x"))
    with played(tmp_path, lane) as router, pytest.raises(errors.RequestError, match="not a `NoneType`"):
        router.complete("ask", "x", accept=lambda _message: None)  # type: ignore[arg-type, return-value]
    assert len(lane.calls) == 1


def test_a_test_that_never_answers_ends_with_the_deadline(tmp_path: Path) -> None:
    """An async test is cancelled at the request's deadline; the answer that waited for it is booked."""

    async def never(_message: object) -> bool:
        await asyncio.Event().wait()
        return True

    ledger = MemoryLedger()
    with (
        played(tmp_path, FakeTransport(reply("x")), ledger=ledger) as router,
        pytest.raises(errors.DeadlineExceededError, match="`accept` did not answer"),
    ):
        router.complete("ask", "x", accept=never, timeout_s=0.2)
    (resolution,) = ledger.resolutions.values()
    assert resolution.billing is Billing.BILLED


@pytest.mark.parametrize("mode", ["async", "astream"])
def test_a_call_that_is_cancelled_while_its_answer_is_judged_is_paid_at_its_usage(tmp_path: Path, mode: str) -> None:
    """The answer is whole and its usage is known, so nothing is booked at a bound; nobody else is asked."""
    ledger = MemoryLedger()

    async def cancelled(router: Router) -> None:
        begun = asyncio.Event()

        async def never(_message: object) -> bool:
            begun.set()
            await asyncio.Event().wait()
            return True

        call = asyncio.ensure_future(ask_async(mode, router, "x", accept=never))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with Speaking(one=GOOD, two=GOOD) as server, speaking(tmp_path, server, ["one", "two"], ledger=ledger) as router:
        asyncio.run(cancelled(router))
        assert server.asked == ["one"]
    (resolution,) = ledger.resolutions.values()
    assert (resolution.billing, resolution.cost_nano_usd) == (Billing.BILLED, COST)
    assert resolution.attempt.failure is not None
    assert resolution.attempt.failure.kind is FailureKind.CANCELLED


def test_a_test_must_be_a_function(tmp_path: Path) -> None:
    """Anything else is refused before it costs anything."""
    with played(tmp_path, FakeTransport()) as router, pytest.raises(errors.RequestError, match="`accept` must be"):
        router.complete("ask", "x", accept="yes")  # type: ignore[arg-type]


def test_the_callers_test_is_asked_about_returned_answers_too(tmp_path: Path) -> None:
    """What the route returns, the caller may still not take."""
    lane = FakeTransport(reply(""), reply("x"))
    with played(tmp_path, lane, route="{try: [a, b], on_empty: return}") as router:
        assert router.complete("ask", "x", accept=lambda message: bool(message["content"])).deployment == "b"


# --- the openai face --------------------------------------------------------------------------------------------------


def test_openai_clients_fall_back_and_see_the_last_failure(tmp_path: Path) -> None:
    """The second candidate's answer arrives; with none left, it is openai's own error."""
    form: Any = ASKED
    with (
        Speaking(bad=choice({"content": "words"}), good=FITTING) as server,
        speaking(tmp_path, server, ["bad", "good"], ledger=MemoryLedger()) as router,
        OpenAI(router) as client,
    ):
        got = client.chat.completions.create(
            model="ask", messages=[{"role": "user", "content": "x"}], response_format=form
        )
        assert got.choices[0].message.content == FITTING["message"]["content"]
    with (
        Speaking(bad=choice({"content": ""}, "content_filter")) as server,
        speaking(tmp_path, server, ["bad"], ledger=MemoryLedger()) as router,
        OpenAI(router) as client,
        pytest.raises(openai.BadRequestError, match="content_filtered"),
    ):
        client.chat.completions.create(model="ask", messages=[{"role": "user", "content": "x"}])


async def test_openai_clients_are_handed_a_refusal_that_the_route_returns(tmp_path: Path) -> None:
    """A refusal has its own member in openai's types."""
    with (
        Speaking(bad=choice({"content": None, "refusal": "I will not."})) as server,
        speaking(tmp_path, server, ["bad"], route="on_refusal: return", ledger=MemoryLedger()) as router,
    ):
        async with AsyncOpenAI(router) as client:
            got = await client.chat.completions.create(model="ask", messages=[{"role": "user", "content": "x"}])
            assert got.choices[0].message.refusal == "I will not."
            assert got.model_extra is not None
            assert got.model_extra["modelrouter"]["flaw"] == "refused"
        for lane in router._engine().lanes.values():
            await lane.close()
