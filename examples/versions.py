"""Push twice, then read what there was before: by version id, and as of a time.

It needs a bucket with versioning on, at AWS or at any server that speaks S3, and an object in it
that may be overwritten. Say where in the environment, as for every program that uses S3:

export AWS_ENDPOINT_URL=http://127.0.0.1:8333   # leave it out for AWS itself
export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
uv run python examples/versions.py s3://my-bucket/examples/prices.csv
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from datacachalog import Catalog, DatacachalogError, Dataset


def run(source: str, folder: Path) -> None:
    catalog = Catalog([Dataset("prices", source)])
    prices = folder / "prices.csv"

    for price in (1290, 1490):
        prices.write_text(f"product_id,price_cents\nP001,{price}\n")
        catalog.push("prices", prices, expect="any")
        time.sleep(1.1)  # S3 tells times to the second

    kept = catalog.versions("prices")
    if len(kept) == 1:
        raise SystemExit("the bucket keeps no versions")
    newest, before = kept[:2]
    print(f"now:        {catalog.fetch('prices').read_text().split()[-1]}")
    pinned = catalog.fetch("prices", version=before.version)
    print(f"by version: {pinned.read_text().split()[-1]}")
    earlier = catalog.fetch("prices", as_of=before.last_modified)
    print(f"as it was:  {earlier.read_text().split()[-1]}")
    print(f"the store keeps {newest.version} and {before.version}")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with TemporaryDirectory() as folder:
        try:
            run(sys.argv[1], Path(folder))
        except DatacachalogError as error:
            raise SystemExit(f"{error}\n{error.hint or ''}") from error


if __name__ == "__main__":
    main()
