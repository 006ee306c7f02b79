"""The tables about money and failures, from the ledger: what was spent on what, what failed, where budgets stood."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from modelrouter.cli.audit.evidence import GROUPED
from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.screen import amount
from modelrouter.cli.spend.when import written
from modelrouter.core.budget_text import window_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.ledger.reports import Sums

__all__ = ["money_sheets"]


def money_sheets(evidence: Evidence) -> Iterator[Sheet]:
    """Failures, spend and budgets."""
    yield _failures(evidence)
    yield _spend(evidence)
    yield _budgets(evidence)


def _spend(evidence: Evidence) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for group, name, sums in _grouped(evidence):
        tokens = sums.input_tokens, sums.output_tokens
        money = sums.settled_nano_usd, sums.uncertain_nano_usd, sums.reserved_nano_usd
        later = sums.overrun_nano_usd, sums.correction_nano_usd
        usd = [amount(each) for each in (*money, *later, sums.spent_nano_usd)]
        rows.append((group, name, sums.calls, sums.attempts, sums.failures, *tokens, *usd))
    return Sheet(
        "spend",
        "What was spent in the period, from the ledger, the same money grouped in several ways: add up the rows of one "
        "group only, which gives the row `all` (rows by policy may come to more, because a call counts under each "
        "policy that bound it). Amounts are exact, in US dollars, from usage and price lists: they are no invoices.",
        {
            "by": "what the row groups by; `all` is the whole period",
            "name": "the group; empty is not known",
            "calls": "requests of the application whose first attempt is in this row",
            "attempts": "calls to one deployment: a request has several where one failed",
            "failures": "attempts that failed",
            "input_tokens": "as reported by the provider",
            "output_tokens": "as reported by the provider",
            "settled_usd": "billed by reported usage and price",
            "uncertain_usd": "nobody knows what it cost; booked at the most it can have cost",
            "reserved_usd": "set aside for attempts without an end",
            "overrun_usd": "billed beyond what was set aside",
            "correction_usd": "changed later, as by reconciliation with an invoice; may be negative",
            "spent_usd": "settled, uncertain, overrun and correction together",
        },
        rows,
    )


def _grouped(evidence: Evidence) -> Iterator[tuple[str, str, Sums]]:
    whole = evidence.reports[GROUPED[0]]
    if whole.rows:
        yield "all", "all", whole.total
    for group in GROUPED:
        for row in evidence.reports[group].rows:
            yield group, row.group[0], row.sums


def _failures(evidence: Evidence) -> Sheet:
    return Sheet(
        "failures",
        "Attempts that failed in the period, from the ledger, by what failed. A failed attempt is no failed call where "
        "another service answered. What providers wrote is not kept: it may quote prompts.",
        {
            "operator": "who ran the machines",
            "deployment": "the service",
            "failure": "the kind, one of a closed list, as timed_out, rate_limited, server_error, unreachable",
            "attempts": "how many",
            "first": "the first of them was set out, UTC",
            "last": "the last of them, UTC",
        },
        [
            (
                each.operator,
                each.deployment,
                each.kind,
                each.attempts,
                *(written(us, UTC) for us in (each.first_us, each.last_us)),
            )
            for each in evidence.failed
        ],
    )


def _budgets(evidence: Evidence) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for each in evidence.positions:
        budget, balance = each.budget, each.balance
        amounts = budget.limit_nano_usd, balance.spent, balance.reserved, budget.limit_nano_usd - balance.used
        covers = "; ".join(f"{name} {', '.join(sorted(values))}" for name, values in sorted(budget.only.items()))
        rows.append(
            (
                budget.name, budget.each, each.scope, covers, window_text(budget), budget.zone_name,
                *map(amount, amounts),
            )
        )  # fmt: skip
    return Sheet(
        "budgets",
        "Limits on money, and where they stood when the ledger's last line was written: in the window of that moment, "
        "which need not lie in the period. A request that would exceed one is refused before it is sent, whatever runs "
        "at once. No row: no budget limits spending.",
        {
            "budget": "its name",
            "each": "what it is kept apart by, as `tag.team`: the limit holds for each; empty is one limit for all",
            "scope": "which one of these; personal values are keyed hashes; empty where nobody spent",
            "covers": "what alone counts; empty is everything",
            "window": "over which time it adds up",
            "tz": "whose days and months",
            "limit_usd": "the limit",
            "spent_usd": "spent in the window",
            "reserved_usd": "set aside for calls under way",
            "left_usd": "what is left",
        },
        rows,
    )
