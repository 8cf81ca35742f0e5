"""The contract of `StoragePort`, as tests that every adapter and every decorator passes.

An adapter's own test module is little more than this:

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self):
            return MyStorage()

        @pytest.fixture
        def place(self, storage, tmp_path):
            return Place(storage, Uri("my", "bucket", "contract"), tmp_path / "scratch")
"""

from __future__ import annotations

from datacachalog.testing.listing_contract import ListingContract
from datacachalog.testing.reading_contract import ReadingContract
from datacachalog.testing.writing_contract import WritingContract


class StorageContract(ReadingContract, ListingContract, WritingContract):
    """Every sentence of `StoragePort`; subclasses override the fixtures `storage` and `place`.

    A store that cannot be written subclasses `ReadingContract` alone, and gives its `Place` a
    `put`.
    """
