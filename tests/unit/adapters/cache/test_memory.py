from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.domain.errors import CacheError
from datacachalog.testing.cache_contract import CacheContract
from datacachalog.testing.sources import NOON, SOURCE, described, publish


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def cache(self):
        with MemoryCache() as cache:
            yield cache

    @pytest.fixture
    def root(self, cache):
        return cache.root.resolve()


def test_a_closed_cache_leaves_nothing_behind():
    cache = MemoryCache()
    publish(cache, b"1")

    cache.close()
    cache.close()

    assert not cache.root.exists()
    assert None is cache.current(*SOURCE)


def test_what_another_cache_has_is_not_removed():
    with MemoryCache() as cache, MemoryCache() as another:
        entry = publish(cache, b"1")

        assert () == another.remove([entry])

        assert entry.path.exists()


def test_the_end_of_the_block_closes_the_cache():
    with MemoryCache() as cache:
        publish(cache, b"1")

    assert not cache.root.exists()


def test_a_cache_that_nobody_uses_any_more_leaves_nothing_behind():
    cache = MemoryCache()
    root = publish(cache, b"1").path.parents[3]

    del cache
    gc.collect()

    assert not root.exists()


def test_a_thread_that_comes_too_late_leaves_nothing_behind():
    """`fetch_all` waits for no thread where a bug or Ctrl-C ends it."""
    cache = MemoryCache()
    with cache.staging(*SOURCE) as staging:
        cache.close()
        staging.path.parent.mkdir(parents=True)
        staging.path.write_bytes(b"1")

        with pytest.raises(CacheError, match="closed"):
            staging.publish(described(b"1"), checked_at=NOON, current=True)

    assert not cache.root.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_end_of_a_forked_child_takes_nothing_from_its_parent():
    program = """
import multiprocessing
import os
from datacachalog.adapters.cache.memory import MemoryCache
with MemoryCache() as cache:
    if child := os.fork():
        os.waitpid(child, 0)
        print(cache.root.exists())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )

    assert (0, b"True\n") == (done.returncode, done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_reads_but_changes_nothing():
    with MemoryCache() as cache:
        entry = publish(cache, b"1")
        attempts = {"publish": lambda: publish(cache, b"2"), "clear": cache.clear}
        with multiprocessing.get_context("fork").Pool(1, _keep, (attempts, entry)) as pool:
            refused = {name: pool.apply(_attempt, (name,)) for name in attempts}
            read = pool.apply(_read)

        assert ({"publish": "CacheError", "clear": "CacheError"}, b"1") == (refused, read)
        assert b"1" == entry.path.read_bytes()


_kept: dict[str, Any] = {}


def _keep(attempts, entry):
    _kept.update(attempts, entry=entry)


def _attempt(name):
    try:
        _kept[name]()
    except CacheError as error:
        return type(error).__name__


def _read():
    return _kept["entry"].path.read_bytes()


def test_two_caches_share_nothing():
    with MemoryCache() as one, MemoryCache() as other:
        publish(one, b"1")

        assert None is other.current(*SOURCE)


def test_an_entry_from_the_future_does_not_stay_the_current_one():
    now = datetime.now(UTC)
    with MemoryCache() as cache:
        publish(cache, b"1", at=now + timedelta(days=1))

        new = publish(cache, b"2", at=now)

        assert new == cache.current(*SOURCE)


def test_an_entry_is_read_only():
    with MemoryCache() as cache:
        assert 0o444 == publish(cache, b"1").path.stat().st_mode & 0o777
