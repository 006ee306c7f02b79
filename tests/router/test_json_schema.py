"""Answers against schemas: what the library says, in bounded time and depth, without a word of the answer."""

from __future__ import annotations

import importlib
import random
import time
from typing import Any

import pytest

from modelrouter.router import json_schema
from modelrouter.router.json_schema import CHECK_S, broken_keyword, fault_of

SEED = 20261129


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("schema", "value", "keyword"),
    [
        ({"type": "string", "pattern": "^a+$"}, "aaa", None),
        ({"type": "string", "pattern": "^a+$"}, "ab", "pattern"),
        ({"uniqueItems": True}, [1, 1.0], "uniqueItems"),
        ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}], None),
        ({"uniqueItems": True}, [{"a": [1, 2]}, {"a": [1, 2.0]}], "uniqueItems"),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"xa": 1, "b": "t"}, None),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"xa": "1"}, "type"),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"xa": 1}, None),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"b": 1}, "additionalProperties"),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "null"}}, {"a": 1, "b": 2}, "type"),
        ({"$defs": {"n": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, {"a": 1}, "type"),
        (True, {"a": 1}, None),
        ({"const": False}, 0, "const"),
        ({"maximum": 10**30}, 10**31, "maximum"),
        ({"properties": {"\ud800": {"type": "null"}}}, {"a": 1}, None),
    ],
)
def test_keywords(schema: Any, value: Any, keyword: str | None) -> None:
    """The first keyword that is broken is named; ours keep the meaning that JSON Schema gives them."""
    assert fault_of(schema) is None
    assert broken_keyword(schema, value) == keyword


def test_ours_agree_with_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """On drawn schemas and values, the keywords that were made anew say what the library's own say."""
    monkeypatch.setattr(json_schema, "CHECK_S", 60.0)
    validator: Any = importlib.import_module("jsonschema").Draft202012Validator
    drawn = random.Random(SEED)

    def scalar() -> Any:
        return drawn.choice([0, 1, 1.0, True, False, None, "a", "xa", "b1", ""])

    broken = 0
    for _ in range(2_000):
        schema: dict[str, Any] = {}
        if drawn.random() < 0.5:
            schema["properties"] = {drawn.choice("abx"): drawn.choice([{}, {"type": "integer"}, False])}
        if drawn.random() < 0.5:
            schema["patternProperties"] = {drawn.choice(["^x", "1$", "a"]): drawn.choice([{}, {"type": "string"}])}
        if drawn.random() < 0.7:
            schema["additionalProperties"] = drawn.choice([True, False, {"type": "integer"}])
        if drawn.random() < 0.5:
            schema["uniqueItems"] = True
        value: Any = (
            {drawn.choice(["a", "b", "x", "xa", "b1"]): scalar() for _ in range(drawn.randrange(4))}
            if drawn.random() < 0.6
            else [drawn.choice([scalar(), [scalar()], {"k": scalar()}]) for _ in range(drawn.randrange(4))]
        )
        expected = validator(schema).is_valid(value)
        assert (broken_keyword(schema, value) is None) == expected, (SEED, schema, value)
        broken += not expected
    assert 200 < broken < 1_800


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a|a)*$"}, "a" * 60 + "!"),
        ({"patternProperties": {"^(a|a)*$": {}}}, {"a" * 60 + "!": 1}),
        ({"items": {"anyOf": [{"type": "object", "required": [str(n)]} for n in range(400)]}}, [{"399": 1}] * 20_000),
    ],
)
def test_no_answer_is_checked_for_ever(schema: Any, value: Any) -> None:
    """Patterns that explode and answers that are endless end in time, and count as not met."""
    assert fault_of(schema) is None
    began_s = time.thread_time()
    assert (broken_keyword(schema, value) or "").startswith("time")
    assert time.thread_time() - began_s < CHECK_S + 2


def test_many_items_are_compared_quickly() -> None:
    """A list of objects is unique or not in one pass, where comparing each with each would take hours."""
    assert broken_keyword({"uniqueItems": True}, [{"n": n} for n in range(100_000)]) is None


@pytest.mark.parametrize("schema", [{}, {"items": {"$ref": "#"}}])
def test_depth_is_bounded(schema: Any) -> None:
    """What is nested deeper than is looked at does not count as meeting anything, and no stack overflows."""
    assert broken_keyword(schema, nested(90)) is None
    assert (broken_keyword(schema, nested(50_000)) or "").startswith("depth")


def test_a_schema_that_goes_in_circles_ends() -> None:
    """A reference to itself that takes nothing of the value with it is told, not followed for ever."""
    schema: Any = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    assert (broken_keyword(schema, 1) or "").startswith(("depth", "time"))


def test_a_number_too_large_to_compute_with_is_not_met() -> None:
    """What cannot be checked does not meet the schema, and no error of arithmetic gets out."""
    assert broken_keyword({"multipleOf": 10**400}, 1.5) == "number: it is too large to be computed with"


def test_patterns_beside_leftovers_are_refused() -> None:
    """The one pair of keywords whose search cannot be given a time."""
    fault = fault_of({"patternProperties": {"a": {}}, "unevaluatedProperties": False})
    assert fault is not None
    assert "use one" in fault


def test_names_under_properties_are_no_keywords() -> None:
    """A property may be called as a keyword is."""
    schema: Any = {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}, "enum": [{"$ref": "x"}]}
    assert fault_of(schema) is None
