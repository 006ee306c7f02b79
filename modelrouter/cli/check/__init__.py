"""`modelrouter check`: routes, policies, dates and losses."""
