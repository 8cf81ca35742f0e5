"""`obstore_ask REQUEST BUCKET KEY COUNT`: one request after the other.

REQUEST is `head`, or `get-unless` for a GET that the store answers with "not modified".
"""

import contextlib
import sys

import obstore
from obstore.exceptions import NotModifiedError

from benchmarks.programs.bare_store import bare_store
from benchmarks.programs.stopwatch import repeat

if __name__ == "__main__":
    request, bucket, key, count = sys.argv[1:]
    store = bare_store(bucket)
    etag = obstore.head(store, key)["e_tag"]

    def head() -> None:
        obstore.head(store, key)

    def get_unless() -> None:
        with contextlib.suppress(NotModifiedError):
            obstore.get(store, key, options={"if_none_match": etag})

    repeat(int(count), head if request == "head" else get_unless)
