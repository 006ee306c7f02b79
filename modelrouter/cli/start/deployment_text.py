"""A deployment as text: every line that only its reader can answer for is marked."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from modelrouter.cli.facts import fact_words, price_words, uplift_words
from modelrouter.cli.start.starter import PRICE, UNLISTED
from modelrouter.core.facts import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog.templates import EndpointTemplate, OfferedModel
    from modelrouter.cli.start.starter import Start
    from modelrouter.core.facts import Terms

__all__ = ["WIDTH", "asks_of", "deployment_text"]

WIDTH: Final = 118
"""Columns of the comments."""
SHOWN_MAX: Final = 6
"""How many other models and endpoints are named."""
PORTS: Final = {"llamacpp": 8080, "vllm": 8000, "ollama": 11434, "sglang": 30000, "lmstudio": 1234, "tgi": 8080}
"""The port that each kind of server is commonly started on."""
PORT: Final = 8000
INDENT: Final = "  "


def deployment_text(start: Start, *, in_comments: bool | None = None) -> str:
    """One deployment below `deployments:`, with an empty line behind it.

    Args:
        start: what it starts from.
        in_comments: None puts it in comments where its address is not complete.
    """
    is_comment = not start.can_load if in_comments is None else in_comments
    lines = _own_lines(start) if start.template.server else _members(start)
    mark = f"{INDENT}# " if is_comment else INDENT
    body = [f"{start.deployment}:", *(f"{INDENT}{line}" for line in lines)]
    head = _own_head(is_comment=is_comment) if start.template.server else _head(start, is_comment=is_comment)
    return "\n".join([*head, *(f"{mark}{line}" for line in body), ""])


def asks_of(start: Start) -> list[str]:
    """What only its reader can supply, the least first that must be there before anything is sent."""
    template, found = start.template, []
    if template.server:
        return [
            "where your server stands: `hosts` and `base_url` as it is called, `processing` and `runs_on` as it is run",
            "what becomes of prompts there, and what it costs you: `storage`, `training`, `retention_days`, `price`",
        ]
    if start.model is None and not template.models:
        found.append("`model` and `name`: which of its models, and what it is called there; the catalog lists none")
    own = {PRICE, "operator", *UNLISTED}
    found += [f"`{name}`: a part of the operator's address" for name in start.missing if name not in own]
    if start.key and not start.key_is_set:
        found.append(f"the key, in the variable {start.key}")
    if PRICE in start.missing:
        found.append("`price`: no source lists one; what you pay, with your `source`")
    if start.endpoint is not None and start.endpoint.terms.processing.state is State.UNKNOWN:
        found.append("`processing`: where it computes, with your `source`, if a policy asks")
    found.append(f"`caller.agreements`: your dpa with `{template.operator}`, if you have signed one and a policy asks")
    return found


def _comment(text: str) -> list[str]:
    """A sentence as comment lines of a readable length."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{INDENT}# ", subsequent_indent=f"{INDENT}#   ", break_on_hyphens=False
    )


# --- operators --------------------------------------------------------------------------------------------------------


def _head(start: Start, *, is_comment: bool) -> list[str]:
    """What the catalog says, in comments."""
    is_set = "which is set here" if start.key_is_set else "which is not set here"
    key = f"the key is in {start.key}, {is_set}." if start.key else "no key is known to be needed."
    lines = _comment(f"{start.template.name}; {key}")
    if is_comment:
        lines += _comment(f"FILL IN {' and '.join(start.missing)}, then remove the `#` and name it in a route.")
    if start.endpoint is not None:
        lines += _known(start, start.endpoint)
    return lines


def _known(start: Start, endpoint: EndpointTemplate) -> list[str]:
    model, template = start.model, start.template
    wire = endpoint.wire
    lines = _comment(f"Called at {wire.base_url or ', '.join(sorted(wire.hosts)) or 'an address of its own'}.")
    if model is not None:
        price = template.price(endpoint, model)
        if price.value is not None:
            lines += _comment(
                f"USD per million tokens: {price_words(price)}; the catalog's, so it is not repeated here."
            )
    lines += _comment(_terms(endpoint.terms if model is None else template.terms_of(endpoint, model)))
    if start.others:
        lines += _comment(f"Other models: {_few([_priced(start, endpoint, each) for each in start.others])}.")
    others = [_place(each) for name, each in template.endpoints.items() if name != endpoint.name]
    if others:
        lines += _comment(f"Other endpoints: {_few(others)}.")
    if template.providers:
        lines += _comment(f"It can be pinned to: {', '.join(template.providers)}.")
    return lines


