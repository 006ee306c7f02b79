"""The command line: what it prints, and what it says to the shell."""
