"""`datlake_warm PORT KEY FOLDER QUESTION COUNT`: asks a client for the same snapshot repeatedly."""

import sys

from benchmarks.programs.stopwatch import repeat
from datlake_sdk import DatlakeClient

if __name__ == "__main__":
    port, key, folder, question, count = sys.argv[1:]
    client = DatlakeClient(
        f"http://127.0.0.1:{port}",
        key,
        cache_dir=folder,
        latest_ttl_s=3600 if question == "held" else 0,
    )
    snapshot_id = client.get_latest_snapshot_uri("t5").snapshot_id
    if question == "id":
        repeat(int(count), lambda: client.get_snapshot("t5", snapshot_id))
    else:
        repeat(int(count), lambda: client.get_latest_snapshot_uri("t5"))
