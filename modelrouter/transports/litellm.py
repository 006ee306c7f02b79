"""The litellm lane: what litellm can speak and the direct lane cannot. `litellm.acompletion` is a wire adapter here.

Never its Router, budgets, retries, fallbacks, region filter or prices. Everything is passed per call; none of its
globals is changed, and a global of the host that would endanger a call makes the lane refuse it (`litellm_guard`).
litellm is imported with the first call, off the event loop (`litellm_import`). Its requests run over our own
connections (`litellm_wire`, `litellm_pool`), which let one request through, to the declared address alone, and see
what the provider itself says (`litellm_evidence`). `litellm_request` writes its arguments, `litellm_reply` and
`litellm_stream` read what it gives, `litellm_faults` names its errors.

litellm runs a part of each call in the loop's default executor, whose threads end with the loop. For Bedrock it keeps
one idle thread of its own until the process ends.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.errors import MissingDependencyError
from modelrouter.transports.direct import DirectTransport
from modelrouter.transports.litellm_guard import dangerous_global
from modelrouter.transports.litellm_import import importing, quiet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from modelrouter.ports import Answer, Call, OpenStream
    from modelrouter.transports.litellm_import import Litellm
    from modelrouter.transports.litellm_pool import Connections
    from modelrouter.transports.litellm_reply import Given, GivenStream
    from modelrouter.transports.litellm_wire import Wire

__all__ = ["LitellmTransport"]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A call that litellm has taken."""

    litellm: Litellm
    wire: Wire
    given: Given
    deadline_s: float


class LitellmTransport:
    """A `ports.Transport` for providers that litellm translates for.

    Connections belong to the running event loop and end with it. Several threads may use one transport, each with its
    own loop.

    Raises:
        MissingDependencyError: litellm is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("litellm") is None:
            raise MissingDependencyError("the litellm lane needs the package litellm: `pip install litellm`")
        self._guard = threading.Lock()
        self._connections: Connections | None = None
        self._direct = DirectTransport()  # makes requests for OpenAI-shaped endpoints; it sends none here

    async def send(self, call: Call) -> Answer | Failure:
        """Make a plain attempt."""
        begun = await self._begin(call, stream=False)
        if isinstance(begun, Failure):
            return begun
        from modelrouter.transports.litellm_reply import answer_of

        return answer_of(call.endpoint, begun.given, begun.wire.evidence)

    async def open(self, call: Call) -> OpenStream | Failure:
        """Begin a streaming attempt."""
        begun = await self._begin(call, stream=True)
        if isinstance(begun, Failure):
            return begun
        from modelrouter.transports.litellm_stream import Stream

        return Stream(
            call, cast("GivenStream", begun.given), begun.wire, begun.litellm, first_deadline_s=begun.deadline_s
        )

    async def close(self) -> None:
        """Close the connections of the running event loop. A later call makes new ones."""
        if self._connections is not None:
            await self._connections.close()

    def abandon(self) -> None:
        """Forget inherited connections without closing them: the child's half of a `fork`."""
        self._guard = threading.Lock()
        if self._connections is not None:
            self._connections.abandon()

    async def _begin(self, call: Call, *, stream: bool) -> _Begun | Failure:
        """Ask litellm, once it is imported and nothing speaks against it."""
        limit_s = call.first_content_s if stream else call.timeout_s
        deadline_s = asyncio.get_running_loop().time() + max(0.0, limit_s)
        litellm = await _imported(call, deadline_s)
        if isinstance(litellm, Failure):
            return litellm
        wire = self._wire(call, litellm, stream=stream)
        if isinstance(wire, Failure):
            return wire
        client = litellm.client_class(timeout=call.timeout_s, transport=wire, follow_redirects=False)
        asked = litellm.module.acompletion(**wire.outgoing.arguments, client=client)
        given = await _asked(litellm, asked, wire, deadline_s, limit_s)
        return given if isinstance(given, Failure) else _Begun(litellm, wire, given, deadline_s)

    def _wire(self, call: Call, litellm: Litellm, *, stream: bool) -> Wire | Failure:
        """The connection for a call, or why there is none."""
        from modelrouter.transports.litellm_pool import Connections
        from modelrouter.transports.litellm_request import prepare
        from modelrouter.transports.litellm_wire import Wire

        danger = dangerous_global(litellm.module)
        if danger is not None:
            return _not_sent(FailureKind.PORTABILITY, call, danger)
        with quiet(litellm):
            outgoing = prepare(call, stream=stream, direct=self._direct, supported=_supported(litellm))
        if isinstance(outgoing, Failure):
            return outgoing
        with self._guard:
            if self._connections is None:
                self._connections = Connections()
        try:
            connections = self._connections.for_call(call)
        except OSError as fault:
            return _not_sent(
                FailureKind.UNREACHABLE, call, f"TLS cannot be set up from its files ({type(fault).__name__})"
            )
        return Wire(call, outgoing, connections, stream)


async def _imported(call: Call, deadline_s: float) -> Litellm | Failure:
    """litellm, waiting for its import where it is the first call. The import goes on if the call's time is over."""
    future = importing()
    if not future.done():
        try:
            async with asyncio.timeout_at(deadline_s):
                await asyncio.wait([asyncio.wrap_future(future)])
        except TimeoutError:
            detail = "litellm was still being imported, which the first call of a process waits for"
            return _not_sent(FailureKind.TIMED_OUT, call, detail)
    try:
        return future.result()
    except ImportError as fault:
        detail = f"litellm is installed and cannot be imported ({type(fault).__name__}): install it anew"
        return _not_sent(FailureKind.PORTABILITY, call, detail)


def _supported(litellm: Litellm) -> Callable[[str, str], Sequence[str] | None]:
    def supported(model: str, provider: str) -> Sequence[str] | None:
        found: Sequence[str] | None = litellm.module.get_supported_openai_params(
            model=model, custom_llm_provider=provider
        )
        return found

    return supported


async def _asked(
    litellm: Litellm, asked: Awaitable[Given], wire: Wire, deadline_s: float, limit_s: float
) -> Given | Failure:
    """What litellm gives, or the failure that the wire or litellm itself came to."""
    from modelrouter.transports.classify import error_failure
    from modelrouter.transports.litellm_faults import exception_failure
    from modelrouter.transports.litellm_reply import with_report
    from modelrouter.transports.litellm_wire import Lifted

    deployment = wire.call.endpoint.deployment
    try:
        with quiet(litellm):
            async with asyncio.timeout_at(deadline_s):
                return await asked
    except Lifted as lifted:
        failure = lifted.failure or error_failure(lifted.reported, begun=False)
    except TimeoutError:
        failure = Failure(FailureKind.TIMED_OUT, wire.phase, f"`{deployment}`: no answer in {limit_s:g} s")
    except Exception as fault:  # noqa: BLE001 - litellm raises what it likes
        failure = exception_failure(fault, deployment, wire.phase)
        if wire.phase is Phase.ANSWERING and not wire.is_stream:
            failure = with_report(failure, wire.call.endpoint, wire.evidence)
    except BaseException:
        await wire.hang_up()
        raise
    await wire.hang_up()
    return failure


def _not_sent(kind: FailureKind, call: Call, detail: str) -> Failure:
    return Failure(kind, Phase.NOT_SENT, f"`{call.endpoint.deployment}`: {detail}")
