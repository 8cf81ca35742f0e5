"""Adapters do not inherit from their ports: here mypy sees that each of them is one.

What runs only proves that the assignments are there; `mypy --strict` is the test.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, get_type_hints

from rich.console import Console

from datacachalog import ports
from datacachalog.adapters.api.cached import CachedApi
from datacachalog.adapters.api.http import HttpApi
from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.adapters.api.settings import ApiSettings
from datacachalog.adapters.api.transport import Transport
from datacachalog.adapters.automatic_progress import AutomaticProgress
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.lockfile import LockfileOnDisk
from datacachalog.adapters.progress import RichProgress
from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.adapters.storage.registry import StorageSettings, storage_of
from datacachalog.adapters.storage.retrying import RetryingStorage
from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.adapters.storage.s3 import S3Storage
from datacachalog.adapters.view import DirectoryView
from datacachalog.ports import SILENT, SilentProgress
from datacachalog.testing.payloads import RecordedTransfer
from datacachalog.testing.sources import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.ports import (
        CachePort,
        DatlakeApiPort,
        LockfilePort,
        ProgressPort,
        Staging,
        StoragePort,
        TransferProgress,
        ViewPort,
    )


def test_every_storage_is_a_storage_port() -> None:
    memory: StoragePort = MemoryStorage()
    storages: list[StoragePort] = [
        memory,
        FilesystemStorage(),
        RetryingStorage(memory),
        RouterStorage(lambda _: memory),
        S3Storage(StorageSettings()),
        storage_of(StorageSettings()),
    ]

    assert [] == [one for one in storages if not _has_methods_of(one, ports.StoragePort)]


def test_every_cache_is_a_cache_port(tmp_path: Path) -> None:
    with MemoryCache() as memory:
        caches: list[CachePort] = [memory, DirectoryCache(tmp_path)]

        assert [] == [one for one in caches if not _has_methods_of(one, ports.CachePort)]


def test_every_registry_is_a_datlake_api_port(tmp_path: Path) -> None:
    memory, http = MemoryApi(), HttpApi(Transport(ApiSettings()))
    cache = MetadataCache(tmp_path, memory.identity())
    registries: list[DatlakeApiPort] = [
        memory,
        http,
        CachedApi(memory, cache),
        CachedApi(http, cache),
    ]

    assert [] == [one for one in registries if not _has_methods_of(one, ports.DatlakeApiPort)]


def test_every_view_is_a_view_port(tmp_path: Path) -> None:
    view: ViewPort = DirectoryView(tmp_path)

    assert _has_methods_of(view, ports.ViewPort)


def test_every_staging_is_a_staging(tmp_path: Path) -> None:
    with (
        MemoryCache() as memory,
        memory.staging(*SOURCE) as one,
        DirectoryCache(tmp_path).staging(*SOURCE) as other,
    ):
        stagings: list[Staging] = [one, other]

        assert [] == [one for one in stagings if not _has_methods_of(one, ports.Staging)]


def test_every_progress_is_a_progress_port() -> None:
    shown: list[ProgressPort] = [
        SilentProgress(),
        AutomaticProgress(lambda: False),
        RichProgress(Console(file=io.StringIO())),
    ]
    transfers: list[TransferProgress] = [SILENT, RecordedTransfer()]
    for progress in shown:
        with progress.transfer("a") as transfer:
            transfers.append(transfer)

    assert [] == [one for one in transfers if not _has_methods_of(one, ports.TransferProgress)]


def test_the_lockfile_on_disk_is_a_lockfile_port(tmp_path: Path) -> None:
    lockfile: LockfilePort = LockfileOnDisk(tmp_path / "catalog.lock")

    assert _has_methods_of(lockfile, ports.LockfilePort)


def _has_methods_of(adapter: object, port: type) -> bool:
    names = {*vars(port), *get_type_hints(port)}
    return all(hasattr(adapter, name) for name in names if not name.startswith("_"))
