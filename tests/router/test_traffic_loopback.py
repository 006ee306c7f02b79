"""Limits, keys, outages and plain calls on a streamed wire, against real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router, errors
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real_model import LocalModel

MESSAGE = {"role": "assistant", "content": "hello"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ENDLESS = {"2": -100}
"""Token 2 of SmolLM2 ends an answer: made so unlikely, it is never drawn."""
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "model": "smollm2-135m-instruct",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": USAGE,
}


def reply(status: str, body: object, *more: str) -> bytes:
    """A whole HTTP reply."""
    content = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}", *more, "", ""]
    return "\r\n".join(head).encode() + content


class Provider(LoopbackServer):
    """Answers, counts, and refuses what it was told to refuse.

    Attributes:
        calls: requests that came, by key.
        most: how many were there at once; more than `room` get a 429.
        is_down: every request gets a 503.
    """

    def __init__(self, *, room: int = 10**6, bad_key: str = "", takes_s: float = 0.0) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.inside = self.most = self.refused = 0
        self.is_down = False
        self._room, self._bad_key, self._takes_s = room, bad_key, takes_s

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve requests until the client goes."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            text = head.decode("latin-1").lower()
            await reader.readexactly(int(text.split("content-length:")[1].split("\r\n")[0]))
            key = text.split("authorization: bearer ")[1].split("\r\n")[0] if "authorization" in text else ""
            writer.write(await self._answer(key))
            await writer.drain()

    async def _answer(self, key: str) -> bytes:
        self.calls[key] += 1
        if self.is_down:
            return reply("503 Service Unavailable", {"error": {"message": "down"}})
        if self._bad_key and key == self._bad_key:
            return reply("401 Unauthorized", {"error": {"code": "invalid_api_key"}})
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if self.inside > self._room:
                self.refused += 1
                return reply("429 Too Many Requests", {"error": {"code": "rate_limit_exceeded"}})
            await asyncio.sleep(self._takes_s)
            return reply("200 OK", WHOLE)
        finally:
            self.inside -= 1


async def test_a_limit_of_our_own_needs_no_429(tmp_path: Path) -> None:
    """A server with room for three sees sixty calls, never more than three at once, and refuses none."""
    with Provider(room=3, takes_s=0.005) as server:
        served = [Served("own", server.base_url, more="limits: {max_in_flight: 3}")]
        async with Router.from_config(write_config(tmp_path, served, "  ask: {try: [own]}")) as router:
            replies = await asyncio.gather(*(router.acomplete("ask", "hi") for _ in range(60)))
    assert all(len(each.attempts) == 1 for each in replies)
    assert (server.calls.total(), server.refused) == (60, 0)
    assert server.most <= 3


def test_sync_callers_of_many_threads_and_loops_share_one_line(tmp_path: Path) -> None:
    """Threads, the Router's own loop and loops of others: the limit is the process's."""
    with Provider(room=2, takes_s=0.005) as server:
        served = [Served("own", server.base_url, more="limits: {max_in_flight: 2}")]
        with Router.from_config(write_config(tmp_path, served, "  ask: {try: [own]}")) as router:

            async def several() -> None:
                await asyncio.gather(*(router.acomplete("ask", "hi") for _ in range(10)))

            threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(2)]
            threads += [threading.Thread(target=lambda: router.complete("ask", "hi")) for _ in range(10)]
            for each in threads:
                each.start()
            for each in threads:
                each.join(60)
    assert (server.calls.total(), server.refused) == (30, 0)
    assert server.most <= 2


def test_a_refused_key_is_replaced_on_the_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad key is sent once, the good one at once after it and then alone."""
    monkeypatch.setenv("KEY_BAD", "bad")
    monkeypatch.setenv("KEY_GOOD", "good")
    with Provider(bad_key="bad") as server:
        served = [Served("own", server.base_url, more='key: ["env:KEY_BAD", "env:KEY_GOOD"]')]
        with Router.from_config(write_config(tmp_path, served, "  ask: {try: [own]}")) as router:
            replies = [router.complete("ask", "hi") for _ in range(5)]
    assert [len(each.attempts) for each in replies] == [2, 1, 1, 1, 1]
    assert server.calls == {"bad": 1, "good": 5}


