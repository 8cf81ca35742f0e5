"""Push a new revision, meet somebody else's change, bring both together, and push again.

It works on a copy of the sample data in a temporary folder.

uv run python examples/push.py
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from datacachalog import Catalog, ConflictError, Dataset

CUSTOMERS = Path(__file__).parents[1] / "data" / "customers.csv"


def without_trials(text: str) -> str:
    """Our change: nobody is on the free plan any more."""
    return text.replace(",free\n", ",team\n")


def main() -> None:
    with TemporaryDirectory() as folder:
        source, mine = Path(folder, "customers.csv"), Path(folder, "mine.csv")
        shutil.copy(CUSTOMERS, source)
        catalog = Catalog([Dataset("customers", source)], cache_dir=Path(folder, "cache"))

        mine.write_text(without_trials(catalog.fetch("customers").read_text()))
        with source.open("a") as file:  # meanwhile, somebody else adds a customer
            file.write("251,Kaya Eklund,SE,2026-01-05,free\n")

        try:
            catalog.push("customers", mine)
        except ConflictError as error:
            print(f"refused: {error.code}")
            mine.write_text(without_trials(catalog.fetch("customers").read_text()))
            pushed = catalog.push("customers", mine)
            print(f"pushed {pushed.info.size_bytes} bytes")

        text = source.read_text()
        print(f"both changes are there: {'Kaya Eklund' in text and ',free' not in text}")
        print(f"the next fetch: {catalog.obtain('customers').outcome.value}")


if __name__ == "__main__":
    main()
