"""`modelrouter budget …`: where each budget stands, and which are in force."""
