"""Run by `test_litellm_process`: uses the litellm lane in a fresh process and prints what it changed, as JSON.

Arguments: the base URL of a server that plays all providers, and `host` if the host has imported litellm before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

from modelrouter.ports import Answer, Endpoint, StreamEnd
from modelrouter.transports import open_lane
from modelrouter.transports.credentials import CallableKey
from tests.transports.builders import call_to
from tests.transports.providers import PROVIDERS, SECRET

if TYPE_CHECKING:
    from types import ModuleType

reached: set[str] = set()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        reached.add(str(arguments[1]))
    elif event == "socket.getaddrinfo":
        reached.add(f"name {arguments[0]}")


def process_globals() -> dict[str, str]:
    """What belongs to the process and not to a library, as text."""
    root = logging.getLogger()
    loggers = {
        name: (each.level, [type(handler).__name__ for handler in each.handlers], each.propagate, each.disabled)
        for name, each in sorted(logging.root.manager.loggerDict.items())
        if isinstance(each, logging.Logger)
        and not name.startswith("LiteLLM")
        and (each.level or any(not isinstance(handler, logging.NullHandler) for handler in each.handlers))
    }
    return {
        "environ": repr(sorted(os.environ.items())),
        "root logger": repr((root.level, root.handlers, root.filters, root.disabled, logging.root.manager.disable)),
        "logger class": repr((logging.getLoggerClass(), logging.getLogRecordFactory(), logging.lastResort)),
        "loggers": repr(loggers),
        "warnings": repr(warnings.filters),
        "showwarning": repr(warnings.showwarning),
        "signals": repr({number: signal.getsignal(number) for number in signal.valid_signals()}),
        "policy": type(asyncio.get_event_loop_policy()).__name__,
        "path": repr(sys.path),
        "hooks": repr((sys.excepthook, sys.unraisablehook, threading.excepthook, sys.getswitchinterval())),
        "directory": os.getcwd(),  # noqa: PTH109 - as the process sees it
    }


def settings(litellm: ModuleType) -> dict[str, str]:
    """The settings of litellm and of the package openai: their plain values."""
    import openai

    plain = {bool, int, float, str, list, dict, set, tuple, type(None)}
    found: dict[str, str] = {}
    for prefix, module in (("", litellm), ("openai.", openai)):
        for name, each in tuple(vars(module).items()):
            is_setting = not name.startswith("_") or name.endswith("_callback")
            if is_setting and type(each) in plain:  # not `isinstance`: asking openai's proxies for it makes a client
                found[prefix + name] = repr(each)
    return found


async def use(base: str) -> list[str]:
    """Make all kinds of calls; gives what is left running on the loop after `close`."""
    lane = open_lane("litellm")
    common: dict[str, Any] = {"lane": "litellm", "hosts": frozenset({"127.0.0.1"}), "key": CallableKey(lambda: SECRET)}
    shaped = Endpoint("shaped", base_url=f"{base}/v1", name="tiny", provider="openai", **common)
    endpoints = [shaped]
    for provider, fields in PROVIDERS.items():
        url = f"{base}/v1beta" if provider == "gemini" else base
        endpoints.append(Endpoint(provider, base_url=url, provider=provider, **{**common, **fields}))
    for endpoint in endpoints:
        answer = await lane.send(call_to(endpoint, timeout_s=60.0))
        assert isinstance(answer, Answer), answer
        stream = await lane.open(call_to(endpoint))
        while not isinstance(piece := await stream.next(), StreamEnd):  # type: ignore[union-attr]
            assert not hasattr(piece, "kind"), piece
        await lane.send(call_to(endpoint, parameters={"seed": 1}))
        assert not isinstance(
            await lane.send(call_to(endpoint, messages=({"role": "user", "content": "fail"},))), Answer
        )
    left = await lane.open(call_to(shaped))
    await left.next()  # type: ignore[union-attr]
    await left.close()  # type: ignore[union-attr]
    await lane.close()
    return [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]


def main() -> None:
    """Look, use the lane, look again."""
    base = sys.argv[1]
    if "host" in sys.argv:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm
            import openai
        openai.organization = "org-of-the-host"
        before_settings = settings(litellm)
    sys.addaudithook(_watch)
    before = process_globals()
    tasks = asyncio.run(use(base))
    gc.collect()
    after = process_globals()
    import litellm

    after_settings = settings(litellm)
    if "host" not in sys.argv:
        before_settings = after_settings
    report = {
        "changed": {name: (before[name], after[name]) for name in before if before[name] != after[name]},
        "settings": {
            name: (each, after_settings.get(name))
            for name, each in before_settings.items()
            if after_settings.get(name) != each
        },
        "callbacks": [name for name, each in tuple(vars(litellm).items()) if name.endswith("callback") and each],
        "clients": [str(each) for each in litellm.in_memory_llm_clients_cache.cache_dict],
        "tasks": tasks,
        "threads": sorted(each.name for each in threading.enumerate() if each is not threading.main_thread()),
        "reached": sorted(reached),
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
