"""What a caller may say beside route and prompt: one list for plain and streamed, sync and async calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from modelrouter.core.request import JSON, Accept

__all__ = ["OWN_OPTIONS", "Options"]


class Options(TypedDict, total=False):
    """Keyword arguments of `Router.complete`, `acomplete`, `stream`, `astream` and `explain`.

    Ours:

    Attributes:
        policy: names of policies added for this call. They can only take candidates away.
        tags: declared tags to values. A tag that is left out binds every policy that asks for it.
        max_cost_usd: the most that all attempts together may cost, as text, whole number or Decimal; never float.
        max_output_tokens: output limit; `max_tokens` and `max_completion_tokens` mean the same. Default: the route's.
        reasoning: how much the model may think. Default: the route's.
        timeout_s: deadline for the whole request. Default: the route's.
        session: calls of one session keep their deployment while policy, price and health allow.
        request_id: your idempotency key: a second call with it is refused, naming the first.
        accept: your own test of an answer: a function, or async function, of the message that answers True or False.
            False means the next candidate, and the answer is booked. It may be called in another thread. What it raises
            is raised to you, after the answer was booked. Of a stream it can be asked only at the end.

    The rest are chat-completion parameters, with OpenAI's names and meanings. Parameters that only some servers know,
    as vLLM's `top_k`, belong under `params:` of the deployment that knows them.
    """

    accept: Accept | None
    policy: str | Sequence[str] | None
    tags: Mapping[str, str] | None
    max_cost_usd: str | int | Decimal | None
    max_output_tokens: int | None
    reasoning: Literal["none", "low", "high"] | None
    timeout_s: float | None
    session: str | None
    request_id: str | None

    frequency_penalty: float | None
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    n: int | None
    parallel_tool_calls: bool
    presence_penalty: float | None
    response_format: Mapping[str, JSON]
    seed: int | None
    stop: str | Sequence[str] | None
    temperature: float | None
    tool_choice: str | Mapping[str, JSON]
    tools: Sequence[Mapping[str, JSON]]
    top_logprobs: int | None
    top_p: float | None


OWN_OPTIONS: Final = frozenset(
    {"accept", "max_cost_usd", "policy", "reasoning", "request_id", "session", "tags", "timeout_s"}
)
"""Those that never reach a provider. The output limit does, under the name that each deployment wants."""
