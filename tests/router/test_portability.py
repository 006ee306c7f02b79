"""A conversation that only its origin can take: refused before it is a 400, or stripped on the wire; real servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import Router, errors
from modelrouter.core.adapting import grown
from modelrouter.core.history import MEMBER
from modelrouter.core.request import measure
from modelrouter.openai import OpenAI
from modelrouter.testing import FakeTransport, MemoryLedger, reply
from tests.router.configs import Served, write_config
from tests.router.played import played
from tests.router.speaking import MODES, Speaking, ask_in, choice, speaking

if TYPE_CHECKING:
    from pathlib import Path

WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Is it dry?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "let us see",
        "tool_calls": [{"id": "call_77", **WEATHER}],
    },
    {"role": "tool", "tool_call_id": "call_77", "content": "dry"},
]
SIGNED: list[dict[str, Any]] = [
    {"role": "user", "content": "Hm?"},
    {
        "role": "assistant",
        "content": "So.",
        "thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "s"}],
    },
    {"role": "user", "content": "And?"},
]


def routed(folder: Path, server: Speaking, route: str = "", ledger: MemoryLedger | None = None) -> Router:
    """A route over a Mistral model of ours, and then another model."""
    served = [Served(name, server.base_url, name=name) for name in ("strict", "open")]
    more = f", {route}" if route else ""
    routes = f"  ask: {{try: [strict, open], output_tokens: {{default: 100, min: 10}}{more}}}"
    path = write_config(folder, served, routes)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("model: smollm2-135m-instruct", "model: mistral-small-3.2", 1), encoding="utf-8")
    return Router.from_config(path, ledger=ledger or MemoryLedger())


@pytest.mark.parametrize("mode", MODES)
def test_who_cannot_take_it_is_passed_over(tmp_path: Path, mode: str) -> None:
    """The first candidate would answer with a 400; it is refused in the decision, and the next one is asked."""
    with Speaking(strict=choice({"content": "no"}), open=choice({"content": "dry"})) as server:
        with routed(tmp_path, server) as router:
            got = ask_in(mode, router, CALLED)
            decision = router.explain("ask", CALLED)
        assert server.asked == ["open"]
        assert server.bodies[0]["messages"] == CALLED
    assert got.text == "dry"
    (refusal,) = decision.refusals("strict")
    assert (refusal.layer, refusal.rule) == ("route", "portability")
    assert refusal.judgement.reason == "history holds ids of tool calls that are not nine letters and digits"
    assert "portability: history holds ids of tool calls" in decision.explain()


@pytest.mark.parametrize("mode", MODES)
def test_a_route_may_have_it_stripped(tmp_path: Path, mode: str) -> None:
    """Each candidate gets what it can take: new ids for the strict one, all of it for the other."""
    refusing = choice({"content": None, "refusal": "no"})
    with Speaking(strict=refusing, open=choice({"content": "dry"})) as server:
        with routed(tmp_path, server, "on_foreign_history: strip") as router:
            got = ask_in(mode, router, CALLED)
        strict, other = (body["messages"] for body in server.bodies)
    assert [each.deployment for each in got.attempts] == ["strict", "open"]
    assert other == CALLED
    renamed = strict[1]["tool_calls"][0]["id"]
    assert re.fullmatch("[A-Za-z0-9]{9}", renamed)
    assert strict == [
        CALLED[0],
        {**CALLED[1], "tool_calls": [{**WEATHER, "id": renamed}]},
        {**CALLED[2], "tool_call_id": renamed},
    ]


def test_nobody_left_says_what_would_help(tmp_path: Path) -> None:
    """Claude's signed thinking before models that are none: refused by everybody, unsent, with the way out."""
    ledger = MemoryLedger()
    with Speaking() as server, routed(tmp_path, server, ledger=ledger) as router:
        with pytest.raises(
            errors.NoRouteError, match=r"2 portability \(history holds signed thinking of anthropic"
        ) as raised:
            router.complete("ask", SIGNED)
        assert "`on_foreign_history: strip` on the route would admit strict" in raised.value.message
        assert server.connections == 0
    assert not ledger.reservations


def test_stripping_leaves_the_bound_a_bound(tmp_path: Path) -> None:
    """Where a conversation may be written anew, room for what that adds is reserved beforehand."""
    short: list[dict[str, Any]] = [
        CALLED[0],
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", **WEATHER}] * 3},
        {"role": "tool", "tool_call_id": "1", "content": "dry"},
    ]
    sizes = []
    for route in ("{try: [a]}", "{try: [a], on_foreign_history: strip}"):
        with played(tmp_path, FakeTransport(), route=route) as router:
            sizes.append(router._epoch.request("ask", short, {}).size)
    assert sizes == [measure(short, {}), measure(grown(short), {})]
    assert sizes[1].tool_bytes > sizes[0].tool_bytes


@pytest.mark.parametrize("mode", MODES)
def test_replies_remember_who_wrote_them(tmp_path: Path, mode: str) -> None:
    """A message with reasoning is marked; appended to the conversation, the mark is read and never sent."""
    thoughtful = choice({"content": "dry", "reasoning_content": "hm"})
    with Speaking(one=thoughtful) as server, speaking(tmp_path, server, ["one"], ledger=MemoryLedger()) as router:
        first = ask_in(mode, router)
        assert first.message[MEMBER] == {"developer": "huggingface", "operator": "self"}
        assert first.answer.body["choices"][0]["message"] == first.message
        ask_in(mode, router, [CALLED[0], first.message, {"role": "user", "content": "Sure?"}])
        sent = server.bodies[1]["messages"][1]
    assert sent == {"role": "assistant", "content": "dry", "reasoning_content": "hm"}


def test_openai_clients_may_send_our_marks_back(tmp_path: Path) -> None:
    """What the client's own message holds goes round: its types keep members that they do not know."""
    thoughtful = choice({"content": "dry", "reasoning_content": "hm"})
    with (
        Speaking(one=thoughtful) as server,
        speaking(tmp_path, server, ["one"], ledger=MemoryLedger()) as router,
        OpenAI(router) as client,
    ):
        ask: list[Any] = [{"role": "user", "content": "x"}]
        message = client.chat.completions.create(model="ask", messages=ask).choices[0].message
        client.chat.completions.create(model="ask", messages=[*ask, message.model_dump(exclude_none=True), *ask])  # type: ignore[list-item]
        assert MEMBER not in server.bodies[1]["messages"][1]


def test_a_message_of_words_is_not_marked(tmp_path: Path) -> None:
    """Most messages are everybody's, and stay as the server sent them."""
    with played(tmp_path, FakeTransport(reply("x"))) as router:
        assert router.complete("ask", "x").message == {"role": "assistant", "content": "x"}
