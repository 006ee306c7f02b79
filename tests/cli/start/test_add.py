"""`catalog add` and `init --with`: a block for every template, which loads; nothing that a person wrote is lost."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.config import from_text, load
from modelrouter.errors import CatalogError
from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelrouter.catalog.templates import OperatorTemplate
    from tests.cli.command import Ran

CATALOG: Final = load_catalog()


def some_model(template: OperatorTemplate, endpoint: str) -> str:
    """A model that is served there, any open one where a server lists none; empty where nobody serves anything."""
    served = [name for name, each in template.models.items() if each.endpoints is None or endpoint in each.endpoints]
    return served[0] if served else "gpt-oss-20b" if template.server else ""


PLACES: Final = [
    (template.id, endpoint)
    for template in CATALOG.templates.values()
    for endpoint in template.endpoints
    if template.server or some_model(template, endpoint)
]
"""Every template at every endpoint where it is known to serve something."""
FILLINGS: Final = {"resource": "acme", "project": "acme-42", "account": "acme", "region": "central-1"}


def settings(template: OperatorTemplate, endpoint: str) -> list[str]:
    """Options that fill the address of an endpoint."""
    place = template.endpoints[endpoint]
    values = {name: FILLINGS[name] for name in sorted(place.wire.placeholders - {"provider"})}
    geography = place.name_prefix.rstrip(".") or "eu"
    regions = sorted(place.regions)
    if "region" in values and regions:
        values["region"] = regions[0]
    elif "region" in values:
        values["region"] = f"{geography}-{values['region']}"
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def whole(block: str, name: str) -> str:
    """A config of one deployment."""
    return f"modelrouter: 1\npolicies: none\ndeployments:\n{block}routes: {{main: {{try: [{name}]}}}}\n"


@pytest.mark.parametrize(("operator", "endpoint"), PLACES, ids=[f"{each}-{place}" for each, place in PLACES])
def test_every_template_makes_a_block_that_loads(
    operator: str, endpoint: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """Each operator, each endpoint: the config loads, goes where the template says, and passes `check`."""
    template = CATALOG.templates[operator]
    model = some_model(template, endpoint)
    made = run("catalog", "add", model, operator, "--endpoint", endpoint, *settings(template, endpoint), "--json")
    assert made.code == 0, made.err
    document = made.document
    assert document["is_live"]
    assert len(document["asks"]) >= 1
    text = whole(document["text"], document["deployment"])
    setup = from_text(text)
    facts, wire = setup.world.deployments[document["deployment"]], setup.endpoints[document["deployment"]]
    assert facts.model == model
    assert template.operator in {link.organisation for link in facts.chain}
    assert wire.hosts or wire.lane == "litellm"
    assert not any("{" in host for host in wire.hosts)
    assert max(len(line) for line in text.splitlines() if line.lstrip().startswith("#")) <= 120
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    checked = run("check", "--json").document
    assert "error" not in checked
    refused = [each for route in checked["routes"] for each in route["refused"]]
    layers = {refusal["policy"] for each in refused for refusal in each["refusals"]}
    assert layers <= {"wire", "catalog"}  # a key that is not set, a price that is still to be stated


@pytest.mark.parametrize("operator", sorted(CATALOG.templates))
def test_init_with_any_template_writes_a_config_that_loads(
    operator: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """Whatever is named stands in the file, as a deployment or, until its address is complete, in comments."""
    wrote = run("init", "--with", operator, "--json")
    assert wrote.code == 0, wrote.err
    text = (folder / "modelrouter.yaml").read_text(encoding="utf-8")
    setup = load(folder / "modelrouter.yaml")
    assert f"  {operator}:\n" in text or f"  # {operator}:\n" in text
    assert set(setup.world.deployments) == set(wrote.document["deployments"])
    assert set(wrote.document["asks"]) == {operator}
    assert run("check", "--json").document["config"] == "modelrouter.yaml"


@pytest.mark.parametrize(
    ("name", "model", "operator", "endpoint"),
    [
        ("openai", None, "openai", None),
        ("deepseek", None, "deepseek", None),
        ("qwen-vllm", "qwen", "self-vllm", None),
        ("qwen3-8b-vllm", "qwen3-8b", "self-vllm", None),
        ("mistral-eu", None, "mistral", "eu"),
        ("bedrock-eu", None, "bedrock", "eu"),
        ("azure-eu", None, "azure", "datazone-eu"),
        ("claude-bedrock-eu", "claude", "bedrock", "eu"),
        ("gpt-oss-120b-groq", "gpt-oss-120b", "groq", None),
        ("google-ai-studio", None, "google-ai-studio", None),
        ("deepseek-r1-bedrock", "deepseek-r1", "bedrock", None),
    ],
)
def test_a_name_means_an_operator_a_place_or_a_model(
    name: str, model: str | None, operator: str, endpoint: str | None
) -> None:
    """`operator`, `operator-endpoint`, `model-operator`, `model-server`, and the model's family in place of its id."""
    from datetime import date

    from modelrouter.cli.start.wanted import start_named

    start = start_named(CATALOG, name, {}, date(2026, 11, 29))
    assert start.template.id == operator
    assert start.deployment == name
    assert start.model is not None
    assert start.endpoint is not None
    assert model is None or start.model.model.startswith(model)
    assert endpoint is None or start.endpoint.name == endpoint


