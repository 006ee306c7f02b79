"""Cases and findings of lint as documents and as lines, each with its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.lint import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from modelrouter.config.cases import Tried
    from modelrouter.config.lint import Located

__all__ = ["are_good", "cases_document", "findings_document", "show_cases", "show_findings"]

Document = dict[str, Any]
COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


def are_good(found: Sequence[Located], tried: Sequence[Tried]) -> bool:
    """Whether every case holds and nothing found is an error."""
    return not any(each.failure for each in tried) and not any(
        each.finding.severity is Severity.ERROR for each in found
    )


def cases_document(tried: Sequence[Tried]) -> Document:
    """How many cases there are by policy, and those that fail."""
    return {
        "count": len(tried),
        "by_policy": {name: sum(each.policy == name for each in tried) for name in sorted({t.policy for t in tried})},
        "failed": [
            {
                "policy": each.policy,
                "file": each.file,
                "line": each.line,
                "deployment": each.deployment,
                "failure": each.failure,
                "because": each.because or None,
            }
            for each in tried
            if each.failure
        ],
    }


def findings_document(found: Sequence[Located]) -> list[Document]:
    """What lint found."""
    return [
        {
            "kind": each.finding.kind,
            "severity": each.finding.severity.value,
            "reason": each.finding.reason,
            "policy": each.finding.policy or None,
            "rule": each.finding.rule or None,
            "waiver": each.finding.waiver or None,
            "deployment": each.finding.deployment or None,
            "file": each.file,
            "line": each.line,
            "key": each.key,
        }
        for each in found
    ]


def show_findings(screen: Console, found: Sequence[Located]) -> None:
    """A line for each, which is not folded, so that its place can be copied."""
    for each in sorted(found, key=lambda each: each.finding.severity is not Severity.ERROR):
        said = f"{each.finding.severity.value}: {each.file}:{each.line}: {each.key}: {each.finding.reason}"
        screen.print(said, style=COLOURS[each.finding.severity], soft_wrap=True)


def show_cases(screen: Console, tried: Sequence[Tried]) -> None:
    """A line for each case that fails, and how many hold."""
    failed = [each for each in tried if each.failure]
    for each in failed:
        because = f" (because {each.because})" if each.because else ""
        said = f"case: {each.file}:{each.line}: {each.policy}, {each.deployment}: {each.failure}{because}"
        screen.print(said, style="red", soft_wrap=True)
    if tried:
        policies = ", ".join(sorted({each.policy for each in tried}))
        screen.print(f"cases: {len(tried) - len(failed)} of {len(tried)} hold ({policies})", style="dim")
