"""The openai face: genuine clients over a Router, with a real model and with a lane that plays."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from modelrouter import ClosedError, Router
from modelrouter.core.pricing import Usage
from modelrouter.openai import BASE_URL, AsyncOpenAI, OpenAI, async_transport, transport
from modelrouter.ports import Answer
from modelrouter.testing import FakeTransport, reply
from tests.router.configs import Served, write_config
from tests.scripted import ASK, WEATHER, routed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_model import LocalModel


@pytest.fixture
def real(tmp_path: Path, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with the real model behind the route `chat`."""
    monkeypatch.setenv("LOCAL_KEY", local_model.key)
    served = Served("local", local_model.base_url, name=local_model.name, key="LOCAL_KEY")
    return write_config(tmp_path, [served], "  chat: {try: [local], output_tokens: {default: 12}}")


# --- plain ---


def test_a_plain_answer_of_the_real_model(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The genuine class answers with the model's words, usage and facts of the call, whatever the environment says."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAI(real) as client:
        assert isinstance(client, openai.OpenAI)
        chat = client.chat.completions.create(model="chat", messages=ASK, temperature=0)
    assert chat.choices[0].message.content
    assert chat.usage is not None
    facts = (chat.model_extra or {})["modelrouter"]
    assert facts["deployment"] == "local"
    # 0.05 and 0.20 USD for a million tokens, as the config says
    cost = (Decimal("0.05") * chat.usage.prompt_tokens + Decimal("0.20") * chat.usage.completion_tokens) / 10**6
    assert Decimal(facts["cost_usd"]) == cost.quantize(Decimal("1e-9"), rounding="ROUND_CEILING")


async def test_an_async_plain_answer_of_the_real_model(real: Path) -> None:
    """The same through the genuine async class."""
    async with AsyncOpenAI(real) as client:
        assert isinstance(client, openai.AsyncOpenAI)
        chat = await client.chat.completions.create(model="chat", messages=ASK, temperature=0)
    assert chat.choices[0].message.content
    assert chat.choices[0].finish_reason in {"stop", "length"}


def test_tools_come_and_go(tmp_path: Path) -> None:
    """Tools reach the lane as they were written, and its tool calls reach the caller as openai's own objects."""
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    body: dict[str, Any] = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    lane = FakeTransport(Answer(message, "tool_calls", Usage(9, 4), body))
    with routed(tmp_path, lane) as router, OpenAI(router) as client:
        chat = client.chat.completions.create(model="chat", messages=ASK, tools=[WEATHER], seed=4)
    called = (chat.choices[0].message.tool_calls or [])[0]
    assert called.type == "function"
    assert called.function.arguments == '{"city": "Ulm"}'
    assert lane.calls[0].parameters == {"tools": [WEATHER], "seed": 4}


def test_a_stream_of_the_real_model(real: Path) -> None:
    """Each chunk has choices, as code written for openai expects; the last says why it ended, and carries the facts."""
    with OpenAI(real) as client:
        chunks = list(client.chat.completions.create(model="chat", messages=ASK, temperature=0, stream=True))
        whole = client.chat.completions.create(model="chat", messages=ASK, temperature=0)
    assert len(chunks) > 2
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert [chunk.choices[0].finish_reason is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(chunk.usage is None for chunk in chunks)
    assert (chunks[-1].model_extra or {})["modelrouter"]["deployment"] == "local"
    assert whole.choices[0].message.content


# --- clients ---


def test_copies_share_the_router(tmp_path: Path) -> None:
    """`with_options` gives a client of ours with the same Router; its timeout is the deadline of its plain calls."""
    lane = FakeTransport(reply("ok"))
    with routed(tmp_path, lane) as router, OpenAI(router) as client:
        hasty = client.with_options(timeout=7)
        assert isinstance(hasty, OpenAI)
        assert hasty.router is router
        client.chat.completions.create(model="chat", messages=ASK)
        hasty.chat.completions.create(model="chat", messages=ASK)
        hasty.chat.completions.create(model="chat", messages=ASK, extra_body={"modelrouter": {"timeout_s": 3}})
        list(hasty.chat.completions.create(model="chat", messages=ASK, stream=True))
    route_s, seven_s, three_s, stream_s = (call.timeout_s for call in lane.calls)
    assert three_s <= 3 < seven_s <= 7 < route_s
    assert stream_s == pytest.approx(route_s, abs=1)


async def test_async_copies_share_the_router(tmp_path: Path) -> None:
    """The same for the async class."""
    async with routed(tmp_path, FakeTransport()) as router, AsyncOpenAI(router) as client:
        copy = client.with_options(max_retries=1)
        assert isinstance(copy, AsyncOpenAI)
        assert copy.router is router
        assert (await copy.chat.completions.create(model="chat", messages=ASK)).choices


def test_another_http_client_is_refused() -> None:
    """An httpx client without our transport would leave for the network, so it is refused."""
    with httpx.Client() as plain, pytest.raises(TypeError, match="give a Router or a config path"):
        OpenAI(http_client=plain)


async def test_closing_closes_what_the_client_built(tmp_path: Path) -> None:
    """A client closes the Router that it built from a path, and leaves alone the one that it was given."""
    config = write_config(tmp_path, [Served("one", "http://127.0.0.1:9/v1")], "  chat: {try: [one]}")
    client, aclient = OpenAI(config), AsyncOpenAI(config)
    client.close()
    await aclient.close()
    for closed in (client.router, aclient.router):
        with pytest.raises(ClosedError):
            closed.explain("chat")
    with routed(tmp_path, FakeTransport()) as router:
        OpenAI(router).close()
        await AsyncOpenAI(router).close()
        assert router.complete("chat", "Say hello.").text == "ok"


# --- langchain ---


@pytest.fixture
def langchain(real: Path) -> Iterator[ChatOpenAI]:
    """`ChatOpenAI` over the real model, by the recipe of the examples."""
    with Router.from_config(real) as router, httpx.Client(transport=transport(router)) as client:
        yield ChatOpenAI(
            model="chat",
            base_url=BASE_URL,
            api_key=SecretStr("not-used"),
            max_retries=0,
            http_client=client,
            http_async_client=httpx.AsyncClient(transport=async_transport(router)),
        )


def test_langchain_plain_and_streamed(langchain: ChatOpenAI) -> None:
    """The model of langchain answers, streams in pieces, and knows the usage."""
    answer = langchain.invoke("Say hello.")
    assert answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0
    assert len([piece for piece in langchain.stream("Say hello.") if piece.text]) > 1


async def test_langchain_in_async_code(langchain: ChatOpenAI) -> None:
    """The same in async code."""
    assert (await langchain.ainvoke("Say hello.")).text
    assert len([piece async for piece in langchain.astream("Say hello.") if piece.text]) > 1
    assert langchain.http_async_client is not None
    await langchain.http_async_client.aclose()
