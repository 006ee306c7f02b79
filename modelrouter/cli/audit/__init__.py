"""`modelrouter audit`: one folder for an auditor who has never seen the tool."""
