"""`modelrouter explain --refused`: requests that nobody might serve, counted by route and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelrouter.cli.screen import console, print_document, table
from modelrouter.cli.spend.when import moment_us, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.ledger.refused import RefusedLine

__all__ = ["show_refused_calls"]


@dataclass(slots=True)
class _Group:
    """Requests of one route that were refused by the same rules."""

    route: str
    rules: Mapping[str, str]
    count: int
    first_us: int
    last_us: int
    call_id: str


def show_refused_calls(since: str | None, config: str | None, *, as_json: bool) -> None:
    """Print them; the newest call of each kind can be explained with `--call`."""
    since_us = 0 if since is None else moment_us(since, datetime.now(UTC), UTC, option="--since")
    from modelrouter.cli.ledger.book import opened
    from modelrouter.ledger.refused import refused_since

    with opened(config) as book, book.reading() as session:
        groups = _grouped(refused_since(session, since_us))
    if as_json:
        total = sum(each.count for each in groups)
        print_document({"since": since, "refused": total, "groups": [_document(each) for each in groups]})
        return
    screen = console()
    if not groups:
        screen.print("no request was refused before anything was reserved", style="green")
        return
    shown = table("route", "refused", "first rule that refused each", "last", right=("refused",), whole=("last",))
    for each in groups:
        rules = "\n".join([*(f"{name}: {rule}" for name, rule in each.rules.items()), f"call {each.call_id}"])
        shown.add_row(each.route, f"{each.count:,}", rules, written(each.last_us, UTC))
    screen.print(shown)
    screen.print("`modelrouter explain --call CALL` shows one of each kind in full", style="dim")


def _grouped(lines: Iterable[RefusedLine]) -> list[_Group]:
    """By route and rules, the most frequent first."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], _Group] = {}
    for line in lines:
        key = line.route, tuple(line.rules.items())
        group = found.setdefault(key, _Group(line.route, line.rules, 0, line.since_us, line.at_us, line.call_id))
        group.count += line.count
        group.first_us = min(group.first_us, line.since_us)
        group.last_us, group.call_id = line.at_us, line.call_id
    return sorted(found.values(), key=lambda each: (-each.count, each.route))


def _document(group: _Group) -> dict[str, Any]:
    return {
        "route": group.route,
        "refused": group.count,
        "rules": dict(group.rules),
        "first_at": written(group.first_us, UTC),
        "last_at": written(group.last_us, UTC),
        "call_id": group.call_id,
    }
