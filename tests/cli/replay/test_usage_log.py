"""`modelrouter replay --from`: another system's usage, in the words of those who write such logs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.cli.replay.foreign import model_names
from modelrouter.cli.replay.usage_file import BadLine, UsageLine, usage_lines
from tests.router.configs import write_config
from tests.router.played import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.cli.command import Ran

NOON_S: Final = 1_793_534_400.0
OURS: Final = {
    "time": "2026-11-01T12:00:00Z", "model": "gpt-6-sol", "input_tokens": 1000, "output_tokens": 200,
    "cached_input_tokens": 100, "cost_usd": "0.01", "route": "ask", "tags": {"team": "a"},
}  # fmt: skip
LITELLM: Final = {
    "request_id": "chatcmpl-1", "call_type": "acompletion", "spend": 0.00123, "total_tokens": 120, "prompt_tokens": 100,
    "completion_tokens": 20, "startTime": "2026-11-01T12:00:00.000000", "model": "openai/gpt-6-sol",
    "custom_llm_provider": "openai", "request_tags": ["x"], "api_key": "hashed",
}  # fmt: skip
OPENAI: Final = {
    "object": "bucket", "start_time": 1_793_534_400, "end_time": 1_793_620_800,
    "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 100,
         "input_cached_tokens": 400, "num_model_requests": 10, "model": "gpt-6-sol"},
        {"object": "organization.usage.completions.result", "input_tokens": 50, "output_tokens": 5,
         "num_model_requests": 1, "model": "somebody-elses-model"},
    ],
}  # fmt: skip
OPENROUTER: Final = {
    "date": "2026-11-01", "model": "openai/gpt-6-sol", "model_permaslug": "openai/gpt-6-sol-2026", "usage": 0.015,
    "requests": 5, "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25, "provider_name": "OpenAI",
}  # fmt: skip


def log(folder: Path, lines: Iterable[object]) -> Path:
    """A log of these lines; text stands as it is."""
    path = folder / "usage.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def read_one(folder: Path, line: object) -> UsageLine | BadLine:
    """What one line says."""
    [found] = usage_lines(log(folder, [line]))
    return found


def test_each_system_says_it_in_its_own_words(tmp_path: Path) -> None:
    """Times, counts, caches, costs, requests and who served are read from every log that is understood."""
    ours, litellm, first, second, routed = usage_lines(log(tmp_path, [OURS, LITELLM, "", OPENAI, OPENROUTER]))
    assert isinstance(ours, UsageLine)
    assert (ours.at_s, ours.cost_nano_usd, ours.cached_input_tokens) == (NOON_S, 10_000_000, 100)
    assert (ours.route, ours.tags, ours.place) == ("ask", {"team": "a"}, f"{tmp_path}/usage.jsonl:1")
    assert isinstance(litellm, UsageLine)
    assert (litellm.at_s, litellm.model, litellm.operator) == (NOON_S, "openai/gpt-6-sol", "openai")
    assert (litellm.input_tokens, litellm.output_tokens, litellm.cost_nano_usd) == (100, 20, 1_230_000)
    assert isinstance(first, UsageLine)
    assert isinstance(second, UsageLine)
    assert (first.at_s, first.requests, first.cached_input_tokens, first.cost_nano_usd) == (NOON_S, 10, 400, None)
    assert (second.model, second.requests) == ("somebody-elses-model", 1)
    assert isinstance(routed, UsageLine)
    assert (routed.at_s, routed.requests, routed.cost_nano_usd) == (NOON_S - 43_200, 5, 15_000_000)
    assert (routed.input_tokens, routed.output_tokens, routed.operator) == (50, 125, "OpenAI")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON object"),
        ("[1]", "no JSON object"),
        ("\ud800", "no JSON object"),
        ({**OURS, "model": ""}, "names no `model`"),
        ({**OURS, "input_tokens": None}, "no `input_tokens`"),
        ({"model": "m", "input_tokens": 1}, "no `output_tokens`"),
        ({**OURS, "input_tokens": -1}, "below zero"),
        ({**OURS, "input_tokens": 1.5}, "no whole number"),
        ({**OURS, "input_tokens": True}, "no whole number"),
        ({**OURS, "input_tokens": "many"}, "no whole number"),
        ({**OURS, "input_tokens": 10**16}, "beyond"),
        ({**OURS, "cost_usd": "much"}, "no amount"),
        ({**OURS, "cost_usd": -1}, "no amount"),
        ({**OURS, "cost_usd": "NaN"}, "no amount"),
        ({**OURS, "time": "soon"}, "no moment"),
        ({**OURS, "requests": 0}, "of no request"),
        ({"results": [1]}, "no object"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(tmp_path: Path, line: object, reason: str) -> None:
    """Nothing is guessed: what is no count, amount or moment makes the line unusable, with file and line."""
    if line == "\ud800":
        (tmp_path / "usage.jsonl").write_bytes(b"\xff\xfe\n")
        [found] = usage_lines(tmp_path / "usage.jsonl")
    else:
        found = read_one(tmp_path, line)
    assert isinstance(found, BadLine)
    assert reason in found.reason
    assert found.place.endswith("usage.jsonl:1")


def test_numbers_as_text_and_moments_as_milliseconds(tmp_path: Path) -> None:
    """Exports of databases write counts as text and moments as milliseconds."""
    found = read_one(tmp_path, {**OURS, "input_tokens": "1000", "time": int(NOON_S * 1000)})
    assert isinstance(found, UsageLine)
    assert (found.input_tokens, found.at_s) == (1000, NOON_S)


@pytest.fixture
def config(folder: Path) -> Path:
    """A route over a cheap deployment of one's own, refused for some."""
    top = (
        "tags: {team: {values: [a, b]}}\n"
        "policies: [{policy: bs, applies_to: {team: [b]}, rules: {hosting: {allow: [vendor_api]}}}]"
    )
    return write_config(
        folder, served("own", price=("0.1", "0.2")), "  ask: {try: [own]}\n  other: {try: [own]}", top=top
    )


