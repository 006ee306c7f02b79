"""Limits, health, retries, keys and times: read from a file into the core, and refused where they are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.config import from_text
from modelrouter.core.health import BreakerTerms
from modelrouter.core.load import Limits
from modelrouter.core.retries import RetryTerms
from modelrouter.core.route import Timeouts
from modelrouter.errors import ConfigError
from modelrouter.transports.credentials import EnvKey, FileKey
from tests.config.texts import PARTS, config

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.config import Setup


def with_own(own: str, **parts: str) -> str:
    """The small configuration, with more members of its deployment `own`."""
    return config(
        **{"deployments": PARTS["deployments"].replace("    source: platform team", f"{own}\n    source: x"), **parts}
    )


def loaded(text: str, folder: Path) -> Setup:
    """A configuration from text, as if it lay in this folder."""
    return from_text(text, str(folder / "modelrouter.yaml"))


def test_without_a_word_the_stated_defaults_hold(tmp_path: Path) -> None:
    """No limits of our own; times that suit language models; a fifth of retries; two per candidate."""
    setup = loaded(config(), tmp_path)
    assert setup.limits["own"] == Limits()
    assert (setup.health, setup.retries) == (BreakerTerms(), RetryTerms(0.2, 10))
    assert setup.timeouts == Timeouts(connect_s=5, first_token_s=120, between_chunks_s=60, attempt_s=300)
    route = setup.routes["support"]
    assert (route.timeouts, route.timeout_s, route.attempts_max, route.retries_max) == (Timeouts(), 600, 6, 2)
    assert not setup.endpoints["own"].wire_stream


def test_everything_can_be_said_in_the_file(tmp_path: Path) -> None:
    """Each key reaches the value it names."""
    own = """    key: ["env:KEY_A", "file:key_b"]
    wire_stream: always
    limits: {max_in_flight: 4, max_queue: 0, requests_per_minute: 60, tokens_per_minute: 90000}
    timeouts: {connect_s: 1, first_token_s: 20, between_chunks_s: 9, attempt_s: 90}"""
    more = """timeouts: {first_token_s: 30, request_s: 100}
health: {window_s: 30, least_calls: 3, failed_share: 0.25, slow_share: 1, slow_s: 9,
  in_a_row: 2, open_s: 1, open_most_s: 8, permits: 1}
retries: {share: 0.1, least: 3}"""
    routes = "routes:\n  support: {try: [own], retries_max: 0, timeouts: {attempt_s: 30}}"
    setup = loaded(with_own(own, more=more, routes=routes), tmp_path)
    endpoint = setup.endpoints["own"]
    assert endpoint.key == EnvKey("KEY_A")
    assert endpoint.more_keys == (FileKey(tmp_path / "key_b"),)
    assert endpoint.wire_stream
    assert endpoint.timeouts == Timeouts(1, 20, 9, 90)
    assert setup.limits["own"] == Limits(4, 0, 60, 90_000)
    assert setup.health == BreakerTerms(30, 3, 0.25, 1, 9, 2, 1, 8, 1)
    assert setup.retries == RetryTerms(0.1, 3)
    assert setup.timeouts == Timeouts(5, 30, 60, 300)
    assert setup.routes["support"].timeouts == Timeouts(attempt_s=30)
    assert (setup.routes["support"].timeout_s, setup.routes["support"].retries_max) == (100, 0)


@pytest.mark.parametrize(
    ("own", "more", "key", "words"),
    [
        ("    key: []", "", "deployments.own.key", "empty list"),
        ('    key: ["env:A", 3]', "", "deployments.own.key", "a list of such names"),
        ('    key: ["env:A", "sk-1"]', "", "deployments.own.key", "never written into a config"),
        ('    key: ["env:A", "env:A"]', "", "deployments.own.key", "stands twice"),
        ("    limits: {max_in_flight: 0}", "", "deployments.own.limits.max_in_flight", "1"),
        ("    limits: {rpm: 5}", "", "deployments.own.limits.rpm", "rpm"),
        ("    wire_stream: sometimes", "", "deployments.own.wire_stream", "always"),
        ("    timeouts: {first_token_s: 0}", "", "deployments.own.timeouts.first_token_s", "above 0"),
        ("", "health: {failed_share: 50}", "health.failed_share", "between 0 and 1"),
        ("", "health: {failed_share: half}", "health.failed_share", "not a share"),
        ("", "retries: {least: -1}", "retries.least", "at least 0"),
    ],
)
def test_what_is_wrong_is_refused_by_its_place(tmp_path: Path, own: str, more: str, key: str, words: str) -> None:
    """The error names the key and says what to write; a key's text is not repeated."""
    with pytest.raises(ConfigError) as raised:
        loaded(with_own(own, more=more), tmp_path)
    assert raised.value.key == key
    assert words in str(raised.value)
    assert "sk-1" not in str(raised.value)


@pytest.mark.parametrize(
    ("one", "other", "came_of_it"),
    [(None, None, 5.0), (1.0, None, 1.0), (None, 9.0, 9.0), (1.0, 9.0, 1.0), (9.0, 1.0, 1.0)],
)
def test_the_lower_of_two_holds_and_a_third_where_neither_is_set(
    one: float | None, other: float | None, came_of_it: float
) -> None:
    """A deployment may be given more time than the general rule, and a route less than a deployment."""
    fields = [f"{name}_s" for name in ("connect", "first_token", "between_chunks", "attempt")]
    found = Timeouts(*[one] * 4).with_others(Timeouts(*[other] * 4), Timeouts(*[5.0] * 4))
    assert [getattr(found, name) for name in fields] == [came_of_it] * 4
