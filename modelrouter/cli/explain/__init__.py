"""`modelrouter explain`: a decision now, one of long ago, and what was refused."""
