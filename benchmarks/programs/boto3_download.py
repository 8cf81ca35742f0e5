"""`boto3_download BUCKET KEYS_FILE FOLDER WORKERS`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    bucket, keys_file, folder, workers = sys.argv[1:]
    keys = Path(keys_file).read_text().split()
    client = boto3.client("s3", config=Config(max_pool_connections=max(10, int(workers))))
    with work():
        if workers == "1":
            for key in keys:
                client.download_file(bucket, key, f"{folder}/{Path(key).name}")
        else:
            with ThreadPoolExecutor(int(workers)) as pool:
                futures = [
                    pool.submit(client.download_file, bucket, key, f"{folder}/{Path(key).name}")
                    for key in keys
                ]
            for future in futures:
                future.result()
