from __future__ import annotations

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.testing.cache_contract import CacheContract


class TestDirectoryCache(CacheContract):
    @pytest.fixture
    def cache(self, tmp_path):
        return DirectoryCache(tmp_path / "cache")

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "cache")

    @pytest.fixture
    def root(self, tmp_path):
        return (tmp_path / "cache").resolve()