@pytest.mark.parametrize(
    "word",
    ["gemini", "google", "claude", "gpt", "aws", "llama", "qwen", "kimi", "mistral-medium-3.5", "OPENAI", "self"],
)
def test_a_model_or_an_organisation_alone_is_answered_with_names_that_work(word: str) -> None:
    """Who writes what everybody says is told who runs it, and each name that is proposed is understood."""
    from datetime import date

    from modelrouter.cli.start.wanted import start_named

    with pytest.raises(CatalogError) as caught:
        start_named(CATALOG, word, {}, date(2026, 11, 29))
    proposed = re.findall(r"`([^`]+)`", caught.value.message.rpartition(": ")[2])
    assert proposed
    for name in proposed:
        assert start_named(CATALOG, name, {}, date(2026, 11, 29)).deployment == name


def test_a_word_that_nothing_is_like_is_answered_with_the_list(folder: Path, run: Callable[..., Ran]) -> None:
    """Nothing is guessed where nothing is near."""
    told = run("init", "--with", "xyzzy")
    assert told.code == 2
    assert "`modelrouter catalog list operators` has them all" in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("init", "--with", "mistrall"), "did you mean `mistral`?"),
        (("init", "--with", "openai,bedrok-eu"), "did you mean `bedrock-eu`?"),
        (("init", "--with", "lama-bedrock"), "`bedrock` offers no model `lama`"),
        (("init", "--with", ","), "nothing is named"),
        (("catalog", "add", "qwen3-32", "vllm"), "did you mean `qwen3-32b`?"),
        (("catalog", "add", "qwen3-32b", "vlllm"), "did you mean `vllm`?"),
        (("catalog", "add", "claude-sonnet-5", "vllm"), "the weights of `claude-sonnet-5` are closed"),
        (("catalog", "add", "claude-sonnet-5", "openai"), "it is offered by"),
        (("catalog", "add", "qwen3-32b", "self"), "choose one of"),
        (("catalog", "add", "gpt-5.6-sol", "azure", "--endpoint", "datazone"), "has no endpoint `datazone`"),
        (("catalog", "add", "gpt-5.6-sol", "azure", "--set", "resource"), "write it as `resource=acme`"),
        (
            ("catalog", "add", "gpt-5.6-sol", "azure", "--set", "resource=evil.example.com/"),
            "letters, digits and hyphens",
        ),
        (("catalog", "add", "gpt-5.6-sol", "openai", "--set", "resource=acme"), "has no resource: leave it out"),
        (
            ("catalog", "add", "claude-sonnet-5", "bedrock", "--endpoint", "eu", "--set", "region=us-east-1"),
            "contradicts",
        ),
        (("catalog", "add", "gpt-oss-120b", "openrouter", "--provider", "grok"), "did you mean `groq`?"),
        (("catalog", "add", "gpt-oss-120b", "groq", "--provider", "groq"), "is no aggregator"),
        (("catalog", "add", "gpt-oss-120b", "groq", "--name", "a b"), "is no name"),
        (("catalog", "add", "gpt-oss-120b", "groq", "--into", "nowhere.yaml"), "there is no such file"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_can(
    arguments: tuple[str, ...], words: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """A wrong name, place or value is wrong use, names the nearest right one, and writes nothing."""
    refused = run(*arguments)
    assert refused.code == 2, refused.out
    assert words in refused.err
    assert list(folder.iterdir()) == []


def test_an_address_that_is_incomplete_stays_in_comments(folder: Path, run: Callable[..., Ran]) -> None:
    """No placeholder is ever a host: somebody else could own it, and prompts and key would go there."""
    printed = run("catalog", "add", "gpt-5.6-sol", "azure", "--endpoint", "datazone-eu", "--json").document
    assert not printed["is_live"]
    lines = printed["text"].splitlines()
    assert all(line.startswith("  #") for line in lines if line)
    assert any("resource: YOUR-RESOURCE" in line for line in lines)
    assert "`resource`" in printed["asks"][0]
    config = folder / "modelrouter.yaml"
    config.write_text(SERVERLESS, encoding="utf-8")
    assert run("catalog", "add", "gpt-5.6-sol", "azure", "--into", "modelrouter.yaml").code == 0
    assert set(load(config).world.deployments) == {"own", "dear"}


# --- insertion --------------------------------------------------------------------------------------------------------

TOP: Final = "modelrouter: 1\npolicies: none\n"
ROUTES: Final = "routes: {m: {try: [a]}}\n"
LAYOUTS: Final = {
    "last": f"{TOP}{ROUTES}deployments:\n  # the first\n  a: ENTRY   # kept\n",
    "between": f"# rules\n{TOP}deployments:\n    a:   ENTRY\n\n\n# routes\n{ROUTES}",
    "no end of line": f"{TOP}{ROUTES}deployments:\n  a: ENTRY",
    "end of document": f"---\n{TOP}{ROUTES}deployments:\n  a: ENTRY\n...\n",
    "carriage returns": f"{TOP}deployments:\n  a: ENTRY\n{ROUTES}".replace("\n", "\r\n"),
    "anchors": f"{TOP}deployments:\n  a: &x ENTRY\n  b: *x\n{ROUTES}",
    "a comment behind": f"{TOP}deployments:\n  a: ENTRY\n  # old: {{}}\n\n{ROUTES}",
}
ENTRY: Final = '{model: gpt-oss-120b, operator: groq, key: "env:GROQ_API_KEY"}'


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_an_insertion_keeps_every_line_of_a_file(layout: str, folder: Path, run: Callable[..., Ran]) -> None:
    """Comments, layout, line ends and permissions stay; the new deployment loads beside the old ones."""
    before = LAYOUTS[layout].replace("ENTRY", ENTRY)
    config = folder / "mine.yaml"
    config.write_bytes(before.encode())
    config.chmod(0o640)
    old = load(config)
    done = run("catalog", "add", "mistral-medium-3.5", "mistral", "--endpoint", "eu", "--into", "mine.yaml")
    assert done.code == 0, done.err
    after = config.read_bytes().decode()
    kept = iter(after.splitlines())
    assert all(line in kept for line in before.splitlines())  # in this order
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert ("\r\n" in after) == ("\r\n" in before)
    assert after.count("\r\n") in {0, after.count("\n")}
    new = load(config)
    assert set(new.world.deployments) == {*old.world.deployments, "mistral-medium-3.5-mistral-eu"}
    assert all(new.world.deployments[name] == facts for name, facts in old.world.deployments.items())
    assert set(new.routes) == set(old.routes)


def test_a_name_that_is_taken_is_not_overwritten(folder: Path, run: Callable[..., Ran]) -> None:
    """It says on which line the other one stands; another name goes in."""
    config = folder / "modelrouter.yaml"
    config.write_text(SERVERLESS, encoding="utf-8")
    again = ("catalog", "add", "gpt-oss-120b", "groq", "--into", "modelrouter.yaml", "--name")
    refused = run(*again, "dear")
    assert refused.code == 2
    assert "modelrouter.yaml:20: deployments.dear: `dear` is already there" in refused.err
    assert config.read_text(encoding="utf-8") == SERVERLESS
    assert run(*again, "cheap").code == 0
    assert set(load(config).world.deployments) == {"own", "dear", "cheap"}
    assert run(*again, "cheap").code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("modelrouter: 1\ndeployments: [", "a bracket"),
        ("- a\n", "expected keys with values"),
        ("modelrouter: 1\nrouts: {}\n", "unknown key"),
        (
            f"modelrouter: 1\npolicies: none\ndeployments: {{a: {ENTRY}}}\nroutes: {{m: {{try: [a]}}}}\n",
            "cannot be inserted without changing something else",
        ),
    ],
)
def test_a_file_that_cannot_take_it_is_left_alone(text: str, words: str, folder: Path, run: Callable[..., Ran]) -> None:
    """What is wrong in the file is told first; one line of braces is not taken apart."""
    config = folder / "mine.yaml"
    config.write_text(text, encoding="utf-8")
    refused = run("catalog", "add", "gpt-oss-120b", "groq", "--into", "mine.yaml")
    assert refused.code == 2
    assert words in refused.err
    assert config.read_text(encoding="utf-8") == text


