"""`s3fs_get BUCKET KEYS_FILE FOLDER WORKERS`; it chooses its own concurrency."""

import os
import sys
from pathlib import Path

import s3fs

from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    bucket, keys_file, folder, _ = sys.argv[1:]
    keys = Path(keys_file).read_text().split()
    files = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    with work():
        files.get(
            [f"{bucket}/{key}" for key in keys],
            [f"{folder}/{Path(key).name}" for key in keys],
        )
