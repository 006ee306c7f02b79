"""What the router needs from outside, as Protocols and the values that cross them. Nothing else is in this room.

A port is small and ships with a public fake in `modelrouter.testing`. Users may bring their own implementation of any.
"""

from __future__ import annotations

from modelrouter.core.subject import Family as Rule
from modelrouter.ports.book import (
    CallRecord,
    Committed,
    Correction,
    Document,
    LedgerStore,
    RefusedCalls,
    Reservation,
    Resolution,
    SpendRow,
)
from modelrouter.ports.host import Clock, EventSink, Inspector
from modelrouter.ports.wire import (
    TLS,
    Answer,
    Call,
    Credential,
    Delta,
    Endpoint,
    OpenStream,
    StreamEnd,
    Transport,
    Unwanted,
)

__all__ = [
    "TLS",
    "Answer",
    "Call",
    "CallRecord",
    "Clock",
    "Committed",
    "Correction",
    "Credential",
    "Delta",
    "Document",
    "Endpoint",
    "EventSink",
    "Inspector",
    "LedgerStore",
    "OpenStream",
    "RefusedCalls",
    "Reservation",
    "Resolution",
    "Rule",
    "SpendRow",
    "StreamEnd",
    "Transport",
    "Unwanted",
]
