"""What a caller may say: checked before anything is reserved, by name, and ours from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import errors
from modelrouter.core.request import Reasoning
from modelrouter.router import epoch as epoch_module
from modelrouter.testing import MemoryLedger
from tests.router.played import Played, hello, played, served

if TYPE_CHECKING:
    from pathlib import Path

TAGS = "tags: {data_class: {values: [public, personal], default: personal}, team: {}, user: {personal: true}}"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tags": {"temm": "x"}}, "did you mean `team`?"),
        ({"tags": {"data_class": "secret"}}, "`secret` is not one of personal, public"),
        ({"tags": {"team": 5}}, "`tags.team` must be text"),
        ({"tags": "team"}, "`tags` must map"),
        ({"temprature": 1}, "did you mean `temperature`?"),
        ({"model": "gpt"}, "name a route instead"),
        ({"stream": True}, "call the streaming method"),
        ({"tools": [{"type": "web_search"}]}, "type `web_search` would run at the provider"),
        ({"tools": [FUNCTION, {"googleSearch": {}}]}, r"tools\[1\]: type `None`"),
        ({"tools": FUNCTION}, "`tools` must be a list"),
        ({"functions": {"name": "f"}}, "`functions` must be a list"),
        ({"web_search_options": {}}, "sends text to a search service"),
        ({"service_tier": "flex"}, "changes the price"),
        ({"store": True}, "where text rests"),
        ({"prompt_cache_retention": "24h"}, "where text rests"),
        ({"n": 0}, "`n` must be a whole number"),
        ({"n": "3"}, "`n` must be a whole number"),
        ({"n": 3.0}, "`n` must be a whole number"),
        ({"n": True}, "`n` must be a whole number"),
        ({"max_cost_usd": 0.01}, "`max_cost_usd`: `0.01` is not an exact amount"),
        ({"max_cost_usd": "-1"}, "zero or more"),
        ({"max_tokens": 0}, "`max_tokens` must be a whole number"),
        ({"max_tokens": 5, "max_output_tokens": 5}, "give one of"),
        ({"reasoning": "much"}, "`reasoning` must be one of none, low, high"),
        ({"timeout_s": 0}, "`timeout_s` must be above zero"),
        ({"timeout_s": float("nan")}, "`timeout_s` must be above zero"),
        ({"timeout_s": "5"}, "`timeout_s` must be a number"),
        ({"timeout_s": float("inf")}, "`timeout_s` must be at most 31622400"),
        ({"timeout_s": 10**5000}, "`timeout_s` must be at most"),
        ({"max_tokens": 10**5000}, "`max_tokens` must be at most"),
        ({"n": 2**64}, "`n` must be at most"),
        ({"metadata": {"of": [float("nan")]}}, "`metadata` holds a number that is not finite"),
        ({"policy": "no-such"}, "unknown policy `no-such`"),
        ({"policy": 5}, "`policy` must be a name"),
        ({"request_id": ""}, "`request_id` is empty"),
        ({"request_id": 7}, "`request_id` must be text"),
        ({"session": "\ud800"}, "half of a character"),
        ({"request_id": "a\x00b"}, r"`request_id` holds the character U\+0000"),
        ({"stop": {"a", "b"}}, "`stop` holds a `set`"),
        ({"logit_bias": {5: 1}}, "keys are not text"),
        ({"metadata": {"of": ITSELF}}, "holds itself"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_reserved(tmp_path: Path, options: Any, said: str) -> None:
    """One sentence says which and what to change; never a traceback of ours, never a reservation."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger, top=TAGS) as router:
        with pytest.raises(errors.RequestError, match=said):
            router.complete("ask", "hi", **options)
        with pytest.raises(errors.RequestError, match=said):
            next(router.stream("ask", "hi", **options))
    assert not ledger.reservations
    assert not lane.calls


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "empty"),
        ([], "empty"),
        ([{"role": "robot", "content": "x"}], r"messages\[0\]"),
        (5, "the prompt is a `int`"),
        (None, "the prompt is a `NoneType`"),
        ([{"role": ["user"], "content": "x"}], r"messages\[0\]: role"),
        ([{"role": "user", "content": object()}], "the prompt holds a `object`"),
        ([{"role": "user", "content": b"x"}], "the prompt holds a `bytes`"),
    ],
)
def test_a_wrong_prompt_is_a_request_error(tmp_path: Path, prompt: Any, said: str) -> None:
    """Also what Python can hold and JSON cannot."""
    with played(tmp_path, Played(hello()), top=TAGS) as router, pytest.raises(errors.RequestError, match=said):
        router.complete("ask", prompt)


def test_options_reach_the_lane_under_their_names(tmp_path: Path) -> None:
    """Parameters go on as they are; the output limit, the level of reasoning and our own options go their own ways."""
    lane = Played(hello())
    with played(tmp_path, lane, top=TAGS) as router:
        router.complete("ask", "hi", temperature=0.5, max_tokens=7, reasoning="none", tags={"team": "x"}, timeout_s=9)
    (call,) = lane.calls
    assert call.parameters == {"temperature": 0.5}
    assert (call.max_output_tokens, call.reasoning) == (7, Reasoning.NONE)
    assert call.timeout_s == pytest.approx(9, abs=0.5)


