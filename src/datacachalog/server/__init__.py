"""The registry: tables, immutable snapshots, roles, jobs and runs, behind an HTTP API."""
