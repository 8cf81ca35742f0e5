"""The `catalog` command: each command parses, calls the public API, and renders what it says.

Data goes to standard output, everything else to standard error. Errors are told in one place,
`datacachalog.cli.main`; the exit codes that scripts may rely on are in `datacachalog.cli.exits`.
"""
