"""Tests of the catalog: its code, and every shipped fact."""
