"""Which parameters a chat completion takes, and which of them are ours to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BEYOND_THE_FACTS", "COUNTED", "EXTENSIONS", "LIMITS", "OWN", "PARAMETERS", "check_parameters"]

OWN: Final = {
    "messages": "give messages as the prompt",
    "model": "name a route instead",
    "stream": "call the streaming method instead",
    "stream_options": "usage is always asked for",
}
"""Body members that this package writes, each with what to do instead of giving it as a parameter."""

LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
"""The two names of the output limit. It is counted in the bound, so a request gives it as `max_output_tokens`."""

COUNTED: Final = frozenset({"best_of", "functions", "n", "response_format", "tools"})
"""What the bound of a request is reckoned from: as a default of a deployment it would be sent and not be counted."""

BEYOND_THE_FACTS: Final = {
    "audio": "asks for output that is priced apart",
    "modalities": "asks for output that is priced apart",
    "prediction": "is billed by rules that no bound covers yet",
    "prompt_cache_options": "changes where text rests and for how long",
    "prompt_cache_retention": "changes where text rests and for how long",
    "service_tier": "changes the price that was decided on",
    "store": "changes where text rests and for how long",
    "web_search_options": "sends text to a search service and costs fees",
}
"""Parameters that would make facts untrue on which policies and bounds have been decided, each with what it does."""

PARAMETERS: Final = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
"""Every parameter of OpenAI's chat completions beside those in `OWN`. Source: OpenAI API reference, "Create chat
completion"."""

EXTENSIONS: Final = frozenset(
    {
        "chat_template_kwargs",
        "enable_thinking",
        "min_p",
        "provider",
        "reasoning",
        "repetition_penalty",
        "safe_prompt",
        "thinking",
        "top_k",
    }
)
"""Parameters beyond OpenAI's that vLLM, SGLang, llama.cpp and several operators take. They reach only a deployment
whose `supported_parameters` names them; they are listed so that a typing error is not taken for one of them."""


def check_parameters(names: Iterable[str], declared: Iterable[str] = ()) -> str | None:
    """What is wrong with the first wrong parameter name of a request, or None.

    Args:
        names: as the caller wrote them.
        declared: further names that a candidate's `supported_parameters` declares.
    """
    further = frozenset(declared)
    for name in names:
        if name in OWN:
            return f"parameter `{name}` is written by the router: {OWN[name]}"
        if not (name in PARAMETERS or name in EXTENSIONS or name in further):
            return f"parameter `{name}` is unknown: {_hint(name, PARAMETERS | EXTENSIONS | further)}"
    return None


def _hint(name: str, known: frozenset[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return (
        f"did you mean `{near[0]}`?" if near else "see the chat completion parameters, or declare it for the deployment"
    )