def test_several_names_make_one_route_in_their_order(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, as deployments of these names; a region in the environment completes an address only where it fits."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    wrote = run("init", "--with", "mistral-eu,qwen-vllm", "--with", "mistral-eu,bedrock-us,bedrock-eu")
    assert wrote.code == 0, wrote.err
    setup = load(folder / "modelrouter.yaml")
    assert setup.routes["main"].candidates == ("mistral-eu", "qwen-vllm", "bedrock-us")
    assert "  # bedrock-eu:" in (folder / "modelrouter.yaml").read_text(encoding="utf-8")
    assert "in the variable MISTRAL_API_KEY" in wrote.out


def test_what_the_catalog_knows_stands_in_comments(run: Callable[..., Ran]) -> None:
    """Address, price, places, terms, other models and endpoints: a person reads before signing."""
    document: dict[str, Any] = run(
        "catalog", "add", "mistral-medium-3.5", "mistral", "--endpoint", "eu", "--json"
    ).document
    text = document["text"]
    for words in (
        "https://api.eu.mistral.ai/v1",
        "$1.65 in, $8.25 out",
        "EFTA, EU",
        "30 days",
        "Other endpoints: global",
    ):
        assert words in text
    assert any("dpa with `mistral`" in ask for ask in document["asks"])
