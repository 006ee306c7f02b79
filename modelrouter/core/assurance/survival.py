"""The proof: whether somebody permitted is left after a loss, and if not, the fewest vendors whose loss leaves nobody.

Every rule is asked of one deployment alone, so taking a deployment away changes no verdict about the others: a route is
decided once, and losses are subtracted. Sets of deployments are bits of whole numbers.

The fewest vendors that take all of some deployments away are a smallest hitting set. It is searched for exactly: some
deployment must be hit by one of its few vendors, so only these are tried, for one vendor, then two, and so on; and a
number of deployments that share no vendor needs at least as many losses.
"""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING

from modelrouter.core.assurance.losses import falls_with
from modelrouter.core.assurance.vendors import vendors_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelrouter.core.assurance.losses import Loss
    from modelrouter.core.assurance.vendors import Vendors
    from modelrouter.core.facts import World

__all__ = ["Footing", "Ground"]


class Ground:
    """What deployments stand on. Built once for a world; each route takes its footing there.

    Attributes:
        vendors: of each deployment, by its id.
    """

    def __init__(
        self, world: World, deployments: Iterable[str] | None = None, credentials: Mapping[str, str] | None = None
    ) -> None:
        names = world.deployments if deployments is None else dict.fromkeys(deployments)
        self.vendors: dict[str, Vendors] = {name: vendors_of(world.deployments[name], world) for name in names}
        self._world = world
        self._credentials = {} if credentials is None else credentials
        self._fallen: dict[Loss, frozenset[str]] = {}

    def fallen(self, loss: Loss) -> frozenset[str]:
        """The deployments that are gone, or may be gone, after a loss."""
        found = self._fallen.get(loss)
        if found is None:
            gone = (falls_with(loss, each, self._world, self._credentials) for each in self.vendors.values())
            found = frozenset(name for name, is_gone in zip(self.vendors, gone, strict=True) if is_gone)
            self._fallen[loss] = found
        return found

    def footing(self, permitted: Iterable[str]) -> Footing:
        """What those stand on who are permitted somewhere, best first."""
        return Footing(self, tuple(permitted))


class Footing:
    """Who is permitted, and who of them falls with whom, as bits in the order of `permitted`.

    Whoever wants to know what still holds after a real loss asks about those that are left.

    Attributes:
        permitted: best first.
        vendors: every vendor of any of them, sorted.
        unproved: those whose vendors are not all known; they never count as survivors.
    """

    def __init__(self, ground: Ground, permitted: tuple[str, ...]) -> None:
        self.permitted = permitted
        self.unproved = tuple(name for name in permitted if not ground.vendors[name].are_known)
        self._ground = ground
        self._bits = {name: 1 << place for place, name in enumerate(permitted)}
        self._standing = self._mask(permitted) & ~self._mask(self.unproved)
        falling: dict[str, int] = {}
        for name in permitted:
            for vendor in ground.vendors[name].ids:
                falling[vendor] = falling.get(vendor, 0) | self._bits[name]
        self._falling = {vendor: falling[vendor] for vendor in sorted(falling)}
        self.vendors = tuple(self._falling)

    def left(self, losses: Iterable[Loss]) -> tuple[str, ...]:
        """Who surely remains when all of this is lost together, best first."""
        standing = self._standing
        for loss in losses:
            standing &= ~self._mask(name for name in self._ground.fallen(loss) if name in self._bits)
        return self.names(standing)

    def left_after_each(self, depth: int) -> Iterator[tuple[tuple[str, ...], int]]:
        """Every loss of one vendor, then of two and so on, with who remains as bits; see `names`."""
        for size in range(1, depth + 1):
            for lost in combinations(self._falling.items(), size):
                standing = self._standing
                for _, falling in lost:
                    standing &= ~falling
                yield tuple(vendor for vendor, _ in lost), standing

    def names(self, standing: int, most: int | None = None) -> tuple[str, ...]:
        """The deployments behind bits, best first, and no more than so many of them."""
        return tuple(islice((name for name in self.permitted if self._bits[name] & standing), most))

    def shortest_counterexample(self, most: int) -> tuple[str, ...] | None:
        """The fewest vendors whose loss leaves nobody, if so many or fewer can; the first by name among equally few.

        Args:
            most: how many vendors may be lost, one or more.

        Returns:
            None: after the loss of any so many vendors somebody is left. Empty: nobody is left even without a loss.
        """
        standing = self._standing
        search = _Search(
            {vendor: lost for vendor, each in self._falling.items() if (lost := each & standing)}, standing
        )
        return next((search.first(standing, size) for size in range(most + 1) if search.can_fall(standing, size)), None)

    def _mask(self, names: Iterable[str]) -> int:
        found = 0
        for name in names:
            found |= self._bits[name]
        return found


class _Search:
    """A smallest hitting set over bits, exact."""

    def __init__(self, falling: Mapping[str, int], standing: int) -> None:
        self._falling = falling
        self._takers = {bit: [lost for lost in falling.values() if lost & bit] for bit in _bits_of(standing)}
        self._known: dict[tuple[int, int], bool] = {}

    def can_fall(self, standing: int, vendors: int) -> bool:
        """Whether the loss of so many vendors can leave nobody of these."""
        if not standing:
            return True
        found = self._known.get((standing, vendors))
        if found is None:
            found = self._can_fall(standing, vendors)
            self._known[standing, vendors] = found
        return found

    def _can_fall(self, standing: int, vendors: int) -> bool:
        if self._apart(standing, vendors + 1) > vendors:
            return False
        hardest = min(_bits_of(standing), key=lambda bit: len(self._takers[bit]))
        return any(self.can_fall(standing & ~lost, vendors - 1) for lost in self._ways(hardest, standing))

    def _apart(self, standing: int, enough: int) -> int:
        """How many deployments share no vendor, counted no further than needed: each takes a loss of its own."""
        count = 0
        while standing and count < enough:
            bit = standing & -standing
            count += 1
            standing &= ~bit
            for lost in self._takers[bit]:
                standing &= ~lost
        return count

    def _ways(self, bit: int, standing: int) -> Iterator[int]:
        """The vendors of one deployment by what they take of those that stand; none that takes less than another."""
        ways = {lost & standing for lost in self._takers[bit]}
        return (way for way in ways if not any(way != other and way & other == way for other in ways))

    def first(self, standing: int, vendors: int) -> tuple[str, ...]:
        """The first by name of the smallest sets, where `can_fall` said yes to this number and no to a smaller one.

        The first vendor that is in any smallest set is the first of the first; what it leaves is again smallest.
        """
        chosen: list[str] = []
        while standing:
            vendors -= 1
            for vendor, lost in self._falling.items():
                if lost & standing and self.can_fall(standing & ~lost, vendors):
                    chosen.append(vendor)
                    standing &= ~lost
                    break
        return tuple(chosen)


def _bits_of(mask: int) -> Iterator[int]:
    while mask:
        bit = mask & -mask
        yield bit
        mask &= ~bit
