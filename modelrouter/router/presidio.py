"""Names, addresses and other personal things, found by Microsoft Presidio: `pip install "modelrouter[presidio]"`.

Presidio loads with the first request that is inspected. Nothing is downloaded: its language model must be installed,
and its test of e-mail addresses goes by the list of suffixes that came along. An analyzer of your own does as you made
it.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, cast

from modelrouter.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Analyzer", "PresidioInspector"]

MODEL: Final = "en_core_web_lg"
"""The spaCy model that Presidio takes unless it is told otherwise; it would download a missing one."""


class _Result(Protocol):
    """One thing found; where and what it is, is never looked at."""

    @property
    def entity_type(self) -> str: ...


class Analyzer(Protocol):
    """What is used of `presidio_analyzer.AnalyzerEngine`."""

    def analyze(self, text: str, language: str, *, entities: list[str], score_threshold: float) -> Sequence[_Result]:
        """Find entities in a text."""
        ...


class PresidioInspector:
    """An inspector over Presidio. Kinds are its entities in lower case, as `person`, `email_address`, `phone_number`.

    Args:
        kinds: what to look for; others are not.
        analyzer: your own `AnalyzerEngine`, as for other languages; None makes the one for English.
        language: of the texts, as the analyzer names it.
        least_score: how sure Presidio must be, from 0 to 1.

    Raises:
        MissingDependencyError: Presidio, or the model for English, is not installed.
    """

    def __init__(
        self,
        kinds: Collection[str],
        *,
        analyzer: Analyzer | None = None,
        language: str = "en",
        least_score: float = 0.5,
    ) -> None:
        self._entities = sorted(kind.upper() for kind in kinds)
        self._language = language
        self._least_score = least_score
        self._analyzer = analyzer
        self._guard = threading.Lock()
        if analyzer is None:
            _check_installed()

    def __call__(self, texts: Sequence[str]) -> Mapping[str, int]:
        """How many of each kind are in the texts."""
        if not self._entities:
            return {}
        analyzer = self._loaded()
        return Counter(
            result.entity_type.lower()
            for text in texts
            for result in analyzer.analyze(
                text, self._language, entities=self._entities, score_threshold=self._least_score
            )
        )

    def _loaded(self) -> Analyzer:
        with self._guard:
            if self._analyzer is None:
                made = importlib.import_module("presidio_analyzer").AnalyzerEngine()
                _keep_offline(made.registry.recognizers)
                self._analyzer = cast("Analyzer", made)
            return self._analyzer


def _keep_offline(recognizers: Sequence[object]) -> None:
    """Give the recogniser of e-mail addresses a list of suffixes that is on this disk: its own would be fetched."""
    suffixes = importlib.import_module("tldextract").TLDExtract(suffix_list_urls=(), cache_dir=None)

    def has_a_domain(address: str) -> bool:
        return bool(suffixes(address).fqdn)

    for recognizer in recognizers:
        if type(recognizer).__name__ == "EmailRecognizer":
            recognizer.validate_result = has_a_domain  # type: ignore[attr-defined] # of our own engine alone


def _check_installed() -> None:
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise MissingDependencyError(
            'inspection by `presidio` needs the package presidio-analyzer: pip install "modelrouter[presidio]"'
        )
    if importlib.util.find_spec(MODEL) is None:
        raise MissingDependencyError(
            f"inspection by `presidio` needs the spaCy model `{MODEL}`, which is never downloaded by itself: install "
            "it, or give `Router(inspect=[…])` a `PresidioInspector` with an analyzer of your own"
        )
