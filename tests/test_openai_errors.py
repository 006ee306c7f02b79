"""How our errors reach openai's clients: as openai's own classes, once, and with what the call has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from modelrouter import Router, errors
from modelrouter.core.budget import Balance, Budget, Position, Refusal, Window
from modelrouter.core.shares import Holding, admit_share
from modelrouter.openai import AsyncOpenAI, OpenAI
from modelrouter.testing import FakeTransport, MemoryLedger, failure
from tests.ledger.builders import share
from tests.scripted import ASK, routed

if TYPE_CHECKING:
    from pathlib import Path

CLASSES: dict[type[errors.ModelRouterError], tuple[type[openai.APIStatusError], int, str]] = {
    errors.AlreadyResolvedError: (openai.InternalServerError, 503, "ledger_unavailable"),
    errors.AttemptsExhaustedError: (openai.InternalServerError, 502, "attempts_exhausted"),
    errors.BudgetBusyError: (openai.RateLimitError, 429, "budget_busy"),
    errors.BudgetError: (openai.PermissionDeniedError, 403, "budget_exceeded"),
    errors.BudgetExceededError: (openai.PermissionDeniedError, 403, "budget_exceeded"),
    errors.BudgetMismatchError: (openai.InternalServerError, 503, "budget_mismatch"),
    errors.CatalogError: (openai.BadRequestError, 400, "config_error"),
    errors.CeilingError: (openai.PermissionDeniedError, 403, "cost_ceiling"),
    errors.ClosedError: (openai.InternalServerError, 503, "closed"),
    errors.ConfigError: (openai.BadRequestError, 400, "config_error"),
    errors.DeadlineExceededError: (openai.InternalServerError, 504, "deadline_exceeded"),
    errors.DuplicateRequestError: (openai.ConflictError, 409, "duplicate_request"),
    errors.LedgerError: (openai.InternalServerError, 503, "ledger_unavailable"),
    errors.LedgerUnavailableError: (openai.InternalServerError, 503, "ledger_unavailable"),
    errors.MissingDependencyError: (openai.InternalServerError, 500, "internal_error"),
    errors.ModelRouterError: (openai.InternalServerError, 500, "internal_error"),
    errors.NoRouteError: (openai.PermissionDeniedError, 403, "policy_refused"),
    errors.OverloadedError: (openai.RateLimitError, 429, "overloaded"),
    errors.PolicyError: (openai.BadRequestError, 400, "config_error"),
    errors.RequestError: (openai.BadRequestError, 400, "invalid_request"),
    errors.RevokedError: (openai.PermissionDeniedError, 403, "revoked"),
    errors.ShareCapError: (openai.PermissionDeniedError, 403, "share_cap"),
    errors.StreamBrokenError: (openai.InternalServerError, 502, "stream_broken"),
}


def made(kind: type[errors.ModelRouterError]) -> errors.ModelRouterError:
    """An error of a kind."""
    if issubclass(kind, errors.DuplicateRequestError):
        return kind("used before", first_call_id="c0")
    if issubclass(kind, errors.BudgetError):
        position = Position(Budget("team", 5, Window.TOTAL), "", Balance(), None)
        return kind("no room", refusal=Refusal(position, 6, is_busy=False, wait_s=0.0))
    if issubclass(kind, errors.ShareCapError):
        refusal = admit_share(share(), 501, Holding(0, 0, 0))
        assert refusal is not None
        return kind("beyond its share", refusal=refusal)
    return kind("it is so")


@pytest.mark.parametrize("name", errors.__all__)
async def test_every_error_is_one_of_openais_own(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of our errors reaches sync and async clients as the class that its status stands for, once."""
    kind: type[errors.ModelRouterError] = getattr(errors, name)
    expected, status, code = CLASSES[kind]
    asked = 0

    def fail(*_given: object, **_options: object) -> None:
        nonlocal asked
        asked += 1
        raise made(kind)

    async def afail(*_given: object, **_options: object) -> None:
        fail()

    monkeypatch.setattr(Router, "complete", fail)
    monkeypatch.setattr(Router, "acomplete", afail)
    with routed(tmp_path, FakeTransport()) as router:
        with OpenAI(router, max_retries=2) as client, pytest.raises(expected) as raised:
            client.chat.completions.create(model="chat", messages=ASK)
        async with AsyncOpenAI(router, max_retries=2) as aclient:
            with pytest.raises(expected) as araised:
                await aclient.chat.completions.create(model="chat", messages=ASK)
    for error in (raised.value, araised.value):
        assert (error.status_code, error.code) == (status, code)
        assert made(kind).message in error.message
    assert asked == 2, "the Router has retried already, so a client that would retry is told not to"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failed", "expected", "code"),
    [
        (("rate_limited", 429), openai.RateLimitError, "rate_limited"),
        (("quota_exhausted", 429), openai.RateLimitError, "quota_exhausted"),
        (("context_too_long", 400), openai.BadRequestError, "context_length_exceeded"),
        (("content_filtered", 400), openai.BadRequestError, "content_filtered"),
        (("invalid_request", 400), openai.BadRequestError, "invalid_request"),
        (("timed_out", None), openai.InternalServerError, "timed_out"),
        (("unauthorized", 401), openai.InternalServerError, "unauthorized"),
    ],
)
def test_failures_of_all_candidates(
    failed: tuple[str, int | None],
    expected: type[openai.APIStatusError],
    code: str,
    stream: bool,
    tmp_path: Path,
) -> None:
    """When everybody failed for one reason, it is that reason's own class, for streams that never began as well."""
    kind, status = failed
    lane = FakeTransport(failure(kind, status=status))
    with routed(tmp_path, lane) as router, OpenAI(router) as client, pytest.raises(expected) as raised:
        client.chat.completions.create(model="chat", messages=ASK, stream=stream)
    assert raised.value.code == code


