"""Tables as data frames: read with pyarrow, whatever frame comes of it.

The types are those that a registry has of a table, as it looks at tables with pyarrow, too.
"""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from datacachalog.domain.errors import ReadingError, UnreadableFormatError
from datacachalog.integrations.snapshot_files import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacachalog.domain.registry import Snapshot
    from datacachalog.integrations.snapshot_files import Place

_READ_BYTES = 8 << 20  # what is read from front to back comes in requests of this size
_MAX_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_table(snapshot: Snapshot, place: Place, columns: Sequence[str] | None) -> pa.Table:
    """A snapshot as an Arrow table; of Parquet only the bytes of these columns are read.

    Raises:
        ReadingError: it has no such column, or is not of its format.
        UnreadableFormatError: nothing here reads its format.
    """
    name = snapshot.table_name
    try:
        match snapshot.format:
            case "parquet":
                table = _parquet(name, place, columns)
            case "csv":
                with io.BufferedReader(opened(place), _READ_BYTES) as file:
                    table = pyarrow.csv.read_csv(file)
            case "jsonl" | "json":
                with opened(place) as file:
                    data = file.readall()
                read = json_lines if snapshot.format == "jsonl" else json_document
                table = read(name, data)
            case _:
                raise UnreadableFormatError(name, snapshot.format)
    except (pa.ArrowException, ValueError, UnicodeDecodeError) as error:
        raise ReadingError(name, line_of(error)) from error
    if columns is None:
        return table
    _refuse_others(name, table.column_names, columns)
    return table.select(list(columns))


def _parquet(name: str, place: Place, columns: Sequence[str] | None) -> pa.Table:
    # Not read_table: that makes columns of the folders' names.
    with opened(place) as file, pq.ParquetFile(file, pre_buffer=True) as parquet:
        if columns is not None:  # those that are not there would be left out
            _refuse_others(name, parquet.schema_arrow.names, columns)
        return parquet.read(columns=None if columns is None else list(columns))


def _refuse_others(name: str, known: list[str], columns: Sequence[str]) -> None:
    for one in columns:
        if one not in known:
            raise ReadingError(name, f"it has no column {one!r}; it has {', '.join(known)}")


def json_lines(name: str, data: bytes) -> pa.Table:
    """A table of an object a line.

    Arrow's reader recurses without a limit, and ends the process (26.0.1): what is nested deeply
    is not given to it.

    Raises:
        ReadingError: it is nested more than 64 deep, or its brackets do not match.
    """
    marks = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(_MAX_DEPTH):  # each takes the innermost brackets away
        if not marks:
            return pyarrow.json.read_json(io.BytesIO(data))
        marks = marks.replace(b"{}", b"").replace(b"[]", b"")
    if marks:
        raise ReadingError(name, f"it is no JSON, or nested more than {_MAX_DEPTH} deep")
    return pyarrow.json.read_json(io.BytesIO(data))


def json_document(name: str, data: bytes) -> pa.Table:
    """A table of one JSON text, which is an array of objects.

    Raises:
        ReadingError: it is none.
    """
    try:
        rows = json.loads(data)
    except RecursionError as error:
        raise ReadingError(name, "it is nested too deeply") from error
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise ReadingError(name, "its JSON is no array of objects")
    # Of all rows: the first one need not have every column.
    names = dict.fromkeys(column for row in rows for column in row)
    return pa.table({one: [row.get(one) for row in rows] for one in names})


def line_of(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    return " ".join(str(error).split())[:300]
