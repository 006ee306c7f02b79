"""The fault matrix: every fault a provider can play, and what it comes to for the caller, on the wire and in the book.

`faults` is the table of faults, `server` plays them and keeps its own account, `cells` runs a real Router with a real
SQLite ledger against each, `golden.txt` holds what must come of it, written from the rules of the design.
"""
