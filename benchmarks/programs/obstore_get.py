"""`obstore_get BUCKET KEYS_FILE FOLDER WORKERS`: whole objects, one stream each."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore

from benchmarks.programs.bare_store import bare_store
from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    bucket, keys_file, folder, workers = sys.argv[1:]
    keys = Path(keys_file).read_text().split()
    store = bare_store(bucket)

    def fetch(key: str) -> None:
        with open(f"{folder}/{Path(key).name}", "wb") as file:
            file.writelines(obstore.get(store, key).stream(min_chunk_size=4 * 2**20))

    def fetch_whole(key: str) -> None:
        with open(f"{folder}/{Path(key).name}", "wb") as file:
            file.write(obstore.get(store, key).bytes())

    with work():
        if len(keys) == 1:
            fetch(keys[0])
        else:
            with ThreadPoolExecutor(int(workers)) as pool:
                list(pool.map(fetch_whole, keys))
