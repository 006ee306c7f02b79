"""A provider that plays faults of the matrix at random: `python -m tests.matrix.weather SEED SHARE`.

The share is that of requests with a fault. It prints the base URL of each of its ports as a JSON line; when its stdin
is closed it prints what it has seen, by port, and ends. A provider that bills more than it was permitted to is left
out: of a call that was cancelled meanwhile, nobody could know. It is a process of its own, so that its memory and its
connections are not those of who is soaked.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tests.matrix.faults import CASES, OTHER, SHALLOW, SMALL
from tests.matrix.plays import OUTPUT_TOKENS
from tests.matrix.server import Peer, asked
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    import asyncio

    from tests.matrix.faults import Case

__all__ = ["LIMITS", "PORTS", "PRICES_NANO_USD", "Seen"]

PORTS: Final = 3
PRICES_NANO_USD: Final = (2_000, 8_000)
"""Of an input and an output token."""
LIMITS: Final = f"{SMALL}, {SHALLOW}"
"""What a deployment needs so that the large and the deep replies are too large and too deep."""
SLOW_SHARE: Final = 0.02
"""Of all faults: those that only a limit of time ends. One in fifty, or a soak would be nothing but waiting."""


@dataclass(slots=True)
class Seen:
    """What one port has seen.

    Attributes:
        faults: requests that were not answered well.
        billed_nano_usd: for all requests.
        trapped: connections to the address that nobody may call.
    """

    requests: int = 0
    faults: int = 0
    billed_nano_usd: int = 0
    trapped: int = 0


class Trap(LoopbackServer):
    """Where redirects lead; it says nothing, and counts."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nothing is said."""


class Weather(LoopbackServer):
    """Draws for each request what becomes of it; use it in a `with`."""

    def __init__(self, draw: random.Random, share: float, trap: Trap) -> None:
        super().__init__()
        self.seen = Seen()
        self._draw, self._share, self._trap = draw, share, trap
        here = [case for case in CASES if case.place == "here" and case.reads and not (case.is_primed or case.options)]
        usual = [case for case in here if case.more in {"", SMALL, SHALLOW} and case.bills[1] <= OUTPUT_TOKENS]
        self._cases = {
            (mode, is_slow): [case for case in usual if case.mode == mode and case.is_slow is is_slow]
            for mode in ("plain", "stream")
            for is_slow in (False, True)
        }

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests, well or not, until a play ends the connection."""
        peer = Peer(reader, writer, trap_url=self._trap.base_url)
        while True:
            peer.echo, peer.wants_stream = await asked(reader)
            case = self._drawn(peer)
            self.seen.requests += 1
            self.seen.faults += case is not OTHER
            self.seen.billed_nano_usd += sum(
                count * price for count, price in zip(case.bills, PRICES_NANO_USD, strict=True)
            )
            if not await case.play(peer):
                return

    def _drawn(self, peer: Peer) -> Case:
        if self._draw.random() >= self._share:
            return OTHER
        is_slow = self._draw.random() < SLOW_SHARE
        return self._draw.choice(self._cases["stream" if peer.wants_stream else "plain", is_slow])


def main(seed: int, share: float) -> None:
    """Serve until stdin is closed."""
    with contextlib.ExitStack() as stack:
        trap = stack.enter_context(Trap())
        ports = [stack.enter_context(Weather(random.Random(seed + port), share, trap)) for port in range(PORTS)]
        _say([port.base_url for port in ports])
        sys.stdin.read()
        ports[0].seen.trapped = trap.connections
    _say([asdict(port.seen) for port in ports])


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
