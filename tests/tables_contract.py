"""The contract of storage, as far as tables are a storage: subclasses give `storage`."""

from __future__ import annotations

import hashlib

import pytest

from datacachalog.domain.uri import Uri
from datacachalog.testing.listing_contract import ListingContract
from datacachalog.testing.place import Place
from datacachalog.testing.reading_contract import ReadingContract
from datacachalog.testing.writing_contract import WritingContract


class TablesPlace(Place):
    """One whose objects are tables: any name is that of a table."""

    def uri(self, name):
        digest = hashlib.sha256(super().uri(name).path.encode()).hexdigest()
        return Uri.parse(f"datlake://contract.t{digest[:40]}")

    def file(self, data):
        path = super().file(data)  # bytes of a format that no registry looks into
        return path.rename(path.with_suffix(".bin"))


class _Fixtures:
    big_bytes = 1_000_003  # nothing is moved in pieces here

    @pytest.fixture
    def place(self, storage, tmp_path):
        return TablesPlace(
            storage,
            Uri("datlake", "", "contract"),
            tmp_path / "scratch",
            versioned=True,
            makes_buckets=True,
        )

    @pytest.fixture
    def nowhere(self):
        return Uri.parse("datlake://nowhere.t")


HAS_NONE = pytest.mark.skip(reason="no folders, no odd names, no walk through tables")


class ReadingTablesContract(_Fixtures, ReadingContract):
    @HAS_NONE
    def test_a_folder_is_not_an_object(self): ...

    @HAS_NONE
    def test_an_odd_name_is_kept_as_it_is(self): ...

    @pytest.mark.parametrize("operation", ["stat", "download", "read", "versions"])
    def test_a_missing_bucket_is_not_found(self, storage, nowhere, tmp_path, operation):
        super().test_a_missing_bucket_is_not_found(storage, nowhere, tmp_path, operation)


class PushingTablesContract(_Fixtures, WritingContract):
    @HAS_NONE
    def test_an_upload_keeps_an_odd_name(self): ...

    @HAS_NONE
    def test_nobody_sees_a_part_of_an_upload(self): ...


class VersionsOfTablesContract(_Fixtures, ListingContract):
    @HAS_NONE
    def test_a_walk_finds_what_starts_with_the_prefix(self): ...

    @HAS_NONE
    def test_a_prefix_is_a_string_and_not_a_folder(self): ...

    @HAS_NONE
    def test_a_walk_tells_the_same_as_stat(self): ...

    @HAS_NONE
    def test_a_walk_finds_more_than_one_page(self): ...
