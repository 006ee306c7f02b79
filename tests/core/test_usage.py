"""What an attempt used: reports that cannot be true, and the way into a book and back."""

from __future__ import annotations

import pytest
from hypothesis import given

from modelrouter.core.usage import COUNT_MAX, Usage
from tests.price_lists import usages
from tests.strategies import everyday


@pytest.mark.parametrize(
    ("usage", "word"),
    [
        (Usage(5, 5, cache_write_1h_tokens=-1), "negative"),
        (Usage(5, 5, image_output_tokens=-1), "negative"),
        (Usage(5, 5, uses=(("web_search", -1),)), "negative"),
        (Usage(5, 5, reported_nano_usd=-1), "negative"),
        (Usage(COUNT_MAX + 1, 5), "larger"),
        (Usage(5, 5, uses=(("web_search", COUNT_MAX + 1),)), "larger"),
        (Usage(5, 5, reported_nano_usd=COUNT_MAX + 1), "larger"),
        (Usage(5, 5, 2, 0, 2, 2), "more cached than input"),
        (Usage(5, 5, audio_input_tokens=3, image_input_tokens=3), "more audio and image than input"),
        (Usage(5, 5, 3, audio_input_tokens=3), "more audio and image than input"),
        (Usage(5, 5, 3, audio_input_tokens=2, cached_audio_tokens=3), "more cached audio"),
        (Usage(5, 5, 1, audio_input_tokens=3, cached_audio_tokens=2), "more cached audio"),
        (Usage(5, 5, 1, image_input_tokens=1, cached_image_tokens=2), "more cached audio or image"),
        (
            Usage(5, 5, 3, audio_input_tokens=2, cached_audio_tokens=2, image_input_tokens=2, cached_image_tokens=2),
            "more cached audio or image",
        ),
        (Usage(5, 5, 0, 3, audio_output_tokens=3), "more audio and image than output"),
        (Usage(5, 5, image_output_tokens=6), "more audio and image than output"),
    ],
)
def test_a_report_that_cannot_be_true_says_why(usage: Usage, word: str) -> None:
    """Negative, absurdly large, or a part larger than what holds it."""
    assert usage.fault is not None
    assert word in usage.fault


@pytest.mark.parametrize(
    "usage",
    [
        Usage(COUNT_MAX, COUNT_MAX),
        Usage(5, 5, 3, audio_input_tokens=3, cached_audio_tokens=1),
        Usage(5, 5, 5, audio_input_tokens=5, cached_audio_tokens=5),
        Usage(6, 6, 1, 2, 1, 1, 1, 0, 2, 2, 2, (("web_search", COUNT_MAX),), COUNT_MAX),
    ],
)
def test_a_report_at_its_limits_is_believed(usage: Usage) -> None:
    """Every class at once, up to the whole."""
    assert usage.fault is None


@everyday(200)
@given(usages(10**6, 10**6))
def test_disjoint_classes_add_up_to_the_whole(usage: Usage) -> None:
    """No token is lost and none is counted twice."""
    assert usage.fault is None
    assert min(usage.disjoint) >= 0
    assert (sum(usage.disjoint[:8]), sum(usage.disjoint[8:])) == (usage.input_tokens, usage.output_tokens)


@everyday(200)
@given(usages(10**6, 10**6))
def test_a_usage_comes_back_from_its_columns(usage: Usage) -> None:
    """Five counts have columns, all others are in one text, which is absent where they are zero."""
    again = Usage.from_columns(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        units=usage.units_text(),
        reported_nano_usd=usage.reported_nano_usd,
    )
    assert again == usage


def test_the_text_of_units_is_short_and_in_order() -> None:
    """Only what was counted, by field name."""
    assert Usage(5, 5, 1, 1, 1).units_text() is None
    usage = Usage(9, 5, cache_write_1h_tokens=2, audio_input_tokens=3, uses=(("web_search", 2),))
    assert usage.units_text() == '{"audio_input_tokens":3,"cache_write_1h_tokens":2,"uses":{"web_search":2}}'


@pytest.mark.parametrize("units", ["[]", "7", '{"uses":[]}', '{"unknown":1}', '{"audio_input_tokens":1.5}', "{"])
def test_a_text_that_counts_nothing_is_refused(units: str) -> None:
    """A damaged book is not read as a cheap one."""
    with pytest.raises(ValueError, match=r"."):
        Usage.from_columns(input_tokens=1, output_tokens=1, units=units)
