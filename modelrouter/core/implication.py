"""What can be proved about two rules of one key without looking at any deployment.

Proofs here are sound and not complete: `covers` and `excludes` answer True only where it holds in every world with
these groups, and False where they cannot tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.core.policy import Policy
from modelrouter.core.rules.grammar import amount
from modelrouter.core.rules.places import countries_of, is_mystery
from modelrouter.core.rules.share import cap_of
from modelrouter.core.shares import ShareMode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelrouter.core.facts import World
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.shares import ShareCap

__all__ = ["covers", "deny_is_idle", "excludes"]

PLACES: Final = frozenset({"developer.country", "operator.country", "processing.country", "storage.country"})
WORDS: Final = frozenset({"data.training", "hosting", "model.id", "quantization", "weights.openness"})
"""Keys of one word, compared as it is or in lower case. Ids of organisations are none: their parents count too."""
WITHOUT_CASE: Final = frozenset({"quantization", "weights.licence"})
MAY_BE_NOTHING: Final = frozenset({"storage.country"})
"""Keys whose fact may be a sourced `none`, which is inside whatever is allowed."""
WORD_LIMITS: Final = frozenset({"facts.confidence", "request.bound"})


def covers(strict: RuleSpec, loose: RuleSpec, world: World) -> bool:
    """Whether whatever `strict` permits, `loose` permits: then `loose` refuses nothing that `strict` lets through."""
    caps = [cap_of(Policy("", (spec,)), spec) for spec in (strict, loose)]
    if caps[0] is not None and caps[1] is not None:
        return _cap_covers(caps[0], caps[1])
    if strict.key != loose.key or _plain(strict.options) != _plain(loose.options):
        return False
    return (
        _allow_covers(strict, loose, world)
        and _deny_covers(strict, loose, world)
        and _limits_cover(strict, loose)
        and _requirement_covers(strict, loose)
    )


def _cap_covers(strict: ShareCap, loose: ShareCap) -> bool:
    """Whether a share cap leaves nobody more than another does; a soft one never takes a hard one's place."""
    same = (strict.of, strict.by, strict.window_s) == (loose.of, loose.by, loose.window_s)
    return (
        same
        and strict.numerator * loose.denominator <= loose.numerator * strict.denominator
        and strict.least <= loose.least
        and strict.permits_alone <= loose.permits_alone
        and (loose.mode is ShareMode.SOFT or strict.mode is not ShareMode.SOFT)
    )


def excludes(one: RuleSpec, other: RuleSpec, world: World) -> bool:
    """Whether no fact can satisfy both rules; a rule may exclude itself."""
    if one.key != other.key or one.key not in (PLACES | WORDS) - MAY_BE_NOTHING:
        return False
    allowed = [_set(spec.allow, spec.key, world) for spec in (one, other) if spec.allow is not None]
    if not allowed or any(_has_riddles(spec, world) for spec in (one, other)):
        return False
    denied = _set(one.deny or (), one.key, world) | _set(other.deny or (), other.key, world)
    return not frozenset.intersection(*allowed) - denied


def deny_is_idle(spec: RuleSpec, world: World) -> bool:
    """Whether a rule's `allow` already keeps out whatever its `deny` names."""
    if spec.allow is None or spec.deny is None or spec.key not in PLACES | WORDS:
        return False
    return _is_kept_out(spec.deny, spec, world)


def _allow_covers(strict: RuleSpec, loose: RuleSpec, world: World) -> bool:
    if loose.allow is None:
        return True
    if strict.allow is None:
        return False
    return _set(strict.allow, strict.key, world) <= _set(loose.allow, loose.key, world)


def _deny_covers(strict: RuleSpec, loose: RuleSpec, world: World) -> bool:
    if loose.deny is None or (strict.deny is not None and loose.deny <= strict.deny):
        return True
    if any(_is_riddle(name, loose.key, world) for name in loose.deny):
        return False
    if strict.deny is not None and _set(loose.deny, loose.key, world) <= _set(strict.deny, strict.key, world):
        return True
    return strict.key in PLACES | WORDS and _is_kept_out(loose.deny, strict, world)


def _is_kept_out(denied: Collection[str], spec: RuleSpec, world: World) -> bool:
    """Whether the `allow` of a rule lets nothing of these in, nor anything whose meaning nobody knows."""
    if spec.allow is None or any(_is_riddle(name, spec.key, world) for name in (*denied, *spec.allow)):
        return False
    return _set(denied, spec.key, world).isdisjoint(_set(spec.allow, spec.key, world))


def _limits_cover(strict: RuleSpec, loose: RuleSpec) -> bool:
    if loose.key in WORD_LIMITS:
        return strict.at_least == loose.at_least
    if loose.at_most is not None and (strict.at_most is None or amount(strict.at_most) > amount(loose.at_most)):
        return False
    return loose.at_least is None or (strict.at_least is not None and amount(strict.at_least) >= amount(loose.at_least))


def _requirement_covers(strict: RuleSpec, loose: RuleSpec) -> bool:
    if isinstance(loose.require, frozenset) and isinstance(strict.require, frozenset):
        return loose.require <= strict.require
    return loose.require is None or loose.require == strict.require


def _set(names: Collection[str], key: str, world: World) -> frozenset[str]:
    """The members that names stand for: countries of groups, words as they are compared."""
    if key in PLACES:
        return countries_of(names, world)
    return frozenset(name.lower() for name in names) if key in WITHOUT_CASE else frozenset(names)


def _has_riddles(spec: RuleSpec, world: World) -> bool:
    return any(_is_riddle(name, spec.key, world) for name in (*(spec.allow or ()), *(spec.deny or ())))


def _is_riddle(name: str, key: str, world: World) -> bool:
    """A word that is no place, and a group without members: what they let in cannot be told by members."""
    return key in PLACES and (is_mystery(name, world) or not countries_of((name,), world))


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    """Parameters as they are compared: a list is a set."""
    return {name: frozenset(value) if isinstance(value, (tuple, list)) else value for name, value in options.items()}
