"""A registry and a bucket of a real S3 server; and the code of the plans, to be run there."""

from __future__ import annotations

import io
import logging
import os
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from datlake_sdk import DatlakeClient
from tests.pages import blocks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.sdk.records import Event
    from tests.servers.datlake import DatlakeServer
    from tests.servers.seaweedfs import SeaweedFS

BUCKET = "my-bucket"  # as a plan has it
USERS: Final[dict[str, list[Any]]] = {"id": [1, 2, 3], "name": ["Ann", "Bo", "Cy"]}
PAGES = "tests/integration/sdk/plans"


class Lake:
    """`server` knows the bucket, and the tables `users_raw` and `sales_raw` of objects in it."""

    def __init__(self, server: DatlakeServer, s3: SeaweedFS) -> None:
        self.server, self._store = server, s3.client()
        with suppress(self._store.exceptions.BucketAlreadyOwnedByYou):  # by another test
            self._store.create_bucket(Bucket=BUCKET)
        location = {"uri": f"s3://{BUCKET}/", "endpoint_url": s3.endpoint}
        server.ask("POST", "/locations", location)
        self.client = DatlakeClient(server.base_url, server.admin_key)
        self.raw = {
            name: server.registered(name, self.write(f"raw/{name}.parquet", USERS))
            for name in ("users_raw", "sales_raw")
        }

    def write(self, key: str, columns: Mapping[str, list[Any]]) -> str:
        """The URI of an object that is written straight to the store."""
        file = io.BytesIO()
        pq.write_table(pa.table(dict(columns)), file)
        self._store.put_object(Bucket=BUCKET, Key=key, Body=file.getvalue())
        return f"s3://{BUCKET}/{key}"

    def read(self, uri: str) -> list[dict[str, Any]]:
        """The rows of an object, read straight from the store."""
        key = uri.removeprefix(f"s3://{BUCKET}/")
        assert key != uri, uri
        body = self._store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
        return rows

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as the registry has it, asked without the SDK."""
        found: dict[str, Any] = self.server.ask("GET", f"/runs/{run_id}")
        return found

    def snapshot_id(self, table: str) -> str:
        """The id of a table's latest snapshot."""
        found = self.server.ask("GET", f"/tables/{table}/snapshots/latest")
        return str(found["snapshot_id"])

    def edges(self, table: str) -> set[tuple[str, str, str]]:
        """Which job made the table of which, and its last run that did."""
        found = self.server.ask("GET", f"/tables/{table}/lineage")["edges"]
        return {(one["source"], one["job_name"], one["last_run_id"]) for one in found}

    def events(self, run_id: str) -> list[Event]:
        """What happened in a run, so far."""
        last = self.client.publish("end", {})
        before = takewhile(lambda one: one.seq < last.seq, self.client.follow(since=0))
        return [one for one in before if one.run_id == run_id]

    def object(self, uri: str) -> bytes:
        """An object of the bucket `objects`, whose artifacts are linked by their URIs."""
        root = self.server.objects.as_uri()
        assert uri.startswith(f"{root}/"), uri
        name = uri.removeprefix(f"{root}/")
        target = self.server.folder / "artifact"
        return self.client.download_object("objects", name, target).read_bytes()


class Etl:
    """The functions that the plan leaves to who uses the SDK."""

    def __init__(self, lake: Lake, target: str) -> None:
        self.lake, self.target = lake, target

    def read(self, uri: str) -> list[dict[str, Any]]:
        logging.getLogger("etl").warning("reading %s", uri)
        return self.lake.read(uri)

    def write(self, rows: list[dict[str, Any]]) -> str:
        """Each time an object of its own."""
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return self.lake.write(f"curated/{self.target}-{os.urandom(6).hex()}.parquet", columns)


def tables_of(data: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The tables and snapshots of a run's inputs or outputs, as the registry has them."""
    return [(one["table_name"], one["snapshot_id"]) for one in data]


def text_of(name: str, filled: Mapping[str, str] | None = None) -> str:
    """A block of the plans, such as `lineage/usage`, to the letter: so formatters see no Markdown.

    What is `filled` in is there once: an address, a key, or a file of this machine.
    """
    page, _, title = name.partition("/")
    [text] = [one.text for one in blocks_of(f"{PAGES}/{page}.txt") if title in one.marks]
    for old, new in (filled or {}).items():
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    return text


def run_block(text: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs it as a program would be that has these names; the names that it has then."""
    exec(compile(text, "<plan>", "exec"), names)  # noqa: S102 - the plans' code is what is tested
    return names
