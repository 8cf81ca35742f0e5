"""What an object is: its rows and its schema, from as few bytes as will do."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.server.transfer.plain_files import Readable

MAX_FOOTER_BYTES = 64 << 20
MAX_COLUMNS = 10_000
_SAMPLE_BYTES = 1 << 20
_TAIL_BYTES = 64 << 10
_MAGIC = b"PAR1"
_MAX_DEPTH = 64
# A string, which may be cut off, or a bracket: each byte is looked at once, whatever it is.
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)

Field = dict[str, Any]
"""A column: `name`, `type` as Arrow writes it, `nullable`."""


class NotOfFormatError(Exception):
    """The bytes are not of the format that they are said to be of."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The columns of an object, None where nothing is known of them, and its rows if it says so."""

    fields: list[Field] | None
    row_count: int | None


def inspect(storage: Readable, info: ObjectInfo, kind: str) -> Inspected:
    """Reads what an object says of itself.

    Raises:
        NotOfFormatError: it is not what `kind` says; the message has what is wrong.
        StorageError: it cannot be read.
    """
    match kind:
        case "parquet":
            return _parquet(storage, info)
        case "csv":
            return Inspected(_sampled(storage, info, _csv_schema), None)
        case "jsonl":
            return Inspected(_sampled(storage, info, _json_schema), None)
    return Inspected(None, None)


def _parquet(storage: Readable, info: ObjectInfo) -> Inspected:
    """The footer, of a length that is bounded before it is believed."""
    size = info.size_bytes
    if size < 12:
        raise NotOfFormatError(f"{size} bytes are too few for Parquet")
    tail = _read(storage, info, max(0, size - _TAIL_BYTES), size)
    if tail[-4:] != _MAGIC:
        raise NotOfFormatError("it does not end as Parquet does (encrypted files are not read)")
    (length,) = struct.unpack("<I", tail[-8:-4])
    if length + 8 > size:
        raise NotOfFormatError(f"its footer says that it has {length} bytes, and there are {size}")
    if length > MAX_FOOTER_BYTES:
        raise NotOfFormatError(f"its footer has {length} bytes; {MAX_FOOTER_BYTES} are read")
    if length + 8 > len(tail):
        tail = _read(storage, info, size - length - 8, size)
    try:
        metadata = pq.read_metadata(io.BytesIO(_MAGIC + tail[-(length + 8) :]))
        if metadata.num_columns > MAX_COLUMNS:
            raise NotOfFormatError(f"it has {metadata.num_columns} columns; at most {MAX_COLUMNS}")
        return Inspected(_fields(metadata.schema.to_arrow_schema()), metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise NotOfFormatError(f"its footer cannot be read: {_line(error)}") from error


def _sampled(storage: Readable, info: ObjectInfo, schema_of: Any) -> list[Field]:
    """The columns, as the first rows have them."""
    sample = _read(storage, info, 0, min(info.size_bytes, _SAMPLE_BYTES))
    if len(sample) < info.size_bytes:
        whole, newline, _ = sample.rpartition(b"\n")
        if not newline:
            raise NotOfFormatError(f"its first {len(sample)} bytes hold no whole line")
        sample = whole + newline
    try:
        fields = _fields(schema_of(io.BytesIO(sample)))  # of names that may not be UTF-8
    except (pa.ArrowException, ValueError) as error:
        raise NotOfFormatError(f"its first rows cannot be read: {_line(error)}") from error
    if len(fields) > MAX_COLUMNS:
        raise NotOfFormatError(f"it has {len(fields)} columns; at most {MAX_COLUMNS}")
    return fields


def _csv_schema(sample: io.BytesIO) -> pa.Schema:
    return pyarrow.csv.read_csv(sample).schema


def _json_schema(sample: io.BytesIO) -> pa.Schema:
    """Arrow's reader of JSON recurses without a limit, and ends the process (26.0.1)."""
    depth = 0
    for mark in _MARKS.finditer(sample.getbuffer()):
        match mark[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
        if depth > _MAX_DEPTH:
            raise NotOfFormatError(f"it is nested more than {_MAX_DEPTH} deep")
    return pyarrow.json.read_json(sample).schema


def _fields(schema: pa.Schema) -> list[Field]:
    return [{"name": one.name, "type": str(one.type), "nullable": one.nullable} for one in schema]


def _read(storage: Readable, info: ObjectInfo, start: int, end: int) -> bytes:
    data = storage.read(info.uri, start, end, version=info.version)
    if len(data) != end - start:
        raise NotOfFormatError(f"{len(data)} bytes came where {end - start} were asked for")
    return data


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
