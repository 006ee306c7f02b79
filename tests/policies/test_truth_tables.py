"""Each preset against its truth table: deployments of the catalog, with the verdict that the cited rule asks for.

The tables stand beside the policies, in `policies/NAME.cases.yaml`, and were written before they were run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.config.caller_schema import CallerConfig
from modelrouter.config.case_bench import Bench
from modelrouter.config.cases import read_cases, shipped_ground, try_file
from modelrouter.config.faults import Faults
from modelrouter.config.files import CASES, ConfigFile, shipped_folder, shipped_policies
from modelrouter.config.policies import policies_beside
from modelrouter.config.schema import Config
from modelrouter.config.world import tables_of
from modelrouter.core.cases import failure_of, refusals_of
from modelrouter.core.policy import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.config.case_schema import CaseConfig
    from modelrouter.config.policies import PolicyBook
    from modelrouter.core.cases import Case

NAMES = [path.stem for path in shipped_policies() if (shipped_folder() / f"{path.stem}{CASES}").is_file()]
CASES_MIN = 15
DAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    """The shipped policies."""
    faults = Faults()
    found = policies_beside((), tables_of(load_catalog(), (), faults), faults)
    faults.raise_any()
    return found


def _table(name: str, book: PolicyBook) -> Iterator[tuple[int, CaseConfig, Case]]:
    """The line, the text and the value of each case of a policy."""
    path = shipped_folder() / f"{name}{CASES}"
    written, document = read_cases(path)
    config = Config(caller=written.caller, models=written.models)
    faults = Faults()
    tables = tables_of(load_catalog(), [ConfigFile(config, path.parent, document=document)], faults)
    faults.raise_any()
    bench = Bench(
        document=document,
        policies=book.expanded[name],
        tables=tables,
        caller=written.caller or CallerConfig(),
        deployments={},
        tags={},
        today=written.on or DAY,
    )
    for index, case in enumerate(written.cases):
        yield document.line(("cases", index)) or 0, case, bench.case(index, case)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_what_its_table_says(name: str, book: PolicyBook) -> None:
    """Every case holds: the verdict, the rule, and the words of its reason where the table gives them."""
    faults = Faults()
    tried = try_file(shipped_folder() / f"{name}{CASES}", shipped_ground(book, DAY), faults)
    faults.raise_any()
    assert [f"{each.file}:{each.line}: {each.failure}" for each in tried if each.failure] == []
    assert len(tried) >= CASES_MIN


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_that_a_table_names_is_the_first_to_refuse(name: str, book: PolicyBook) -> None:
    """A refusal counts under its first rule, so the table names that one first.

    A rule before it may refuse for want of a fact, which a later source may give; it may not refuse for good.
    """
    surprises = []
    for line, written, case in _table(name, book):
        refusals = refusals_of(case)
        firm = [each.rule for each in refusals if each.judgement.outcome is Outcome.REFUSED]
        first = (firm or [each.rule for each in refusals])[:1]
        if written.refused and first != [written.refused[0]]:
            surprises.append(f"line {line}: {first} before {written.refused[0]}")
    assert surprises == []


@pytest.mark.parametrize("name", NAMES)
def test_a_table_tries_both_answers_and_every_rule(name: str, book: PolicyBook) -> None:
    """At least three are permitted, and each rule of the policy itself is the one that refuses somewhere."""
    table = [written for _, written, _ in _table(name, book)]
    assert sum(written.permitted is not None for written in table) >= 3
    refused = Counter(written.refused[0] for written in table if written.refused)
    silent = {spec.key for spec in book.expanded[name][-1].rules} - set(refused)
    assert silent == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_case_says_why(name: str, book: PolicyBook) -> None:
    """A verdict without a reason is a copy of the output."""
    assert [line for line, written, _ in _table(name, book) if not written.because] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_table_turned_round_fails_in_every_line(name: str, book: PolicyBook) -> None:
    """What is permitted is not refused, what is refused is not permitted, and no reason fits in other words."""
    for line, written, case in _table(name, book):
        turned = replace(case, refused_by=() if written.refused is None else None, reason=None)
        assert failure_of(turned), line
        if written.reason is not None:
            assert failure_of(replace(case, reason=f"not {written.reason}")), line


def test_every_preset_has_a_table() -> None:
    """A policy that is shipped comes with deployments that it was tried on."""
    assert {path.stem for path in shipped_policies()} - set(NAMES) <= {"no-single-vendor"}
