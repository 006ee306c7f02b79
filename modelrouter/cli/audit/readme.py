"""The page that an auditor reads first: what this is, what was found, what each file holds, what it does not say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from modelrouter.cli.spend.when import written
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.period import Period
    from modelrouter.cli.audit.sheet import Sheet
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Dependence, Tally

__all__ = ["Made", "readme_of"]

KINDS: dict[str, str] = {
    "policies": "What was in force",
    "refusals": "What was refused and spent",
    "documents": "What the ledger keeps, by hash",
    "vendors": "Vendors, services and models",
    "dora_b_02_02": "Rows for DORA's register of information",
}
"""The table with which each chapter begins."""


@dataclass(frozen=True, slots=True)
class Made:
    """How a pack was made.

    Attributes:
        today: the day that facts, waivers and losses are judged for.
        ledger: the book's address as it may be shown.
    """

    period: Period
    today: date
    version: str
    ledger: str
    config: str

    @property
    def noon_s(self) -> float:
        """A moment of the day, seconds since 1970."""
        return datetime.combine(self.today, time(12), UTC).timestamp()

    def document(self, evidence: Evidence) -> dict[str, Any]:
        """What is known of the whole pack, for programs."""
        verified = evidence.verified
        return {
            "period": {
                "name": self.period.name,
                "first_day": self.period.first.isoformat(),
                "last_day": self.period.last.isoformat(),
            },
            "made_on": self.today.isoformat(),
            "made_by": f"modelrouter {self.version}",
            "config": self.config,
            "ledger": {
                "address": self.ledger,
                "head": str(verified.head),
                "last_line_at": written(evidence.last_us, UTC),
                "verified": verified.is_good,
                "lines": verified.lines,
                "first_line": verified.first_seq,
                "faults": dict(verified.counts),
            },
        }


def readme_of(setup: Setup, evidence: Evidence, found: Dependence, sheets: Sequence[Sheet], made: Made) -> str:
    """The page, in Markdown."""
    lines = [
        *_what(setup, made),
        *_glance(evidence, found, made),
        *_how(made, evidence),
        *_files(sheets),
        *_words(),
        *_limits(evidence, made),
    ]
    return "\n".join(lines) + "\n"


def _what(setup: Setup, made: Made) -> Iterator[str]:
    whose = setup.world.caller.name or "an organisation that the configuration does not name"
    yield f"# Audit pack: {made.period.words}"
    yield ""
    yield f"Organisation: {whose}. Made on {made.today} by modelrouter {made.version}."
    yield ""
    yield (
        "`modelrouter` is a library through which applications call language models. For each call it decides, by "
        "written policies, which services may be used, and sends the call to one of those alone. Before a call is "
        "sent, the most that it can cost is set aside against budgets; afterwards what it cost is written down, with "
        "the decision, in a ledger to which lines are only added. This folder says what happened in the period. "
        "Nothing in it is the text of a prompt or an answer, or a key; whatever the application declared as personal "
        "is there as a keyed hash at most."
    )
    yield ""


def _glance(evidence: Evidence, found: Dependence, made: Made) -> Iterator[str]:
    tally, total = evidence.tally, evidence.reports["operator"].total
    verified = evidence.verified
    yield "## At a glance"
    yield ""
    yield f"- Calls: {tally.calls.calls:,} ({total.attempts:,} attempts, {total.failures:,} of them failed)."
    uncertain = total.uncertain_nano_usd
    extra = f", of which {format_usd(uncertain)} at the most it can have cost" if uncertain else ""
    yield f"- Spent: {format_usd(total.spent_nano_usd)}{extra}."
    enforced = sorted({layer.policy for layer in tally.policies if not layer.observe})
    yield f"- Policies enforced: {_named(enforced)} (policies.csv)."
    observed = sorted({layer.policy for layer in tally.policies if layer.observe})
    if observed:
        yield f"- Policies that only observed: {_named(observed)} (observed.csv)."
    yield f"- Exceptions (waivers) used: {_named(sorted({waiver for waiver, _ in tally.waivers}))} (waivers.csv)."
    yield f"- {_kept_out(tally)} (refusals.csv)."
    for route, count in sorted(tally.nobody.items()):
        yield f"- **Calls for `{route}` that nobody might serve: {count.calls:,}.**"
    for reason, calls in sorted(evidence.untold.items()):
        yield f"- **Calls whose decision cannot be derived, so that only sums count them: {calls:,}**: {reason}."
    yield from _losses(found)
    if verified.is_good:
        yield f"- The ledger is as it was written: {verified.lines:,} lines checked, every hash and every sum."
    else:
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(verified.counts.items()))
        yield f"- **The ledger is NOT as it was written: {faults}.** Run `modelrouter ledger verify`."
    if made.today <= made.period.last:
        yield f"- **The period is not over**: this is how things stood on {made.today}."
    yield ""


def _kept_out(tally: Tally) -> str:
    if not tally.refusals:
        return "No service was kept out of a call by a rule"
    (route, name, layer, rule, reason), count = min(tally.refusals.items(), key=lambda each: (-each[1].calls, each[0]))
    why = f" ({reason})" if reason else ""
    return (
        f"Services were kept out of calls for {_counted(len(tally.refusals), 'reason')}; most often `{name}` out of "
        f"`{route}` by `{layer}/{rule}`{why}, {_counted(count.calls, 'time')}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _losses(found: Dependence) -> Iterator[str]:
    fatal = [each.vendor for each in found.vendors if each.lost]
    if fatal:
        yield f"- **Without these vendors some use would have nobody left: {_named(fatal)}** (vendors.csv)."
    if found.nobody:
        yield f"- **Uses that nobody may serve, even before a loss: {_named(found.nobody)}.**"
    if found.unproved:
        unproved = ", ".join(f"`{name}` ({path})" for name, path in found.unproved)
        yield f"- Services whose vendors are not all known, so that they count as lost: {unproved}."
    if not fatal and not found.nobody:
        yield "- No vendor is indispensable: after the loss of any one, every use has a service left (vendors.csv)."


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _how(made: Made, evidence: Evidence) -> Iterator[str]:
    verified = evidence.verified
    yield "## Where it comes from, and how to check it"
    yield ""
    yield f"- Ledger: `{made.ledger}`, last line written {written(evidence.last_us, UTC)}."
    yield f"- Head of the ledger: `{verified.head}`. Keep it: whoever has it can prove later that nothing was changed."
    yield f"- Configuration: `{made.config}`, as it was on {made.today}."
    yield (
        "- Files named `policies/…json` are the texts in force, byte for byte as the ledger keeps them: the SHA-256 of "
        "each file is the one that policies.csv and every decision name."
    )
    yield (
        "- Each table is a file in CSV, with a first line of column names; all of them are explained below, in the "
        "order in which they are best read."
    )
    yield "- `manifest.json` has the length and SHA-256 of every file; `audit.json` has all tables for programs."
    yield (
        "- The same ledger, configuration, period and day give the same bytes: "
        f"`modelrouter audit --period {made.period.name} --on {made.today}` makes this folder again."
    )
    yield (
        "- In CSV files a cell that would begin with `=`, `+`, `-` or `@` has an apostrophe in front, so that no "
        "spreadsheet takes it for a formula."
    )
    yield ""


def _files(sheets: Sequence[Sheet]) -> Iterator[str]:
    for sheet in sheets:
        chapter = KINDS.get(sheet.name)
        if chapter is not None:
            yield f"## {chapter}"
            yield ""
        yield f"### {sheet.name}.csv ({_counted(len(sheet.rows), 'row')})"
        yield ""
        yield sheet.about
        yield ""
        yield "| column | meaning |"
        yield "|---|---|"
        for column, meaning in sheet.columns.items():
            yield f"| `{column}` | {meaning.replace('|', '/')} |"
        yield ""


def _words() -> Iterator[str]:
    yield "## Words"
    yield ""
    for word, meaning in (
        ("route", "the name by which an application asks for a use of models, as `support`; it lists candidates"),
        ("deployment", "one service that can be called: a model, at an operator, under its terms"),
        ("operator", "who runs the machines that see the prompt; `self` is the organisation itself"),
        ("developer", "who trained the model; with open weights it never sees a prompt"),
        ("vendor", "whoever's loss would take a deployment away"),
        (
            "policy, rule, layer",
            "a set of yes-no rules; every policy that binds a call is a layer, and all must permit",
        ),
        ("waiver", "a signed and dated exception to one rule for one deployment"),
        ("attempt", "one call to one deployment; a call that fails may go on to the next permitted one"),
    ):
        yield f"- **{word}**: {meaning}."
    yield ""


def _limits(evidence: Evidence, made: Made) -> Iterator[str]:
    yield "## What this pack does not say"
    yield ""
    yield (
        f"- Tables about vendors, deployments, models and DORA describe the configuration of {made.today}, not each "
        "day of the period; what was used in the period and is gone since is named in deployments.csv and models.csv."
    )
    yield (
        "- Facts about vendors are what their sources said on the day on which they were checked (facts.csv); legal "
        "names, contracts and judgements about the business are for a person to fill in."
    )
    yield (
        "- Calls that nobody might serve are written down in lots where many are alike: what a process had not written "
        "when it was killed is not counted."
    )
    yield "- Losses are worked out for calls without tags, to which every policy applies."
    if evidence.verified.first_seq > 1:
        yield (
            f"- The lines before number {evidence.verified.first_seq:,} are in an archive: sums include them, "
            "decisions of calls in them are not counted here."
        )
