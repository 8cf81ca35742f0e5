"""`catalog_fetch BUCKET KEYS_FILE FOLDER`: one object by `fetch`, several by `fetch_all`."""

import sys
from pathlib import Path

from benchmarks.programs.stopwatch import work
from datacachalog import Catalog, Dataset

if __name__ == "__main__":
    bucket, keys_file, folder = sys.argv[1:]
    keys = Path(keys_file).read_text().split()
    datasets = [Dataset(Path(key).name, f"s3://{bucket}/{key}") for key in keys]
    catalog = Catalog(datasets, cache_dir=folder)
    with work():
        if len(keys) == 1:
            catalog.fetch(datasets[0].name)
        else:
            catalog.fetch_all()
