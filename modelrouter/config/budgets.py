"""The ledger's address and settings, and the budgets that it keeps, with every name in them looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from modelrouter.config.money_schema import UTC_NAME, LedgerConfig, WaitConfig, length_s, window_of
from modelrouter.config.nearest import nearest
from modelrouter.config.setup import SQLITE
from modelrouter.core.budget import Budget
from modelrouter.core.money import nano_from_usd
from modelrouter.core.policy import Level
from modelrouter.errors import ConfigError
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.yaml12 import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.config.money_schema import BudgetConfig
    from modelrouter.config.setup import Setup, Tag

__all__ = ["Budgets", "LedgerSettings", "Names", "budgets_of", "ledger_of", "unreached"]

LEDGER: Final = "sqlite:///modelrouter.db"
POSTGRES: Final = ("postgres:", "postgresql:")
TAG: Final = "tag."
CATALOGUED: Final = frozenset({"developer", "operator"})


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where the book is and how it is kept; `Setup` says what each means."""

    url: str
    lease_s: float
    spool: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """What a budget may name."""

    routes: Iterable[str]
    deployments: Iterable[str]
    organisations: Iterable[str]
    policies: Iterable[str]
    tags: Mapping[str, Tag]

    def under(self, scope: str) -> Iterable[str]:
        """The names that a scope other than a tag may be limited to."""
        return {
            "route": self.routes,
            "deployment": self.deployments,
            "operator": self.organisations,
            "developer": self.organisations,
            "policy": self.policies,
        }[scope]


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the files come to."""

    found: tuple[Budget, ...]
    notes: tuple[str, ...]


# --- the ledger -------------------------------------------------------------------------------------------------------


def ledger_of(files: Sequence[ConfigFile], faults: Faults) -> LedgerSettings:
    """The book, with absolute paths; relative ones are relative to the file that names it, else to the last file."""
    file = next((file for file in files if file.config.ledger is not None), files[-1])
    given = file.config.ledger or LEDGER
    written = given if isinstance(given, LedgerConfig) else LedgerConfig(url=given)
    path = ("ledger", "url") if isinstance(given, LedgerConfig) else ("ledger",)
    spool = None if written.spool is None else _absolute(file, written.spool)
    url = written.url
    if url.startswith(POSTGRES):
        try:
            postgres_address(url)
        except ConfigError as error:
            faults.add(file.fault(error.reason, *path))
    elif not url.startswith(SQLITE):
        faults.add(
            file.fault(
                "this is no address of a book: write `sqlite:///modelrouter.db` or `postgresql://user@host/database`",
                *path,
            )
        )
    elif url in {SQLITE, f"{SQLITE}:memory:"} or "?" in url:
        faults.add(
            file.fault("the book must be a file, which outlives the process: write `sqlite:///modelrouter.db`", *path)
        )
    if url.startswith(SQLITE):
        url = SQLITE + _absolute(file, url.removeprefix(SQLITE))
    return LedgerSettings(url, written.lease_s, spool)


def _absolute(file: ConfigFile, path: str) -> str:
    return str((file.folder / Path(path).expanduser()).absolute())


# --- budgets ----------------------------------------------------------------------------------------------------------


def budgets_of(files: Sequence[ConfigFile], names: Names, ledger: LedgerSettings, faults: Faults) -> Budgets:
    """Every budget of every file, those of houses first; a name is taken once (`house` refuses it below)."""
    found: dict[str, Budget] = {}
    notes: list[str] = []
    for file in files:
        for name, written in file.config.budgets.items():
            path = ("budgets", name)
            notes.extend(_names_are_known(file, path, written, names, faults))
            if written.scope == "fleet" and ledger.url.startswith(SQLITE):
                reason = (
                    "`fleet` needs a ledger that every machine shares, and this one is a file: set "
                    "`ledger: postgresql://user@host/database`, or write `scope: ledger` for a limit on the processes "
                    "that use the file"
                )
                faults.add(file.fault(reason, *path, "scope"))
            found.setdefault(name, _budget(name, written))
    return Budgets(tuple(found.values()), tuple(notes))


def _budget(name: str, written: BudgetConfig) -> Budget:
    return Budget(
        name=name,
        limit_nano_usd=nano_from_usd(written.usd),
        window=window_of(written.window),
        length_s=length_s(written.window),
        zone=UTC if written.tz == UTC_NAME else ZoneInfo(written.tz),
        zone_name=written.tz,
        each=written.each or "",
        only={scope: frozenset(values) for scope, values in written.only.items()},
        wait_s=written.when_reserved.wait_s if isinstance(written.when_reserved, WaitConfig) else 0.0,
    )


def _names_are_known(
    file: ConfigFile, path: tuple[str, ...], written: BudgetConfig, names: Names, faults: Faults
) -> Iterator[str]:
    """Refuse names that nobody declared. A house may name what only some of the files below it declare: a note."""
    unknown: list[tuple[tuple[str, ...], str]] = [
        (("each",), reason) for reason in _unknown_tags(written.each or "", names)
    ]
    for scope, values in written.only.items():
        unknown += [(("only", scope), reason) for reason in _unknown(scope, values, names)]
    for place, reason in unknown:
        is_catalogued = place[-1] in CATALOGUED
        if file.level is Level.HOUSE and not is_catalogued:
            yield f"{file.place(*path, *place)}: {dotted((*path, *place))}: {reason}"
        else:
            faults.add(file.fault(reason, *path, *place))


def _unknown_tags(scope: str, names: Names) -> Iterator[str]:
    tag = scope.removeprefix(TAG)
    if scope.startswith(TAG) and tag not in names.tags:
        yield f"tag `{tag}` is not declared under `tags`{nearest(tag, names.tags)}"


def _unknown(scope: str, values: Sequence[str], names: Names) -> Iterator[str]:
    if not scope.startswith(TAG):
        known = names.under(scope)
        yield from (f"unknown {scope} `{value}`{nearest(value, known)}" for value in values if value not in known)
        return
    yield from _unknown_tags(scope, names)
    tag = names.tags.get(scope.removeprefix(TAG))
    if tag is None:
        return
    if tag.personal:
        yield (
            f"`{scope}` is personal, so the book does not know its values: keep the budget apart by it with "
            f"`each: {scope}`, or remove it here"
        )
    elif tag.values is not None:
        yield from (
            f"`{value}` is no value of `{scope}`{nearest(value, tag.values)}"
            for value in values
            if value not in tag.values
        )


def unreached(setup: Setup) -> Iterator[str]:
    """A note for each budget that no call can fall under."""
    for budget in setup.budgets:
        if not setup.routes_under(budget):
            limits = ", ".join(f"{scope} {' or '.join(sorted(values))}" for scope, values in budget.only.items())
            yield f"budget `{budget.name}`: no route reaches it ({limits}), so it limits nothing"
