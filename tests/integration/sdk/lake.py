"""A registry whose tables are in a bucket of S3 and in its own folder."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from datacachalog.adapters.api.reading import record
from datacachalog.domain.registry import Snapshot
from datacachalog.domain.uri import Uri
from tests.servers.datlake import DatlakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from tests.servers.s3 import S3Server


def parquet(group_rows: int | None = None, /, **columns: Any) -> bytes:
    """The bytes of a Parquet file, with so many rows in a group."""
    to = io.BytesIO()
    pq.write_table(pa.table(columns), to, row_group_size=group_rows)
    return to.getvalue()


@dataclass
class Lake:
    """`table` makes tables; `put` changes their objects behind the registry's back."""

    server: DatlakeServer
    s3: S3Server
    bucket: str
    versioned: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def start(cls, folder: Path, s3: S3Server) -> Self:
        server = DatlakeServer(folder, s3.environment())
        made = cls(server, s3, s3.bucket(), s3.bucket(versioned=True))
        for bucket in (made.bucket, made.versioned):
            asked = {"uri": f"s3://{bucket}/", "endpoint_url": s3.endpoint}
            server.ask("POST", "/locations", asked)
        return made

    def table(
        self, name: str, data: bytes, form: str, where: str, *, key: str | None = None
    ) -> Snapshot:
        """The next snapshot of a table: an object of these bytes, in a bucket or in a file."""
        key = key or f"{name}/{next(self._numbers)}.{form}"
        if where == "file":
            uri = f"file://{self.server.objects}/{key}"
        else:
            uri = f"s3://{self.versioned if where == 'versioned' else self.bucket}/{key}"
        self.put(uri, data)
        made = self.server.registered(name, uri, form)
        return record(Snapshot, self.server.ask("GET", f"/tables/{name}/snapshots/{made}"))

    def put(self, uri: str, data: bytes) -> None:
        """Writes an object, whatever was there."""
        at = Uri.parse(uri)
        if at.scheme == "file":
            path = Path(at.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").write_bytes(data)
            path.with_suffix(".new").replace(path)
            return
        client = self.s3.client()
        client.put_object(Bucket=at.authority, Key=at.path, Body=data)
        client.close()

    def delete(self, uri: str) -> None:
        """Removes an object; in a bucket with versions, it leaves a marker."""
        at = Uri.parse(uri)
        if at.scheme == "file":
            Path(at.path).unlink()
            return
        client = self.s3.client()
        client.delete_object(Bucket=at.authority, Key=at.path)
        client.close()
