"""`modelrouter revoke`, `restore` and `attest`."""
