"""The page that an auditor reads first: what this is, what was found, what each file holds, what it does not say."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from modelrouter.cli.audit.dora_source import CHECKED
from modelrouter.cli.audit.fact_sheets import FACTS
from modelrouter.cli.audit.glance import counted, glance_of
from modelrouter.cli.spend.when import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.made import Made
    from modelrouter.cli.audit.sheet import Sheet
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Dependence

__all__ = ["readme_of"]

KINDS: dict[str, str] = {
    "policies": "What was in force",
    "refusals": "What was refused, what failed, what was spent",
    "documents": "What the ledger keeps, by hash",
    "vendors": "Vendors, services and models",
    "dora_b_02_02": "Rows for DORA's register of information",
}
"""The table with which each chapter begins."""


def readme_of(setup: Setup, evidence: Evidence, found: Dependence, sheets: Sequence[Sheet], made: Made) -> str:
    """The page, in Markdown."""
    lines = [
        *_what(setup, made),
        *glance_of(evidence, found, sheets, made),
        *_how(made, evidence),
        *_files(sheets),
        *_words(),
        *_limits(evidence, made),
        *_further(),
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
    yield (
        "- `manifest.json` has the length and SHA-256 of every file, and seals them: its own SHA-256 was told to "
        "whoever made the pack, and belongs in the minutes. `audit.json` has all tables for programs."
    )
    against = "" if evidence.against is None else f" --against {evidence.against}"
    yield (
        "- The same ledger, configuration, period and day give the same bytes: "
        f"`modelrouter audit --period {made.period.name} --on {made.today}{against}` makes this folder again."
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
        if sheet.name == "dora_b_02_02":
            yield from (f"- {each}" for each in CHECKED)
            yield ""
        yield f"### {sheet.name}.csv ({counted(len(sheet.rows), 'row')})"
        yield ""
        yield sheet.about
        yield ""
        yield from _explained("column", sheet.columns)
        if sheet.name == "facts":
            said = {str(each["fact"]).rpartition(".")[2] for each in sheet.documents()}
            yield from _explained("fact", {name: meaning for name, meaning in FACTS.items() if name in said})


def _explained(what: str, meanings: Mapping[str, str]) -> Iterator[str]:
    yield f"| {what} | meaning |"
    yield "|---|---|"
    for name, meaning in meanings.items():
        yield f"| `{name}` | {meaning.replace('|', '/')} |"
    yield ""


def _words() -> Iterator[str]:
    yield "## Words"
    yield ""
    yield "In CSV files an empty cell means that there is nothing to say, never nought."
    yield ""
    for word, meaning in (
        ("route", "the name by which an application asks for a use of models, as `support`; it lists candidates"),
        ("deployment", "one service that can be called: a model, at an operator, under its terms"),
        ("operator", "who runs the machines that see the prompt; `self` is the organisation itself"),
        ("developer", "who trained the model; with open weights it never sees a prompt"),
        ("vendor", "whoever's loss would take a deployment away"),
        ("fact", "a value with its source; policies judge by facts alone"),
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
        f"- Tables about vendors, deployments, models, facts and DORA describe the configuration of {made.today}, not "
        "each day of the period; what was used and is gone since is named in deployments.csv and models.csv."
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
    yield (
        "- Who wrote or approved a policy, a waiver, a fact or a revocation as a person is not in the ledger: it knows "
        "texts by their hashes and processes by their ids. Ask for the history of the files."
    )
    yield (
        "- Somebody who is cut off by a signed file that the configuration names (`revocations`) is not in "
        "revocations.csv; the calls out of which that kept a service are in refusals.csv, layer `cut-off`."
    )
    if evidence.verified.first_seq > 1:
        yield (
            f"- The lines before number {evidence.verified.first_seq:,} are in an archive: sums include them, "
            "decisions, failures and restored revocations in them are not counted here."
        )
    yield ""


def _further() -> Iterator[str]:
    yield "## How to ask further"
    yield ""
    yield "Each of these reads the ledger, calls no model, and changes nothing in it:"
    yield ""
    for command, answer in (
        ("ledger verify --against HEAD", "whether the ledger still says what it said when `HEAD` was kept"),
        ("ledger export --to FILE", "one row for each attempt, with its call, tags, tokens, price and failure"),
        (
            "explain --call ID",
            "one call, by its `call_id` of the export: who was refused, by which rule, fact and source",
        ),
        ("spend --by tag.NAME", "what each value of a tag spent, as of a team"),
        ("replay --policy FILE", "which of the past calls another policy would have refused, and what that had cost"),
    ):
        yield f"- `modelrouter {command}`: {answer}."