@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=pytest.mark.long)])
async def test_an_outage_multiplies_nothing_on_the_wire(tmp_path: Path, requests: int) -> None:
    """Requests to one dead server, twenty at a time: at most a fifth and the minimum on top of them.

    How late they fail is measured by `benchmarks/outage.py`.
    """
    with Provider() as server:
        server.is_down = True
        served = [Served("own", server.base_url)]
        config = write_config(tmp_path, served, "  ask: {try: [own], timeout_s: 2, retries_max: 2}")
        async with Router.from_config(config) as router:
            begun_s, places = time.monotonic(), asyncio.Semaphore(20)

            async def ask() -> None:
                async with places:
                    with pytest.raises(errors.AttemptsExhaustedError):
                        await router.acomplete("ask", "hi")

            await asyncio.gather(*(ask() for _ in range(requests)))
            passed_s = time.monotonic() - begun_s
    # the minimum, what time refills, a share of first attempts, and what was not decided yet when it ran out
    assert requests < server.calls.total() <= requests * 1.2 + 10 + 10 * passed_s / 60 + 20


def test_when_a_server_comes_back_it_is_used_again(tmp_path: Path) -> None:
    """Down, left alone, proved, and first in the order again; nobody was without an answer."""
    with Provider() as first, Provider() as second:
        first.is_down = True
        served = [Served("one", first.base_url), Served("two", second.base_url)]
        top = "health: {open_s: 0.2, in_a_row: 2}"
        config = write_config(tmp_path, served, "  ask: {try: [one, two]}", top=top)
        with Router.from_config(config) as router:
            assert {router.complete("ask", "hi").deployment for _ in range(20)} == {"two"}
            assert first.calls.total() < 10
            first.is_down = False
            until_s = time.monotonic() + 10
            while router.complete("ask", "hi").deployment != "one":
                assert time.monotonic() < until_s
            assert router.complete("ask", "hi").attempts[0].deployment == "one"


# --- a plain call on a streamed wire, against a real model ------------------------------------------------------------


def real(tmp_path: Path, model: LocalModel, monkeypatch: pytest.MonkeyPatch, more: str, route: str) -> Path:
    """A config of the real model."""
    monkeypatch.setenv("LOCAL_KEY", model.key)
    served = [Served("real", model.base_url, name=model.name, key="LOCAL_KEY", more=more)]
    return write_config(tmp_path, served, f"  ask: {route}")


def test_a_streamed_wire_gives_the_same_answer(
    tmp_path: Path, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, usage and cost as of a plain call, and the first token has been timed."""
    route = "{try: [real], output_tokens: {default: 12}}"
    config = real(tmp_path, local_model, monkeypatch, "wire_stream: always, params: {cache_prompt: false}", route)
    with Router.from_config(config) as router:
        streamed = router.complete("ask", "Say hello.", temperature=0, seed=7)
        assert router.explain("ask").moment.first_token_s["real"] > 0
    (tmp_path / "book.db").unlink()
    config = real(tmp_path, local_model, monkeypatch, "params: {cache_prompt: false}", route)
    with Router.from_config(config) as router:
        plain = router.complete("ask", "Say hello.", temperature=0, seed=7)
    assert (streamed.text, streamed.cost_nano_usd) == (plain.text, plain.cost_nano_usd)
    assert streamed.text
    assert streamed.cost_is_certain


async def test_a_cancelled_plain_call_ends_at_the_server_at_once(
    tmp_path: Path, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A llama.cpp that streams notices; the next call does not wait behind a thousand tokens that nobody wants."""
    config = real(
        tmp_path,
        local_model,
        monkeypatch,
        "wire_stream: always",
        "{try: [real], output_tokens: {default: 4}}",
    )
    async with Router.from_config(config) as router:
        await router.acomplete("ask", "Say hello.")
        long = [
            asyncio.ensure_future(
                router.acomplete("ask", f"Count up from {each}.", max_tokens=1500, logit_bias=ENDLESS)
            )
            for each in range(8)
        ]
        done, _ = await asyncio.wait(long, timeout=0.5)
        assert not done
        for each in long:
            each.cancel()
        assert {type(each) for each in await asyncio.gather(*long, return_exceptions=True)} == {asyncio.CancelledError}
        assert router.explain("ask").moment.in_flight == {}
        begun_s = time.monotonic()
        await router.acomplete("ask", "Say hello.")
        assert time.monotonic() - begun_s < 2.0