def test_what_is_sent_is_what_was_measured(tmp_path: Path) -> None:
    """Messages and parameters that the caller changes after asking are sent as they were: the bound was for those."""
    lane = Played(hello())
    part = {"type": "text", "text": "short"}
    messages: list[Any] = [{"role": "user", "content": [part]}]
    tool: Any = {"type": "function", "function": {"name": "f"}}
    with played(tmp_path, lane, top=TAGS) as router:
        stream = router.stream("ask", messages, tools=[tool])
        part["text"] = "long " * 1000
        messages[0]["role"] = "system"
        tool["function"]["description"] = "long " * 1000
        list(stream)
    (call,) = lane.calls
    assert list(call.messages) == [{"role": "user", "content": [{"type": "text", "text": "short"}]}]
    assert call.parameters == {"tools": [{"type": "function", "function": {"name": "f"}}]}


def test_a_request_id_is_used_once(tmp_path: Path) -> None:
    """The second call with it is refused, naming the first, and nothing is sent for it."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger, top=TAGS) as router:
        first = router.complete("ask", "hi", request_id="order-7")
        with pytest.raises(errors.DuplicateRequestError) as raised:
            router.complete("ask", "hi", request_id="order-7")
        router.complete("ask", "hi", request_id="order-8")
    assert raised.value.first_call_id == first.call_id
    assert len(lane.calls) == len(ledger.reservations) == 2


def test_tags_are_booked_with_their_defaults_and_personal_ones_withheld(tmp_path: Path) -> None:
    """The book shows teams and data classes, and nobody's name."""
    ledger = MemoryLedger()
    with played(tmp_path, Played(hello()), ledger=ledger, top=TAGS) as router:
        router.complete("ask", "hi", tags={"team": "billing", "user": "alice@example.com"})
    assert [row.group for row in ledger.spend(by="tag.team")] == ["billing"]
    assert [row.group for row in ledger.spend(by="tag.data_class")] == ["personal"]
    assert "alice" not in repr(ledger.reservations)


def test_a_default_that_would_not_be_counted_is_a_config_error(tmp_path: Path) -> None:
    """Three answers to each request by a deployment's own default would cost three times what was reserved."""
    with pytest.raises(errors.ConfigError, match="`n` is counted in the bound"):
        played(tmp_path, Played(hello()), deployments=served("a", more="params: {n: 3}"), route="{try: [a]}")


def test_a_policy_of_the_call_only_takes_away(tmp_path: Path) -> None:
    """A name, or several: each holds beside the others, and a refusal says which rule it was."""
    lane = Played(hello())
    with played(tmp_path, lane, top=TAGS) as router:
        assert len(router.explain("ask", "hi", policy="no-prc-operator").permitted) == 3
        with pytest.raises(errors.NoRouteError, match=r"operator\.country") as raised:
            router.complete("ask", "hi", policy=["no-prc-operator", "not-germany"])
    assert not lane.calls
    assert raised.value.decision is not None
    assert {layer.policy.name for layer in raised.value.decision.layers} >= {"no-prc-operator", "not-germany"}


@pytest.fixture(autouse=True)
def _policy_of_ours(tmp_path: Path) -> None:
    """A policy that refuses the caller's own machines, and one that binds by a free tag."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "not-germany.yaml").write_text(
        "policy: not-germany\nrules: {operator.country: {deny: [DE]}}\n", encoding="utf-8"
    )
    (folder / "strangers.yaml").write_text(
        "policy: strangers\napplies_to: {team: [strangers]}\nrules: {operator.country: {deny: [DE]}}\n",
        encoding="utf-8",
    )


def test_verdicts_of_one_tag_are_never_those_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tag values come by, and however often caches are emptied, a refused one stays refused."""
    monkeypatch.setattr(epoch_module, "CACHE_LIMIT", 2)
    with played(tmp_path, Played(hello()), top=f"{TAGS}\npolicies: [strangers]") as router:
        for number in range(200):
            assert len(router.explain("ask", tags={"team": f"team-{number}"}).permitted) == 3
            assert len(router.explain("ask", tags={"team": "strangers"}).permitted) == 0
            assert len(router.explain("ask").permitted) == 0


def test_compiled_verdicts_are_not_found_by_where_they_lie_in_memory(tmp_path: Path) -> None:
    """Keys of the cache are values: an address would be another object's after the first one is gone."""
    with played(tmp_path, Played(hello()), top=f"{TAGS}\npolicies: [strangers]") as router:
        router.explain("ask", tags={"team": "one"})
        router.explain("ask", tags={"team": "strangers"})
        keys = [circumstances for circumstances, _ in router._epoch._compiled]
    assert keys == [("ask", (), (("team", "one"),), ()), ("ask", (), (("team", "strangers"),), ())]
