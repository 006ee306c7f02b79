"""The bound test on a real server: what llama.cpp renders and counts for SmolLM2 is within the proved bound."""

from __future__ import annotations

import http.client
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from modelrouter.catalog.calibration import calibrate
from modelrouter.catalog.token_servers import Endpoint, found_at
from modelrouter.core.bounds import Normaliser
from tests.core.bound_conversations import SCRIPTS, conversations
from tests.core.bound_server import served_trial, shipped_overhead
from tests.core.bound_trial import proved_bound, table

if TYPE_CHECKING:
    from tests.real_model import LocalModel

SEED = 20_261_122


def completed(model: LocalModel, body: dict[str, Any]) -> dict[str, Any]:
    """The usage of one real completion."""
    place = urlsplit(model.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        headers = {"authorization": f"Bearer {model.key}", "content-type": "application/json"}
        connection.request("POST", f"{place.path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    assert response.status == 200, answer
    usage: dict[str, Any] = answer["usage"]
    return usage


def test_no_prompt_counts_more_than_its_bound(local_model: LocalModel) -> None:
    """A seeded few of every script, rendered and counted by the server itself."""
    outcome = served_trial(conversations(SEED, 4 * len(SCRIPTS)), local_model)
    assert [(each.bound, each.counted) for each in outcome.breaches] == []
    assert outcome.conversations == 4 * len(SCRIPTS)


def test_a_completion_reports_no_more_than_the_bound(local_model: LocalModel) -> None:
    """What is billed is `prompt_tokens` of a real answer: with tools, results and a schema too."""
    short = [each for each in conversations(SEED, 400) if proved_bound(each)(shipped_overhead()) < 700]
    with_tools = [each for each in short if "tools" in each.parameters]
    without = [each for each in short if "tools" not in each.parameters and len(each.messages) > 1]
    for each in (*with_tools[:4], *without[:4]):
        sent = {name: value for name, value in each.parameters.items() if name != "response_format"}
        usage = completed(local_model, {"messages": each.messages, **sent, "max_tokens": 1, "model": local_model.name})
        assert usage["prompt_tokens"] <= proved_bound(each)(shipped_overhead())
        assert usage["completion_tokens"] <= 1


def test_a_bound_that_is_too_low_is_caught(local_model: LocalModel) -> None:
    """Counting tokens by words, as estimates do, breaks on this server, so the silence above means something."""
    outcome = served_trial(
        conversations(SEED, 2 * len(SCRIPTS)), local_model, lambda each: lambda _: len(str(each.messages).split())
    )
    assert outcome.breaches


def test_calibration_finds_what_the_catalog_ships(local_model: LocalModel) -> None:
    """The maintainer's command measures, on the real server, the very figures that were derived from the template."""
    with Endpoint(local_model.base_url, local_model.key) as endpoint:
        found = calibrate(found_at(endpoint, local_model.name))
    assert found.holds
    assert not found.tools_are_printed
    shipped = shipped_overhead()
    assert found.overhead.normaliser is Normaliser.NONE
    assert replace(found.overhead, json_escapes=shipped.json_escapes) == replace(shipped, hard_window=False)


@pytest.mark.long
def test_the_real_server_on_a_tenth_of_the_release_trial(local_model: LocalModel) -> None:
    """5,000 conversations over the server's own template and tokenizer."""
    outcome = served_trial(conversations(SEED, 5_000), local_model)
    print(table(outcome.rows))  # noqa: T201 - the figures of the trial
    assert [(each.bound, each.counted) for each in outcome.breaches] == []
