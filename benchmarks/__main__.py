"""`python -m benchmarks [--quick] [--only NAME …] [--out FOLDER]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import CASES
from benchmarks.report import circumstances, document
from benchmarks.world import FULL, QUICK, new_world

if TYPE_CHECKING:
    from benchmarks.report import Table


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # as Ctrl-C: tidy up first
    options = _parser().parse_args()
    scale = QUICK if options.quick else FULL
    out = options.out or (None if options.quick or options.only else Path(__file__).parent)
    tables: list[Table] = []
    with new_world(scale) as world:
        for name in options.only or CASES:
            print(name, end=" ", flush=True, file=sys.stderr)
            for table in CASES[name](world):
                tables.append(table)
                print(table.markdown(), end="\n\n", flush=True)
    if out is not None:
        _write(out, tables, circumstances(scale))


def _write(folder: Path, tables: list[Table], facts: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.md").write_text(document(tables, facts))
    data = facts | {"tables": [table.data() for table in tables]}
    (folder / "results.json").write_text(json.dumps(data, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="smaller and fewer runs; writes only where --out says"
    )
    parser.add_argument(
        "--only", nargs="+", choices=CASES, metavar="NAME", help=f"some of: {', '.join(CASES)}"
    )
    parser.add_argument("--out", type=Path, help="folder for RESULTS.md and results.json")
    return parser


if __name__ == "__main__":
    main()
