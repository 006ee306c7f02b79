"""`modelrouter replay`: past requests under other policies, facts and prices."""
