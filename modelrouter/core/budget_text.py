"""Budgets in words: what limits, whom it limits, how long, and why it has no room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import Window
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from modelrouter.core.budget import Budget, Refusal

__all__ = ["refusal_text", "reset_text", "scope_text", "window_text"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = (("d", 86_400, 2), ("h", 3_600, 1), ("m", 60, 1))
"""Letter, seconds, and from how many of them on it is used: a day is called 24 hours."""


def window_text(budget: Budget) -> str:
    """Its window, in a word that a config takes."""
    if budget.window is not Window.ROLLING:
        word: str = budget.window.value
        return word
    return next(
        (
            f"{budget.length_s // unit_s}{unit}"
            for unit, unit_s, least in UNITS
            if budget.length_s % unit_s == 0 and budget.length_s >= least * unit_s
        ),
        f"{budget.length_s}s",
    )


def scope_text(budget: Budget, scope: str) -> str:
    """What one account of it is kept for: `everything`, or a scope with its value in backticks."""
    if not budget.each:
        return "everything" if not budget.only else "all it covers"
    return f"{budget.each} `{scope}`" if scope else f"requests without {budget.each}"


def reset_text(budget: Budget, resets_us: int | None) -> str:
    """A moment as ISO text in the budget's own time zone, to the second; `never` for None."""
    if resets_us is None:
        return "never"
    moment = EPOCH + timedelta(microseconds=resets_us)
    return moment.astimezone(budget.zone).isoformat(timespec="seconds")


def refusal_text(refusal: Refusal) -> str:
    """Why money could not be set aside, in figures, and what to do."""
    position, needed = refusal.position, format_usd(refusal.needed_nano_usd)
    budget, balance = position.budget, position.balance
    limit, spent = format_usd(budget.limit_nano_usd), format_usd(balance.spent)
    state = "is held by calls under way" if refusal.is_busy else "is spent"
    if refusal.needed_nano_usd > budget.limit_nano_usd:
        state = "is smaller than this call may cost"
    figures = (
        f"{needed} needed, limit {limit} ({window_text(budget)}), spent {spent}, of which uncertain "
        f"{format_usd(balance.uncertain)}, reserved {format_usd(balance.reserved)}"
    )
    return f"budget `{budget.name}` for {scope_text(budget, position.scope)} {state}: {figures}; {_way_out(refusal)}"


def _way_out(refusal: Refusal) -> str:
    budget, resets = refusal.position.budget, refusal.position.resets_us
    if refusal.needed_nano_usd > budget.limit_nano_usd:
        return "ask for fewer output tokens or a shorter prompt, or raise its limit and run `modelrouter budget apply`"
    if refusal.is_busy:
        waiting = "" if budget.wait_s else ", or let calls wait for it with `when_reserved: {wait_s: 5}`"
        return f"try again later{waiting}; it resets: {reset_text(budget, resets)}"
    if resets is None:
        return "it never resets: raise its limit and run `modelrouter budget apply`"
    when = reset_text(budget, resets)
    from_when = f"from {when} on money comes back" if budget.window is Window.ROLLING else f"it resets at {when}"
    return f"{from_when}; before that, raise its limit and run `modelrouter budget apply`"
