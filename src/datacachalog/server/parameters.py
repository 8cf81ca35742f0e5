"""Parameters that several routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from datacachalog.server.catalog.tables import NAME_PATTERN
from datacachalog.server.catalog.tags import NAME_PATTERN as TAG_PATTERN

TableName = Annotated[
    str,
    Path(pattern=NAME_PATTERN, examples=["sales_q1"], description="`name`, or `namespace.name`"),
]
TagName = Annotated[str, Path(pattern=TAG_PATTERN, examples=["2025-q1"])]
