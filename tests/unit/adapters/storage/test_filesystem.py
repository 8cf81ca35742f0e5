from __future__ import annotations

import pytest

from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.domain.uri import Uri
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract


class TestFilesystemStorage(StorageContract):
    @pytest.fixture
    def storage(self):
        return FilesystemStorage()

    @pytest.fixture
    def place(self, storage, tmp_path):
        return Place(
            storage,
            Uri.of_path(str(tmp_path / "lake")),
            tmp_path / "scratch",
            delete=lambda uri: (tmp_path / uri.path).unlink(),
        )
