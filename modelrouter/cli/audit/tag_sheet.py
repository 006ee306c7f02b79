"""The table of tags: calls of which kind, as of personal data, went to which service, and where that works on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.facts import fact_words
from modelrouter.cli.screen import amount

if TYPE_CHECKING:
    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.config import Setup

__all__ = ["tag_sheet"]


def tag_sheet(setup: Setup, evidence: Evidence) -> Sheet:
    """Attempts by value of each closed tag and deployment."""
    rows: list[tuple[Cell, ...]] = []
    for tag, found in sorted(evidence.tagged.items()):
        for row in found.rows:
            value, name = row.group
            deployment, sums = setup.world.deployments.get(name), row.sums
            chain = () if deployment is None else deployment.chain
            operators = ", ".join(dict.fromkeys(link.organisation for link in chain))
            places = "; ".join(dict.fromkeys(fact_words(link.terms.processing) for link in chain))
            spent = amount(sums.spent_nano_usd)
            rows.append((tag, value, name, operators, places, sums.attempts, sums.failures, spent))
    return Sheet(
        "tags",
        "What kinds of calls went to which service in the period, from the ledger: one row for each value of a tag, as "
        "`personal` of `data_class`, and service. Tags are what the application declared of a call. Only those are "
        "here whose values the configuration lists and which are not personal themselves; where a call had none, the "
        "tag's default was booked. No row: there is no such tag.",
        {
            "tag": "its name",
            "value": "what the calls were declared to be; empty: nothing, and there is no default",
            "deployment": "the service to which they were sent",
            "chain": "who sees prompts there, by the configuration of the day of this pack, or lends the machines",
            "processing": "where they are worked on, by it",
            "attempts": "how many were sent there, failed ones too",
            "failures": "how many of these failed",
            "spent_usd": "what they cost",
        },
        rows,
    )
