"""The shipped policies, each against its truth table."""
