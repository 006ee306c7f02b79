"""Reads a catalog to its end: what is wrong is noted and left out, so that the rest can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from modelrouter.catalog.entries import group_from, licence_from, model_from, organisation_from
from modelrouter.catalog.offers import template_from
from modelrouter.catalog.prices import HASHED, PRICES, read_prices
from modelrouter.catalog.reading import Place
from modelrouter.catalog.verify.findings import Findings, Kind
from modelrouter.core.facts import Ownership
from modelrouter.errors import CatalogError, ConfigError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelrouter.catalog.prices import Snapshot
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.core.facts import Licence, Model, Organisation
    from modelrouter.yaml12 import Document
    from modelrouter.yaml12 import Path as KeyPath

__all__ = ["Shelf"]

T = TypeVar("T")
Entry = Mapping[str, Any]
TABLES: Final = ("organisations.yaml", "licences.yaml", "groups.yaml")
FOLDERS: Final = ("models", "operators")
FAULTS_MAX: Final = 20
"""How many faults of one entry are told; each is left out in turn and the rest read again."""
STAND_IN: Final = {"ref": "left out"}
"""Takes the place of a source that is wrong, so that each fact that rests on it is not a finding of its own."""


class Shelf:
    """A catalog as far as it can be read.

    Attributes:
        folder: where it is.
        findings: what is wrong so far.
        documents: the files that are YAML, by name.
        raw: by table, id to the entry as it was written.
        unread: tables of which a file could not be read: an id that is missing there may stand in that file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings = Findings()
        self.documents: dict[str, Document] = {}
        self.raw: dict[str, dict[str, Entry]] = {}
        self.unread: set[str] = set()
        self.organisations: dict[str, Organisation] = {}
        self.licences: dict[str, Licence] = {}
        self.models: dict[str, Model] = {}
        self.groups: dict[str, frozenset[str]] = {}
        self.templates: dict[str, OperatorTemplate] = {}
        self.prices: Snapshot | None = None
        self._places: dict[tuple[str, str], tuple[str, KeyPath]] = {}
        self._read_prices()
        for name in self._names():
            self._read_file(name)

    # --- where things stand ------------------------------------------------------------------------------------------

    def place(self, table: str, key: str) -> tuple[str, KeyPath]:
        """File and path of an entry."""
        return self._places[table, key]

    def at(self, table: str, key: str, path: KeyPath) -> tuple[str, KeyPath]:
        """File and path of a key of an entry."""
        file, prefix = self._places[table, key]
        return file, (*prefix, *path)

    def add(self, kind: Kind, table: str, key: str, path: KeyPath, message: str) -> None:
        """Note what is wrong at a key of an entry."""
        file, whole = self.at(table, key, path)
        self.findings.add(kind, file, whole, message, self.documents[file].line)

    def contradiction(self, table: str, key: str, path: KeyPath, message: str) -> None:
        """Note two facts of which one must be wrong."""
        self.add(Kind.CONTRADICTION, table, key, path, message)

    def written(self, table: str, key: str, *steps: str) -> Entry:
        """A mapping inside an entry as it was written; empty where there is none."""
        value: object = self.raw.get(table, {}).get(key)
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    def has(self, table: str, key: str) -> bool:
        """Whether an id is there, or may be there in a file that could not be read."""
        return table in self.unread or key in self.raw.get(table, {})

    # --- files -------------------------------------------------------------------------------------------------------

    def _names(self) -> Iterator[str]:
        yield from TABLES
        for part in FOLDERS:
            if not (self.folder / part).is_dir():
                self.findings.add(Kind.FILE, part, (), "the folder is missing: is this the folder of a catalog?")
                self.unread.add(part)
                continue
            yield from sorted(f"{part}/{each.name}" for each in (self.folder / part).glob("*.yaml"))

    def _read_file(self, name: str) -> None:
        table = name.partition("/")[0].removesuffix(".yaml")
        entries = self.raw.setdefault(table, {})
        document = self._document(name)
        if document is None:
            self.unread.add(table)
            return
        self.documents[name] = document
        if not isinstance(document.value, Mapping):
            self.findings.add(Kind.ENTRY, name, (), "a catalog file is a mapping of ids to entries", 1)
            self.unread.add(table)
        elif table == "operators":
            self._read_entry(table, Path(name).stem, document.value, name, ())
        else:
            for key, entry in document.value.items():
                if key in entries:
                    first = self.place(table, key)[0]
                    message = f"`{key}` is in `{first}` too: remove one of the two"
                    self.findings.add(Kind.ID, name, (key,), message, document.line)
                else:
                    self._read_entry(table, key, entry, name, (key,))

    def _document(self, name: str) -> Document | None:
        try:
            return parse((self.folder / name).read_text(encoding="utf-8"), name)
        except ConfigError as error:
            self.findings.add(Kind.FILE, name, (), error.reason, error.line)
        except UnicodeDecodeError:
            self.findings.add(Kind.FILE, name, (), "the file is not UTF-8 text: save it as UTF-8")
        except OSError as error:
            self.findings.add(Kind.FILE, name, (), f"the file cannot be read: {(error.strerror or '').lower()}")
        return None

    def _read_prices(self) -> None:
        if not (self.folder / PRICES).is_file() and not (self.folder / HASHED).is_file():
            return
        try:
            self.prices = read_prices(self.folder)
        except CatalogError as error:
            self.findings.add(Kind.GENERATED, PRICES, (), error.reason)
        except (ValueError, KeyError, TypeError):
            message = "this is no list of prices: write it with `python -m modelrouter.catalog.refresh_prices`"
            self.findings.add(Kind.GENERATED, PRICES, (), message)

    # --- entries -----------------------------------------------------------------------------------------------------

    def _read_entry(self, table: str, key: str, entry: object, file: str, prefix: KeyPath) -> None:
        self._places[table, key] = file, prefix
        self.raw[table][key] = entry if isinstance(entry, Mapping) else {}

        def shipped(read: Callable[[str, object, Ownership, Place], T]) -> Callable[[object, Place], T]:
            return lambda value, place: read(key, value, Ownership.SHIPPED, place)

        if table == "organisations":
            _put(self.organisations, key, self._lenient(entry, file, prefix, shipped(organisation_from)))
        elif table == "licences":
            _put(self.licences, key, self._lenient(entry, file, prefix, shipped(licence_from)))
        elif table == "models":
            _put(self.models, key, self._lenient(entry, file, prefix, shipped(model_from)))
        elif table == "groups":
            _put(self.groups, key, self._lenient(entry, file, prefix, lambda value, at: group_from(key, value, at)))
        else:
            template = self._lenient(
                entry,
                file,
                prefix,
                lambda value, at: template_from(key, value, Ownership.SHIPPED, at, prices=self.prices),
            )
            _put(self.templates, key, template)

    def _lenient(self, entry: object, file: str, prefix: KeyPath, read: Callable[[object, Place], T]) -> T | None:
        """A value of the core from an entry; each key that is wrong is noted, left out, and the rest read again."""
        document = self.documents[file]
        wrong: list[KeyPath] = []

        def line(path: KeyPath) -> int | None:
            wrong.append(path)
            return document.line(path)

        for _ in range(FAULTS_MAX):
            wrong.clear()
            try:
                return read(entry, Place(file, prefix, line))
            except CatalogError as error:
                path = wrong[-1] if wrong else prefix
                inside = path[len(prefix) :]
                unsourced = isinstance(entry, Mapping) and "source" not in entry and "add `source:`" in error.reason
                kind = Kind.SOURCE if unsourced or "source" in inside else Kind.ENTRY
                self.findings.add(kind, file, path, error.reason, document.line)
                entry = {**entry, "source": STAND_IN} if unsourced else _without(entry, inside)  # type: ignore[dict-item]
                if entry is None:
                    return None
        return None


def _put(table: dict[str, T], key: str, value: T | None) -> None:
    if value is not None:
        table[key] = value


def _without(entry: object, path: KeyPath) -> object:
    """An entry without the key of a path, or with a stand-in where that is a source; None where nothing is left."""
    if not path:
        return None
    step, *rest = path
    if isinstance(entry, Mapping) and step in entry:
        if step == "source":
            return {**entry, "source": STAND_IN}
        inner = _without(entry[step], tuple(rest)) if isinstance(entry[step], (Mapping, list)) else None
        kept = {key: value for key, value in entry.items() if key != step}
        return kept if inner is None else {**entry, step: inner}
    if isinstance(entry, list) and isinstance(step, int) and step < len(entry):
        inner = _without(entry[step], tuple(rest)) if isinstance(entry[step], (Mapping, list)) else None
        return [*entry[:step], *([] if inner is None else [inner]), *entry[step + 1 :]] or None
    return None
