"""Hand-written cases for the rule families: a small world, and one table of sentences per family."""
