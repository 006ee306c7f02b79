"""Options that several commands take, and how their text is read."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.router.options import Options

__all__ = [
    "AsJson",
    "CeilingOption",
    "ConfigOption",
    "DayOption",
    "PolicyOption",
    "PromptArgument",
    "RouteArgument",
    "TagOption",
    "call_options",
    "day_asked",
]

RouteArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ROUTE", help="a route of the config")]
PromptArgument: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="PROMPT", help="what to ask", show_default=False)
]
ConfigOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="the config; else MODELROUTER_CONFIG, else ./modelrouter.yaml"),
]
PolicyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="NAME", help="a policy added for this call; may be given several times"),
]
TagOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="a declared tag; may be given several times")
]
CeilingOption: TypeAlias = Annotated[
    str | None, typer.Option("--max-cost-usd", metavar="USD", help="the most that all attempts together may cost")
]
DayOption: TypeAlias = Annotated[
    str | None, typer.Option("--on", metavar="DATE", help="judge as on this day, UTC; absent is today")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="print one JSON document")]


def call_options(
    policy: Sequence[str] | None, tag: Sequence[str] | None, max_cost_usd: str | None, session: str | None = None
) -> Options:
    """What a call is given beside route and prompt."""
    options: Options = {}
    if policy:
        options["policy"] = tuple(policy)
    if tag:
        options["tags"] = _tags(tag)
    if max_cost_usd is not None:
        options["max_cost_usd"] = max_cost_usd
    if session is not None:
        options["session"] = session
    return options


def day_asked(text: str | None) -> date:
    """The day that `--on` names, else today, UTC.

    Raises:
        BadParameter: it is no day.
    """
    if text is None:
        from modelrouter.core.decision import day_of
        from modelrouter.router.outside import SystemClock

        return day_of(SystemClock().now_s())
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is no day: write it as `2027-03-01`", param_hint="--on") from None


def _tags(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, value = _tag(text)
        if found.setdefault(name, value) != value:  # the one that is dropped might have bound more policies
            raise typer.BadParameter(f"tag `{name}` is given twice: a request has one value of it", param_hint="--tag")
    return found


def _tag(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise typer.BadParameter(f"`{text}` is no tag: write it as `name=value`", param_hint="--tag")
    return name, value
