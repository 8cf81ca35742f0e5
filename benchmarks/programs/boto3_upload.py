"""`boto3_upload FILE BUCKET KEY`."""

import sys

import boto3

from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    file, bucket, key = sys.argv[1:]
    client = boto3.client("s3")
    with work():
        client.upload_file(file, bucket, key)
