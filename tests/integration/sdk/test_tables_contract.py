"""Tables of a real registry keep the contract of storage."""

from __future__ import annotations

import os

import pytest

from datacachalog.adapters.api.of_catalog import registry_of
from datacachalog.adapters.storage.datlake import DatlakeStorage
from datacachalog.adapters.storage.registry import StorageSettings, storage_of
from tests.tables_contract import (
    PushingTablesContract,
    ReadingTablesContract,
    VersionsOfTablesContract,
)


class _Tables:
    @pytest.fixture
    def storage(self, configured):
        return DatlakeStorage(registry_of(None, os.environ), storage_of(StorageSettings()))


class TestReadingTables(_Tables, ReadingTablesContract):
    pass


class TestPushingTables(_Tables, PushingTablesContract):
    pass


class TestVersionsOfTables(_Tables, VersionsOfTablesContract):
    pass
