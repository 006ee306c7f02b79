"""Finds the cases of policies, reads them, and tries each: what a policy says of deployments that somebody wrote down.

Cases beside a configuration are judged by its facts; shipped ones by the shipped catalog alone, so that a user's own
facts never speak against them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from modelrouter.catalog import load_catalog
from modelrouter.config.caller_schema import CallerConfig
from modelrouter.config.case_bench import Bench
from modelrouter.config.case_schema import CasesConfig
from modelrouter.config.faults import Fault, Faults
from modelrouter.config.files import CASES, ConfigFile, cases_in, checked, read_file, shipped_folder
from modelrouter.config.nearest import nearest
from modelrouter.config.policies import SHIPPED
from modelrouter.config.schema import Config
from modelrouter.config.world import caller_from, tables_of, with_caller
from modelrouter.core.cases import failure_of
from modelrouter.errors import PolicyError
from modelrouter.yaml12 import dotted, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from modelrouter.config.build import Reading
    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.world import Tables
    from modelrouter.core.facts import Deployment
    from modelrouter.core.policy import Policy
    from modelrouter.yaml12 import Document

__all__ = ["Ground", "Tried", "cases_of", "read_cases", "shipped_ground", "try_file"]


@dataclass(frozen=True, slots=True)
class Tried:
    """One case and how it ended.

    Attributes:
        deployment: what it is about, in words.
        failure: what was expected and what came; empty where it holds.
        because: why its author holds it to be right.
    """

    policy: str
    file: str
    line: int | None
    deployment: str
    failure: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What files of cases are judged against.

    Attributes:
        files: the configuration's; none without one.
        deployments: those that a case may name.
        tags: declared tags; None without a configuration: whatever the policy itself asks for.
    """

    book: PolicyBook
    tables: Tables
    today: date
    files: tuple[ConfigFile, ...] = ()
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    tags: Mapping[str, frozenset[str] | None] | None = None


def cases_of(reading: Reading, today: date) -> list[Tried]:
    """Try the cases beside a configuration and those of the shipped policies that its routes use.

    Raises:
        ConfigError: a file of cases is wrong; names file, line and key.
    """
    setup, faults = reading.setup, Faults()
    tags = {name: tag.values for name, tag in setup.tags.items()}
    own = Ground(reading.book, reading.tables, today, reading.files, setup.world.deployments, tags)
    folders = dict.fromkeys((file.folder / "policies").resolve() for file in reading.files)
    tried = [each for folder in folders for path in cases_in(folder) for each in try_file(path, own, faults)]
    used = {layer.policy.name for route in setup.routes.values() for layer in route.layers}
    shipped = shipped_ground(reading.book, today)
    for name in sorted(used):
        path = shipped_folder() / f"{name}{CASES}"
        if reading.book.written[name].owner == SHIPPED and path.is_file():
            tried += try_file(path, shipped, faults)
    faults.raise_any()
    return tried


def shipped_ground(book: PolicyBook, today: date) -> Ground:
    """The shipped catalog, without a configuration."""
    return Ground(book, tables_of(load_catalog(), (), Faults()), today)


def read_cases(path: Path) -> tuple[CasesConfig, Document]:
    """A file of cases, whose policy has the file's name before `.cases.yaml`.

    Raises:
        PolicyError: it has a wrong shape or another name.
        ConfigError: it cannot be read, or is not YAML.
    """
    document = parse(read_file(path, str(path)), str(path))
    cases = checked(CasesConfig, document)
    if f"{cases.policy}{CASES}" != path.name:
        reason = f"these are cases of `{cases.policy}`, in a file called `{path.name}`: call it `{cases.policy}{CASES}`"
        raise PolicyError(reason, file=document.file, line=document.line(("policy",)), key=dotted(("policy",)))
    return cases, document


def try_file(path: Path, ground: Ground, faults: Faults) -> list[Tried]:
    """Try every case of a file; what is wrong with the file is added to `faults`."""
    tried: list[Tried] = []
    with faults.caught():
        written, document = read_cases(path)
        policies = ground.book.expanded.get(written.policy)
        if policies is None:
            reason = f"unknown policy `{written.policy}`{nearest(written.policy, ground.book.expanded)}"
            raise Fault.at(document, ("policy",), reason, PolicyError).error()
        tables = _laid_over(ground, path, written, document, faults)
        callers = (written.caller, *(file.config.caller for file in ground.files))
        bench = Bench(
            document=document,
            policies=policies,
            tables=tables,
            caller=next((each for each in callers if each is not None), CallerConfig()),
            deployments=ground.deployments,
            tags=_tags(policies) if ground.tags is None else ground.tags,
            today=written.on or ground.today,
        )
        for index, case in enumerate(written.cases):
            with faults.caught():
                made = bench.case(index, case)
                line = document.line(("cases", index))
                ended = Tried(written.policy, document.file, line, made.deployment.id, failure_of(made))
                tried.append(replace(ended, because=case.because or ""))
    return tried


def _laid_over(ground: Ground, path: Path, written: CasesConfig, document: Document, faults: Faults) -> Tables:
    """The facts with what the file of cases states beside them, and its caller."""
    if not (written.organisations or written.licences or written.models or written.caller):
        return ground.tables
    config = Config(
        caller=written.caller,
        organisations=written.organisations,
        licences=written.licences,
        models=written.models,
    )
    file = ConfigFile(config, path.parent, document=document)
    found = tables_of(load_catalog(), (*ground.files, file), faults)
    return found if written.caller is None else with_caller(found, caller_from(written.caller))


def _tags(policies: tuple[Policy, ...]) -> dict[str, frozenset[str] | None]:
    return {tag: None for policy in policies for tag in policy.applies_to}
