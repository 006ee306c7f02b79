"""Tests of the door and of all that happens behind it."""
