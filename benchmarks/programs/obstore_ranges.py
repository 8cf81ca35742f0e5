"""`obstore_ranges BUCKET KEYS_FILE FOLDER WORKERS`: one object, in ranges of 8 MiB."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore

from benchmarks.programs.bare_store import bare_store
from benchmarks.programs.stopwatch import work

PART_BYTES = 8 * 2**20

if __name__ == "__main__":
    bucket, keys_file, folder, workers = sys.argv[1:]
    (key,) = Path(keys_file).read_text().split()
    store = bare_store(bucket)
    with work(), open(f"{folder}/{Path(key).name}", "wb") as file:

        def fetch(start: int) -> None:
            end = min(start + PART_BYTES, size)
            os.pwrite(file.fileno(), obstore.get_range(store, key, start=start, end=end), start)

        size = obstore.head(store, key)["size"]
        with ThreadPoolExecutor(int(workers)) as pool:
            list(pool.map(fetch, range(0, size, PART_BYTES)))
