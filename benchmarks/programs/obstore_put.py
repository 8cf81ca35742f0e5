"""`obstore_put FILE BUCKET KEY`."""

import sys
from pathlib import Path

import obstore

from benchmarks.programs.bare_store import bare_store
from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    file, bucket, key = sys.argv[1:]
    store = bare_store(bucket)
    with work():
        obstore.put(store, key, Path(file), chunk_size=8 * 2**20, max_concurrency=4)
