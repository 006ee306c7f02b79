"""`modelrouter ledger …`: the book, audited, exported, corrected and archived."""
