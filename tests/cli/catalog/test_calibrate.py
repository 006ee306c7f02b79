"""`modelrouter catalog calibrate`: the overhead of a real server's template, ready for a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.bound_server import shipped_overhead

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Ran
    from tests.real_model import LocalModel


def test_the_figures_of_a_real_server(
    run: Callable[..., Ran], local_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As text with what to write, as JSON with every probe; they are those that the catalog ships."""
    monkeypatch.setenv("CALIBRATED_KEY", local_model.key)
    asked = ("catalog", "calibrate", local_model.base_url, "--key", "env:CALIBRATED_KEY")
    shown = run(*asked)
    shipped = shipped_overhead()
    assert shown.code == 0
    assert f"per_request_tokens: {shipped.per_request_tokens}" in shown.out
    assert "drops tools silently" in shown.out
    assert local_model.key not in shown.out + shown.err
    document = run(*asked, "--json").document
    assert document["holds"]
    assert document["overhead"]["per_message_tokens"] == shipped.per_message_tokens
    assert all(probe["tokens"] <= probe["bound"] for probe in document["probes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://127.0.0.1:9/v1",), "is it running"),
        (("127.0.0.1",), "no address of a server"),
        (("http://127.0.0.1:9/v1", "--key", "env:NOBODY_SET_THIS"), "nothing stands where the key should be"),
    ],
)
def test_what_cannot_be_asked_is_said(run: Callable[..., Ran], arguments: tuple[str, ...], said: str) -> None:
    """Exit 2 and one sentence."""
    ran = run("catalog", "calibrate", *arguments)
    assert ran.code == 2
    assert said in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err


def test_a_server_that_wants_a_key_says_so(run: Callable[..., Ran], local_model: LocalModel) -> None:
    """The real server refuses strangers."""
    ran = run("catalog", "calibrate", local_model.base_url)
    assert ran.code == 2
    assert "wants a key" in ran.err
