"""Runs as rows: model, tables, store, leases, event logs, log lines. Knows nothing of processes and of the wire."""
