"""As `_peer.py`, for calls that fall back: the first server answers 500, the second one answers.

    python benchmarks/_faller.py PEER BASE_URL CONFIG      orders: {"do": "plain" | "fallback", "count": N}

All try each server once, without a pause, and none learns that the first is down: the failed attempt is measured.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Protocol

import _peer
from _lab import down_url
from _peer import MESSAGES, MODEL, TOKENS_MAX, in_turn, measure

if TYPE_CHECKING:
    from collections.abc import Callable


class Faller(_peer.Peer, Protocol):
    """A client that may be asked where the first server is down."""

    async def fallback(self) -> str:
        """A whole answer, by the second server."""
        ...


class Modelrouter(_peer.Modelrouter):
    """Ours: decided, reserved and booked twice."""

    async def fallback(self) -> str:
        """By a route with two candidates."""
        reply = await self._router.acomplete("again", MESSAGES, max_output_tokens=TOKENS_MAX)
        if len(reply.attempts) != 2:
            raise AssertionError("the first server was not tried")
        return reply.text


class OpenAI(_peer.OpenAI):
    """What people write by hand: two clients, and `try`."""

    def __init__(self, base_url: str, config: str) -> None:
        import openai

        super().__init__(base_url, config)
        self._fault = openai.APIError
        self._first: Any = openai.AsyncOpenAI(api_key="unused", base_url=down_url(base_url), max_retries=0)

    async def fallback(self) -> str:
        """The first, and the second where that raises."""
        try:
            chat = await self._first.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=TOKENS_MAX)
        except self._fault:
            return await self.plain()
        return str(chat.choices[0].message.content)

    async def close(self) -> None:
        """Let go of both."""
        await self._first.close()
        await super().close()


class LitellmRouter:
    """`litellm.Router` with a fallback from one model group to another; retries and cooldowns are off."""

    def __init__(self, base_url: str, _config: str) -> None:
        from litellm import Router

        urls = {"own": base_url, "again": down_url(base_url)}
        models = [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": url,
                    "api_key": "unused",
                    "max_tokens": TOKENS_MAX,
                },
            }
            for name, url in urls.items()
        ]
        self._router: Any = Router(
            model_list=models, fallbacks=[{"again": ["own"]}], num_retries=0, max_fallbacks=1, disable_cooldowns=True
        )

    async def plain(self) -> str:
        """A whole answer."""
        return await self._ask("own")

    async def fallback(self) -> str:
        """A whole answer, by the second group."""
        return await self._ask("again")

    async def stream(self) -> int:
        """Not measured."""
        raise NotImplementedError

    async def close(self) -> None:
        """It keeps its clients until the process ends."""

    async def _ask(self, group: str) -> str:
        return str((await self._router.acompletion(model=group, messages=MESSAGES)).choices[0].message.content)


FALLERS: dict[str, Callable[[str, str], Faller]] = {
    "modelrouter": Modelrouter,
    "openai, try and except": OpenAI,
    "litellm.Router": LitellmRouter,
}


async def _fallen(peer: Faller, count: int) -> int:
    for _ in range(count):
        if not await peer.fallback():
            raise AssertionError("no answer")
    return 0


if __name__ == "__main__":
    asked, at, where = sys.argv[1:4]
    asyncio.run(measure(FALLERS[asked](at, where), {"plain": in_turn, "fallback": _fallen}))