def asked(run: Callable[..., Ran], path: Path, *more: str) -> dict[str, Any]:
    """The document of a replay."""
    return run("replay", "--from", str(path), "--json", *more).document


def test_savings_are_seen_before_migrating(folder: Path, run: Callable[..., Ran], config: Path) -> None:
    """What was paid there, what the route would cost, whom it would move to, and whom a policy would refuse."""
    lines = [{**OURS, "cost_usd": "0.01"} for _ in range(9)] + [{**OURS, "tags": {"team": "b"}, "cost_usd": "0.02"}]
    told = run("replay", "--from", str(log(folder, lines)))
    document = asked(run, log(folder, lines))
    assert told.code == 1
    assert "moved" in told.out
    assert "gpt-6-sol -> own" in told.out
    assert document["changes"]["moved"] == 9
    assert document["changes"]["newly_refused"] == 1
    [moved, refused] = sorted(document["groups"], key=lambda each: -each["requests"])
    assert (moved["before"], moved["after"], moved["requests"]) == ("gpt-6-sol", "own", 9)
    assert Decimal(moved["before_usd"]) == Decimal("0.09")
    assert Decimal(moved["after_usd"]) == 9 * (Decimal("0.0001") + Decimal("0.00004"))
    assert (refused["before_usd"], refused["after_usd"]) == ("0.02", "0")
    assert document["developers"][0]["id"] == "openai"
    assert document["from"].endswith("usage.jsonl")


def test_lines_for_many_requests_and_lines_without_a_cost(folder: Path, run: Callable[..., Ran], config: Path) -> None:
    """A bucket counts as its requests; where a log says no cost, the model's own price stands in and is called so."""
    document = asked(run, log(folder, [OPENAI, OPENROUTER]), "--route", "ask")
    assert document["requests"] == 16
    assert document["unmatched_models"] == {"somebody-elses-model": 1}
    assert document["cost"]["requests_of_unknown_cost"] == 1
    assert document["cost"]["requests_of_estimated_cost"] == 10
    assert Decimal(document["cost"]["before_usd"]) > Decimal("0.015")
    assert "came without a cost" in run("replay", "--from", str(log(folder, [OPENAI])), "--route", "ask").out


def test_bad_lines_are_counted_and_the_first_are_named(folder: Path, run: Callable[..., Ran], config: Path) -> None:
    """A log with faults is replayed as far as it can be read."""
    lines = ["{", *([{"model": "x"}] * 8), OURS, {**OURS, "route": None}, {**OURS, "route": "nowhere"}]
    document = asked(run, log(folder, lines))
    assert document["requests"] == 2
    assert document["left_out"] == {"lines that cannot be used": 9, "lines without a route: name one with `--route`": 1}
    assert [each["place"].rpartition(":")[2] for each in document["bad_lines"]] == ["1", "2", "3", "4", "5"]
    assert document["changes"]["gone"] == 1


@pytest.mark.parametrize(
    ("lines", "more", "said"),
    [
        (["{"], ("--route", "ask"), "usage.jsonl:1: it is no JSON object"),
        ([], ("--route", "ask"), "holds no usage"),
        ([OURS], ("--route", "nowhere"), "no route `nowhere`"),
    ],
)
def test_a_log_that_says_nothing_is_refused(
    folder: Path, run: Callable[..., Ran], config: Path, lines: list[object], more: tuple[str, ...], said: str
) -> None:
    """Where there is nothing to replay, one sentence says why."""
    told = run("replay", "--from", str(log(folder, lines)), *more)
    assert told.code == 2
    assert said in told.err


def test_a_log_that_is_not_there(run: Callable[..., Ran], config: Path) -> None:
    """The file is named."""
    told = run("replay", "--from", "nowhere.jsonl", "--route", "ask")
    assert told.code == 2
    assert "nowhere.jsonl" in told.err


def test_since_bounds_a_log_too(folder: Path, run: Callable[..., Ran], config: Path) -> None:
    """Lines from before are passed over."""
    assert asked(run, log(folder, [OURS, {**OURS, "time": "2026-11-03"}]), "--since", "2026-11-02")["requests"] == 1


def test_names_of_models_stand_for_one_model_each() -> None:
    """Every id stands for itself, and no operator's name for two models."""
    names = model_names(load_catalog())
    catalog = load_catalog()
    assert all(names[name.lower()] == name for name in catalog.models)
    assert set(names.values()) <= set(catalog.models)
