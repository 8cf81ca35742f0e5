"""`catalog_push FILE BUCKET KEY FOLDER`: a new object, which must not be there yet."""

import sys

from benchmarks.programs.stopwatch import work
from datacachalog import Catalog, Dataset

if __name__ == "__main__":
    file, bucket, key, folder = sys.argv[1:]
    catalog = Catalog([Dataset("pushed", f"s3://{bucket}/{key}")], cache_dir=folder)
    with work():
        catalog.push("pushed", file, expect="absent")
