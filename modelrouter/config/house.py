"""What a house file forbids to the files below it: taking its names, setting its settings, stating its facts.

Files come in the order in which they bind, the highest house first. A file is below every one that comes before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from modelrouter.config.deployment_schema import FACT_KEYS
from modelrouter.core.policy import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile

__all__ = ["check_houses"]

TABLES: Final = (
    "organisations",
    "licences",
    "models",
    "operators",
    "deployments",
    "routes",
    "tags",
    "rates",
    "budgets",
)
"""Tables whose names are taken once a file above has them."""
OWNED_TABLES: Final = ("organisations", "licences", "models", "operators")
SETTINGS: Final = ("caller", "ledger", "baseline", "timeouts")
"""Settings that the highest file has that writes them."""


def check_houses(files: Sequence[ConfigFile], faults: Faults) -> tuple[str, ...]:
    """Refuse what loosens a house; return notes on facts that a house wants flagged."""
    notes: list[str] = []
    for index, file in enumerate(files):
        above = files[:index]
        _check_names(file, above, faults)
        _check_settings(file, above, faults)
        if file.level is Level.CONFIG and file.config.ownership is not None:
            faults.add(
                file.fault("only a house file, one that others include, says what files below may state", "ownership")
            )
        notes.extend(_check_ownership(file, above, faults))
    return tuple(notes)


def _check_names(file: ConfigFile, above: Sequence[ConfigFile], faults: Faults) -> None:
    for table in TABLES:
        for name in getattr(file.config, table):
            first = next((other for other in above if name in getattr(other.config, table)), None)
            if first is not None:
                reason = (
                    f"`{name}` is defined in {first.place(table, name)} and cannot be redefined: choose another name"
                )
                faults.add(file.fault(reason, table, name))


def _check_settings(file: ConfigFile, above: Sequence[ConfigFile], faults: Faults) -> None:
    for setting in SETTINGS:
        if getattr(file.config, setting) is None:
            continue
        first = next((other for other in above if getattr(other.config, setting) is not None), None)
        if first is not None:
            faults.add(file.fault(f"`{setting}` is set in {first.place(setting)} and holds here: remove it", setting))
    strict = next((other for other in above if other.config.offline), None)
    if strict is not None and "offline" in file.config.model_fields_set and not file.config.offline:
        faults.add(
            file.fault(f"{strict.place('offline')} says `offline: true`, which holds here: remove it", "offline")
        )


def _check_ownership(file: ConfigFile, above: Sequence[ConfigFile], faults: Faults) -> Iterator[str]:
    for fact, path in _stated(file):
        for house in above:
            if house.config.ownership is None:
                continue
            word = getattr(house.config.ownership, fact)
            if word == "forbidden":
                faults.add(
                    file.fault(f"{house.place('ownership', fact)} forbids to state `{fact}` here: remove it", *path)
                )
            elif word == "flagged":
                shown = ".".join(str(step) for step in path)
                yield f"{file.place(*path)}: {shown}: stated here, which {house.place('ownership', fact)} wants flagged"


def _stated(file: ConfigFile) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every fact that a file states itself, by the group that `ownership` names, with its path."""
    config = file.config
    if config.caller is not None and config.caller.agreements:
        yield "agreements", ("caller", "agreements")
    for table in OWNED_TABLES:
        for name, entry in getattr(config, table).items():
            yield table, (table, name)
            yield from _stated_in(entry, (table, name))
    for currency in config.rates:
        yield "price", ("rates", currency)  # a rate makes a list in that currency a price
    for name, deployment in config.deployments.items():
        written = deployment.model_fields_set
        for fact in FACT_KEYS:
            if fact in written:
                yield fact, ("deployments", name, fact)
        if "overhead" in written:
            yield "bound_basis", ("deployments", name, "overhead")
        for organisation, terms in deployment.links.items():
            yield "links", ("deployments", name, "links", organisation)
            for fact in sorted(terms.model_fields_set.intersection(FACT_KEYS)):
                yield fact, ("deployments", name, "links", organisation, fact)


def _stated_in(entry: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Facts of deployments that an entry brings along: a template of one's own must not be a way round."""
    for key, value in entry.items():
        if key in FACT_KEYS:
            yield key, (*path, key)
        elif isinstance(value, Mapping):
            yield from _stated_in(value, (*path, key))
