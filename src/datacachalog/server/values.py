"""Values that callers send and the database keeps, within bounds; `plain` sees to characters."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from datacachalog.server.catalog.tables import NAME_PATTERN

MAX_METADATA_BYTES = 64 << 10
MAX_EVENT_BYTES = 16 << 10
_MAX_DEPTH = 20

JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# What signs or opens a URL is in its query or before an '@': neither may be kept here.
_URI = r"^[a-z][a-z0-9+.-]{0,30}://[^\s?#@/\\\x00-\x1f\x7f]*/[^\s?#\\\x00-\x1f\x7f]+$"

ObjectUri = Annotated[
    str, Field(max_length=1024, pattern=_URI, examples=["s3://lake/raw/users.csv"])
]
"""The address of something that a run read, wrote or left; nobody here opens it."""

LongText = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
TableName = Annotated[str, Field(pattern=NAME_PATTERN, examples=["sales_q1"])]
SnapshotId = Annotated[str, Field(pattern=WORD, examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"])]


def canonical(value: object) -> str:
    """JSON that is the same for the same content, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _checked(value: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    _check(value, _MAX_DEPTH)
    if len(canonical(value)) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes} bytes of JSON")
    return value


def _check(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        for one in (*value, *value.values()):
            _check(one, depth - 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth - 1)


# The keys are checked here, too: pydantic would quote a broken one in the place of its error.
Metadata = Annotated[
    dict[Any, Any], AfterValidator(lambda value: _checked(value, MAX_METADATA_BYTES))
]
EventData = Annotated[
    dict[Any, Any], AfterValidator(lambda value: _checked(value, MAX_EVENT_BYTES))
]
