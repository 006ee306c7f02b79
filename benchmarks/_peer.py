"""One peer in a process of its own, measured on command: `python benchmarks/_peer.py PEER BASE_URL CONFIG`.

It reads one JSON order a line, `{"do": "plain" | "tasks" | "stream", "count": N}`, and answers each with one JSON line:
wall and CPU seconds (of all threads of the process), calls, and chunks of content that came. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

MODEL = "qwen3-32b"
PROMPT = "A customer asks for a refund. Draft a kind answer. " * 10
MESSAGES: list[Any] = [{"role": "user", "content": PROMPT}]
TOKENS_MAX = 64
TASKS = 64


class Peer(Protocol):
    """A client library, as its users call it."""

    async def plain(self) -> str:
        """A whole answer."""
        ...

    async def stream(self) -> int:
        """A stream to its end; how many pieces had text."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class Aiohttp:
    """The reference: a POST with aiohttp, orjson on both ends, server-sent events split by hand."""

    def __init__(self, base_url: str, _config: str) -> None:
        import aiohttp
        import orjson

        self._url = f"{base_url}/chat/completions"
        self._loads = orjson.loads
        self._dumps = orjson.dumps
        self._session = aiohttp.ClientSession()
        self._headers = {"content-type": "application/json"}

    async def plain(self) -> str:
        """A whole answer."""
        body = self._dumps({"model": MODEL, "messages": MESSAGES, "max_tokens": TOKENS_MAX})
        async with self._session.post(self._url, data=body, headers=self._headers) as got:
            return str(self._loads(await got.read())["choices"][0]["message"]["content"])

    async def stream(self) -> int:
        """A stream to its end."""
        body = self._dumps({"model": MODEL, "messages": MESSAGES, "max_tokens": TOKENS_MAX, "stream": True})
        pieces, rest = 0, b""
        async with self._session.post(self._url, data=body, headers=self._headers) as got:
            async for data in got.content.iter_any():
                *events, rest = (rest + data).split(b"\n\n")
                for event in events:
                    if event != b"data: [DONE]":
                        chunk = self._loads(event[6:])
                        pieces += bool(chunk["choices"] and chunk["choices"][0]["delta"].get("content"))
        return pieces

    async def close(self) -> None:
        """Let go."""
        await self._session.close()


class Modelrouter:
    """Ours: two policies over two deployments, and a durable reservation before each call."""

    def __init__(self, _base_url: str, config: str) -> None:
        from modelrouter import Router

        self._router = Router.from_config(config)

    async def plain(self) -> str:
        """A whole answer."""
        return (await self._router.acomplete("ask", MESSAGES, max_output_tokens=TOKENS_MAX)).text

    async def stream(self) -> int:
        """A stream to its end."""
        stream = self._router.astream("ask", MESSAGES, max_output_tokens=TOKENS_MAX)
        return sum([bool(chunk.text) async for chunk in stream])

    async def close(self) -> None:
        """Let go."""
        await self._router.aclose()


class OpenAI:
    """The openai package's own client; its retries are off."""

    def __init__(self, base_url: str, _config: str) -> None:
        import openai

        self._client: Any = openai.AsyncOpenAI(api_key="unused", base_url=base_url, max_retries=0)

    async def plain(self) -> str:
        """A whole answer."""
        chat = await self._client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=TOKENS_MAX)
        return str(chat.choices[0].message.content)

    async def stream(self) -> int:
        """A stream to its end."""
        stream = await self._client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=TOKENS_MAX, stream=True
        )
        return sum([bool(chunk.choices and chunk.choices[0].delta.content) async for chunk in stream])

    async def close(self) -> None:
        """Let go."""
        await self._client.close()


class OurOpenAI(OpenAI):
    """The same client class over our transport: what `modelrouter.openai` costs."""

    def __init__(self, _base_url: str, config: str) -> None:
        from modelrouter.openai import AsyncOpenAI

        self._client = AsyncOpenAI(config)

    async def plain(self) -> str:
        """A whole answer, by the route's name."""
        chat = await self._client.chat.completions.create(model="ask", messages=MESSAGES, max_tokens=TOKENS_MAX)
        return str(chat.choices[0].message.content)

    async def stream(self) -> int:
        """A stream to its end."""
        stream = await self._client.chat.completions.create(
            model="ask", messages=MESSAGES, max_tokens=TOKENS_MAX, stream=True
        )
        return sum([bool(chunk.choices and chunk.choices[0].delta.content) async for chunk in stream])


class Litellm:
    """`litellm.acompletion`, without its Router; its retries are off."""

    def __init__(self, base_url: str, _config: str) -> None:
        import litellm

        self._ask = litellm.acompletion
        self._given: dict[str, Any] = {
            "model": f"openai/{MODEL}",
            "messages": MESSAGES,
            "api_base": base_url,
            "api_key": "unused",
            "max_tokens": TOKENS_MAX,
            "max_retries": 0,
        }

    async def plain(self) -> str:
        """A whole answer."""
        return str((await self._ask(**self._given)).choices[0].message.content)

    async def stream(self) -> int:
        """A stream to its end."""
        stream = await self._ask(**self._given, stream=True)
        return sum([bool(chunk.choices and chunk.choices[0].delta.content) async for chunk in stream])

    async def close(self) -> None:
        """It keeps its clients until the process ends."""


PEERS: dict[str, Callable[[str, str], Peer]] = {
    "aiohttp": Aiohttp,
    "modelrouter": Modelrouter,
    "modelrouter.openai": OurOpenAI,
    "openai": OpenAI,
    "litellm": Litellm,
}


async def in_turn(peer: Peer, count: int) -> int:
    """One plain call after the other."""
    for _ in range(count):
        if not await peer.plain():
            raise AssertionError("no answer")
    return 0


async def _at_once(peer: Peer, count: int) -> int:
    """`TASKS` tasks share the calls."""
    left = deque(range(count))

    async def work() -> None:
        while left:
            left.popleft()
            if not await peer.plain():
                raise AssertionError("no answer")

    await asyncio.gather(*(work() for _ in range(min(TASKS, count))))
    return 0


async def _streamed(peer: Peer, count: int) -> int:
    return sum([await peer.stream() for _ in range(count)])


async def measure(peer: Peer, kinds: Mapping[str, Callable[[Any, int], Awaitable[int]]]) -> None:
    """Do as each line of stdin says, by the kinds that there are, and print what it took."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        wall_s, cpu_s = perf_counter(), process_time()
        chunks = await kinds[order["do"]](peer, order["count"])
        wall_s, cpu_s = perf_counter() - wall_s, process_time() - cpu_s
        print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "calls": order["count"], "chunks": chunks}), flush=True)
    await peer.close()


async def _main(name: str, base_url: str, config: str) -> None:
    await measure(PEERS[name](base_url, config), {"plain": in_turn, "tasks": _at_once, "stream": _streamed})


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:4]))
