"""Tables as something to work with: SQL, data frames, and their first rows."""

from __future__ import annotations

import importlib
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

from datacachalog.domain.lineage import current_recorder
from datacachalog.integrations.extras import needed
from datacachalog.sdk.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from datacachalog.domain.registry import Snapshot
    from datacachalog.integrations.duckdb import SnapshotDatabase
    from datacachalog.integrations.snapshot_files import SnapshotFiles

_INTEGRATIONS = "datacachalog.integrations"


class Querying(Tables):
    """What `DatlakeClient` does with the rows of tables.

    Objects in S3 are read with the credentials, the region and the endpoint that the AWS variables
    and files of the environment name, as the AWS command line has them. Files of the registry that
    are not on this machine are downloaded from it. Each object is compared with the size and the
    entity tag that it was registered with before it is read, and in S3 with every part of it.

    Every method raises `ApiError` where the registry refuses a table, `StorageError` where its
    object cannot be read, `ObjectReplacedError` where another one is in its place, and
    `MissingExtraError` where a library is not installed. What is read is an input of the run
    around the call.
    """

    @cached_property
    def _files(self) -> SnapshotFiles:
        # By name: who reads no rows need not wait for what reaches stores.
        module = importlib.import_module(f"{_INTEGRATIONS}.snapshot_files")
        made: SnapshotFiles = module.SnapshotFiles(self.transport, os.environ)
        return made

    @cached_property
    def _database(self) -> SnapshotDatabase:
        module = needed(f"{_INTEGRATIONS}.duckdb", "duckdb", "SQL")
        made: SnapshotDatabase = module.SnapshotDatabase(self._files)
        return made

    def duckdb(self, database: str = ":memory:") -> DuckDBPyConnection:
        """A new connection to DuckDB that reads `s3://`, without an extension; close it.

        `database` is the file of a database that DuckDB is to keep. It only reads: what is to be
        written to a store, `upload_object` puts there.
        """
        return self._database.connect(database)

    def sql(
        self, query: str, *, params: object = None, connection: DuckDBPyConnection | None = None
    ) -> DuckDBPyRelation:
        """What a SELECT gives: a relation of DuckDB, with `to_df()`, `pl()`, `fetchall()` and more.

        Tables are those of the registry, as `name` or `namespace.name`, each as its current
        snapshot is now, however often it is named, and whenever the relation is used; or as
        `name AT (VERSION => 'snap-…')` says. What `connection`, one of `duckdb()`, has as a table
        or a view of that name is that. Only relations of one `connection` can be joined.

        Raises:
            QueryError: it is not one SELECT, or DuckDB refuses it.
            UnreadableFormatError: a table is not of Parquet, CSV, JSON lines or JSON.
        """
        asked: dict[str, Snapshot] = {}

        def resolve(name: str, snapshot_id: str | None) -> Snapshot:
            found = self._snapshot(name, snapshot_id)
            asked[found.snapshot_id] = found
            return found

        relation = self._database.sql(query, resolve, params=params, connection=connection)
        for snapshot in asked.values():
            _is_read(snapshot)
        return relation

    @overload
    def read(
        self,
        table_name: str,
        engine: Literal["polars"] = "polars",
        *,
        columns: Sequence[str] | None = None,
        snapshot_id: str | None = None,
    ) -> pl.DataFrame: ...

    @overload
    def read(
        self,
        table_name: str,
        engine: Literal["pandas"],
        *,
        columns: Sequence[str] | None = None,
        snapshot_id: str | None = None,
    ) -> pd.DataFrame: ...

    @overload
    def read(
        self,
        table_name: str,
        engine: Literal["arrow"],
        *,
        columns: Sequence[str] | None = None,
        snapshot_id: str | None = None,
    ) -> Any: ...

    def read(
        self,
        table_name: str,
        engine: Literal["polars", "pandas", "arrow"] = "polars",
        *,
        columns: Sequence[str] | None = None,
        snapshot_id: str | None = None,
    ) -> Any:
        """A table in memory: a data frame of polars or pandas, or a table of pyarrow.

        It is the current snapshot, or the one of an id; `columns` are those that are wanted, in
        their order. Of Parquet, no others are read.

        Raises:
            ReadingError: there is no such column, or it is not of its format.
            UnreadableFormatError: it is not of Parquet, CSV, JSON lines or JSON.
            ValueError: there is no such engine.
        """
        if engine not in {"polars", "pandas", "arrow"}:
            raise ValueError(f"engine is 'polars', 'pandas' or 'arrow', not {engine!r}")
        wanted = f"engine={engine!r}"
        frames = needed(f"{_INTEGRATIONS}.frames", engine, wanted)
        library = None if engine == "arrow" else needed(engine, engine, wanted)
        snapshot = self._snapshot(table_name, snapshot_id)
        table = frames.read_table(snapshot, self._files.find(snapshot), columns)
        _is_read(snapshot)
        if engine == "pandas":
            return table.to_pandas()
        return table if library is None else library.from_arrow(table)

    def sample(
        self, table_name: str, rows: int = 100, *, snapshot_id: str | None = None
    ) -> list[dict[str, Any]]:
        """The first rows of a table, as JSON has them; from few bytes of it.

        They are kept with the snapshot in the cache of metadata, and nothing is read again.

        Dates and times are text as ISO 8601 has it, durations text in seconds, decimals text, bytes
        text in base64; NaN and the infinities are the texts `NaN`, `Infinity` and `-Infinity`.
        Lists and structs are lists and dictionaries; maps are lists of pairs.

        Raises:
            ReadingError: it is not of its format.
            UnreadableFormatError: it is not of Parquet, CSV, JSON lines or JSON.
            ValueError: `rows` is less than 1.
        """
        if rows < 1:
            raise ValueError("rows is how many are wanted, at least 1")
        snapshot = self._snapshot(table_name, snapshot_id)
        key = snapshot.table_name, snapshot.snapshot_id
        found = self.cache.sample_get(*key, rows)
        if found is None:
            samples = needed(f"{_INTEGRATIONS}.samples", "arrow", "sample()")
            found = list(samples.sample_rows(snapshot, self._files.find(snapshot), rows))
            self.cache.sample_put(*key, found, is_whole=len(found) < rows)
        _is_read(snapshot)
        return found

    def _snapshot(self, table_name: str, snapshot_id: str | None) -> Snapshot:
        if snapshot_id is None:
            return self.get_latest_snapshot_uri(table_name)
        return self.get_snapshot(table_name, snapshot_id)


def _is_read(snapshot: Snapshot) -> None:
    if (recorder := current_recorder()) is not None:
        recorder.read(snapshot.table_name, snapshot.snapshot_id)
