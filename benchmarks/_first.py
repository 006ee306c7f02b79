"""One process that asks once, and says when: `python benchmarks/_first.py PEER BASE_URL CONFIG`.

It prints one JSON line as soon as it has the answer: seconds of each step, by its own clock.
"""

from __future__ import annotations

import sys
from time import perf_counter

began_s = perf_counter()


def ask_modelrouter(_base_url: str, config: str) -> dict[str, float]:
    """Import, read the config, ask."""
    from modelrouter import Router

    imported_s = perf_counter()
    router = Router.from_config(config)
    built_s = perf_counter()
    reply = router.complete("ask", "Say a word.")
    done_s = perf_counter()
    if not reply.text:
        raise AssertionError("no answer")
    return {"import": imported_s - began_s, "config": built_s - imported_s, "call": done_s - built_s}


def ask_aiohttp(base_url: str, _config: str) -> dict[str, float]:
    """Import, ask."""
    import asyncio

    import aiohttp

    imported_s = perf_counter()

    async def ask() -> str:
        body = {"model": "qwen3-32b", "messages": [{"role": "user", "content": "Say a word."}], "max_tokens": 64}
        async with aiohttp.ClientSession() as session, session.post(f"{base_url}/chat/completions", json=body) as got:
            return str((await got.json())["choices"][0]["message"]["content"])

    text = asyncio.run(ask())
    done_s = perf_counter()
    if not text:
        raise AssertionError("no answer")
    return {"import": imported_s - began_s, "call": done_s - imported_s}


def ask_openai(base_url: str, _config: str) -> dict[str, float]:
    """Import, build the client, ask."""
    from openai import OpenAI

    imported_s = perf_counter()
    client = OpenAI(api_key="unused", base_url=base_url, max_retries=0)
    built_s = perf_counter()
    chat = client.chat.completions.create(
        model="qwen3-32b", messages=[{"role": "user", "content": "Say a word."}], max_tokens=64
    )
    done_s = perf_counter()
    if not chat.choices[0].message.content:
        raise AssertionError("no answer")
    return {"import": imported_s - began_s, "config": built_s - imported_s, "call": done_s - built_s}


if __name__ == "__main__":
    peers = {"modelrouter": ask_modelrouter, "aiohttp": ask_aiohttp, "openai": ask_openai}
    steps = peers[sys.argv[1]](sys.argv[2], sys.argv[3])
    sys.stdout.write("{" + ", ".join(f'"{name}": {seconds:.6f}' for name, seconds in steps.items()) + "}\n")
    sys.stdout.flush()
