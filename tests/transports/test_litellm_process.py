"""The litellm lane in a process of its own: what it changes there, whom it reaches, what the environment can do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.transports import litellm_process
from tests.transports.builders import chunk, completion, events
from tests.transports.providers import SECRET, play_asked
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.transports.servers import Peer

ROOT = Path(__file__).parents[2]


async def serve(peer: Peer) -> None:
    """Play every provider; a prompt `fail` gets an error."""
    while True:
        asked = await peer.request()
        if b'"fail"' in asked.body:
            await peer.send(http({"error": {"message": asked.body.decode()}}, 500))
        elif "/chat/completions" not in asked.line:
            if await play_asked(peer, asked):
                return
        elif asked.json.get("stream"):
            await peer.send(sse_head() + events(chunk({"content": "hello"}), chunk({}, "stop")))
            return
        else:
            await peer.send(http(completion()))


async def trap(peer: Peer) -> None:
    """Answer nobody: the connection itself is the fault."""
    await peer.request()


async def run(server: RawServer, *arguments: str, cwd: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Use the lane in a fresh process where every warning is an error; it must write nothing but its report."""
    known = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    base = server.url.removesuffix("/v1")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", litellm_process.__name__, base, *arguments),
        cwd=cwd,
        env={**known, "PYTHONPATH": str(ROOT), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert errors == b"", errors.decode()[-3000:]
    report: dict[str, Any] = json.loads(output)
    assert process.returncode == 0
    return report


@pytest.mark.parametrize("host", [(), ("host",)])
async def test_process_is_left_as_found(tmp_path: Path, host: tuple[str, ...]) -> None:
    """Import, plain calls, streams, failures and close: process globals and litellm's settings stay as they were.

    A `.env` beside the program, variables that redirect, and proxies have no effect; nobody but the server is reached.
    """
    async with RawServer(trap) as elsewhere, RawServer(serve) as server:
        url = f"http://127.0.0.1:{elsewhere.port}"
        (tmp_path / ".env").write_text(f"OPENAI_API_BASE={url}\nANTHROPIC_API_KEY=sk-of-the-env-file\n")
        redirects = dict.fromkeys(
            (
                *(
                    "OPENAI_BASE_URL",
                    "OPENAI_API_BASE",
                    "HOSTED_VLLM_API_BASE",
                    "AZURE_API_BASE",
                    "LITELLM_PROXY_API_BASE",
                ),
                *("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", "GEMINI_API_BASE", "AWS_BEDROCK_RUNTIME_ENDPOINT"),
                *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
            ),
            url,
        )
        if host:  # it has imported litellm with its own environment
            redirects.pop("LITELLM_PROXY_API_BASE")
        else:
            redirects |= {"LITELLM_DROP_PARAMS": "True", "LITELLM_MODIFY_PARAMS": "True", "LITELLM_LOG": "DEBUG"}
        keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), SECRET[::-1])
        guards = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"} if host else {}
        report = await run(server, *host, cwd=tmp_path, env={**redirects, **keys, **guards})
        assert elsewhere.connections == 0
        assert report["reached"] == [f"('127.0.0.1', {server.port})"]
    assert report["changed"] == {}
    assert report["settings"] == {}
    assert report["callbacks"] == []
    assert report["tasks"] == []
    assert report["threads"] == ["aws-signing_0"]  # litellm's own, for Bedrock; idle
    assert SECRET[::-1] not in repr(server.requests)
    assert "sk-of-the-env-file" not in repr(server.requests)
    assert "org-of-the-host" not in repr(server.requests)
