"""`catalog_warm BUCKET KEY FOLDER FRESHNESS COUNT`: fetches the same dataset again and again."""

import sys

from benchmarks.programs.stopwatch import repeat
from datacachalog import Catalog, Dataset

if __name__ == "__main__":
    bucket, key, folder, freshness, count = sys.argv[1:]
    dataset = Dataset("warm", f"s3://{bucket}/{key}", freshness=freshness)
    catalog = Catalog([dataset], cache_dir=folder)
    repeat(int(count), lambda: catalog.fetch("warm"))
