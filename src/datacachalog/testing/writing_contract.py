"""What every store promises of `upload`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import (
    CacheError,
    ConflictError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from datacachalog.domain.objects import ABSENT, ANY
from datacachalog.testing.payloads import RecordedTransfer, at_once, digest_of, payload, seed_of
from datacachalog.testing.place import ODD_NAMES, StorageFixtures
from datacachalog.testing.reading_contract import downloaded

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.domain.objects import Expected, Revision
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort
    from datacachalog.testing.place import Place


class WritingContract(StorageFixtures):
    """`upload`: its bytes, its atomicity, and what it expects."""

    @pytest.fixture
    def conditional(self, place: Place) -> None:
        """Skips what needs a store that honours expectations."""
        if not place.conditional:
            pytest.skip("this store honours no expectations")

    @pytest.mark.parametrize("expect", [ANY, ABSENT])
    def test_an_upload_round_trips(
        self,
        storage: StoragePort,
        place: Place,
        tmp_path: Path,
        size_bytes: int,
        expect: Expected,
    ) -> None:
        if expect is not ANY and not place.conditional:
            pytest.skip("this store honours no expectations")
        data, uri = payload(1, size_bytes), place.uri("new/a.bin")

        info = storage.upload(place.file(data), uri, expect=expect)

        assert (uri, size_bytes) == (info.uri, info.size_bytes)
        assert info.digest in {None, digest_of(data)}
        assert info.revision == storage.stat(uri).revision
        assert info.revision == downloaded(storage, uri, tmp_path / "dest").revision
        assert 1 == seed_of((tmp_path / "dest").read_bytes())

    def test_an_empty_upload_round_trips(self, storage: StoragePort, place: Place) -> None:
        uri = place.uri("a")

        info = storage.upload(place.file(b""), uri)

        assert 0 == info.size_bytes
        assert info.revision == storage.stat(uri).revision
        assert b"" == storage.read(uri, 0, 10)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_an_upload_keeps_an_odd_name(
        self, storage: StoragePort, place: Place, name: str
    ) -> None:
        if name in place.renames:
            pytest.skip("the store does not keep this name")
        uri = place.uri(name)

        info = storage.upload(place.file(name.encode()), uri)

        assert uri == info.uri
        assert name.encode() == storage.read(uri, 0, 1000)
        assert [uri] == [found.uri for found in storage.walk(place.uri(""))]

    def test_an_upload_replaces_anything(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.put("a", b"old")

        info = storage.upload(place.file(payload(1, size_bytes)), uri)

        assert info.revision == storage.stat(uri).revision
        assert payload(1, size_bytes)[:100] == storage.read(uri, 0, 100)

    def test_an_upload_leaves_its_file_alone(self, storage: StoragePort, place: Place) -> None:
        path = place.file(b"mine")
        before = path.stat()

        storage.upload(path, place.uri("a"))

        assert b"mine" == path.read_bytes()
        assert (before.st_mtime_ns, before.st_mode) == (
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )

    def test_a_file_that_cannot_be_read_is_the_caches_error(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("a", b"kept")

        with pytest.raises(CacheError):
            storage.upload(tmp_path / "gone", uri, expect=ANY)

        assert b"kept" == storage.read(uri, 0, 10)

    def test_progress_of_an_upload_adds_up_to_the_size(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        progress = RecordedTransfer()

        storage.upload(place.file(payload(1, size_bytes)), place.uri("a"), progress=progress)

        assert ([size_bytes], size_bytes) == (progress.totals, progress.moved_bytes)
        assert not progress.moved_before_total

    def test_nobody_sees_a_part_of_an_upload(self, storage: StoragePort, place: Place) -> None:
        uri, path = place.uri("a"), place.file(payload(1, self.big_bytes))
        place.put("beside", b"1")  # so that there is a bucket to list, where they are made
        done = threading.Event()
        seen: set[int] = set()

        def upload() -> None:
            try:
                storage.upload(path, uri)
            finally:
                done.set()

        uploader = threading.Thread(target=upload)
        uploader.start()
        while not done.wait(0.001):
            seen |= {info.size_bytes for info in storage.walk(uri)}
        uploader.join()
        seen |= {info.size_bytes for info in storage.walk(uri)}

        assert {self.big_bytes} == seen

    @pytest.mark.usefixtures("conditional")
    def test_an_upload_that_expects_nothing_there_leaves_an_object_alone(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.put("a", b"theirs")
        before = storage.stat(uri)

        with pytest.raises(ConflictError) as caught:
            storage.upload(place.file(payload(1, size_bytes)), uri, expect=ABSENT)

        assert str(uri) == caught.value.uri
        self._is_untouched(storage, uri, before.revision, b"theirs")

    @pytest.mark.usefixtures("conditional")
    def test_an_empty_object_is_not_absent(self, storage: StoragePort, place: Place) -> None:
        uri = place.put("a", b"")

        with pytest.raises(ConflictError):
            storage.upload(place.file(b"mine"), uri, expect=ABSENT)

        assert 0 == storage.stat(uri).size_bytes

    @pytest.mark.usefixtures("conditional")
    def test_the_same_bytes_from_somebody_else_are_not_absent(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        data = payload(1, size_bytes)
        uri = place.put("a", data)

        with pytest.raises(ConflictError):
            storage.upload(place.file(data), uri, expect=ABSENT)

    @pytest.mark.usefixtures("conditional")
    def test_an_upload_replaces_the_revision_that_it_expects(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))
        known = storage.stat(uri).revision

        info = storage.upload(place.file(payload(2, size_bytes)), uri, expect=known)

        assert info.revision == storage.stat(uri).revision
        assert payload(2, size_bytes)[:100] == storage.read(uri, 0, 100)

    @pytest.mark.usefixtures("conditional")
    def test_an_upload_expects_what_an_upload_returned(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.uri("a")
        first = storage.upload(place.file(payload(1, size_bytes)), uri, expect=ABSENT)

        storage.upload(place.file(payload(2, size_bytes)), uri, expect=first.revision)

        assert payload(2, size_bytes)[:100] == storage.read(uri, 0, 100)

    @pytest.mark.usefixtures("conditional")
    def test_an_upload_leaves_another_revision_alone(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.put("a", b"first")
        known = storage.stat(uri).revision
        place.put("a", b"other")
        before = storage.stat(uri)

        with pytest.raises(ConflictError):
            storage.upload(place.file(payload(1, size_bytes)), uri, expect=known)

        self._is_untouched(storage, uri, before.revision, b"other")

    @pytest.mark.usefixtures("conditional")
    def test_a_revision_that_was_never_there_is_a_conflict(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        known = storage.stat(place.put("other", b"1")).revision

        with pytest.raises(ConflictError):
            storage.upload(place.file(payload(1, size_bytes)), place.uri("a"), expect=known)

        with pytest.raises(ObjectNotFoundError):
            storage.stat(place.uri("a"))

    @pytest.mark.usefixtures("conditional")
    def test_a_revision_that_was_deleted_is_a_conflict(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        known = storage.stat(place.put("a", b"1")).revision
        place.delete("a")

        with pytest.raises(ConflictError):
            storage.upload(place.file(payload(1, size_bytes)), place.uri("a"), expect=known)

        with pytest.raises(ObjectNotFoundError):
            storage.stat(place.uri("a"))

    @pytest.mark.usefixtures("conditional")
    def test_a_deleted_object_is_absent(self, storage: StoragePort, place: Place) -> None:
        uri = place.put("a", b"1")
        place.delete("a")

        storage.upload(place.file(b"2"), uri, expect=ABSENT)

        assert b"2" == storage.read(uri, 0, 10)

    @pytest.mark.usefixtures("conditional")
    def test_of_many_first_uploads_one_wins(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        winner = self._winner(storage, place, size_bytes, ABSENT)

        assert payload(winner, size_bytes)[:100] == storage.read(place.uri("a"), 0, 100)

    @pytest.mark.usefixtures("conditional")
    def test_of_many_uploads_onto_one_revision_one_wins(
        self, storage: StoragePort, place: Place, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(100, size_bytes))
        known = storage.stat(uri).revision

        winner = self._winner(storage, place, size_bytes, known)

        assert payload(winner, size_bytes)[:100] == storage.read(uri, 0, 100)

    def test_a_store_that_cannot_honour_an_expectation_says_so(
        self, storage: StoragePort, place: Place
    ) -> None:
        if place.conditional:
            pytest.skip("this store honours expectations")
        uri = place.put("a", b"theirs")
        before = storage.stat(uri)

        for expect in (ABSENT, before.revision):
            with pytest.raises((UnsupportedOperationError, ConflictError)):
                storage.upload(place.file(b"mine"), uri, expect=expect)

        self._is_untouched(storage, uri, before.revision, b"theirs")

    def test_a_missing_bucket_takes_no_upload(
        self, storage: StoragePort, place: Place, nowhere: Uri, size_bytes: int
    ) -> None:
        if place.makes_buckets:
            pytest.skip("this store makes buckets as they are needed")

        with pytest.raises(ObjectNotFoundError):
            storage.upload(place.file(payload(1, size_bytes)), nowhere)

    def _winner(self, storage: StoragePort, place: Place, size_bytes: int, expect: Expected) -> int:
        """The number of the one upload among eight that was not a conflict."""
        files = [place.file(payload(number, size_bytes)) for number in range(8)]

        def upload(number: int) -> tuple[int, Revision] | None:
            try:
                info = storage.upload(files[number], place.uri("a"), expect=expect)
            except ConflictError:
                return None
            return number, info.revision

        [(winner, revision)] = [won for won in at_once(8, upload) if won is not None]
        for path in files:
            path.unlink()
        assert revision == storage.stat(place.uri("a")).revision
        return winner

    def _is_untouched(
        self, storage: StoragePort, uri: Uri, revision: Revision, data: bytes
    ) -> None:
        assert revision == storage.stat(uri).revision
        assert data == storage.read(uri, 0, 1000)
