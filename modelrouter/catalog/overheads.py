"""Reads what a template and a tokenizer add to a request, as an operator's file or a deployment states it."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.reading import Reading
from modelrouter.core.bounds import BoundBasis, Escapes, ImageTokens, Normaliser, Overhead

if TYPE_CHECKING:
    from modelrouter.catalog.reading import Place

__all__ = ["IMAGE_KEYS", "OVERHEAD_KEYS", "basis_from", "overhead_from"]

OVERHEAD_KEYS: Final = frozenset(field.name for field in fields(Overhead))
IMAGE_KEYS: Final = frozenset(field.name for field in fields(ImageTokens))
FACTORS: Final = frozenset({"json_prints", "tokens_per_byte"})
"""Counts that make no sense below one."""
WORDS: Final = {"json_escapes": Escapes, "normaliser": Normaliser}


def overhead_from(value: object, outer: Reading, base: Overhead | None = None) -> Overhead:
    """An overhead: what is written, laid over a base.

    Args:
        value: the mapping under `overhead:`.
        outer: the entry that holds it.
        base: what holds where nothing is written; None takes the defaults of `Overhead`.

    Raises:
        CatalogError: an unknown key, or a value of the wrong kind.
    """
    reading = Reading(value, outer.ownership, outer.place.at("overhead"))
    reading.only(OVERHEAD_KEYS)
    found = {key: _value(key, item, reading) for key, item in reading.entry.items()}
    return replace(Overhead() if base is None else base, **found)


def _value(key: str, item: object, reading: Reading) -> Any:  # noqa: ANN401 - each key has a type of its own
    place = reading.place.at(key)
    if key in WORDS:
        words = {each.name.lower(): each for each in WORDS[key]}
        return words[reading.word(key, tuple(words), "")]
    if key == "hard_window":
        return Reading.boolean(item, place)
    if key == "image":
        return None if item is None else _image(Reading(item, reading.ownership, place))
    if key == "audio_tokens_per_s" and item is None:
        return None
    count = Reading.count(item, place)
    if key in FACTORS and count < 1:
        place.fail("this is a factor: write 1 where it changes nothing")
    return count


def _image(reading: Reading) -> ImageTokens:
    reading.only(IMAGE_KEYS)
    entry, place = reading.entry, reading.place
    if "most_tokens" not in entry:
        place.fail("say how many tokens an image takes at most: add `most_tokens:`")
    counts: dict[str, Any] = {
        key: Reading.count(value, place.at(key)) for key, value in entry.items() if key != "tokens_per_patch"
    }
    if counts.get("patch_px") == 0:
        place.at("patch_px").fail("a patch has a side of one pixel or more")
    amount = reading.amount("tokens_per_patch")
    return ImageTokens(**counts, tokens_per_patch=Decimal(1) if amount is None else amount)


def basis_from(value: object, place: Place) -> BoundBasis:
    """A basis of a bound by its word.

    Raises:
        CatalogError: no such word.
    """
    words = {basis.name.lower(): basis for basis in BoundBasis}
    if not isinstance(value, str) or value not in words:
        place.fail(f"`{value}` is no basis of a bound: write `proved`, `documented` or `window`")
    return words[value]
