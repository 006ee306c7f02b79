"""The maintainer's command that proposes facts: `python -m modelrouter.catalog.refresh_facts`.

It reads the installed packages `litellm` (its map, as data), `genai-prices` and `model-prices`, compares what they say
with the shipped files, and prints a diff to review, each line with its source: context windows, last days,
capabilities, and ids that nobody has mapped yet. It never writes a file: a source can be wrong, and a window may be
stated shorter here on purpose, because longer prompts cost more. What belongs to what is `price_mapping.yaml`, reviewed
by a person. No network is used. It ends with 1 where it proposes something, else with 0.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.compiled import files_of
from modelrouter.catalog.fact_sources import fact_sources
from modelrouter.catalog.loader import read_catalog
from modelrouter.catalog.price_sources import installed_sources
from modelrouter.catalog.refresh_prices import mapped_offers, read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.compiled import CatalogFile
    from modelrouter.catalog.fact_sources import FactSource, Said
    from modelrouter.catalog.refresh_prices import Mapped
    from modelrouter.core.facts import Fact

__all__ = ["Proposal", "main", "proposals", "unmapped"]

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Proposal:
    """One line that could change.

    Attributes:
        offer: `operator/model`.
        key: the fact.
        held: what the catalog has, as it would be written; empty where it is unknown.
        proposed: what the source has.
        source: package, version, id and, where it names one, the page that it read.
    """

    offer: str
    key: str
    held: str
    proposed: str
    source: str

    @property
    def path(self) -> tuple[str, ...]:
        """Where it stands in the operator's file."""
        return ("models", self.offer.partition("/")[2].partition("@")[0], self.key)


def proposals(mapping: Mapping[str, Any], catalog: Catalog, sources: Sequence[FactSource]) -> Iterator[Proposal]:
    """Where a source says something else of a mapped offer, or something where the catalog knows nothing.

    Args:
        mapping: which entry of which source speaks of which offer.

    Raises:
        ValueError: the mapping does not fit the catalog.
    """
    for mapped in _mapped(mapping, catalog):
        operator, _, rest = mapped.offer.partition("/")
        model = rest.partition("@")[0]  # an endpoint with a list of its own
        offer, known = catalog.templates[operator].models[model], catalog.models[model]
        for source in sources:
            ref = mapped.refs.get(source.name)
            said = None if ref is None else source.said(ref)
            if ref is None or said is None:
                continue
            named = f"{source.name} {source.version} {ref}" + (f", which read {said.url}" if said.url else "")
            for key, held, proposed in _differences(
                said,
                window=_first(offer.context_tokens, known.context_tokens),
                end=_first(offer.retires_on, known.retires_on),
                able=_first(offer.capabilities, known.capabilities),
            ):
                yield Proposal(mapped.offer, key, held, proposed, named)


def _mapped(mapping: Mapping[str, Any], catalog: Catalog) -> list[Mapped]:
    offered = {name: list(template.models) for name, template in catalog.templates.items()}
    return mapped_offers(dict(mapping), offered)


def _first(own: Fact[Any], otherwise: Fact[Any]) -> Any:  # noqa: ANN401 - the value of any fact
    """What an offer states, else what its model does."""
    return otherwise.value if own.value is None else own.value


def _differences(
    said: Said, *, window: int | None, end: object, able: frozenset[str] | None
) -> Iterator[tuple[str, str, str]]:
    if said.context_tokens is not None and said.context_tokens != window:
        yield "context_tokens", "" if window is None else str(window), str(said.context_tokens)
    if said.retires_on is not None and said.retires_on != end:
        yield "retires_on", "" if end is None else str(end), said.retires_on.isoformat()
    more = said.capabilities - (able or frozenset())
    if more:
        held = "" if able is None else _listed(able)
        yield "capabilities", held, _listed((able or frozenset()) | more)


def _listed(words: Iterable[str]) -> str:
    return f"[{', '.join(sorted(words))}]"


def unmapped(
    mapping: Mapping[str, Any], catalog: Catalog, sources: Sequence[FactSource]
) -> Iterator[tuple[str, str, str]]:
    """Ids that a source has on the shelves of an operator's mapped ones, as operator, id and source."""
    refs: dict[tuple[str, str], set[str]] = {}
    for mapped in _mapped(mapping, catalog):
        for name, ref in mapped.refs.items():
            refs.setdefault((mapped.offer.partition("/")[0], name), set()).add(ref)
    taken = {name: {ref for (_, source), each in refs.items() if source == name for ref in each} for _, name in refs}
    for source in sources:
        for (operator, name), mine in sorted(refs.items()):
            if name == source.name:
                shelves = {source.shelf(ref) for ref in mine} - {""}
                for ref in sorted(source.ids()):
                    if ref not in taken[name] and source.shelf(ref) in shelves:
                        yield operator, ref, f"{source.name} {source.version}"


# --- the command ------------------------------------------------------------------------------------------------------


def _shown(found: Iterable[Proposal], files: Mapping[str, CatalogFile]) -> Iterator[str]:
    """Proposals as a diff, each with its place and its source."""
    for each in found:
        name = f"operators/{each.offer.partition('/')[0]}.yaml"
        line = files[name].line(each.path) if name in files else None
        yield f"@@ {name}:{line} {each.offer} @@"
        if each.held:
            yield f"-    {each.key}: {each.held}"
        yield f"+    {each.key}: {each.proposed}  # {each.source}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the proposals; 0 there are none, 1 there are some, 2 the mapping does not fit the catalog."""
    parser = argparse.ArgumentParser(prog="python -m modelrouter.catalog.refresh_facts", description=__doc__)
    parser.add_argument("--new-ids", action="store_true", help="list ids that nobody has mapped, too")
    given = parser.parse_args(arguments)
    catalog, mapping = read_catalog(HERE), read_mapping()
    sources = fact_sources(installed_sources())
    try:
        found = list(proposals(mapping, catalog, sources))
        new = list(unmapped(mapping, catalog, sources))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    lines = [*_shown(found, files_of(HERE))]
    if given.new_ids:
        lines += [f"+ {operator}: {ref}  # {source}" for operator, ref, source in new]
    read = ", ".join(f"{each.name} {each.version}" for each in sources)
    lines.append(f"{len(found)} proposals and {len(new)} ids that are not mapped, from {read}; nothing was written")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found or new else 0


if __name__ == "__main__":
    sys.exit(main())
