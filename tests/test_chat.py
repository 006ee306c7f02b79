"""Chat-completions bodies: what they may say, and what is said to those that say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from modelrouter.chat import OURS
from modelrouter.openai import BASE_URL, OpenAI, async_transport, transport
from modelrouter.router.options import OWN_OPTIONS
from modelrouter.testing import FakeTransport, MemoryLedger
from tests.scripted import ASK, routed

if TYPE_CHECKING:
    from pathlib import Path


def test_our_member_takes_our_options(tmp_path: Path) -> None:
    """Policy, tags, ceiling and the rest travel in `modelrouter`, and bind the call."""
    ledger = MemoryLedger()
    with routed(tmp_path, FakeTransport(), ledger, top="tags: {team: {}}") as router, OpenAI(router) as client:
        ours = {
            "policy": ["self-hosted-only"],
            "tags": {"team": "billing"},
            "max_cost_usd": "0.01",
            "request_id": "order-7",
            "session": "s-1",
            "timeout_s": 20,
            "reasoning": None,
        }
        client.chat.completions.create(model="chat", messages=ASK, extra_body={"modelrouter": ours})
        with pytest.raises(openai.ConflictError):
            client.chat.completions.create(model="chat", messages=ASK, extra_body={"modelrouter": ours})
    (reservation,) = ledger.reservations.values()
    record = reservation.call
    assert record.policies == ("self-hosted-only",)
    assert (record.request_id, record.session, record.tags) == ("order-7", "s-1", {"team": "billing"})


def test_our_member_knows_all_our_options() -> None:
    """What Python callers may say beside OpenAI's parameters, bodies may say too, but for a function."""
    assert set(OURS) == OWN_OPTIONS - {"accept"}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"model": ""}, "`model` must name a route"),
        ({"model": 7}, "`model` must name a route"),
        ({"model": "chatt"}, "there is no route `chatt`"),
        ({"messages": "hello"}, "`messages` must be a list"),
        ({"messages": []}, "`messages` is empty"),
        ({"messages": [5]}, "messages[0]"),
        ({"stream": "yes"}, "`stream` must be true or false"),
        ({"stream_options": {"include_usage": True}}, "`stream_options` belongs to a stream"),
        ({"stream": True, "stream_options": 1}, "`stream_options` must be an object"),
        ({"stream": True, "stream_options": {"x": 1}}, "`stream_options.x` is not served"),
        ({"policy": "baseline"}, "`policy` is no chat-completion parameter: write it into `modelrouter`"),
        ({"modelrouter": []}, "`modelrouter` must be an object"),
        ({"modelrouter": {"polcy": "x"}}, "`modelrouter.polcy` is not one of"),
        ({"modelrouter": {"policy": [1]}}, "`modelrouter.policy` must be a name"),
        ({"modelrouter": {"policy": "nowhere"}}, "nowhere"),
        ({"modelrouter": {"tags": ["team"]}}, "`modelrouter.tags` must be an object"),
        ({"modelrouter": {"tags": {"team": 1}}}, "team"),
        ({"modelrouter": {"max_cost_usd": 0.01}}, "`modelrouter.max_cost_usd` must be an amount as text"),
        ({"modelrouter": {"timeout_s": "5"}}, "`modelrouter.timeout_s` must be a number"),
        ({"modelrouter": {"timeout_s": True}}, "`modelrouter.timeout_s` must be a number"),
        ({"modelrouter": {"timeout_s": 0}}, "above zero"),
        ({"modelrouter": {"reasoning": "much"}}, "`reasoning` must be one of"),
        ({"temprature": 1}, "did you mean `temperature`?"),
        ({"service_tier": "flex"}, "`service_tier` is not passed on"),
        ({"max_tokens": 0}, "`max_tokens` must be a whole number"),
    ],
)
def test_a_wrong_body_is_told_what_to_change(members: dict[str, Any], said: str, tmp_path: Path) -> None:
    """One sentence that names the member, a 400, and nothing is sent."""
    lane = FakeTransport()
    with routed(tmp_path, lane, top="tags: {team: {}}") as router, httpx.Client(transport=transport(router)) as client:
        body = {"model": "chat", "messages": ASK, **members}
        answered = client.post(f"{BASE_URL}/chat/completions", json=body)
    assert answered.status_code == 400
    assert said in answered.json()["error"]["message"]
    assert lane.calls == []


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "said"),
    [
        ("POST", "/chat/completions", b"{", 400, "the request body is not JSON"),
        ("POST", "/chat/completions", b"[]", 400, "the request body must be a JSON object"),
        ("POST", "/embeddings", b"{}", 404, "`POST /v1/embeddings` is not served"),
        ("GET", "/models", b"", 404, "`GET /v1/models` is not served"),
    ],
)
async def test_other_requests(method: str, path: str, content: bytes, status: int, said: str, tmp_path: Path) -> None:
    """What is no chat completion is refused in openai's shape, through both transports."""
    request = httpx.Request(method, BASE_URL + path, content=content)
    with routed(tmp_path, FakeTransport()) as router:
        answered = transport(router).handle_request(request)
        async with httpx.AsyncClient(transport=async_transport(router)) as client:
            aanswered = await client.send(request)
    for each in (answered, aanswered):
        assert each.status_code == status
        assert said in each.json()["error"]["message"]
