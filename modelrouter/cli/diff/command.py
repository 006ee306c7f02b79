"""`modelrouter diff`: what a change of policies means, and whether it permits anything that was refused."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption, DayOption, day_asked
from modelrouter.cli.screen import console, print_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from modelrouter.cli.budget.book import Change
    from modelrouter.config import Setup
    from modelrouter.config.comparison import Named, Over
    from modelrouter.core.assurance import Difference
    from modelrouter.core.route import Route

__all__ = ["Compared", "diff"]


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared, and what came of it.

    Attributes:
        over: what it was judged over, in words.
        orders: routes whose candidates are tried in another order, before and after, in words.
        budgets: those that are not the same.
        uninspected: what no longer looks into requests, or raises no tag any more, in words.
        unheeded: signed files of revocations that are not obeyed any more, in words.
    """

    old: str
    new: str
    today: date
    over: str
    found: Difference
    orders: tuple[tuple[str, str, str], ...] = ()
    budgets: tuple[Change, ...] = ()
    uninspected: tuple[str, ...] = ()
    unheeded: tuple[str, ...] = ()

    @property
    def permits_more(self) -> bool:
        """Whether the new one permits anything that the old one refused."""
        return self.found.permits_more or bool(self.uninspected or self.unheeded)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="a policy, by its name or file, or a config")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="the same after the change")],
    *,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="judge policies over everything on offer, without a config")
    ] = False,
    country: Annotated[
        str | None, typer.Option(metavar="CODE", help="with --catalog: the caller's; absent is unknown")
    ] = None,
    on: DayOption = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Compare two policies, or two configs, by meaning: which deployments change verdict on which routes, and why.

    0 if NEW permits nothing that OLD refused, 1 if it does: a newly permitted deployment or candidate, a higher limit,
    less asserted of a route, a new waiver, a policy that only observes now or binds less, an inspection that is gone,
    a signed file of revocations that is not obeyed any more.
    """
    compared = _compared(old, new, catalog=catalog, country=country, day=day_asked(on), config=config)
    if as_json:
        from modelrouter.cli.diff.document import compared_document

        print_document(compared_document(compared))
    else:
        from modelrouter.cli.diff.screen import show_compared

        show_compared(console(), compared)
    if compared.permits_more:
        raise typer.Exit(REFUSED)


def _compared(old: str, new: str, *, catalog: bool, country: str | None, day: date, config: str | None) -> Compared:
    from modelrouter.config.comparison import named

    if country is not None and not catalog:
        raise typer.BadParameter("belongs to `--catalog`: a config says it under `caller`", param_hint="--country")
    sides = named(old), named(new)
    if sides[0].is_config is not sides[1].is_config:
        kinds = ["a config" if each.is_config else "a policy" for each in sides]
        raise typer.BadParameter(
            f"`{old}` is {kinds[0]} and `{new}` {kinds[1]}: compare two of a kind", param_hint="NEW"
        )
    if sides[0].is_config:
        for name, given in (("--config", config is not None), ("--catalog", catalog)):
            if given:
                raise typer.BadParameter("is for two policies: two configs bring all with them", param_hint=name)
        return _of_configs(*sides, day)
    if catalog and config is not None:
        raise typer.BadParameter("is what policies are judged over without a config: choose", param_hint="--catalog")
    over, words = _catalog(sides, country, day) if catalog else _config(config)
    return _of_policies(*sides, over, words, day)


def _of_configs(old: Named, new: Named, day: date) -> Compared:
    from modelrouter.cli.budget.book import differences
    from modelrouter.config.comparison import side_of_config
    from modelrouter.core.assurance import difference

    before, after = old.reading(), new.reading()
    found = difference(side_of_config(before), side_of_config(after), day)
    orders = tuple(
        (name, was, now)
        for name, route in before.setup.routes.items()
        if (later := after.setup.routes.get(name)) is not None and (was := _order(route)) != (now := _order(later))
    )
    budgets = differences(before.setup.budgets, after.setup.budgets)
    gone = tuple(_uninspected(before.setup, after.setup))
    unheeded = tuple(_unheeded(before.setup, after.setup))
    return Compared(old.shown, new.shown, day, "their own routes", found, orders, budgets, gone, unheeded)


def _uninspected(before: Setup, after: Setup) -> Iterator[str]:
    """What of inspection was taken back: it only ever takes candidates away."""
    for name in before.inspect:
        if name not in after.inspect:
            yield f"the inspector `{name}` looks into no request any more"
    for tag, ladder in before.ladders.items():
        later = after.ladders.get(tag)
        for kind, value in ladder.raised_by.items():
            if later is None or later.raised_by.get(kind) != value:
                yield f"finding `{kind}` raises tag `{tag}` to `{value}` no more"


def _unheeded(before: Setup, after: Setup) -> Iterator[str]:
    """Files that only ever take candidates away. The two configs may lie in folders of their own."""
    obeyed = Counter(place.path.name for place in after.revoked)
    for place in before.revoked:
        if not obeyed[place.path.name]:
            yield f"who is cut off by the signed file `{place.path.name}` is cut off no more"
        obeyed[place.path.name] -= 1


def _of_policies(old: Named, new: Named, over: Over, words: str, day: date) -> Compared:
    from modelrouter.config.comparison import sides_of_policies
    from modelrouter.core.assurance import difference

    return Compared(old.shown, new.shown, day, words, difference(*sides_of_policies(old, new, over), day))


def _config(config: str | None) -> tuple[Over, str]:
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.config.comparison import over_config
    from modelrouter.errors import ConfigError

    if config is None and not os.environ.get("MODELROUTER_CONFIG") and not Path("modelrouter.yaml").is_file():
        raise ConfigError(
            "there is no config here whose deployments policies could be judged over: name one with `--config`, or "
            "judge over everything on offer with `--catalog`"
        )
    found = find_config(config)
    return over_config(read(found)), f"the routes of {found}"


def _catalog(sides: tuple[Named, Named], country: str | None, day: date) -> tuple[Over, str]:
    from modelrouter.catalog import load_catalog
    from modelrouter.cli.catalog.usable import country_code
    from modelrouter.config.caller_schema import CallerConfig
    from modelrouter.config.comparison import over_catalog
    from modelrouter.config.faults import Faults
    from modelrouter.config.world import caller_from, tables_of, with_caller

    stated = {} if country is None else {"country": country_code(country)}
    faults = Faults()
    tables = with_caller(tables_of(load_catalog(), (), faults), caller_from(CallerConfig.model_validate(stated)))
    faults.raise_any()
    where = f"in {stated['country']}" if stated else "in an unknown country"
    return over_catalog(tables, sides, day), f"the catalog, for a caller {where} who has signed all that is asked for"


def _order(route: Route) -> str:
    steps = []
    for step in route.tries:
        members = " | ".join(
            name if len(step.weights) == 1 or step.equals else f"{name} {weight}"
            for name, weight in step.weights.items()
        )
        steps.append(members if len(step.weights) == 1 else f"({members})")
    return f"{route.objective.value}: {', '.join(steps)}"
