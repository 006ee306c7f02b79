"""`modelrouter diff`: two policies or two configurations, by meaning."""
