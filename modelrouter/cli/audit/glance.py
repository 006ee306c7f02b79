"""The first lines of an audit pack: what was found, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.cli.audit.fact_sheets import not_callable
from modelrouter.cli.audit.vendor_sheets import calls_without_other
from modelrouter.core.facts import Ownership, State
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.made import Made
    from modelrouter.cli.audit.sheet import Sheet
    from modelrouter.core.assurance import Dependence

__all__ = ["counted", "glance_of", "named"]


def glance_of(evidence: Evidence, found: Dependence, sheets: Sequence[Sheet], made: Made) -> Iterator[str]:
    """The lines, in Markdown."""
    tally, total = evidence.tally, evidence.reports["operator"].total
    yield "## At a glance"
    yield ""
    if made.today <= made.period.last:
        yield f"- **The period is not over**: this is how things stood on {made.today}."
    attempts = f"{total.attempts:,} attempts, {total.failures:,} of them failed: failures.csv"
    yield f"- Calls: {tally.calls.calls:,} ({attempts})."
    uncertain = total.uncertain_nano_usd
    extra = f", of which {format_usd(uncertain)} at the most it can have cost" if uncertain else ""
    overrun = total.overrun_nano_usd
    extra += f"; **{format_usd(overrun)} of it beyond what had been set aside**" if overrun else ""
    yield f"- Spent: {format_usd(total.spent_nano_usd)}{extra} (spend.csv)."
    budgets = sorted({each.budget.name for each in evidence.positions})
    yield f"- Budgets that limit spending: {named(budgets)} (budgets.csv)."
    enforced = sorted({layer.policy for layer in tally.policies if not layer.observe})
    yield f"- Policies enforced: {named(enforced)} (policies.csv)."
    observed = sorted({layer.policy for layer in tally.policies if layer.observe})
    if observed:
        yield f"- Policies that only observed: {named(observed)} (observed.csv)."
    yield f"- Exceptions (waivers) used: {named(sorted({waiver for waiver, _ in tally.waivers}))} (waivers.csv)."
    cut_off = sorted({f"{each['kind']}:{each['name']}" for each in evidence.revocations})
    yield f"- Cut off at some time of the period: {named(cut_off)} (revocations.csv)."
    gone = [str(each["deployment"]) for each in _of(sheets, "deployments") if each["cut_off_by"]]
    if gone:
        yield f"- Services that are cut off now, and are left to no use: {named(gone)} (deployments.csv)."
    yield from _kept_out(evidence)
    yield from _losses(evidence, found)
    yield from _capped(evidence)
    yield from _stated(sheets)
    yield from _checked(evidence)
    yield ""


def _kept_out(evidence: Evidence) -> Iterator[str]:
    bound = {layer.policy for layer in evidence.tally.policies}
    by_policy = sorted({name for _, name, layer, _, _ in evidence.tally.refusals if layer in bound})
    yield f"- Services that a policy kept out of calls: {named(by_policy)} (refusals.csv has rules and reasons)."
    missed = not_callable(evidence)
    if missed:
        found = ", ".join(f"`{name}` ({counted(calls, 'call')})" for name, calls in missed.items())
        yield f"- Services that could not be called at all, as for want of a key: {found} (refusals.csv, `wire`)."
    for route, count in sorted(evidence.tally.nobody.items()):
        yield f"- **Calls for `{route}` that nobody might serve: {count.calls:,}.**"
    if not evidence.tally.nobody:
        yield "- Calls that nobody might serve: none."
    for reason, calls in sorted(evidence.untold.items()):
        yield f"- **Calls whose decision cannot be derived, so that only sums count them: {calls:,}**: {reason}."


def _capped(evidence: Evidence) -> Iterator[str]:
    over = [each for each in evidence.distances if each.room < 0]
    if over:
        names = named([f"{each.demand.vendor} ({each.demand.cap.rule})" for each in over])
        yield f"- **Vendors over a cap on their share: {names}** (share_caps.csv)."
    elif evidence.distances:
        yield "- Every vendor is within each cap on its share (share_caps.csv)."


def _stated(sheets: Sequence[Sheet]) -> Iterator[str]:
    """How much of what policies judge by is known, and by whom it was said."""
    facts = _of(sheets, "facts")
    own = sum(each["whose"] == Ownership.USER.value for each in facts)
    unknown = sum(each["state"] == State.UNKNOWN.value for each in facts)
    yield (
        f"- Of {len(facts):,} facts about services, models and organisations {own:,} come from the organisation's own "
        f"files, and {unknown:,} are not known (facts.csv, `whose` and `state`)."
    )


def _of(sheets: Sequence[Sheet], name: str) -> list[dict[str, Any]]:
    return next(sheet for sheet in sheets if sheet.name == name).documents()


def _checked(evidence: Evidence) -> Iterator[str]:
    verified = evidence.verified
    if not verified.is_good:
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(verified.counts.items()))
        yield f"- **The ledger is NOT as it was written: {faults}.** Run `modelrouter ledger verify`."
    elif evidence.against is None:
        yield (
            f"- The ledger agrees with itself: {verified.lines:,} lines checked, every hash and every sum, so no line "
            "was changed alone. That it was not written anew as a whole shows only against a head that somebody kept "
            "elsewhere: `--against HEAD` was not given."
        )
    else:
        yield (
            f"- The ledger is as it was written: {verified.lines:,} lines checked, every hash and every sum, and it "
            f"continues the head `{evidence.against}` that was kept elsewhere."
        )


def _losses(evidence: Evidence, found: Dependence) -> Iterator[str]:
    alone = {each.vendor: calls for each in found.vendors if (calls := calls_without_other(evidence, each))}
    if alone:
        told = ", ".join(f"`{vendor}` ({counted(calls, 'call')})" for vendor, calls in alone.items())
        yield f"- **Calls of the period for which no service without this vendor was permitted: {told}** (vendors.csv)."
    fatal = [each.vendor for each in found.vendors if each.lost]
    if fatal:
        yield f"- **Without these vendors some use would have nobody left: {named(fatal)}** (vendors.csv)."
    if found.nobody:
        yield f"- **Uses that nobody may serve, even before a loss: {named(found.nobody)}.**"
    if found.unproved:
        unproved = ", ".join(f"`{name}` ({path})" for name, path in found.unproved)
        yield f"- Services whose vendors are not all known, so that they count as lost: {unproved}."
    if not fatal and not found.nobody:
        yield (
            "- After the loss of any one vendor, every use has a permitted service left by that day's configuration "
            "(vendors.csv). Whether that one has its key and the capacity is not looked at."
        )


def counted(number: int, noun: str) -> str:
    """As `1 row` or `1,200 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def named(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names) or "none"
