"""What the core needs from the world: stores, a cache, a registry, progress.

The contract of every method stands here, once; `datacachalog.testing` has a suite for each port
that every adapter and every decorator passes. Adapters do not repeat the contract.

All methods may be called from several threads at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from datacachalog.ports.caches import CachePort, Staging
from datacachalog.ports.files import LockfilePort, ViewPort
from datacachalog.ports.progress import (
    SILENT,
    ProgressPort,
    SilentProgress,
    SilentTransfer,
    TransferProgress,
)
from datacachalog.ports.registry import DatlakeApiPort
from datacachalog.ports.stores import HistoryPort, StoragePort

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = [
    "SILENT",
    "CachePort",
    "Clock",
    "DatlakeApiPort",
    "HistoryPort",
    "LockfilePort",
    "ProgressPort",
    "SilentProgress",
    "SilentTransfer",
    "Staging",
    "StoragePort",
    "TransferProgress",
    "ViewPort",
]

Clock: TypeAlias = "Callable[[], datetime]"
"""Gives the current time, aware, in UTC."""
