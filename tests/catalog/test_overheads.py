"""Overheads: what a template and a tokenizer add, as it is written, with words, factors and formulas checked."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.catalog.overheads import OVERHEAD_KEYS, overhead_from
from modelrouter.catalog.reading import Place, Reading
from modelrouter.catalog.schema import ImageTokensEntry, OverheadEntry
from modelrouter.core.bounds import BoundBasis, Escapes, ImageTokens, Normaliser, Overhead
from modelrouter.core.facts import Ownership
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from modelrouter.catalog import Catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The shipped one."""
    return load_catalog()


def read(entry: object, base: Overhead | None = None) -> Overhead:
    """An overhead from what stands in a file."""
    return overhead_from(entry, Reading({}, Ownership.SHIPPED, Place("x.yaml")), base)


def test_nothing_written_is_the_default() -> None:
    """The defaults are upper bounds for templates in the field."""
    assert read({}) == Overhead()


def test_every_figure_can_be_written() -> None:
    """Counts, words, a flag, a formula: each reaches its field, and what is not written keeps the base's value."""
    counts = {
        field.name: place
        for place, field in enumerate(fields(Overhead), start=2)
        if field.name not in {"json_escapes", "normaliser", "hard_window", "image"}
    }
    image = {"most_tokens": 9, "patch_px": 28, "tokens_per_patch": "1.62", "base_tokens": 3, "low_tokens": 4}
    found = read({**counts, "json_escapes": "html", "normaliser": "nfkc", "hard_window": True, "image": image})
    assert {name: getattr(found, name) for name in counts} == counts
    assert (found.json_escapes, found.normaliser, found.hard_window) == (Escapes.HTML, Normaliser.NFKC, True)
    assert found.image == ImageTokens(9, 28, Decimal("1.62"), 3, low_tokens=4)
    other = read({"per_message_tokens": 1}, found)
    assert (other.per_message_tokens, other.image, other.json_escapes) == (1, found.image, Escapes.HTML)
    assert read({"image": None, "audio_tokens_per_s": None}, found).image is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"per_mesage_tokens": 1}, "did you mean `per_message_tokens`"),
        ({"tool_bytes_factor": 4}, "unknown key `tool_bytes_factor`"),
        ({"per_message_tokens": -1}, "whole number of zero or more"),
        ({"per_message_tokens": True}, "whole number of zero or more"),
        ({"json_prints": 0}, "this is a factor: write 1"),
        ({"tokens_per_byte": 0}, "this is a factor: write 1"),
        ({"json_escapes": "xml"}, "write one of json, html, ascii"),
        ({"normaliser": "NFKC"}, "write one of none, nfc, nfkc"),
        ({"hard_window": 1}, "`true` or `false`"),
        ({"image": {}}, "add `most_tokens:`"),
        ({"image": {"most_tokens": 1, "patch_px": 0}}, "one pixel or more"),
        ({"image": {"most_tokens": 1, "tokens_per_patch": 1.62}}, "never a float"),
        ({"image": {"most_tokens": 1, "tile_px": 512}}, "unknown key `tile_px`"),
        (7, "must be a mapping"),
    ],
)
def test_a_wrong_figure_says_what_to_write(entry: object, said: str) -> None:
    """The sentence names the key's fault and its remedy."""
    with pytest.raises(CatalogError) as caught:
        read(entry)
    assert said in str(caught.value)


def test_the_schema_knows_the_same_keys() -> None:
    """What editors complete is what is read."""
    assert set(OverheadEntry.model_fields) == OVERHEAD_KEYS
    assert set(ImageTokensEntry.model_fields) == {field.name for field in fields(ImageTokens)}


def test_an_offer_adds_to_its_operators_overhead(catalog: Catalog) -> None:
    """An image formula stands at the model, the rest is the operator's."""
    openai = catalog.template("openai")
    mini = openai.offer("gpt-5-mini").overhead
    assert mini is not None
    assert mini.per_request_tokens == openai.overhead.per_request_tokens
    assert mini.image is not None
    assert openai.overhead.image is None


def test_only_one_shipped_bound_claims_a_proof(catalog: Catalog) -> None:
    """The template of SmolLM2 was read and is tested on the real server; every other bound is documented."""
    proved = {
        (template.id, name)
        for template in catalog.templates.values()
        for name, offer in template.models.items()
        if offer.bound_basis.value is BoundBasis.PROVED
    }
    assert proved == {("self-llamacpp", "smollm2-135m-instruct")}


def test_where_the_limit_does_not_hold_the_thinking_it_is_bounded(catalog: Catalog) -> None:
    """Model Studio's `max_tokens` limits the answer alone; its thinking has a maximum of its own."""
    studio = catalog.template("alibaba-intl")
    assert studio.overhead.beyond_limit_tokens > 0
    small = studio.offer("qwen3-32b").overhead
    assert small is not None
    assert small.beyond_limit_tokens == 38_912
