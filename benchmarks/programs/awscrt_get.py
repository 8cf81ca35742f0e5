"""`awscrt_get BUCKET KEYS_FILE FOLDER WORKERS`: one object; it chooses its own concurrency."""

import os
import sys
from pathlib import Path

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.s3 import (
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    create_default_s3_signing_config,
)

from benchmarks.programs.stopwatch import work

if __name__ == "__main__":
    bucket, keys_file, folder, _ = sys.argv[1:]
    (key,) = Path(keys_file).read_text().split()
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    region = os.environ["AWS_REGION"]
    credentials = AwsCredentialsProvider.new_static(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    )
    client = S3Client(
        region=region,
        tls_mode=S3RequestTlsMode.DISABLED,
        signing_config=create_default_s3_signing_config(
            region=region, credential_provider=credentials
        ),
        throughput_target_gbps=10,
    )
    request = HttpRequest("GET", f"/{bucket}/{key}", HttpHeaders([("Host", address)]))
    with work():
        client.make_request(
            type=S3RequestType.GET_OBJECT,
            request=request,
            recv_filepath=f"{folder}/{Path(key).name}",
        ).finished_future.result()
