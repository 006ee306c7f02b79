"""From the way a request ended to the error that a caller meets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.attempts import End, FailureKind
from modelrouter.core.budget_text import refusal_text
from modelrouter.core.decision import REVOKED
from modelrouter.core.money import format_usd, usd_from_nano
from modelrouter.errors import (
    AttemptsExhaustedError,
    BudgetBusyError,
    BudgetExceededError,
    CeilingError,
    DeadlineExceededError,
    NoRouteError,
    OverloadedError,
    RequestError,
    RevokedError,
    ShareCapError,
    StreamBrokenError,
)

if TYPE_CHECKING:
    from modelrouter.core.attempts import Attempt, Result
    from modelrouter.core.decision import Decision
    from modelrouter.errors import BudgetError, ModelRouterError

__all__ = ["broken_error", "error_of", "refusal_error"]

CEILING_RULE = "request.cost_usd"


def refusal_error(decision: Decision, call_id: str) -> ModelRouterError:
    """Nobody is permitted: by the ceiling alone, because somebody is cut off, or by rules."""
    if _are_kept_out_by(CEILING_RULE, decision):
        message = f"no bound fits under the ceiling: {decision.summary()}"
        return CeilingError(message, decision=decision, call_id=call_id)
    kind = RevokedError if _are_kept_out_by(REVOKED, decision) else NoRouteError
    return kind(decision.summary(), decision=decision, call_id=call_id)


def _are_kept_out_by(rule: str, decision: Decision) -> bool:
    """Whether somebody would be permitted but for this rule."""
    found = (decision.refusals(name) for name in decision.considered)
    return any(refusals and all(each.rule == rule for each in refusals) for refusals in found)


def error_of(result: Result, decision: Decision, call_id: str) -> ModelRouterError | None:
    """The error for a run that was not answered; None for one that was."""
    if result.end is End.BUDGET:
        return _budget_error(result, decision, call_id)
    if result.end is End.OVERLOADED:
        return _overloaded_error(result, decision, call_id)
    if result.end is End.NOT_GRANTED and len(result.shares) == len(result.not_granted) > 0:
        return ShareCapError(
            f"every candidate is over a share cap: {_not_granted(result)}",
            refusal=result.shares[0][1],
            decision=decision,
            call_id=call_id,
            cost_usd=usd_from_nano(0),
        )
    kind, message = _kind_and_message(result)
    if kind is None:
        return None
    return kind(
        message,
        decision=decision,
        call_id=call_id,
        attempts=result.attempts,
        cost_usd=usd_from_nano(result.cost_nano_usd),
    )


def broken_error(result: Result, why: str, text: str, decision: Decision, call_id: str) -> StreamBrokenError:
    """The error for a stream that was given up between two pieces, for whoever comes back for the next one."""
    cost = result.cost_nano_usd
    error = StreamBrokenError(
        f"the stream was given up: {why}; it is booked at {format_usd(cost)}",
        decision=decision,
        call_id=call_id,
        attempts=result.attempts,
        cost_usd=usd_from_nano(cost),
    )
    error.text = text
    return error


def _kind_and_message(result: Result) -> tuple[type[ModelRouterError] | None, str]:
    tried = _tried(result)
    spent = _spent(result)
    match result.end:
        case End.ANSWERED:
            return None, ""
        case End.DEADLINE:
            return DeadlineExceededError, f"the deadline passed{spent}: {tried or 'nothing was sent'}"
        case End.CEILING:
            return CeilingError, f"no bound fits under the ceiling: {_shortfalls(result)}"
        case End.BROKEN:
            return StreamBrokenError, f"the stream broke after content had been handed out{spent}: {tried}"
        case End.NOT_GRANTED:
            kind = RevokedError if len(result.revoked) == len(result.not_granted) else NoRouteError
            return kind, f"every candidate was refused at the moment of sending: {_not_granted(result)}"
        case End.CANCELLED:
            return AttemptsExhaustedError, f"the call was given up{spent}: {tried}"
        case End.BUDGET | End.OVERLOADED:
            raise AssertionError("this end has an error of its own")
        case End.EXHAUSTED:
            return _exhausted(result, f"{spent}: {tried}")


def _budget_error(result: Result, decision: Decision, call_id: str) -> BudgetError:
    """Busy if anybody's budget is only busy: then trying again may help. Else the first that is spent."""
    name, refusal = next((each for each in result.refusals if each[1].is_busy), result.refusals[0])
    more = [f"{deployment}: {reason}" for deployment, reason in result.not_granted if deployment != name]
    if result.attempts:
        more.append(f"tried before{_spent(result)}: {_tried(result)}")
    message = "; ".join([f"{name}: {refusal_text(refusal)}", *more])
    kind = BudgetBusyError if refusal.is_busy else BudgetExceededError
    return kind(
        message,
        refusal=refusal,
        decision=decision,
        call_id=call_id,
        attempts=result.attempts,
        cost_usd=usd_from_nano(result.cost_nano_usd),
    )


def _overloaded_error(result: Result, decision: Decision, call_id: str) -> OverloadedError:
    """Nobody has room: says why, and when that will probably have changed."""
    error = OverloadedError(
        f"no candidate has room, and nothing was sent; try again later: {_not_granted(result)}",
        decision=decision,
        call_id=call_id,
        cost_usd=usd_from_nano(0),
    )
    known = [each.retry_after_s for _, each in result.overloads if each.retry_after_s is not None]
    error.retry_after_s = min(known, default=None)
    return error


def _not_granted(result: Result) -> str:
    return "; ".join(f"{deployment}: {reason}" for deployment, reason in result.not_granted)


def _tried(result: Result) -> str:
    return "; ".join(_line(attempt) for attempt in result.attempts)


def _spent(result: Result) -> str:
    return f" (cost so far {format_usd(result.cost_nano_usd)})" if result.cost_nano_usd else ""


def _exhausted(result: Result, tried: str) -> tuple[type[ModelRouterError], str]:
    kinds = [attempt.failure.kind for attempt in result.attempts if attempt.failure is not None]
    if kinds[-1] is FailureKind.INVALID_REQUEST:
        return RequestError, f"the request was found invalid, so nobody else was asked{tried}"
    if all(kind is FailureKind.CONTEXT_TOO_LONG for kind in kinds):
        return AttemptsExhaustedError, f"the prompt is longer than the context of every candidate{tried}"
    left_out = f"; {_shortfalls(result)}" if result.shortfalls else ""
    left_out += f"; not asked: {_not_granted(result)}" if result.not_granted else ""
    return AttemptsExhaustedError, f"every candidate was tried and failed{tried}{left_out}"


def _line(attempt: Attempt) -> str:
    failure = attempt.failure
    if failure is None:
        return f"{attempt.deployment} answered"
    return f"{attempt.deployment} {failure.kind.value} ({failure.detail})"


def _shortfalls(result: Result) -> str:
    return "; ".join(
        f"{deployment} needs {format_usd(shortfall.needed_nano_usd)}"
        if shortfall.needed_nano_usd is not None
        else f"{deployment}: {shortfall.reason}"
        for deployment, shortfall in result.shortfalls
    )
