"""Overheads that a deployment states: laid over the template's, and no longer proved where they differ."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog.overheads import OVERHEAD_KEYS
from modelrouter.config import Config, build
from modelrouter.config.deployment_schema import OverheadConfig
from modelrouter.core.bounds import BoundBasis, Escapes, ImageTokens, Normaliser, Overhead
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment

OWN: dict[str, object] = {
    "model": "smollm2-135m-instruct",
    "operator": "self",
    "server": "llamacpp",
    "hosts": ["llm.internal"],
    "base_url": "http://llm.internal/v1",
    "name": "s",
    "source": "platform team",
}


def deployment(**written: object) -> Deployment:
    """One deployment, as a config would make it."""
    parts = {"policies": "none", "routes": {"r": {"try": ["d"]}}, "deployments": {"d": {**OWN, **written}}}
    return build(Config.model_validate(parts)).world.deployments["d"]


def test_a_proof_comes_with_the_model_and_server() -> None:
    """SmolLM2 on llama.cpp is proved; any model on it, or SmolLM2 on another server, is documented."""
    assert deployment().bound_basis.value is BoundBasis.PROVED
    assert deployment(model="qwen3-8b").bound_basis.value is BoundBasis.DOCUMENTED
    assert deployment(server="vllm").bound_basis.value is BoundBasis.DOCUMENTED


def test_another_overhead_was_not_proved() -> None:
    """Whoever changes a figure of a proof says what the new one rests on."""
    changed = deployment(overhead={"per_message_tokens": 1})
    assert changed.bound_basis.value is BoundBasis.DOCUMENTED
    claimed = deployment(overhead={"per_message_tokens": 1}, bound_basis="proved")
    assert claimed.bound_basis.value is BoundBasis.PROVED
    assert claimed.overhead.per_message_tokens == 1


def test_a_window_is_hard_only_where_it_is_the_servers() -> None:
    """The model's own window says nothing about the server, which may serve a longer one."""
    assert not deployment().overhead.hard_window
    assert deployment(context_tokens=2048).overhead.hard_window
    assert not deployment(context_tokens=2048, overhead={"hard_window": False}).overhead.hard_window


def test_every_figure_of_an_overhead_reaches_the_core() -> None:
    """Words, flags and the formula of images too."""
    image = {"most_tokens": 100, "patch_px": 28, "tokens_per_patch": "1.5"}
    found = deployment(
        overhead={"json_escapes": "ascii", "normaliser": "nfkc", "image": image, "beyond_limit_tokens": 7}
    ).overhead
    assert (found.json_escapes, found.normaliser, found.beyond_limit_tokens) == (Escapes.ASCII, Normaliser.NFKC, 7)
    assert found.image == ImageTokens(100, 28, Decimal("1.5"))
    assert found.per_message_tokens == deployment().overhead.per_message_tokens


def test_the_schema_says_the_defaults_of_the_core() -> None:
    """What an editor shows for an absent key is what holds."""
    assert set(OverheadConfig.model_fields) == OVERHEAD_KEYS
    shown = OverheadConfig()
    for name in sorted(OVERHEAD_KEYS - {"json_escapes", "normaliser"}):
        assert getattr(shown, name) == getattr(Overhead(), name), name
    assert (shown.json_escapes, shown.normaliser) == ("ascii", "nfc")


@pytest.mark.parametrize(
    "overhead", [{"tool_bytes_factor": 4}, {"json_prints": 0}, {"per_tool_tokens": "many"}, {"image": {"patch_px": 28}}]
)
def test_a_wrong_overhead_is_refused(overhead: dict[str, object]) -> None:
    """An unknown key, a factor of zero, a word for a number, a formula without its maximum."""
    with pytest.raises((ConfigError, ValueError), match=r"overhead|most_tokens|tool_bytes_factor"):
        deployment(overhead=overhead)
