"""Tests of `modelrouter.yaml12`: what words mean, where they stand, and what is refused."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrouter import yaml12
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import Document, dotted, parse

WORDS = [
    ("NO", "NO"),
    ("off", "off"),
    ("yes", "yes"),
    ("on", "on"),
    ("y", "y"),
    ("True", "True"),
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("NULL", "NULL"),
    ("1", 1),
    ("-17", -17),
    ("+5", 5),
    ("007", 7),
    ("0x1F", 31),
    ("0o17", 15),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("12:30:45", "12:30:45"),
    ("0.10", Decimal("0.10")),
    (".5", Decimal("0.5")),
    ("3.", Decimal(3)),
    ("1e3", Decimal("1e3")),
    ("2.5E-7", Decimal("0.00000025")),
    ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
    ("2026-11-01", "2026-11-01"),
    ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("-", None),
    ('"true"', "true"),
    ("'1'", "1"),
    ('"~"', "~"),
    ("=", "="),
    ("1 2", "1 2"),
    ("infinity", "infinity"),
]


@pytest.fixture(params=["c", "portable"])
def _both_parsers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "portable":
        monkeypatch.setattr(yaml12, "_composed", yaml12._portable)


@pytest.mark.usefixtures("_both_parsers")
@pytest.mark.parametrize(("written", "meant"), [pair for pair in WORDS if pair[0] != "-"])
def test_plain_words_mean_what_yaml_1_2_says(written: str, meant: object) -> None:
    """A scalar is read by the core schema, numbers exactly and with their type."""
    value = parse(f"a: {written}\n", "f.yaml").value
    assert isinstance(value, dict)
    assert value["a"] == meant
    assert type(value["a"]) is type(meant)


@pytest.mark.usefixtures("_both_parsers")
def test_collections_keep_their_order_and_shape() -> None:
    """Block and flow collections, aliases and multi-line text come out as written."""
    text = "z: 1\na: &x [1, {b: c}]\nm: *x\ntext: |\n  one\n  two\n"
    value = parse(text, "f.yaml").value
    assert value == {"z": 1, "a": [1, {"b": "c"}], "m": [1, {"b": "c"}], "text": "one\ntwo\n"}
    assert isinstance(value, dict)
    assert list(value) == ["z", "a", "m", "text"]


REFUSED = [
    ("", 1, "empty"),
    ("# only a comment\n", 1, "empty"),
    ("---\n", 1, "empty"),
    ("\ufeff", 1, "empty"),
    ("a: 1\nb: 2\na: 3\n", 3, "given twice, first on line 1"),
    ("a:\n  b: 1\n  'b': 2\n", 3, "given twice, first on line 2"),
    ("a: {b: 1, c: 2,\n  b: 3}\n", 2, "given twice"),
    ("x: 1\na: [1, 2\nb: 3\n", 2, "bracket is not closed"),
    ("x: 1\na: {b: 1\nc: 2\n", 2, "brace is not closed"),
    ("x: 1\na: {b: 1,\n", 3, "or brace above is not closed"),
    ("x: 1\na: 'b\nc: 1\n", 2, "quote is not closed"),
    ("x: 1\na: b: c\n", 2, "second `: `"),
    ("a:\n\t- b\n", 2, "indent with spaces"),
    ("a:\n  - b\n c: 1\n", 3, "wrong indentation"),
    ("a: @b\n", 1, "no value begins with this"),
    ('a: "\\q"\n', 1, "unknown escape"),
    ("a: !python/object:os.system x\n", 1, "tags are not used"),
    ("a: !!str 1\n", 1, "tags are not used"),
    ("a: !mine [1]\n", 1, "tags are not used"),
    ("a: 1\nb: *nowhere\n", 2, "no anchor before it"),
    ("a: &x 1\nb: &x 2\n", 2, "given twice"),
    ("a: &x [*x]\n", 1, "inside its own anchor"),
    ("base: {a: 1}\nb:\n  <<: {a: 2}\n", 3, "merge keys"),
    ("a: 1\n2: b\n", 2, "key `2` is not text"),
    ("true: b\n", 1, "key `true` is not text"),
    ("~: b\n", 1, "key `~` is not text"),
    ("? [a, b]\n: c\n", 1, "a key must be a single word"),
    ("a: 1\n---\nb: 2\n", 2, "two documents"),
    ("a: .inf\n", 1, "finite"),
    ("a: .NaN\n", 1, "finite"),
    ("a: 1e999999999\n", 1, "more than 60 digits"),
    (f"a: {'9' * 5000}\n", 1, "more than 60 digits"),
    ("a: 1\nb: \x07\n", 2, "control character"),
    ("a: 1\n" + "b: " + "[" * 70 + "]" * 70, 2, "levels deep"),
]


@pytest.mark.usefixtures("_both_parsers")
@pytest.mark.parametrize(("text", "line", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_readers_could_disagree_about_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    """Each kind of bad text is one sentence of ours that names file and line."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert (caught.value.file, caught.value.line) == ("f.yaml", line)
    assert words in caught.value.reason
    assert caught.value.message.startswith(f"f.yaml:{line}: ")


