"""The refresh of facts proposes, with its sources, and never writes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter.catalog.fact_sources import LitellmFacts, Said, fact_sources
from modelrouter.catalog.price_sources import installed_sources
from modelrouter.catalog.refresh_facts import main, proposals, unmapped
from modelrouter.catalog.refresh_prices import read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog import Catalog

SHIPPED: Final = Path(str(files("modelrouter.catalog")))


@dataclass
class Told:
    """A source that says what a test wants."""

    facts: dict[str, Said]
    name: str = "litellm"
    version: str = "9.9"
    more: list[str] = field(default_factory=list)

    def said(self, ref: str) -> Said | None:
        """What a test wants."""
        return self.facts.get(ref)

    def shelf(self, ref: str) -> str:
        """All stand on one."""
        return ref.partition("/")[0]

    def ids(self) -> Iterator[str]:
        """Those with facts, and some more."""
        yield from [*self.facts, *self.more]


@pytest.fixture(scope="module")
def mapping() -> dict[str, Any]:
    """The reviewed mapping."""
    return read_mapping()


def test_what_differs_is_proposed_with_its_source(catalog: Catalog, mapping: dict[str, Any]) -> None:
    """A longer window, another last day, one ability more: three lines, each with package, version, id and page."""
    held = catalog.templates["azure"].models["gpt-5.6-sol"]
    able = held.capabilities.value or frozenset()
    said = Said(1_000_000, date(2029, 1, 1), able | {"audio_input"}, "https://example.com/prices")
    found = {each.key: each for each in proposals(mapping, catalog, [Told({"azure/gpt-5.6-sol": said})])}
    assert set(found) == {"context_tokens", "retires_on", "capabilities"}
    assert {each.offer for each in found.values()} == {"azure/gpt-5.6-sol"}
    assert (found["context_tokens"].held, found["context_tokens"].proposed) == ("272000", "1000000")
    assert (found["retires_on"].held, found["retires_on"].proposed) == ("2028-01-11", "2029-01-01")
    assert "audio_input" in found["capabilities"].proposed
    assert "audio_input" not in found["capabilities"].held
    assert {each.source for each in found.values()} == {
        "litellm 9.9 azure/gpt-5.6-sol, which read https://example.com/prices"
    }


def test_what_is_the_same_or_not_said_is_not_proposed(catalog: Catalog, mapping: dict[str, Any]) -> None:
    """Silence is no statement: a source without a window, a day or a flag takes nothing away."""
    offer = catalog.templates["azure"].models["gpt-5.6-sol"]
    same = Said(offer.context_tokens.value, offer.retires_on.value, offer.capabilities.value or frozenset())
    assert list(proposals(mapping, catalog, [Told({"azure/gpt-5.6-sol": same})])) == []
    assert list(proposals(mapping, catalog, [Told({"azure/gpt-5.6-sol": Said()})])) == []


def test_nothing_is_matched_by_its_name(catalog: Catalog, mapping: dict[str, Any]) -> None:
    """An id that no person has mapped is listed as new, whatever it is called, and changes no fact."""
    told = Told({"azure/gpt-5.6-sol-next": Said(7), "azure/gpt-5.6-sol": Said()}, more=["elsewhere/gpt-5.6-sol"])
    assert list(proposals(mapping, catalog, [told])) == []
    assert list(unmapped(mapping, catalog, [told])) == [("azure", "azure/gpt-5.6-sol-next", "litellm 9.9")]
    known = list(unmapped(mapping, catalog, fact_sources(installed_sources())))
    assert known
    mapped = {
        ref
        for each in mapping["operators"].values()
        for model in each.get("models", {}).values()
        for ref in model.items()
        if isinstance(ref[1], str)
    }
    assert not {(source.partition(" ")[0], ref) for _, ref, source in known} & mapped


def test_words_of_the_map_become_ours() -> None:
    """Flags that are true are capabilities; a flag that is false, or words where a day belongs, say nothing."""
    entry = {
        "supports_function_calling": True,
        "supports_vision": False,
        "supports_pdf_input": True,
        "deprecation_date": "some day",
        "max_input_tokens": 128000,
        "mode": "chat",
        "litellm_provider": "azure",
        "source": "https://example.com",
    }
    source = LitellmFacts({"a": entry, "b": {**entry, "mode": "embedding"}, "c": 1}, "1")
    assert source.said("a") == Said(128000, None, frozenset({"tools", "files"}), "https://example.com")
    assert source.said("c") is None
    assert source.said("d") is None
    assert list(source.ids()) == ["a"]
    assert source.shelf("a") == "azure"


def test_the_command_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It reads what is installed, prints a diff whose every line has a source, and leaves each file as it was."""

    def state() -> dict[str, str]:
        return {
            str(each): hashlib.sha256(each.read_bytes()).hexdigest()
            for each in SHIPPED.rglob("*.*")
            if each.is_file() and "__pycache__" not in str(each)
        }

    before = state()
    assert main(["--new-ids"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert state() == before
    added = [line for line in lines if line.startswith("+")]
    assert added
    assert all("  # " in line for line in added)
    assert any(line.startswith("@@ operators/") for line in lines)
    assert lines[-1].endswith("nothing was written")
