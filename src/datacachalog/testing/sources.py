"""What the cache contract caches, and how it does so."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.checksum import Checksum
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort

URI = Uri("s3", "lake", "customers/customers.parquet")
SOURCE = (f"https://store.example {URI}", URI)
"""An identity and the URI that it belongs to, the first two arguments of most methods."""

# In the past, whatever the clock of this machine says: a cache may distrust the future.
NOON = datetime(2024, 2, 29, 12, 0, 0, 123_457, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def source(uri: Uri, store: str = "https://store.example") -> tuple[str, Uri]:
    """The identity of `uri` in one store, and the URI."""
    return f"{store} {uri}", uri


def described(data: bytes, uri: Uri = URI, *, version: str | None = None) -> ObjectInfo:
    """What a store says of an object that holds `data`."""
    return ObjectInfo(
        uri,
        len(data),
        etag=f'"{digest_of(data)[:32]}"',
        version=version,
        last_modified=datetime(2024, 1, 31, 23, 59, 59, 1000, tzinfo=UTC),
    )


def checksum_of(data: bytes, algorithm: str) -> Checksum:
    """What `data` comes to."""
    if algorithm == "blake3":
        return Checksum(algorithm, digest_of(data))
    return Checksum(algorithm, hashlib.new(algorithm, data, usedforsecurity=False).hexdigest())


def publish(
    cache: CachePort,
    data: bytes,
    *,
    info: ObjectInfo | None = None,
    into: tuple[str, Uri] = SOURCE,
    at: datetime = NOON,
    current: bool = True,
    checksum: Checksum | None = None,
) -> CacheEntry:
    """Stages `data` and publishes it, described as what it is, or as `info` says."""
    with cache.staging(*into) as staging:
        staging.path.parent.mkdir(parents=True, exist_ok=True)
        staging.path.write_bytes(data)
        told = info or described(data, into[1])
        return staging.publish(told, checked_at=at, current=current, checksum=checksum)


class CacheFixtures:
    """What the parts of `CacheContract` share: `cache` is to be overridden."""

    @pytest.fixture
    def cache(self) -> CachePort:
        """The cache under test, empty."""
        raise NotImplementedError("override the fixture 'cache'")

    @pytest.fixture
    def reopened(self) -> Callable[[], CachePort] | None:
        """Opens the same cache a second time, as another process would; None where none can."""
        return None

    @pytest.fixture
    def root(self) -> Path | None:
        """The folder that everything in the cache is in."""
        return None

    @pytest.fixture
    def again(self, reopened: Callable[[], CachePort] | None) -> CachePort:
        """The cache under test, opened a second time."""
        if reopened is None:
            pytest.skip("this cache cannot be opened twice")
        return reopened()
