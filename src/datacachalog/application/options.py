"""The options that several methods of a catalog have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from datetime import datetime

    from datacachalog.ports import ProgressPort


class FetchOptions(TypedDict, total=False):
    """The options of `Catalog.fetch`, which its relatives have too."""

    version: str | None
    as_of: datetime | None
    refresh: bool
    offline: bool | None
    locked: bool
    progress: ProgressPort | None


class FetchAllOptions(TypedDict, total=False):
    """The options of `Catalog.fetch_all`, which its relatives have too."""

    refresh: bool
    offline: bool | None
    locked: bool
    max_workers: int | None
    executor: Executor | None
    progress: ProgressPort | None
