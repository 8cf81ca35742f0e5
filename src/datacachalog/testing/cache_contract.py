"""The contract of `CachePort`, as tests that every cache passes.

A cache's own test module is little more than this:

    class TestMyCache(CacheContract):
        @pytest.fixture
        def cache(self, tmp_path):
            return MyCache(tmp_path)

        @pytest.fixture
        def reopened(self, tmp_path):
            return lambda: MyCache(tmp_path)
"""

from __future__ import annotations

from datacachalog.testing.damage_contract import DamageContract
from datacachalog.testing.entry_contract import EntryContract
from datacachalog.testing.housekeeping_contract import HousekeepingContract
from datacachalog.testing.staging_contract import StagingContract


class CacheContract(StagingContract, EntryContract, DamageContract, HousekeepingContract):
    """Every sentence of `CachePort` and `Staging`; subclasses override the fixture `cache`.

    They also override `reopened`, where several caches may share a store, and `root`, where a
    cache has a folder that nothing may leave.
    """
