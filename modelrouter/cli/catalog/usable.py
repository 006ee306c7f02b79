"""`modelrouter catalog usable`: how much of the catalog each policy admits, and which facts would admit more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.world import Tables
    from modelrouter.core.policy import Layer
    from modelrouter.core.usable import Tally, Usable

__all__ = ["country_code", "usable"]

Document = dict[str, Any]
POLICY_FILE: Final = ".yaml"
TITLE: Final = "all on offer"


class Papers(Enum):
    """What the caller has signed."""

    ALL = "all"
    NONE = "none"


def usable(
    policies: Annotated[
        list[str] | None,
        typer.Argument(metavar="POLICY", help="shipped policies, or files of your own; absent is every shipped one"),
    ] = None,
    *,
    country: Annotated[str | None, typer.Option(metavar="CODE", help="the caller's; absent is unknown")] = None,
    agreements: Annotated[
        Papers, typer.Option(help="`all`: the caller has signed with everybody what the policies ask for")
    ] = Papers.NONE,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="a number that licences ask for, as monthly_active_users=40000"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count what policies admit of the shipped catalog, and name the five missing facts that would admit most.

    Without a price in dollars an offer counts as admitted, and as unpriced. `own` counts the models that may run on
    servers of your own, in your country.
    """
    from modelrouter.config.on_offer import agreements_with_all, offers_in
    from modelrouter.core.usable import tally
    from modelrouter.core.usable import usable as count

    today = datetime.now(UTC).date()
    stated = {**({} if country is None else {"country": country_code(country)}), **dict(map(_metric, metric or ()))}
    tables, book, names = _read(policies or (), stated)
    if agreements is Papers.ALL:
        tables = agreements_with_all(tables, (each for name in names for each in book.expanded[name]))
    world, offers = offers_in(tables, today)
    found = {name: count(world, offers, _layers(book, name), today) for name in names}
    if as_json:
        print_document(_document(found, tally(offers), stated, agreements, today))
    else:
        _show(found, tally(offers), stated, agreements)


def country_code(text: str) -> str:
    """The code of a country as `--country` takes it.

    Raises:
        BadParameter: there is no such country.
    """
    from modelrouter.catalog.countries import country_fault

    code = text.upper()
    reason = country_fault(code)
    if reason:
        raise typer.BadParameter(reason, param_hint="--country")
    return code


def _metric(text: str) -> tuple[str, int]:
    from modelrouter.catalog.entries import METRICS

    name, _, number = text.partition("=")
    if name not in METRICS:
        known = ", ".join(f"`{each}`" for each in sorted(METRICS))
        raise typer.BadParameter(f"`{name}` is none of {known}", param_hint="--metric")
    if not (number.isascii() and number.isdecimal()):
        raise typer.BadParameter(f"`{text}` has no whole number: write it as `{name}=40000`", param_hint="--metric")
    return name, int(number)


def _read(policies: Sequence[str], stated: Mapping[str, object]) -> tuple[Tables, PolicyBook, list[str]]:
    """The catalog for this caller, the policies, and the names of those that are asked about."""
    from modelrouter.catalog import load_catalog
    from modelrouter.config.caller_schema import CallerConfig
    from modelrouter.config.faults import Faults
    from modelrouter.config.files import shipped_policies
    from modelrouter.config.nearest import nearest
    from modelrouter.config.policies import policies_beside
    from modelrouter.config.world import caller_from, tables_of, with_caller
    from modelrouter.errors import PolicyError

    faults = Faults()
    tables = with_caller(tables_of(load_catalog(), (), faults), caller_from(CallerConfig.model_validate(dict(stated))))
    files = [Path(each) for each in policies if each.endswith(POLICY_FILE)]
    book = policies_beside(files, tables, faults)
    faults.raise_any()
    names = [Path(each).stem if each.endswith(POLICY_FILE) else each for each in policies]
    for name in names:
        if name not in book.expanded:
            raise PolicyError(f"unknown policy `{name}`{nearest(name, book.expanded)}")
    return tables, book, names or [path.stem for path in shipped_policies()]


def _layers(book: PolicyBook, name: str) -> tuple[Layer, ...]:
    """A policy that only observes counts as if it were enforced."""
    from modelrouter.core.policy import Layer, Level

    return tuple(Layer(replace(policy, observe=False), Level.REQUEST) for policy in book.expanded[name])


# --- what is printed --------------------------------------------------------------------------------------------------


def _counts(found: Tally) -> Document:
    return {
        "operators": len(found.operators),
        "operator_ids": list(found.operators),
        "endpoints": found.endpoints,
        "models": found.models,
        "offers": found.offers,
        "own_models": found.own,
    }


def _document(
    found: Mapping[str, Usable], everything: Tally, stated: Mapping[str, object], agreements: Papers, today: date
) -> Document:
    return {
        "on": today.isoformat(),
        "caller": {**stated, "agreements": agreements.value},
        "everything": _counts(everything),
        "policies": [
            {
                "policy": name,
                "admits": {**_counts(each.admitted), "unpriced": each.unpriced},
                "refused_by": dict(each.refused_by),
                "missing": [{"fact": gap.fact, "alone": gap.alone, "together": gap.together} for gap in each.gaps],
            }
            for name, each in found.items()
        ],
    }


def _show(found: Mapping[str, Usable], everything: Tally, stated: Mapping[str, object], agreements: Papers) -> None:
    screen = console()
    said = ", ".join(f"{name} {value}" for name, value in stated.items()) or "nothing"
    signed = "every agreement that is asked for" if agreements is Papers.ALL else "no agreements"
    screen.print(f"for a caller who states {said}, with {signed}")
    figures = ("operators", "endpoints", "models", "offers", "unpriced", "own")
    counted = table("policy", *figures, right=figures, whole=("policy",))
    for name, each in found.items():
        counted.add_row(name, *_row(each.admitted, str(each.unpriced)))
    counted.add_row(TITLE, *_row(everything, ""))
    screen.print(counted)
    gaps = table("policy", "missing fact", "admits alone", "together", right=("admits alone", "together"))
    for name, each in found.items():
        for place, gap in enumerate(each.gaps):
            gaps.add_row("" if place else name, gap.fact, str(gap.alone), str(gap.together))
    if gaps.row_count:
        screen.print()
        screen.print(gaps)


def _row(found: Tally, unpriced: str) -> tuple[str, ...]:
    figures = (len(found.operators), found.endpoints, found.models, found.offers)
    return (*map(str, figures), unpriced, str(found.own))