def _few(words: list[str]) -> str:
    more = len(words) - SHOWN_MAX
    return "; ".join([*words[:SHOWN_MAX], *([f"and {more} more"] if more > 0 else [])])


def _priced(start: Start, endpoint: EndpointTemplate, offer: OfferedModel) -> str:
    return f"{offer.model} ({price_words(start.template.price(endpoint, offer))})"


def _place(endpoint: EndpointTemplate) -> str:
    return f"{endpoint.name} ({fact_words(endpoint.terms.processing)}{uplift_words(endpoint)})"


def _terms(terms: Terms) -> str:
    days = terms.retention_days.value
    kept = "how long it keeps them is unknown" if days is None else f"keeps them for {days} days"
    training = terms.training.value
    trains = {
        None: "whether it trains on prompts is unknown",
        "never": "does not train on prompts",
        "opt_out": "trains on prompts unless you opted out (then state `training: never` and your `source`)",
        "used": "trains on prompts",
    }[None if training is None else training.value]
    return f"Computes in: {fact_words(terms.processing)}; {trains}; {kept}."


def _members(start: Start) -> Iterator[str]:
    template, offer = start.template, start.model
    yield f"model: {'MODEL' if offer is None else offer.model}"
    if template.providers:
        yield f"operator: {start.provider or 'OPERATOR'}"
        yield f"via: {template.id}"
    else:
        yield f"operator: {template.id}"
    if start.endpoint is not None and len(template.endpoints) > 1:
        yield f"endpoint: {start.endpoint.name}"
    for name, value in start.values.items():
        yield f"{name}: {value}"
    for name in start.missing:
        if name not in {"operator", "model", PRICE}:
            yield f"{name}: YOUR-{name.upper()}  # FILL IN"
    if offer is not None and not offer.name:
        yield f'name: "{offer.model}"  # FILL IN: what you called it there'
    if start.key:
        yield f'key: "env:{start.key}"'
    if PRICE in start.missing:
        yield "# FILL IN what you pay, and where that can be checked; without a price it is refused."
        yield '# price: {input_usd_per_mtok: "…", output_usd_per_mtok: "…"}'
        yield '# source: "…"'


# --- servers of one's own ---------------------------------------------------------------------------------------------


def _own_head(*, is_comment: bool) -> list[str]:
    tail = ", and you remove the `#`." if is_comment else ", and you correct them."
    return [f"{INDENT}# A model on a server of your own. Nothing was looked for: these are examples{tail}"]


def _own_lines(start: Start) -> Iterator[str]:
    """A model on a server of one's own."""
    server, offer = start.template.server, start.model
    model = "MODEL" if offer is None else offer.model
    named = offer.name if offer is not None and offer.name else model
    yield f"model: {model}                 # `modelrouter catalog list --openness open_weights` has others"
    yield "operator: self"
    yield f"server: {server}                   # its kind; `modelrouter catalog list operators` has others"
    yield "runs_on: none                      # FILL IN: your own rooms, or the cloud under it, as hetzner"
    yield 'hosts: ["127.0.0.1"]               # the only hosts that are ever connected to'
    yield f'base_url: "http://127.0.0.1:{PORTS.get(server, PORT)}/v1"'
    yield f'name: "{named}"                # what the server calls it: the alias or path that it was started with'
    if start.key:
        yield f'key: "env:{start.key}"'
    yield "# processing: [DE]                 # FILL IN: the country it stands in"
    yield "storage: none                      # FILL IN: what becomes of prompts is yours to say"
    yield "training: never                    # FILL IN"
    yield "retention_days: 0                  # FILL IN"
    yield "price: {free: true}                # FILL IN: what it costs you, as {input_usd_per_mtok: 0.05, …}"
    yield 'source: "our own server, as written by modelrouter and not yet confirmed"   # FILL IN: who says so'
