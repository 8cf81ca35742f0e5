"""`python -m datacachalog` is the `catalog` command."""

from __future__ import annotations

from datacachalog.cli.main import main

if __name__ == "__main__":
    main()