def test_a_spent_budget_says_which_one_and_until_when(tmp_path: Path) -> None:
    """It is no refusal that a client should try again, and its body names budget, scope and reset."""
    lane = FakeTransport()
    top = "tags: {team: {}}\nbudgets: {team: {usd: 0.000001, window: total, each: tag.team}}"
    with (
        routed(tmp_path, lane, top=top) as router,
        OpenAI(router) as client,
        pytest.raises(openai.PermissionDeniedError, match="budget `team`") as raised,
    ):
        client.chat.completions.create(model="chat", messages=ASK)
    assert isinstance(raised.value.body, dict)
    details = raised.value.body["modelrouter"]
    assert (details["budget"], details["scope"], details["resets"]) == ("team", "", "never")
    assert lane.calls == []


def test_a_refusal_by_policy_says_why(tmp_path: Path) -> None:
    """The message counts the refusals, the body has the call's id, and nothing is sent."""
    lane = FakeTransport()
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "nobody.yaml").write_text("policy: nobody\nrules: {processing.country: {deny: [DE]}}\n", "utf-8")
    with (
        routed(tmp_path, lane, top="policies: [nobody]") as router,
        OpenAI(router) as client,
        pytest.raises(openai.PermissionDeniedError, match="0 of 1 deployments permitted") as raised,
    ):
        client.chat.completions.create(model="chat", messages=ASK)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["modelrouter"]["call_id"]
    assert lane.calls == []


def test_the_book_comes_first(tmp_path: Path) -> None:
    """A ledger that cannot be written is a 503 before anything is sent."""
    lane, ledger = FakeTransport(), MemoryLedger()
    ledger.fault = errors.LedgerUnavailableError("the disk is full")
    with (
        routed(tmp_path, lane, ledger) as router,
        OpenAI(router) as client,
        pytest.raises(openai.InternalServerError, match="the disk is full"),
    ):
        client.chat.completions.create(model="chat", messages=ASK)
    assert lane.calls == []
