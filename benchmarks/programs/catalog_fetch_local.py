"""`catalog_fetch_local FILE FOLDER`: a file of this machine, into the cache."""

import sys

from benchmarks.programs.stopwatch import work
from datacachalog import Catalog, Dataset

if __name__ == "__main__":
    file, folder = sys.argv[1:]
    catalog = Catalog([Dataset("local", file)], cache_dir=folder)
    with work():
        catalog.fetch("local")
