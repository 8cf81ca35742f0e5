"""`catalog_push FILE BUCKET KEY FOLDER`: a new object, which must not be there yet.

The trial of the server, which the first push of a day to a bucket makes, is not timed.
"""

import sys

from benchmarks.programs.stopwatch import work
from datacachalog import Catalog, Dataset

if __name__ == "__main__":
    file, bucket, key, folder = sys.argv[1:]
    sources = {"tried": f"{key}-tried", "pushed": key}
    datasets = [Dataset(name, f"s3://{bucket}/{at}") for name, at in sources.items()]
    catalog = Catalog(datasets, cache_dir=folder)
    catalog.push("tried", __file__, expect="absent")
    with work():
        catalog.push("pushed", file, expect="absent")
