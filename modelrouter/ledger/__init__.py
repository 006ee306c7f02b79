"""The book: what was reserved, what it came to, and why the call was made.

`open_ledger` turns the address in a config into a store. A store is append-only, durable before it says so, and knows
nothing of event loops; `waiting` is the bridge to await it from one. SQLite is opened by the store alone: importing
this room loads neither sqlite3 nor asyncio.
"""

from modelrouter.ledger.opening import open_ledger
from modelrouter.ledger.records import AttemptRow, AttemptState, BookedCall, Ledger, Totals

__all__ = ["AttemptRow", "AttemptState", "BookedCall", "Ledger", "Totals", "open_ledger"]
