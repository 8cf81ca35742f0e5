"""`cloudpathlib_download BUCKET KEYS_FILE FOLDER WORKERS`; it has one thread, whatever is asked."""

import os
import sys
from pathlib import Path

from cloudpathlib import S3Client

from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    bucket, keys_file, folder, _ = sys.argv[1:]
    keys = Path(keys_file).read_text().split()
    client = S3Client(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    with work():
        for key in keys:
            client.CloudPath(f"s3://{bucket}/{key}").download_to(f"{folder}/{Path(key).name}")
