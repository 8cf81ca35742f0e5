"""Fetch many datasets at once, and go on with those that came.

uv run python examples/fetch_all.py
"""

from pathlib import Path

from datacachalog import Catalog, Dataset, FetchAllError

DATA = Path(__file__).parents[1] / "data"


def main() -> None:
    catalog = Catalog(
        [
            Dataset("customers", DATA / "customers.csv"),
            Dataset("orders", DATA / "orders.jsonl"),
            Dataset("returns", DATA / "returns.jsonl"),  # which is not there
        ]
    )
    try:
        paths = catalog.fetch_all(max_workers=4)
    except FetchAllError as error:
        paths = dict(error.paths)
        for name, failure in error.failures.items():
            print(f"{name}: {failure.code}: {failure.hint}")
    for name, path in paths.items():
        print(f"{name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
