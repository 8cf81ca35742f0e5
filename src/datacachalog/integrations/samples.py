"""The first rows of a table, as JSON has them, from as few bytes as will do."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from datacachalog.domain.errors import ReadingError, UnreadableFormatError
from datacachalog.integrations.frames import json_document, json_lines, line_of
from datacachalog.integrations.snapshot_files import opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacachalog.domain.registry import Snapshot
    from datacachalog.integrations.object_file import ObjectFile
    from datacachalog.integrations.snapshot_files import Place

_HEAD_BYTES = 256 << 10
_PAGE_BYTES = 64 << 10  # of each column of Parquet, at a time


def sample_rows(snapshot: Snapshot, place: Place, rows: int) -> list[dict[str, Any]]:
    """The first `rows` rows, or all where there are fewer, as dictionaries that JSON can have.

    Dates and times are text as ISO 8601 has it, durations text in seconds, decimals text, bytes
    text in base64; NaN and the infinities are the texts `NaN`, `Infinity` and `-Infinity`. Lists
    and structs are lists and dictionaries; maps are lists of pairs.

    Raises:
        ReadingError: it is not of its format.
        UnreadableFormatError: nothing here reads its format.
    """
    try:
        with opened(place) as file:
            table = _first(snapshot, file, rows)
    except (pa.ArrowException, ValueError) as error:
        raise ReadingError(snapshot.table_name, line_of(error)) from error
    columns = [[_told(value) for value in column] for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _first(snapshot: Snapshot, file: ObjectFile, rows: int) -> pa.Table:
    match snapshot.format:
        case "parquet":
            return _parquet(file, rows)
        case "csv":
            return _of_head(file, rows, _csv)
        case "jsonl":
            return _of_head(file, rows, lambda data: json_lines(snapshot.table_name, data))
        case "json":
            return json_document(snapshot.table_name, file.readall()).slice(0, rows)
    raise UnreadableFormatError(snapshot.table_name, snapshot.format)


def _parquet(file: ObjectFile, rows: int) -> pa.Table:
    # Page by page: the first group of rows may be all of the file.
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=_PAGE_BYTES) as parquet:
        batches, wanted = [], rows
        for batch in parquet.iter_batches(batch_size=max(rows, 1)):
            batches.append(batch.slice(0, wanted))
            wanted -= batches[-1].num_rows
            if wanted <= 0:
                break
        return pa.Table.from_batches(batches, schema=parquet.schema_arrow)


def _of_head(file: ObjectFile, rows: int, read: Callable[[bytes], pa.Table]) -> pa.Table:
    """The first rows of what is read from front to back: of ever more of it, until they are."""
    data = b""
    while True:
        more = file.read(max(len(data) * 3, _HEAD_BYTES))
        data += more
        whole = data if not more else data[: data.rfind(b"\n") + 1]
        if not more or whole.count(b"\n") > rows:
            table = read(whole)
            if not more or table.num_rows >= rows:
                return table.slice(0, rows)


def _csv(data: bytes) -> pa.Table:
    return pyarrow.csv.read_csv(io.BytesIO(data))


def _told(value: Any) -> Any:
    """A value of Arrow as JSON has it."""
    kind = value.type
    if not value.is_valid:
        return None
    if pa.types.is_dictionary(kind):
        return _told(value.dictionary[value.index.as_py()])
    if pa.types.is_map(kind):
        return [[_told(one["key"]), _told(one["value"])] for one in value.values]
    if isinstance(value, pa.ListScalar | pa.FixedSizeListScalar | pa.LargeListScalar):
        return [_told(one) for one in value.values]
    if pa.types.is_struct(kind):
        return {name: _told(one) for name, one in value.items()}
    return _plain(value)


def _plain(value: Any) -> Any:
    kind = value.type
    if pa.types.is_timestamp(kind):
        return value.cast(pa.string()).as_py().replace(" ", "T", 1)
    if pa.types.is_duration(kind):
        return str(value.cast(pa.int64()).as_py() / _PER_SECOND[kind.unit])
    found = value.as_py() if not pa.types.is_time(kind) else value.cast(pa.string()).as_py()
    match found:
        case bytes():
            return base64.b64encode(found).decode("ascii")
        case float() if not math.isfinite(found):
            return "NaN" if math.isnan(found) else ("Infinity" if found > 0 else "-Infinity")
        case None | bool() | int() | float() | str():
            return found
        case _ if hasattr(found, "isoformat"):
            return found.isoformat()
    return str(found)


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
