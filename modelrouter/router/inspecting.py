"""Looks into requests before anything is decided. What fails, or answers what nobody declared, refuses the request.

Inspectors are given texts and answer with counts by kind, so that nothing of what they find can reach a log, the book
or an error. They run in the caller's thread, one after the other; after a reload once more, where the call goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from modelrouter.core.detectors import KINDS, find
from modelrouter.core.inspection import UNINSPECTED, Inspected, raised_tags
from modelrouter.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.config.setup import Setup
    from modelrouter.core.request import JSON, Message
    from modelrouter.ports import Inspector

__all__ = ["Inspection"]

BUILTIN: Final = "builtin"
PRESIDIO: Final = "presidio"
WIRE_WORDS: Final = frozenset({"role", "type"})
"""Members that hold a word of the wire, where it is one."""
MEDIA: Final = frozenset({("file", "file_data"), ("input_audio", "data")})
"""Where a content part holds bytes: the member that is named as its type, and the one in that."""
PICTURE: Final = ("image_url", "url")
"""Where a content part holds a picture, if it is no address on the web."""
WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
"""A kind that may be shown, a name or a word of the wire; anything else may be what was found."""


class Inspection:
    """The inspectors of one configuration, those that its caller brought along, and what they may raise.

    Args:
        own: of the Router's caller: names as in the config, or functions.

    Raises:
        ConfigError: there is no inspector of a name, or no tag says what any of them raises.
        MissingDependencyError: an inspector's package is not installed.
    """

    def __init__(self, setup: Setup, own: Sequence[str | Inspector]) -> None:
        self._ladders = setup.ladders
        self._mapped = frozenset(kind for ladder in self._ladders.values() for kind in ladder.raised_by)
        wanted = tuple(dict.fromkeys((*setup.inspect, *own)))
        if wanted and not self._ladders:
            raise ConfigError(
                "no tag says what inspection raises: add `raised_by` to one under `tags`, as "
                "`{values: [public, secret], raised_by: {api_key: secret}}`",
                key="inspect",
            )
        self._inspectors = tuple(self._named(each) for each in wanted)

    def _named(self, wanted: str | Inspector) -> tuple[str, Inspector]:
        if not isinstance(wanted, str):
            return getattr(wanted, "__qualname__", type(wanted).__qualname__), wanted
        if wanted == BUILTIN:
            return wanted, partial(find, kinds=sorted(self._mapped & KINDS.keys()))
        if wanted == PRESIDIO:
            from modelrouter.router.presidio import PresidioInspector

            return wanted, PresidioInspector(kinds=self._mapped - KINDS.keys())
        raise ConfigError(f"there is no inspector `{wanted}`: write {BUILTIN} or {PRESIDIO}", key="inspect")

    def inspect(
        self, messages: Sequence[Message], parameters: Mapping[str, JSON], tags: Mapping[str, str]
    ) -> Inspected:
        """Look into a request.

        Raises:
            RequestError: an inspector failed, so nobody knows what the request holds.
        """
        if not self._inspectors:
            return UNINSPECTED
        texts = [*(text for each in messages for text in _texts_of(each)), *_texts(parameters)]
        found: dict[str, int] = {}
        for name, inspector in self._inspectors:
            for kind, count in self._asked(name, inspector, texts).items():
                found[kind] = found.get(kind, 0) + count
        return Inspected(found, raised_tags(tags, self._ladders, found)) if found else UNINSPECTED

    def _asked(self, name: str, inspector: Inspector, texts: Sequence[str]) -> dict[str, int]:
        try:
            told: object = inspector(texts)
        except Exception as error:  # noqa: BLE001 - a function of the application may raise anything
            # its words may quote the prompt, so neither they nor the error itself go on
            raise RequestError(
                f"inspection by `{name}` failed ({type(error).__name__}), so nothing was sent: mend it"
            ) from None
        if not isinstance(told, Mapping) or not all(_is_count(kind, count) for kind, count in told.items()):
            raise RequestError(f"inspection by `{name}` must answer with counts by kind, so nothing was sent: mend it")
        unknown = sorted(kind for kind, count in told.items() if count and kind not in self._mapped)
        if unknown:
            shown = f"`{unknown[0]}`" if WORD.fullmatch(unknown[0]) else "a kind that is no word"
            raise RequestError(
                f"inspection by `{name}` found {shown}, which raises no tag, so nothing was sent: add it to a "
                "`raised_by` under `tags`"
            )
        return {kind: count for kind, count in told.items() if count}


def _is_count(kind: object, count: object) -> bool:
    return isinstance(kind, str) and isinstance(count, int) and not isinstance(count, bool) and count >= 0


def _texts_of(message: Message) -> Iterator[str]:
    """Every text of a message but pictures, sounds and files, which are told by where they stand.

    A text is none of these because it begins like one: `data:` in front of a question hides nothing.
    """
    content = message.get("content")
    if not isinstance(content, Sequence) or isinstance(content, str):
        yield from _texts(message)
        return
    yield from _texts({name: value for name, value in message.items() if name != "content"})
    for part in content:
        yield from _texts(_without_media(part) if isinstance(part, Mapping) else part)


def _without_media(part: Mapping[str, JSON]) -> dict[str, JSON]:
    kind = part.get("type")
    left: dict[str, JSON] = {}
    for name, value in part.items():
        if isinstance(value, Mapping) and name == kind:
            left[name] = {key: item for key, item in value.items() if not _is_media(name, key, item)}
        elif not (kind == "redacted_thinking" and name == "data"):
            left[name] = value
    return left


def _is_media(name: str, key: str, value: JSON) -> bool:
    if not isinstance(value, str):
        return False
    return (name, key) in MEDIA or ((name, key) == PICTURE and value.startswith("data:"))


def _texts(value: JSON) -> Iterator[str]:
    """Every text in a value, names that are more than words included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not WORD.fullmatch(key):
                yield key
            if not (key in WIRE_WORDS and isinstance(item, str) and WORD.fullmatch(item)):
                yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
