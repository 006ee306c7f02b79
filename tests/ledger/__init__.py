"""Tests of the book: what is durable, what is exact, and what happens when it cannot be written."""
