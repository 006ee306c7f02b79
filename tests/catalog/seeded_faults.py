"""Faults that are planted one by one into a copy of the shipped catalog, each with the lines on which it must be found.

A kind picks an entry, edits the text of its file as a hand would, and says where. After each the copy is compiled anew,
so that only the fault itself is there to be found.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from modelrouter.catalog.compiled import COMPILED, compiled
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelrouter.yaml12 import Document
    from modelrouter.yaml12 import Path as KeyPath

__all__ = ["KINDS", "Copy", "Planted"]

TABLES: Final = ("organisations.yaml", "licences.yaml", "groups.yaml")


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault.

    Attributes:
        where: in which files, on which lines, it may be found; no lines is anywhere in the file.
        is_compiled: the catalog is compiled after it was planted.
    """

    where: tuple[tuple[str, range | None], ...]
    shown: str
    is_compiled: bool = True


class Copy:
    """A copy of a catalog that can be harmed and healed."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "verify"))
        names = [
            *TABLES,
            *(f"{part}/{each.name}" for part in ("models", "operators") for each in (source / part).iterdir()),
        ]
        self.texts = {name: (folder / name).read_text(encoding="utf-8") for name in sorted(names)}
        self.documents: dict[str, Document] = {name: parse(text, name) for name, text in self.texts.items()}
        self.kept = {each.name: each.read_bytes() for each in folder.iterdir() if each.suffix in {".json", ".sha256"}}

    # --- what is there -----------------------------------------------------------------------------------------------

    def entries(self, table: str) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
        """File, path and content of each entry of a table."""
        for name, document in self.documents.items():
            value: Any = document.value
            if name == f"{table}.yaml" or name.startswith(f"{table}/"):
                if table == "operators":
                    yield name, (), value
                else:
                    yield from ((name, (key,), entry) for key, entry in value.items())

    def offers(self) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
        """The same of each offer of an operator."""
        for name, _, operator in self.entries("operators"):
            for model, offer in (operator.get("models") or {}).items():
                yield name, ("models", model), offer or {}

    def line(self, name: str, path: KeyPath) -> int:
        """Where a key stands."""
        return self.documents[name].line(path) or 1

    def span(self, name: str, path: KeyPath) -> range:
        """The lines of an entry, up to the next key that is indented no further."""
        lines, first = self.texts[name].splitlines(), self.line(name, path)
        depth = len(lines[first - 1]) - len(lines[first - 1].lstrip())
        last = first
        while last < len(lines) and (not lines[last].strip() or lines[last].startswith(" " * (depth + 1))):
            last += 1
        return range(first, last + 1)

    # --- harm and healing --------------------------------------------------------------------------------------------

    def edit(self, name: str, path: KeyPath, pattern: str, new: str) -> Planted:
        """Change the line of a key."""
        number = self.line(name, path)
        lines = self.texts[name].splitlines(keepends=True)
        lines[number - 1], done = re.subn(pattern, new, lines[number - 1], count=1)
        assert done, f"nothing to harm at {name}:{number}: {pattern}"
        self.write(name, "".join(lines))
        return Planted(((name, range(number, number + 1)),), f"{name}:{number} {pattern} -> {new}")

    def replace(self, name: str, path: KeyPath, key: str, new: str) -> Planted:
        """Write a key of an entry anew, or add it behind the entry's first line."""
        value: Any = self.documents[name].value
        for step in path:
            value = value[step]
        if key in value:
            number = self.line(name, (*path, key))
            indent = re.match(r" *", self.texts[name].splitlines()[number - 1])
            lines = self.texts[name].splitlines(keepends=True)
            span = self.span(name, (*path, key))
            lines[number - 1 : span[-1]] = [f"{indent.group() if indent else ''}{key}: {new}\n"]
        else:
            number = self.line(name, path) + 1 if path else 1
            lines = self.texts[name].splitlines(keepends=True)
            lines.insert(number - 1, f"{'  ' * len(path)}{key}: {new}\n")
        self.write(name, "".join(lines))
        return Planted(((name, range(number, number + 1)),), f"{name}:{number} {key}: {new}")

    def write(self, name: str, text: str) -> None:
        """Replace a file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def compile(self) -> None:
        """Make the compiled file anew, where the files can be read."""
        try:
            (self.folder / COMPILED).write_text(compiled(self.folder), encoding="utf-8")
        except CatalogError:
            (self.folder / COMPILED).unlink(missing_ok=True)

    def heal(self) -> None:
        """Take back what was done."""
        for name, text in self.texts.items():
            file = self.folder / name
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
        for name, content in self.kept.items():
            (self.folder / name).write_bytes(content)


Plant: TypeAlias = "Callable[[Copy, random.Random], Planted]"
KINDS: Final[dict[str, Plant]] = {}


def kind(plant: Plant) -> Plant:
    """Name a kind of fault by its function."""
    KINDS[getattr(plant, "__name__")] = plant  # noqa: B009 - a callable need not have one, a function does
    return plant


def one(rng: random.Random, found: Iterator[Any]) -> Any:
    """One of several, the same for the same seed."""
    return rng.choice(sorted(found, key=str))


def sources(copy: Copy) -> Iterator[tuple[str, KeyPath]]:
    """Every entry with a source on a line of its own, written with a reference and a day."""
    for table in ("organisations", "licences", "groups", "models", "operators"):
        for name, path, entry in copy.entries(table):
            if isinstance(entry.get("source"), dict) and "checked_on" in entry["source"]:
                yield name, (*path, "source")


def models(copy: Copy, *keys: str, **values: object) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
    """Models that state some keys plainly, with given values."""
    for name, path, entry in copy.entries("models"):
        plain = all(isinstance(entry.get(key), (str, int, list)) for key in (*keys, *values))
        if plain and all(entry[key] == value for key, value in values.items()):
            yield name, path, entry


# --- sources and days -------------------------------------------------------------------------------------------------


@kind
def source_removed(copy: Copy, rng: random.Random) -> Planted:
    """The source of an entry that has plain facts is taken out."""
    found = [(name, path) for name, path in sources(copy) if len(path) == 2 and "groups" not in name]
    name, path = one(rng, iter(found))
    span = copy.span(name, path[:-1])
    number = copy.line(name, path)
    lines = copy.texts[name].splitlines(keepends=True)
    copy.write(name, "".join(lines[: number - 1] + lines[number:]))
    return Planted(((name, span),), f"{name}:{number} source removed")


@kind
def reference_blank(copy: Copy, rng: random.Random) -> Planted:
    """A reference of blanks."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r'ref: "[^"]+"', 'ref: "  "')


@kind
def reference_placeholder(copy: Copy, rng: random.Random) -> Planted:
    """A reference that somebody meant to write later."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r'ref: "[^"]+"', f'ref: "{rng.choice(["TODO", "tbd", "n/a", "?"])}"')


@kind
def day_to_come(copy: Copy, rng: random.Random) -> Planted:
    """Checked on a day that has not come."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r"checked_on: \d{4}", f"checked_on: {rng.randint(2028, 2062)}")


@kind
def day_long_ago(copy: Copy, rng: random.Random) -> Planted:
    """Checked too long ago."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r"checked_on: \d{4}", f"checked_on: {rng.randint(2019, 2024)}")


@kind
def day_that_is_none(copy: Copy, rng: random.Random) -> Planted:
    """A day that no calendar has."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r"checked_on: [\d-]+", "checked_on: 2026-13-22")


@kind
def day_removed(copy: Copy, rng: random.Random) -> Planted:
    """A source without a day."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r"checked_on: [\d-]+, ", "")


@kind
def confidence_low(copy: Copy, rng: random.Random) -> Planted:
    """A known fact that may not permit."""
    name, path = one(rng, sources(copy))
    return copy.edit(name, path, r"confidence: \w+", "confidence: low")


# --- ids --------------------------------------------------------------------------------------------------------------


@kind
def developer_dangles(copy: Copy, rng: random.Random) -> Planted:
    """A developer with a typing error."""
    name, path, entry = one(rng, models(copy, "developer"))
    return copy.replace(name, path, "developer", f"{entry['developer']}x")


@kind
def licence_dangles(copy: Copy, rng: random.Random) -> Planted:
    """A licence that is not there."""
    name, path, entry = one(rng, models(copy, "licence"))
    return copy.replace(name, path, "licence", f"{entry['licence']}-9")


@kind
def base_dangles(copy: Copy, rng: random.Random) -> Planted:
    """An ancestor that is not there."""
    name, path, entry = one(
        rng, (each for each in models(copy, "derived_from") if isinstance(each[2]["derived_from"], list))
    )
    return copy.replace(name, path, "derived_from", f"[{', '.join([*entry['derived_from'], 'no-such-base'])}]")


@kind
def parent_dangles(copy: Copy, rng: random.Random) -> Planted:
    """A parent that is not there."""
    found = (each for each in copy.entries("organisations") if isinstance(each[2].get("parent"), str))
    name, path, entry = one(
        rng, (each for each in found if each[2]["parent"] not in {"none", "unknown", "undisclosed"})
    )
    return copy.replace(name, path, "parent", f"{entry['parent']}-holding")


@kind
def operator_dangles(copy: Copy, rng: random.Random) -> Planted:
    """An operator's file that names an organisation which is not there."""
    name, path, entry = one(rng, (each for each in copy.entries("operators") if each[2]["kind"] != "self_hosted"))
    return copy.replace(name, path, "operator", f"{entry['operator']}-gone")


@kind
def offer_dangles(copy: Copy, rng: random.Random) -> Planted:
    """An offer of a model that is not there."""
    name, path, _ = one(rng, copy.offers())
    planted = copy.edit(name, path, r"^( +)([^:]+):", r"\1\2-x:")
    return Planted((*planted.where, ("prices.json", None)), planted.shown)


@kind
def endpoint_dangles(copy: Copy, rng: random.Random) -> Planted:
    """An offer at an endpoint that its operator does not have."""
    name, path, _ = one(rng, (each for each in copy.offers() if "endpoints" in each[2]))
    return copy.edit(name, (*path, "endpoints"), r"endpoints: \[", "endpoints: [moon, ")


@kind
def listing_dangles(copy: Copy, rng: random.Random) -> Planted:
    """A price of an offer that nobody makes, in a file with the right hash."""
    text = (copy.folder / "prices.json").read_text(encoding="utf-8")
    offer = rng.choice(sorted(json.loads(text)["offers"]))
    changed = text.replace(f'"{offer}":', f'"{offer}-x":').encode()
    (copy.folder / "prices.json").write_bytes(changed)
    (copy.folder / "prices.sha256").write_text(
        f"{hashlib.sha256(changed).hexdigest()}  prices.json\n", encoding="utf-8"
    )
    number = text[: text.index(f'"{offer}":')].count("\n") + 1
    return Planted((("prices.json", range(number, number + 1)),), f"a price of {offer}-x")


@kind
def id_twice_in_a_file(copy: Copy, rng: random.Random) -> Planted:
    """An entry that is copied below itself."""
    name, path, _ = one(
        rng, (each for table in ("models", "organisations", "licences") for each in copy.entries(table))
    )
    lines = copy.texts[name].splitlines(keepends=True)
    span = copy.span(name, path)
    copy.write(name, "".join([*lines, "\n", *lines[span[0] - 1 : span[-1]]]))
    return Planted(((name, None),), f"{path} twice in {name}")


@kind
def id_in_two_files(copy: Copy, rng: random.Random) -> Planted:
    """An entry that is copied into another file."""
    name, path, _ = one(rng, copy.entries("models"))
    other = rng.choice([each for each in copy.texts if each.startswith("models/") and each != name])
    lines, span = copy.texts[name].splitlines(keepends=True), copy.span(name, path)
    copy.write(other, "".join([copy.texts[other], "\n", *lines[span[0] - 1 : span[-1]]]))
    return Planted(((name, span), (other, None)), f"{path} in {name} and {other}")


@kind
def id_badly_spelt(copy: Copy, rng: random.Random) -> Planted:
    """An id with a capital and a blank."""
    name, path, _ = one(rng, copy.entries("models"))
    return copy.edit(name, path, r"^([^:]+):", r'"The \1":')


# --- circles ----------------------------------------------------------------------------------------------------------


@kind
def lineage_in_a_circle(copy: Copy, rng: random.Random) -> Planted:
    """An ancestor that is made from its own descendant."""
    where = {path[0]: (name, path) for name, path, _ in copy.entries("models")}
    derived = [each for each in models(copy, "derived_from") if isinstance(each[2]["derived_from"], list)]
    _, path, entry = one(rng, iter(derived))
    base = rng.choice(entry["derived_from"])
    copy.replace(*where[base], "derived_from", f"[{path[0]}]")
    lines = tuple((name, None) for name in {where[str(path[0])][0], where[base][0]})
    return Planted(lines, f"{base} from {path[0]} from {base}")


@kind
def parents_in_a_circle(copy: Copy, rng: random.Random) -> Planted:
    """A parent that is owned by its own subsidiary."""
    entries = {path[0]: (name, path, entry) for name, path, entry in copy.entries("organisations")}
    owned = [key for key, (_, _, entry) in entries.items() if str(entry.get("parent")) in entries]
    child = rng.choice(sorted(map(str, owned)))
    parent = entries[child][2]["parent"]
    planted = copy.replace(*entries[parent][:2], "parent", child)
    return Planted((("organisations.yaml", None),), planted.shown)


# --- places -----------------------------------------------------------------------------------------------------------


@kind
def country_wrong(copy: Copy, rng: random.Random) -> Planted:
    """A country in a spelling that ISO 3166-1 does not have."""
    name, path, _ = one(
        rng, (each for each in copy.entries("organisations") if isinstance(each[2].get("country"), str))
    )
    return copy.replace(name, path, "country", rng.choice(["UK", "EL", "XX", "de", "USA", "QQ"]))


@kind
def member_wrong(copy: Copy, rng: random.Random) -> Planted:
    """A group with a member that is no country, or with one that is in another group."""
    name, path, _ = one(rng, copy.entries("groups"))
    planted = copy.edit(
        name, (*path, "members"), r"members: \[\w+", f"members: [{rng.choice(['UK', 'xx', 'QQ', 'JP'])}"
    )
    return Planted(((name, None),), planted.shown)


@kind
def place_wrong(copy: Copy, rng: random.Random) -> Planted:
    """An endpoint in a place that is neither a country nor a known group."""
    found = [
        (name, ("endpoints", endpoint, "processing"))
        for name, _, entry in copy.entries("operators")
        for endpoint, terms in (entry.get("endpoints") or {}).items()
        if isinstance((terms or {}).get("processing"), list)
    ]
    name, path = one(rng, iter(found))
    return copy.edit(
        name, path, r"processing: \[[^\]]+\]", f"processing: [{rng.choice(['EUU', 'UK', 'europe', 'G7'])}]"
    )


@kind
def legal_form_of_elsewhere(copy: Copy, rng: random.Random) -> Planted:
    """A country that contradicts the organisation's legal form."""
    form = re.compile(r"\bGmbH\b|\bPBC\b|\bPte\.? Ltd\b")
    found = [each for each in copy.entries("organisations") if form.search(each[2].get("name", ""))]
    name, path, _ = one(rng, (each for each in found if isinstance(each[2].get("country"), str)))
    return copy.replace(name, path, "country", rng.choice(["KP", "BR", "JP"]))


@kind
def european_endpoint_elsewhere(copy: Copy, rng: random.Random) -> Planted:
    """An endpoint that is called after a geography and computes in another."""
    found = [
        (name, ("endpoints", endpoint, "processing"))
        for name, _, entry in copy.entries("operators")
        for endpoint, terms in (entry.get("endpoints") or {}).items()
        if {"eu", "us"} & set(endpoint.split("-"))
        if "global" not in endpoint and isinstance((terms or {}).get("processing"), list)
    ]
    name, path = one(rng, iter(found))
    return copy.edit(name, path, r"processing: \[[^\]]+\]", f"processing: [{rng.choice(['CN', 'RU', 'JP'])}]")


# --- contradictions ---------------------------------------------------------------------------------------------------


@kind
def open_weights_called_closed(copy: Copy, rng: random.Random) -> Planted:
    """A model whose licence releases weights is called closed."""
    name, path, _ = one(rng, models(copy, "licence", openness="open_weights"))
    found = copy.replace(name, path, "openness", "closed")
    return Planted(((name, copy.span(name, path)), *((other, None) for other in _others(copy))), found.shown)


def _others(copy: Copy) -> list[str]:
    return [name for name in copy.texts if name.startswith("operators/self-")]


@kind
def closed_weights_called_open(copy: Copy, rng: random.Random) -> Planted:
    """A model whose licence releases nothing is called open."""
    name, path, _ = one(rng, models(copy, openness="closed", licence="proprietary-api"))
    return copy.replace(name, path, "openness", rng.choice(["open_weights", "open_source"]))


@kind
def approved_and_uncommercial(copy: Copy, rng: random.Random) -> Planted:
    """An open licence that permits no commercial use, or a licence that is not open and is called approved."""
    name, path, entry = one(rng, (each for each in copy.entries("licences") if each[2].get("osi_approved") is not None))
    changed = ("commercial_use", "false") if entry["osi_approved"] is True else ("osi_approved", "true")
    planted = copy.replace(name, path, *changed)
    return Planted(((name, copy.span(name, path)),), planted.shown)


@kind
def uncommercial_called_commercial(copy: Copy, rng: random.Random) -> Planted:
    """A licence whose name says that it is not for commerce."""
    found = (each for each in copy.entries("licences") if re.search(r"-(nc|research)", str(each[1][0])))
    name, path, _ = one(rng, found)
    return copy.replace(name, path, "commercial_use", "true")


@kind
def licence_of_another_family(copy: Copy, rng: random.Random) -> Planted:
    """A model under the licence of a family that it has nothing to do with."""
    fits = (each for each in models(copy, "licence", openness="open_weights") if "derived_from" not in each[2])
    name, path, _ = one(rng, (each for each in fits if each[2]["developer"] not in {"meta", "lg"}))
    return copy.replace(name, path, "licence", rng.choice(["llama-3.3", "llama-4", "exaone-nc"]))


@kind
def licence_of_another_version(copy: Copy, rng: random.Random) -> Planted:
    """A Llama under the licence of another Llama."""
    name, path, _ = one(rng, (each for each in models(copy, "licence") if re.match(r"llama-3\.[13]-", str(each[1][0]))))
    version = "llama-3.1" if str(path[0]).startswith("llama-3.3") else "llama-3.3"
    return copy.replace(name, path, "licence", version)


@kind
def claim_that_is_lineage(copy: Copy, rng: random.Random) -> Planted:
    """An ancestor that is also only alleged."""
    derived = (each for each in models(copy, "derived_from") if isinstance(each[2]["derived_from"], list))
    name, path, entry = one(rng, (each for each in derived if "lineage_claim" not in each[2]))
    return copy.replace(name, path, "lineage_claim", f"[{entry['derived_from'][0]}]")


@kind
def retired_before_release(copy: Copy, rng: random.Random) -> Planted:
    """A dated model that retires before its day."""
    dated = re.compile(r"20\d\d-?[01]\d-?[0-3]\d")
    found = [each for each in copy.offers() if dated.search(f"{each[2].get('name', '')} {each[1][1]}")]
    found += [each for each in copy.entries("models") if dated.search(str(each[1][0]))]
    name, path, _ = one(rng, iter(found))
    return copy.replace(name, path, "retires_on", "2019-05-01")


@kind
def uplift_out_of_reach(copy: Copy, rng: random.Random) -> Planted:
    """A place that multiplies the price by eleven."""
    found = [
        (name, ("endpoints", endpoint))
        for name, _, entry in copy.entries("operators")
        for endpoint, terms in (entry.get("endpoints") or {}).items()
        if "price_uplift" in (terms or {})
    ]
    name, path = one(rng, iter(found))
    return copy.replace(name, path, "price_uplift", f'"{rng.choice(["11", "0.11", "110"])}"')


@kind
def price_in_another_unit(copy: Copy, rng: random.Random) -> Planted:
    """An amount for a thousand tokens where one for a million belongs."""
    found = (each for each in copy.offers() if isinstance(each[2].get("price"), dict))
    name, path, entry = one(rng, (each for each in found if "output_usd_per_mtok" in each[2]["price"]))
    amount = entry["price"]["output_usd_per_mtok"]
    wrong = f"{Decimal(amount) * 1000:f}"
    pattern = rf'output_usd_per_mtok: "{re.escape(amount)}"'
    return copy.edit(name, (*path, "price"), pattern, f'output_usd_per_mtok: "{wrong}"')


@kind
def cache_dearer_than_input(copy: Copy, rng: random.Random) -> Planted:
    """Cached input that costs more than fresh."""
    found = (each for each in copy.offers() if isinstance(each[2].get("price"), dict))
    name, path, _ = one(rng, (each for each in found if "cached_input_usd_per_mtok" in each[2]["price"]))
    return copy.edit(
        name, (*path, "price"), r' cached_input_usd_per_mtok: "[^"]+"', ' cached_input_usd_per_mtok: "999"'
    )


@kind
def one_name_for_two(copy: Copy, rng: random.Random) -> Planted:
    """Two models that an operator calls by one name."""
    pairs = [
        (name, first, second)
        for name, _, entry in copy.entries("operators")
        for first, one_offer in (entry.get("models") or {}).items()
        for second, other in entry["models"].items()
        if first < second and all((each or {}).get("name") for each in (one_offer, other))
        if one_offer.get("endpoints") == other.get("endpoints")
    ]
    name, first, second = one(rng, iter(pairs))
    value: Any = copy.documents[name].value
    planted = copy.replace(name, ("models", second), "name", f'"{value["models"][first]["name"]}"')
    both = tuple((name, copy.span(name, ("models", each))) for each in (first, second))
    return Planted(both, planted.shown)


@kind
def window_with_a_digit_more(copy: Copy, rng: random.Random) -> Planted:
    """An offer of ten times the window and more."""
    name, path, entry = one(rng, (each for each in copy.offers() if isinstance(each[2].get("context_tokens"), int)))
    return copy.replace(name, path, "context_tokens", f"{entry['context_tokens']}0000")


@kind
def kept_and_not_stored(copy: Copy, rng: random.Random) -> Planted:
    """What is stored nowhere is kept for a month."""
    found = (each for each in copy.entries("operators") if (each[2].get("terms") or {}).get("storage") == "none")
    name, _, _ = one(rng, found)
    planted = copy.replace(name, ("terms",), "retention_days", "30")
    return Planted(((name, None),), planted.shown)


# --- shape and what is generated --------------------------------------------------------------------------------------


@kind
def key_misspelt(copy: Copy, rng: random.Random) -> Planted:
    """A key with a letter too many."""
    name, path, entry = one(
        rng, (each for table in ("models", "licences", "organisations") for each in copy.entries(table))
    )
    key = rng.choice(sorted(set(entry) - {"source", "name"}))
    planted = copy.edit(name, (*path, key), rf"\b{key}:", f"{key}s:")
    return Planted(((name, copy.span(name, path)),), planted.shown)


@kind
def value_of_another_kind(copy: Copy, rng: random.Random) -> Planted:
    """Words where a number belongs, a word that is none of those known."""
    key, new = rng.choice(
        [("context_tokens", "many"), ("openness", "free"), ("pinned", '"yes"'), ("capabilities", "[fly]")]
    )
    name, path, _ = one(rng, models(copy, key))
    return copy.replace(name, path, key, new)


@kind
def not_yaml(copy: Copy, rng: random.Random) -> Planted:
    """A bracket that is not closed."""
    name = rng.choice(sorted(copy.texts))
    copy.write(name, copy.texts[name] + "\nbroken: [a, b\n")
    return Planted(((name, None),), f"{name} with an open bracket")


@kind
def prices_touched(copy: Copy, rng: random.Random) -> Planted:
    """A price that was edited by hand."""
    file = copy.folder / "prices.json"
    text = file.read_text(encoding="utf-8")
    place = rng.choice([found.start() for found in re.finditer(r'"input":"', text)])
    file.write_text(f'{text[:place]}"input":"0{text[place + 9 :]}', encoding="utf-8")
    return Planted((("prices.json", None),), f"prices.json at {place}")


@kind
def compiled_of_yesterday(copy: Copy, rng: random.Random) -> Planted:
    """A comment more, and nobody compiled."""
    name = rng.choice(sorted(copy.texts))
    copy.write(name, copy.texts[name] + "# one more\n")
    return Planted(((COMPILED, None),), f"{name} changed after compiling", is_compiled=False)
