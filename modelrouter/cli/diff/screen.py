"""A comparison for people: what permits more first, then what refuses more, then the rest in short."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from modelrouter.cli.screen import table
from modelrouter.core.assurance import Cause, Turn
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from modelrouter.cli.diff.command import Compared
    from modelrouter.core.assurance.difference import AssertionChange, Difference, Limits, SignedWaiver, Turned
    from modelrouter.core.assurance.loosening import Loosening
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.verdict import Verdict

__all__ = ["show_compared"]

SHOWN_MAX: Final = 40
"""Rows of a table; `--json` has all."""
WORDS: Final = {
    Cause.WAIVED: "has a new or a longer waiver",
    Cause.OBSERVED: "is only observed now",
    Cause.NARROWED: "binds fewer requests",
    Cause.OPAQUE: "is a rule of your own, which cannot be read by meaning (opaque), and is not what it was",
    Cause.CHANGED: "is written otherwise",
    Cause.OTHER_FACTS: "judges the facts that other rules read, and those are not what they were",
    Cause.REMOVED: "is no longer asked",
    Cause.POLICY_REMOVED: "went with its policy",
}


def show_compared(screen: Console, compared: Compared) -> None:
    """Everything that differs, and the answer."""
    found = compared.found
    screen.print(f"{compared.old} -> {compared.new}", style="bold", soft_wrap=True)
    screen.print(
        f"on {compared.today}, over {compared.over}: {_count(found.deployments, 'deployment')}, "
        f"{_count(found.cells, 'answer')} compared",
        style="dim",
    )
    _show_turned(screen, "newly permitted", found.of(Turn.NEWLY_PERMITTED), "was refused by", style="red")
    _show_limits(screen, found)
    for change in found.assertions:
        _show_assertion(screen, change)
    _show_turned(screen, "newly refused", found.of(Turn.NEWLY_REFUSED), "is refused by", style="green")
    _show_other_reasons(screen, found.of(Turn.OTHER_REASONS))
    _show_duties(screen, found)
    for loosening in found.loosenings:
        _show_loosening(screen, loosening)
    for words in (*compared.uninspected, *compared.unheeded):
        screen.print(words, style="red")
    for words in found.wider:
        screen.print(f"taken now, and not before: {words}", style="yellow")
    _show_waivers(screen, found.waivers)
    for route, was, now in compared.orders:
        screen.print(f"order of {route}: {was} -> {now}")
    for budget in compared.budgets:
        screen.print(f"budget {budget.words}", style="yellow")
    screen.print()
    _show_answer(screen, compared)


def _show_turned(screen: Console, title: str, turned: tuple[Turned, ...], by: str, *, style: str) -> None:
    if not turned:
        return
    screen.print()
    shown = table(title, "route", by)
    for each in turned[:SHOWN_MAX]:
        why = "\n".join(_verdict(verdict) for verdict in (each.before or each.after))
        shown.add_row(each.deployment, each.route, f"{why}{_under(each.tags)}", style=style)
    screen.print(shown)
    _show_rest(screen, len(turned))


def _show_rest(screen: Console, count: int) -> None:
    if count > SHOWN_MAX:
        screen.print(f"and {count - SHOWN_MAX} more: `--json` has all", style="dim")


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.layer}/{verdict.rule} ({verdict.judgement.reason})"


def _under(tags: Iterable[Mapping[str, str]]) -> str:
    """Under which tags, unless a request without any is among them."""
    given = list(tags)
    if any(not each for each in given):
        return ""
    shown = " or ".join(", ".join(f"{name}={value}" for name, value in each.items()) for each in given)
    return f" [{shown}]"


def _show_limits(screen: Console, found: Difference) -> None:
    if not found.limits:
        return
    screen.print()
    shown = table("limits of requests", "route", "before", "after")
    for each in found.limits[:SHOWN_MAX]:
        is_looser = each.after.is_looser_than(each.before)
        words = f"{_limits(each.after)}{' (looser)' if is_looser else ''}{_under(each.tags)}"
        shown.add_row(each.deployment, each.route, _limits(each.before), words, style="red" if is_looser else None)
    screen.print(shown)
    _show_rest(screen, len(found.limits))


def _limits(limits: Limits) -> str:
    ceiling = limits.ceiling_nano_usd
    most = "any cost" if ceiling is None else f"at most {format_usd(ceiling)}"
    return f"{most}, bound {limits.basis.name.lower()}"


def _show_assertion(screen: Console, change: AssertionChange) -> None:
    def told(specs: Iterable[tuple[str, RuleSpec]]) -> str:
        return ", ".join(f"{policy}/{spec.key} {_bounds(spec)}" for policy, spec in specs) or "nothing"

    looser = " (looser)" if change.is_looser else ""
    screen.print(
        f"asserted of {', '.join(change.routes)}: {told(change.before)} -> {told(change.after)}{looser}",
        style="red" if change.is_looser else None,
    )


def _bounds(spec: RuleSpec) -> str:
    limits = (("min", spec.at_least), ("max", spec.at_most))
    words = [f"{verb} {value}" for verb, value in limits if value is not None]
    options = ", ".join(f"{name} {value}" for name, value in sorted(spec.options.items()))
    return " ".join([*words, f"({options})"] if options else words)


def _show_other_reasons(screen: Console, turned: tuple[Turned, ...]) -> None:
    """Rule by rule, how many it refuses no longer and how many now too; all of them stay refused."""
    if not turned:
        return
    gone, come = Counter[str](), Counter[str]()
    for each in turned:
        before, after = ({f"{one.layer}/{one.rule}" for one in side} for side in (each.before, each.after))
        gone.update(before - after)
        come.update(after - before)
    screen.print()
    screen.print(f"still refused, for other reasons: {_count(len(turned), 'answer')}")
    shown = table("by", "no longer", "now too", right=("no longer", "now too"))
    for rule in sorted({*gone, *come}):
        shown.add_row(rule, str(gone[rule] or ""), str(come[rule] or ""))
    screen.print(shown)


def _show_duties(screen: Console, found: Difference) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for each in found.duties:
        counted.update(("new duty", duty.text) for duty in each.added)
        counted.update(("duty told no longer", duty.text) for duty in each.removed)
    for (what, text), count in counted.most_common(SHOWN_MAX):
        screen.print(f"{what}, {_count(count, 'answer')}: {text}", style="dim")


def _show_loosening(screen: Console, each: Loosening) -> None:
    named = f" ({', '.join(waiver.id for waiver in each.waivers)})" if each.waivers else ""
    screen.print(
        f"{each.policy}/{each.rule} {WORDS[each.cause]}{named}{_under(each.tags)}",
        style="red" if each.cause.counts else "yellow",
    )


def _show_waivers(screen: Console, waivers: Iterable[SignedWaiver]) -> None:
    """Every waiver with its owner and the days that it has left."""
    shown = table("waiver", "", "rule, deployment", "owner", "days left", right=("days left",), whole=("waiver",))
    for each in waivers:
        waiver = each.waiver
        left = str(each.days_left) if each.days_left >= 0 else f"expired {waiver.expires}"
        shown.add_row(waiver.id, each.turn.value, f"{waiver.rule}, {waiver.subject}", waiver.owner, left)
    if shown.row_count:
        screen.print()
        screen.print(shown)


def _show_answer(screen: Console, compared: Compared) -> None:
    found = compared.found
    over = f"over these {_count(found.deployments, 'deployment')}"
    if compared.permits_more:
        screen.print("permits more: NEW permits something that OLD refused", style="bold red")
    elif found.is_proved:
        screen.print("permits nothing more: by the rules themselves, at any deployment whatever", style="bold green")
    else:
        screen.print(f"permits nothing more, {over}; by the rules alone that is not proved", style="bold green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
