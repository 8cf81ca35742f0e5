"""Fetch a dataset by name, and read it like any file.

uv run python examples/fetch.py
"""

import csv
from collections import Counter
from pathlib import Path

from datacachalog import Catalog


def main() -> None:
    # Without an argument, the nearest catalog.yaml is used: here or in a folder above.
    catalog = Catalog.open(Path(__file__).parents[1])

    path = catalog.fetch("customers")
    with path.open(encoding="utf-8", newline="") as file:
        plans = Counter(row["plan"] for row in csv.DictReader(file))
    for plan, count in plans.most_common():
        print(f"{plan:10} {count:4}")

    again = catalog.obtain("customers")
    print(f"{again.name}: {again.outcome.value}, {again.entry.info.size_bytes} bytes, at")
    print(again.path)


if __name__ == "__main__":
    main()
