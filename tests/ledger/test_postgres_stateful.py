"""Any order of good and bad entries against a book on PostgreSQL, beside the same dictionaries as for SQLite."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from modelrouter.ledger.postgres import PostgresLedger
from tests.ledger.test_stateful import LEASE_S, BookMachine
from tests.real_postgres import fresh_schema


def test_any_order_of_entries_leaves_what_the_dictionaries_say(postgres: str) -> None:
    """Reserve, resolve, reopen; after each step the book and the dictionaries say the same."""

    class PostgresBookMachine(BookMachine):
        """Each run has a schema of its own."""

        def __init__(self) -> None:
            self.schema = fresh_schema(postgres)
            self.url = self.schema.__enter__()
            super().__init__()

        def opened(self) -> PostgresLedger:
            """The book on the server."""
            return PostgresLedger(
                self.url,
                self.clock,
                budgets=self.ours,
                lease_s=LEASE_S,
                spool=self.path.parent,
                now_us=lambda: self.now_us,
            )

        def teardown(self) -> None:
            """Leave nothing behind."""
            super().teardown()
            self.schema.__exit__(None, None, None)

    run_state_machine_as_test(
        PostgresBookMachine, settings=settings(max_examples=5, stateful_step_count=15, deadline=None)
    )
