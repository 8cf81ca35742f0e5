"""The obstore client that the programs for obstore alone use."""

from __future__ import annotations

import os

from obstore.store import S3Store


def bare_store(bucket: str) -> S3Store:
    """A client without anything around it."""
    return S3Store(
        bucket,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        client_options={"allow_http": True, "timeout": "10m"},
    )
