"""The known parameters, held against the openai package's own list, and what a wrong name is told."""

from __future__ import annotations

import typing

import pytest
from openai.types.chat import completion_create_params

from modelrouter.transports.parameters import EXTENSIONS, LIMITS, OWN, PARAMETERS
from modelrouter.transports.wire import check_parameters


def test_list_is_that_of_the_openai_package() -> None:
    """No parameter of the API is missing here and none is made up."""
    known = set(typing.get_type_hints(completion_create_params.CompletionCreateParamsStreaming))
    assert known == PARAMETERS | set(OWN)


def test_lists_do_not_overlap() -> None:
    """A name is either ours to write, OpenAI's or an extension."""
    assert not PARAMETERS & set(OWN)
    assert not PARAMETERS & EXTENSIONS
    assert LIMITS <= PARAMETERS


@pytest.mark.parametrize("names", [[], ["temperature"], ["top_k", "tools"], sorted(PARAMETERS), sorted(EXTENSIONS)])
def test_known_names_pass(names: list[str]) -> None:
    """Every listed name is fine."""
    assert check_parameters(names) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("temprature", "`temperature`"),
        ("max_token", "`max_tokens`"),
        ("responce_format", "`response_format`"),
        ("zzzz", "declare"),
        ("model", "route"),
        ("stream", "streaming method"),
        ("messages", "prompt"),
        ("stream_options", "usage"),
    ],
)
def test_wrong_name_is_told_the_right_one(name: str, says: str) -> None:
    """A typing error gets the nearest right name; a member of ours is told what to do instead."""
    sentence = check_parameters(["seed", name])
    assert sentence is not None
    assert f"`{name}`" in sentence
    assert says in sentence


def test_declared_name_passes() -> None:
    """What a candidate's `supported_parameters` declares is known."""
    assert check_parameters(["mirostat"], declared=["mirostat"]) is None
    assert check_parameters(["mirostat"]) is not None
