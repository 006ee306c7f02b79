"""Calibration: what is measured on a server bounds what that server renders, for templates of every kind."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import pytest

from modelrouter.catalog.calibration import Unrendered, calibrate
from modelrouter.catalog.token_servers import Endpoint, LlamaCpp, Vllm, found_at
from modelrouter.core.bounds import Escapes, Normaliser
from modelrouter.errors import CatalogError
from tests.core.bound_conversations import Conversation, conversations
from tests.core.bound_templates import TEMPLATES
from tests.core.bound_trial import proved_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.request import JSON, Message
    from tests.core.bound_templates import ChatTemplate

BY_NAME = {template.name: template for template in TEMPLATES}


class Played:
    """A server with one of the test's templates and a tokenizer that has merged nothing."""

    def __init__(self, template: ChatTemplate, form: str = "", *, takes_turns: bool = False) -> None:
        self.template = template
        self.form = form
        self.takes_turns = takes_turns

    def render(self, messages: Sequence[Message], parameters: Mapping[str, JSON]) -> str:
        """As its template says; one that insists on turns refuses others."""
        roles = [message["role"] for message in messages if message["role"] != "tool"]
        results = any(message["role"] == "tool" for message in messages)
        if self.takes_turns and not results and any(first == second for first, second in pairwise(roles)):
            raise Unrendered
        return self.template.render(Conversation("", tuple(messages), dict(parameters)))

    def count(self, prompt: str) -> int:
        """A token for each byte."""
        return len(self.seen(prompt).encode())

    def seen(self, text: str) -> str:
        """A text after its normaliser."""
        return normalize(self.form, text) if self.form else text  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"xml"}))
@pytest.mark.parametrize("takes_turns", [False, True])
def test_what_is_measured_bounds_what_is_rendered(name: str, takes_turns: bool) -> None:
    """No conversation of the bound trial is longer than the bound with the overhead that probes alone have found."""
    template = BY_NAME[name]
    found = calibrate(Played(template, takes_turns=takes_turns))
    assert found.holds
    assert found.tools_are_printed == (name != "chatml")
    for each in conversations(3, 116):
        assert proved_bound(each)(found.overhead) >= len(template.render(each).encode()), each


def test_what_is_measured_is_not_far_off() -> None:
    """Indentation and escapes are found as they are, frames to the byte where nothing hides them."""
    found = calibrate(Played(BY_NAME["indent=4"])).overhead
    right = BY_NAME["indent=4"].overhead
    assert (found.json_indent, found.json_escapes) == (4, Escapes.JSON)
    assert found.per_message_tokens == right.per_message_tokens
    assert found.per_request_tokens == right.per_request_tokens
    assert calibrate(Played(BY_NAME["indent=4, escaped"])).overhead.json_escapes is Escapes.ASCII
    assert calibrate(Played(BY_NAME["hermes"])).overhead.json_indent == 0


@pytest.mark.parametrize(("form", "normaliser"), [("", "NONE"), ("NFC", "NFC"), ("NFKC", "NFKC")])
def test_a_normaliser_is_found(form: str, normaliser: str) -> None:
    """A tokenizer that gives back another text than it was given has rewritten it."""
    found = calibrate(Played(BY_NAME["chatml"], form))
    assert found.overhead.normaliser is Normaliser[normaliser]
    assert found.holds


def test_a_template_that_xml_makes_longer_is_told() -> None:
    """No figure of a probe covers a template that writes names twice: the check afterwards says so."""
    assert not calibrate(Played(BY_NAME["xml"])).holds


def test_what_was_refused_is_told() -> None:
    """A template that takes turns renders no two questions in a row, and that is not hidden."""
    assert calibrate(Played(BY_NAME["chatml"], takes_turns=True)).refused == (
        "two questions in a row",
        "two answers in a row",
    )


class Spoken(BaseHTTPRequestHandler):
    """The operations of llama.cpp or of vLLM, in the shapes in which they answer."""

    played = Played(BY_NAME["hermes"])
    vllm = False

    def do_POST(self) -> None:
        """One operation."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer: Any = None
        if self.headers["authorization"] != "Bearer sesame":
            status = 401
        else:
            answer = self._for_vllm(body) if self.vllm else self._for_llamacpp(body)
            status = 404 if answer is None else 200
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _rendered(self, body: dict[str, Any]) -> str:
        sent: dict[str, JSON] = {name: body[name] for name in ("tools", "response_format") if name in body}
        return self.played.render(body["messages"], sent)

    def _for_llamacpp(self, body: dict[str, Any]) -> object:
        if self.path == "/apply-template":
            return {"prompt": self._rendered(body)}
        if self.path == "/tokenize":
            return {"tokens": list(body["content"].encode())}
        return {"content": bytes(body["tokens"]).decode()} if self.path == "/detokenize" else None

    def _for_vllm(self, body: dict[str, Any]) -> object:
        assert body.get("model", "m") == "m"
        if self.path == "/tokenize":
            tokens = list((body["prompt"] if "prompt" in body else self._rendered(body)).encode())
            return {"count": len(tokens), "max_model_len": 4096, "tokens": tokens}
        return {"prompt": bytes(body["tokens"]).decode()} if self.path == "/detokenize" else None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
        """Nothing is printed."""


@pytest.fixture(params=[False, True], ids=["llama.cpp", "vLLM"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """A server of either kind: its base URL, and whether it is vLLM."""

    class Handler(Spoken):
        vllm = request.param
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait for each other

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/v1", request.param
        finally:
            listening.shutdown()
            thread.join()


def test_both_servers_are_asked_in_their_own_words(server: tuple[str, bool]) -> None:
    """The kind is found out, and the same template gives the same figures through either."""
    base_url, vllm = server
    with Endpoint(base_url, "sesame") as endpoint:
        found = found_at(endpoint, "m")
        assert isinstance(found, Vllm if vllm else LlamaCpp)
        overhead = calibrate(found).overhead
    assert overhead == calibrate(Played(BY_NAME["hermes"])).overhead


def test_a_server_that_cannot_be_asked_says_why(server: tuple[str, bool]) -> None:
    """A missing key, a missing name, nobody there, no address at all."""
    base_url, vllm = server
    with Endpoint(base_url, None) as endpoint, pytest.raises(CatalogError, match="wants a key"):
        found_at(endpoint, "m")
    if vllm:
        with Endpoint(base_url, "sesame") as endpoint, pytest.raises(CatalogError, match="add `--model NAME`"):
            found_at(endpoint, "")
    with Endpoint("http://127.0.0.1:9", None) as endpoint, pytest.raises(CatalogError, match="is it running"):
        found_at(endpoint, "m")
    with pytest.raises(CatalogError, match="no address of a server"):
        Endpoint("127.0.0.1:8080", None)
