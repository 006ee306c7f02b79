"""llama.cpp and vLLM as `TokenServer`s: their own endpoints that render a template and count tokens, over HTTP.

For calibration only. No redirect is followed and no proxy is used; the key goes into one header and nowhere else.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from modelrouter.catalog.calibration import Unrendered
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from modelrouter.catalog.calibration import TokenServer
    from modelrouter.core.request import JSON, Message

__all__ = ["Endpoint", "LlamaCpp", "Vllm", "found_at"]

REFUSALS: Final = frozenset({400, 422, 500})
"""What a template that takes no such conversation is answered with."""


class Endpoint:
    """JSON in, JSON out, over one connection."""

    def __init__(self, base_url: str, key: str | None, *, timeout_s: float = 30.0) -> None:
        """An endpoint.

        Args:
            base_url: with or without the `/v1` at its end: these operations stand beside it.
            key: sent as `Bearer KEY`; None sends none.
            timeout_s: for each answer.

        Raises:
            CatalogError: the address is none.
        """
        place = urlsplit(base_url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise CatalogError(f"`{base_url}` is no address of a server: write it as `http://127.0.0.1:8080/v1`")
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(place.hostname, place.port, timeout=timeout_s)
        self._folder = place.path.rstrip("/").removesuffix("/v1")
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, operation: str, body: Mapping[str, object]) -> tuple[int, Any]:
        """The status, and the JSON of the answer; None where it is no JSON.

        Raises:
            CatalogError: nobody answers.
        """
        try:
            self._connection.request("POST", f"{self._folder}{operation}", json.dumps(body), self._headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise CatalogError(f"the server did not answer at `{operation}`: is it running?") from None
        try:
            return response.status, json.loads(answer)
        except ValueError:
            return response.status, None

    def good(self, operation: str, body: Mapping[str, object], member: str) -> Any:  # noqa: ANN401 - JSON from outside
        """A member of an answer of status 200.

        Raises:
            Unrendered: the server refuses the body.
            CatalogError: it refuses the caller, or answers something else.
        """
        status, answer = self.ask(operation, body)
        if status in REFUSALS:
            raise Unrendered
        if status != http.HTTPStatus.OK or not isinstance(answer, dict) or member not in answer:
            raise CatalogError(f"the server answered `{operation}` with status {status} and no `{member}`")
        return answer[member]


class LlamaCpp:
    """`/apply-template`, `/tokenize` and `/detokenize` of llama.cpp's server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def render(self, messages: Sequence[Message], parameters: Mapping[str, JSON]) -> str:
        """The prompt of a conversation."""
        return str(self._endpoint.good("/apply-template", {"messages": messages, **parameters}, "prompt"))

    def _tokens(self, text: str, *, special: bool) -> list[Any]:
        body = {"content": text, "add_special": special, "parse_special": special}
        return list(self._endpoint.good("/tokenize", body, "tokens"))

    def count(self, prompt: str) -> int:
        """Tokens of a prompt."""
        return len(self._tokens(prompt, special=True))

    def seen(self, text: str) -> str:
        """A text as it comes back."""
        tokens = self._tokens(text, special=False)
        return str(self._endpoint.good("/detokenize", {"tokens": tokens}, "content"))


class Vllm:
    """`/tokenize`, which renders and counts a conversation, and `/detokenize` of vLLM's server."""

    def __init__(self, endpoint: Endpoint, model: str) -> None:
        self._endpoint = endpoint
        self._model = model

    def _text(self, tokens: list[Any]) -> str:
        return str(self._endpoint.good("/detokenize", {"model": self._model, "tokens": tokens}, "prompt"))

    def _tokens(self, **body: object) -> list[Any]:
        return list(self._endpoint.good("/tokenize", {"model": self._model, **body}, "tokens"))

    def render(self, messages: Sequence[Message], parameters: Mapping[str, JSON]) -> str:
        """The prompt of a conversation, back from its tokens. No response schema is part of a prompt here."""
        sent = {name: value for name, value in parameters.items() if name in {"tools", "chat_template_kwargs"}}
        return self._text(self._tokens(messages=messages, add_generation_prompt=True, **sent))

    def count(self, prompt: str) -> int:
        """Tokens of a prompt."""
        return len(self._tokens(prompt=prompt, add_special_tokens=False))

    def seen(self, text: str) -> str:
        """A text as it comes back."""
        return self._text(self._tokens(prompt=text, add_special_tokens=False))


def found_at(endpoint: Endpoint, model: str) -> TokenServer:
    """Whichever of the two answers at an endpoint.

    Raises:
        CatalogError: neither does.
    """
    status, _ = endpoint.ask("/apply-template", {"messages": [{"role": "user", "content": "x"}]})
    if status == http.HTTPStatus.OK:
        return LlamaCpp(endpoint)
    if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        raise CatalogError(f"the server wants a key (status {status}): name it with `--key env:VARIABLE`")
    if not model:
        raise CatalogError("this is no llama.cpp server; vLLM wants the name of the model: add `--model NAME`")
    status, _ = endpoint.ask("/tokenize", {"model": model, "prompt": "x"})
    if status == http.HTTPStatus.OK:
        return Vllm(endpoint, model)
    raise CatalogError(f"neither llama.cpp's `/apply-template` nor vLLM's `/tokenize` answers there (status {status})")
