"""Every exception class that the installed litellm defines has a way to its failure kind; a new one fails here.

litellm defines them in many files. Those of `litellm.exceptions` stand in a table of ours (`CLASSES`); those of its
providers carry a `status_code`, which decides; the rest stands below by name, with what becomes of it.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.failure import FailureKind, Phase
from modelrouter.transports.litellm_faults import CLASSES, exception_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

K = FailureKind
CLASS = re.compile(r"^\s*class (\w+)\(([^)#]*)\)\s*:", re.MULTILINE)
PROVIDERS = "BaseLLMException"
BUILTIN = {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError", "TypeError", "KeyError"}
SERVERS = (
    "proxy",
    "a2a_protocol",
    "harness",
    "integrations",
    "repositories",
    "tracing",
    "caching",
    "types/proxy",
    "llms/base_llm/harness",
)
"""Rooms of litellm that a call of this lane never enters: its own server and what belongs to it."""

WITHOUT_STATUS = {
    "AdvisorMaxIterationsError",
    "AgenticLoopSafetyError",
    "AlephAlphaError",
    "AnthropicContextManagementError",
    "AwsAuthError",
    "ChirpProtocolError",
    "CustomLLMError",
    "HTTPResponseLimitError",
    "HerokuError",
    "MuseProtocolError",
    "NativeStateStartedBeforeFork",
    "NoPythonImplementationError",
    "OpenAILikeError",
    "RawRequestCaptured",
    "RealtimeTranscriptionProtocolError",
    "RouterRateLimitError",
    "RouterRateLimitErrorBasic",
    "SSRFError",
    "StreamClosed",
    "TextCompletionCodestralError",
    "UnappliableRequestRewrite",
    "UpstreamFailure",
    "XAIOAuthError",
    "XAIOAuthLoginRequiredError",
    "_NeverRaised",
}
"""Classes that derive from neither family. Where an instance has a `status_code` all the same, that decides; else what
litellm cannot do for a call before sending it is `portability`, and after sending `malformed_reply`."""


def found() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every class with bases in litellm's sources: its name and theirs."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        if str(path.relative_to(root)).startswith(SERVERS):
            continue
        for name, bases in CLASS.findall(path.read_text(encoding="utf-8", errors="replace")):
            yield name, tuple(each.strip().rpartition(".")[2] for each in bases.split(",") if each.strip())


def descendants(classes: list[tuple[str, tuple[str, ...]]], roots: set[str]) -> set[str]:
    """Names of classes that derive from a root by whatever way."""
    known = set(roots)
    while True:
        more = {name for name, bases in classes if name not in known and known & set(bases)}
        if not more:
            return known
        known |= more


def test_every_exception_of_litellm_is_accounted_for() -> None:
    """In the table, of a provider and so with a status, or named above; nothing is there twice or no longer."""
    classes = list(found())
    providers = descendants(classes, {PROVIDERS})
    exceptions = descendants(classes, BUILTIN | set(CLASSES) | {PROVIDERS}) - BUILTIN
    assert exceptions - providers - set(CLASSES) == WITHOUT_STATUS
    assert len(providers) > 40


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, K.INVALID_REQUEST),
        (401, K.UNAUTHORIZED),
        (429, K.RATE_LIMITED),
        (503, K.SERVER_ERROR),
        ("504", K.TIMED_OUT),
    ],
)
def test_an_exception_of_a_provider_goes_by_its_status(status: object, kind: FailureKind) -> None:
    """Whatever it is called, and whether the status is a number or text."""
    fault = type("SomeProviderError", (Exception,), {"status_code": status})("the prompt")
    got = exception_failure(fault, "local", Phase.NOT_SENT)
    assert got.kind is kind
    assert "the prompt" not in got.detail


@pytest.mark.parametrize("name", sorted(WITHOUT_STATUS))
def test_an_exception_without_a_status_is_nobody_s_illness(name: str) -> None:
    """Before sending it is something that litellm cannot do for the call; after an answer it could not read it."""
    fault = type(name, (Exception,), {})("the prompt")
    assert exception_failure(fault, "local", Phase.NOT_SENT).kind is K.PORTABILITY
    assert exception_failure(fault, "local", Phase.ANSWERING).kind is K.MALFORMED_REPLY
