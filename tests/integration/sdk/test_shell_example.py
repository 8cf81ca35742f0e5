"""The shell example of phase 3 of the first plan runs as it is written there."""

from __future__ import annotations

import io
import os
import subprocess
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.sdk.typing_commands import SCRIPTS, typed

EXAMPLE = """\
# Get a URI for use in a script
export TABLE_URI=$(datalake-cli get-uri sales_q1)
duckdb -c "COPY (SELECT * FROM '$TABLE_URI') TO 'local_copy.csv' (HEADER, DELIMITER ',');"

# Register a new dataset
datalake-cli register-snapshot --table-name new_data --uri s3://my-bucket/uploads/new.parquet
"""


def parquet():
    file = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "city": ["Rome", "Oslo"]}), file)
    return file.getvalue()


def test_the_shell_example_of_the_plan_runs_as_written(new_server, seaweedfs, tmp_path):
    """DuckDB's own command is the wheel `duckdb-cli`; its library has no `python -m duckdb`."""
    server = new_server()
    server.stop()
    server.more |= seaweedfs.environment()
    server.start()
    store = seaweedfs.client()
    with suppress(store.exceptions.BucketAlreadyOwnedByYou):  # by another test
        store.create_bucket(Bucket="my-bucket")
    store.put_object(Bucket="my-bucket", Key="uploads/new.parquet", Body=parquet())
    where = {"uri": "s3://my-bucket/", "endpoint_url": seaweedfs.endpoint, "allow_http": True}
    server.ask("POST", "/locations", where)
    server.registered("sales_q1", server.object(parquet(), "q1.parquet"))
    named = {"DATLAKE_API_URL": server.base_url, "DATLAKE_API_KEY": server.admin_key}
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", EXAMPLE],
        cwd=tmp_path,
        env={**os.environ, **named, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "id,city\n1,Rome\n2,Oslo\n" == (tmp_path / "local_copy.csv").read_text()
    job = typed("job", done.stdout.split()[-1], "--wait", "--json", **named).json()
    latest = typed("get-uri", "new_data", "--json", **named).json()
    assert ("s3://my-bucket/uploads/new.parquet", job["snapshot_id"], 2) == tuple(
        latest[one] for one in ("uri", "snapshot_id", "row_count")
    )
