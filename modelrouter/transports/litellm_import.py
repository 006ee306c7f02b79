"""litellm, imported once and off the event loop, with the process left as it was.

Importing litellm takes about three seconds of CPU. It also reads a `.env` file, fetches a price list, adds the working
directory to `sys.path`, changes warning filters and log levels of other libraries, and sets an environment variable
for tiktoken. What can be prevented is prevented by variables that stand only while the import runs; the rest is undone.

What stays: litellm's own modules and loggers; in them a filter and a `print` that keep our own calls silent and are
without effect on any other (see `quiet`); and an importer that the package `importlib_metadata` registers.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import importlib
import json
import logging
import os
import sys
import threading
import warnings
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelrouter.transports.litellm_guard import dangerous_global

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["OWN_LOGGERS", "Litellm", "importing", "quiet"]

GUARDS: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else a price list is fetched, and fetched again in a thread
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # the same for a list of headers
    "LITELLM_MODE": "PRODUCTION",  # else a `.env` file is loaded, with keys and addresses that nobody declared
}
PREFIX: Final = "LITELLM_"
"""Variables of this prefix set litellm's globals (`LITELLM_DROP_PARAMS` …). Our own import does not see the host's."""

OWN_LOGGERS: Final = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

TALKATIVE: Final = (
    "litellm.litellm_core_utils.exception_mapping_utils",
    "litellm.litellm_core_utils.get_llm_provider_logic",
)
"""Modules that print advertisements to standard output when a call fails."""

_OUR_CALL: Final[ContextVar[bool]] = ContextVar("modelrouter_litellm_call", default=False)


@dataclass(frozen=True, slots=True)
class Litellm:
    """What of litellm is used.

    Attributes:
        module: the package itself, for `acompletion` and for looking at its globals.
        client_class: its HTTP client, which takes our connections.
        internal_call: litellm's own switch for calls whose success and failure are not logged in the background; None
            where a version has none.
    """

    module: ModuleType
    client_class: Any
    internal_call: ContextVar[bool] | None


_guard: Final = threading.Lock()
_under_way: Future[Litellm] | None = None
_process: int | None = None


def importing() -> Future[Litellm]:
    """litellm, as a future that other threads share; the first one to ask starts the import in a thread of its own.

    Its error is an `ImportError` where litellm cannot be imported. Then the next one to ask tries again.
    """
    global _process, _under_way  # a process imports a module once
    with _guard:
        # in a forked child the thread of the parent's import does not exist
        is_lost = _under_way is not None and not _under_way.done() and _process != os.getpid()
        if _under_way is None or is_lost or (_under_way.done() and _under_way.exception() is not None):
            _under_way, _process = Future(), os.getpid()
            threading.Thread(target=_import, args=(_under_way,), name="modelrouter-litellm-import", daemon=True).start()
        return _under_way


@contextlib.contextmanager
def quiet(litellm: Litellm) -> Iterator[None]:
    """Mark what runs inside as our call: litellm logs and prints nothing for it, which could hold a prompt or a key."""
    ours = _OUR_CALL.set(True)
    internal = None if litellm.internal_call is None else litellm.internal_call.set(True)
    try:
        yield
    finally:
        _OUR_CALL.reset(ours)
        if litellm.internal_call is not None and internal is not None:
            litellm.internal_call.reset(internal)


class _Silence(logging.Filter):
    """Drops the records of our own calls, and no other."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the signature is logging's
        return not _OUR_CALL.get()


_SILENCE: Final = _Silence()


def _print(*values: object, **options: object) -> None:
    """What `print` is in litellm's talkative modules: the real one, but silent in our own calls."""
    if not _OUR_CALL.get():
        vars(builtins)["print"](*values, **options)


def _import(future: Future[Litellm]) -> None:
    try:
        with _as_before():
            found = _imported()
    except BaseException as fault:  # noqa: BLE001 - whoever waits for the future gets it
        future.set_exception(fault)
    else:
        future.set_result(found)


def _imported() -> Litellm:
    import litellm
    from litellm.anthropic_beta_headers_manager import get_provider_name
    from litellm.litellm_core_utils import default_encoding  # noqa: F401 - sets a variable now, not during a call
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    try:
        from litellm._internal_context import is_internal_call
    except ImportError:
        is_internal_call = None
    _import_cache(litellm)
    with contextlib.suppress(ImportError):  # a first call to Bedrock would import it, and it changes warning filters
        importlib.import_module("botocore.httpsession")
    get_provider_name("anthropic")  # reads its list of headers now, from its own file; a call would fetch it
    for name in OWN_LOGGERS:
        logging.getLogger(name).addFilter(_SILENCE)
    for name in TALKATIVE:
        vars(importlib.import_module(name)).setdefault("print", _print)
    found = Litellm(litellm, AsyncHTTPHandler, is_internal_call)
    if dangerous_global(litellm) is None:
        with contextlib.suppress(Exception):  # it only saves time; what is wrong shows in the first call
            asyncio.run(_warm_up(found))
    return found


def _import_cache(litellm: ModuleType) -> None:
    """Import now what the providers of Google import in their first call: it adds `cache` to lists of callbacks."""
    lists = [litellm.input_callback, litellm.success_callback, litellm._async_success_callback]  # noqa: SLF001
    before = [list(each) for each in lists]
    importlib.import_module("litellm.llms.vertex_ai.context_caching.vertex_ai_context_caching")
    for each, found in zip(lists, before, strict=True):
        each[:] = found


async def _warm_up(litellm: Litellm) -> None:
    """Make two calls that reach nobody: in a first call much is built that was put off, and warned about."""
    import httpx

    def reply(request: httpx.Request) -> httpx.Response:
        said = {"role": "assistant", "content": "ok"}
        choice = {"index": 0, "finish_reason": "stop", "message": said, "delta": said}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "0", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        if b'"stream"' not in request.content:
            return httpx.Response(200, json={**answer, "object": "chat.completion"}, request=request)
        event = json.dumps({**answer, "object": "chat.completion.chunk"})
        return httpx.Response(200, text=f"data: {event}\n\n", request=request)

    client = litellm.client_class(timeout=1.0, transport=httpx.MockTransport(reply), follow_redirects=False)
    arguments = {
        "model": "hosted_vllm/m",
        "messages": [{"role": "user", "content": "ok"}],
        "api_base": "http://localhost/v1",
        "api_key": "none",
        "max_retries": 0,
        "num_retries": 0,
        "client": client,
    }
    with quiet(litellm):
        (await litellm.module.acompletion(**arguments)).model_dump()
        stream = await litellm.module.acompletion(**arguments, stream=True, stream_options={"include_usage": True})
        (await anext(stream)).model_dump()


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Environment, warning filters, `sys.path` and other libraries' loggers are afterwards what they were."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    before = dict(os.environ)
    path = list(sys.path)
    levels = _levels()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        for name in environment:
            del os.environ[name]
        os.environ.update(GUARDS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})
        sys.path[:] = path
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, found in _levels().items():
            if name not in OWN_LOGGERS and found != levels.get(name, logging.NOTSET):
                logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


def _levels() -> dict[str, int]:
    """The levels of all loggers but the root."""
    known = tuple(logging.root.manager.loggerDict.items())
    return {name: each.level for name, each in known if isinstance(each, logging.Logger)}
