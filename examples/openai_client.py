"""Code written for the openai package, over a Router: the genuine client classes, and langchain's `ChatOpenAI`."""

import asyncio
import importlib.util
from pathlib import Path

import httpx
import openai

from _local import configs
from modelrouter import Router
from modelrouter.openai import BASE_URL, AsyncOpenAI, OpenAI, async_transport, transport

QUESTION = "Name one thing that is blue."


def plain_and_streamed(config: Path) -> None:
    """`model` names a route. Everything else is as it was."""
    with OpenAI(config) as client:
        assert isinstance(client, openai.OpenAI)
        chat = client.chat.completions.create(model="support", messages=[{"role": "user", "content": QUESTION}])
        print(f"plain     {chat.choices[0].message.content!r}")
        facts = (chat.model_extra or {})["modelrouter"]
        print(f"          by {facts['deployment']} for ${facts['cost_usd']}")

        stream = client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        print(f"streamed  {text!r}")
        assert text


def refused(config: Path) -> None:
    """A refusal by policy is openai's own `PermissionDeniedError`. What is ours to ask goes into `extra_body`."""
    with OpenAI(config) as client:
        try:
            client.chat.completions.create(
                model="support",
                messages=[{"role": "user", "content": QUESTION}],
                extra_body={"modelrouter": {"max_cost_usd": "0.000000001"}},
            )
        except openai.PermissionDeniedError as error:
            print(f"refused   {error.status_code} {error.code}")
            assert error.code == "cost_ceiling"
        else:
            raise AssertionError("an answer for a billionth of a dollar")


async def asynchronously(config: Path) -> None:
    """The async client is the genuine one, too."""
    async with AsyncOpenAI(config) as client:
        chat = await client.chat.completions.create(model="support", messages=[{"role": "user", "content": QUESTION}])
    print(f"async     {chat.choices[0].message.content!r}")
    assert chat.choices[0].message.content


def with_langchain(config: Path) -> None:
    """Any library that takes an httpx client takes our transport. `max_retries=0`: the Router has retried already."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    with (
        Router.from_config(config) as router,
        httpx.Client(transport=transport(router)) as client,
    ):
        model = ChatOpenAI(
            model="support",
            base_url=BASE_URL,
            api_key=SecretStr("not-used"),
            max_retries=0,
            http_client=client,
            http_async_client=httpx.AsyncClient(transport=async_transport(router)),
        )
        print(f"langchain {model.invoke(QUESTION).text!r}")
        pieces = [piece.text for piece in model.stream(QUESTION)]
        print(f"          and streamed, in {len(pieces)} pieces")
        assert len(pieces) > 1


with configs() as folder:
    written = folder / "quickstart.yaml"
    plain_and_streamed(written)
    refused(written)
    asyncio.run(asynchronously(written))
    if importlib.util.find_spec("langchain_openai"):
        with_langchain(written)
    else:
        print("langchain is not installed here: `pip install langchain-openai` shows that part, too")