@pytest.mark.usefixtures("_both_parsers")
def test_a_deep_unclosed_text_is_an_error_and_not_a_crash() -> None:
    """Five thousand open brackets end in a sentence."""
    with pytest.raises(ConfigError):
        parse("[" * 5000, "f.yaml")


def test_aliases_cannot_stand_for_billions() -> None:
    """Nested aliases that would write out to 9**9 values are refused at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases repeat too much"):
        parse("\n".join(lines), "f.yaml")


def test_lines_are_those_of_keys_and_items_and_fall_back_to_what_encloses_them() -> None:
    """Every path has its own line; a path that leads nowhere has that of its nearest holder."""
    document = parse("# top\na:\n  b: 1\n  c:\n    - x\n    - {d: 1,\n       e: 2}\n", "f.yaml")
    assert document.line(()) == 2
    assert document.line(("a",)) == 2
    assert document.line(("a", "b")) == 3
    assert document.line(("a", "c", 0)) == 5
    assert document.line(("a", "c", 1, "e")) == 7
    assert document.line(("a", "c", 1, "missing", 4)) == 6
    assert document.line(("a", "c", 9)) == 4
    assert document.line(("elsewhere",)) == 2
    assert Document({"a": 1}, "f.yaml").line(("a",)) is None


def test_a_fault_names_file_line_and_key() -> None:
    """`Document.fault` builds the whole message."""
    error = parse("a:\n  'b c': [1]\n", "f.yaml").fault("change it", ("a", "b c", 0))
    assert str(error) == 'f.yaml:2: a["b c"][0]: change it'
    assert dotted(("routes", "support", "try", 0)) == "routes.support.try[0]"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text("abNOoff~.:#-{}[]'\"\\ \n1e", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcNO", min_size=1), inner, max_size=4),
    max_leaves=12,
)


def _written(value: object, chooser: random.Random) -> str:
    """JSON is YAML; blanks and line breaks are put in at random."""
    gap = chooser.choice([" ", "\n  ", " "])
    match value:
        case None:
            return chooser.choice(["null", "~"])
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'"{escaped}"'
        case list():
            return "[" + f",{gap}".join(_written(item, chooser) for item in value) + "]"
        case dict():
            return "{" + f",{gap}".join(f'"{key}": {_written(item, chooser)}' for key, item in value.items()) + "}"
    raise TypeError(value)


@settings(max_examples=300, deadline=None)
@given(value=VALUES, seed=st.integers(0, 99))
def test_what_is_written_is_what_is_read(value: object, seed: int) -> None:
    """Any JSON value survives being written with any layout."""
    assert parse("a: " + _written(value, random.Random(seed)), "f.yaml").value == {"a": value}
