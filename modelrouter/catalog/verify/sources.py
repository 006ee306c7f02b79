"""Whether every source can be checked: a reference that says something, a day that has come and is not too long ago."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.verify.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog.verify.shelf import Shelf
    from modelrouter.yaml12 import Path

__all__ = ["check_sources"]

FREE: Final = frozenset({"pins", "extra", "headers", "reasoning", "parameter_names"})
"""What is sent as it stands: a key `source` in there is no source."""
NOTHING: Final = re.compile(r"[\W_]*|(?i:todo|tbd|fixme|xxx+|n/?a|none|unknown|source|ref|somewhere|\?+)\W*")
"""References with which nobody could find anything."""


def check_sources(shelf: Shelf, today: date, age_max_days: int) -> None:
    """Note sources that are blank, undated, too old, of a day to come, or too weak to be shipped."""
    for table, entries in shelf.raw.items():
        for key, entry in entries.items():
            for path, source in _sources(entry, ()):
                for at, kind, message in _faults(source, today, age_max_days):
                    shelf.add(kind, table, key, (*path, *at), message)


def _sources(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "source":
                yield (*path, key), item
            elif key not in FREE:
                yield from _sources(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _sources(item, (*path, index))


def _faults(source: object, today: date, age_max_days: int) -> Iterator[tuple[Path, Kind, str]]:
    entry: Mapping[str, Any] = source if isinstance(source, Mapping) else {"ref": source}
    ref = entry.get("ref")
    if not isinstance(ref, str) or NOTHING.fullmatch(ref.strip()):
        yield (
            (("ref",) if "ref" in entry and isinstance(source, Mapping) else ()),
            Kind.SOURCE,
            ("the reference says nothing: write the page, file or document where a reader can check this"),
        )
    if entry.get("confidence") == "low":
        yield ("confidence",), Kind.SOURCE, "nothing of low confidence is shipped as known: write `unknown` instead"
    if "checked_on" not in entry:
        yield (), Kind.DATE, "undated: write `{ref: …, checked_on: …}` with the day on which it was looked up"
        return
    try:
        checked_on = date.fromisoformat(str(entry["checked_on"]))
    except ValueError:
        return  # the reader of the entry has said so
    if checked_on > today:
        yield ("checked_on",), Kind.DATE, f"{checked_on} has not come yet: write the day on which it was looked up"
    elif checked_on < today - timedelta(days=age_max_days):
        days = (today - checked_on).days
        yield ("checked_on",), Kind.DATE, f"checked {days} days ago, {age_max_days} are allowed: look it up again"
