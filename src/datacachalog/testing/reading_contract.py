"""What every store promises of `identity`, `stat`, `download` and `read`."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import (
    CacheError,
    NotAnObjectError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo, Revision
from datacachalog.testing.payloads import RecordedTransfer, at_once, digest_of, payload, seed_of
from datacachalog.testing.place import ODD_NAMES
from datacachalog.testing.resuming_contract import ResumingContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort
    from datacachalog.testing.place import Place


def downloaded(
    storage: StoragePort, uri: Uri, dest: Path, *, version: str | None = None
) -> ObjectInfo:
    """The info of an unconditional download, which always has one."""
    info = storage.download(uri, dest, version=version)
    assert isinstance(info, ObjectInfo)
    return info


class ReadingContract(ResumingContract):
    """`identity`, `stat`, `download` and `read`."""

    def test_an_identity_is_stable_and_differs_between_uris(
        self, storage: StoragePort, place: Place
    ) -> None:
        names = ["a", "A", "b", "a/b", *ODD_NAMES]

        identities = [storage.identity(place.uri(name)) for name in names]

        assert len(names) == len(set(identities))
        assert [storage.identity(place.uri(name)) for name in names] == identities

    def test_an_identity_costs_no_request(self, storage: StoragePort, nowhere: Uri) -> None:
        assert storage.identity(nowhere)

    def test_no_secret_is_in_an_identity_or_an_error(
        self, storage: StoragePort, place: Place
    ) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            storage.stat(place.uri("missing"))

        shown = f"{storage.identity(place.uri('a'))} {caught.value} {caught.value.hint}"
        assert [] == [secret for secret in self.secrets if secret in shown]

    def test_stat_describes_the_object(self, storage: StoragePort, place: Place) -> None:
        uri = place.put("a.csv", b"id,name\n")

        info = storage.stat(uri)

        assert (uri, 8, False) == (info.uri, info.size_bytes, info.deleted)
        assert info.digest in {None, digest_of(b"id,name\n")}
        assert info.last_modified is None or info.last_modified.utcoffset() is not None

    def test_an_etag_keeps_its_quotes(self, storage: StoragePort, place: Place) -> None:
        etag = storage.stat(place.put("a", b"1")).etag

        assert etag is None or (etag.removeprefix("W/")[:1] == '"' == etag[-1])

    def test_a_version_is_told_where_the_store_has_versions(
        self, storage: StoragePort, place: Place
    ) -> None:
        info = storage.stat(place.put("a", b"1"))

        assert place.versioned == (info.version is not None)

    def test_a_download_writes_the_bytes_and_describes_them(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a.bin", payload(1, size_bytes))
        told = storage.stat(uri)

        info = downloaded(storage, uri, tmp_path / "dest")

        data = (tmp_path / "dest").read_bytes()
        assert (size_bytes, 1) == (len(data), seed_of(data))
        assert (uri, told.revision) == (info.uri, info.revision)
        assert info.digest in {None, digest_of(data)}

    def test_an_empty_object_is_an_empty_file(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("empty", b"")

        info = downloaded(storage, uri, tmp_path / "new" / "dest")

        assert b"" == (tmp_path / "new" / "dest").read_bytes()
        assert storage.stat(uri).revision == info.revision
        assert info.digest in {None, digest_of(b"")}

    @pytest.mark.parametrize("size_bytes", [0, 10])
    def test_an_unchanged_object_is_not_downloaded_again(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", b"x" * size_bytes)
        known = downloaded(storage, uri, tmp_path / "first").revision
        progress = RecordedTransfer()

        answer = storage.download(uri, tmp_path / "new" / "second", unless=known, progress=progress)

        assert NOT_MODIFIED is answer
        assert not (tmp_path / "new").exists()
        assert ([], 0) == (progress.totals, progress.moved_bytes)

    def test_a_big_unchanged_object_is_not_downloaded_again(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("a", payload(1, self.big_bytes))

        answer = storage.download(uri, tmp_path / "dest", unless=storage.stat(uri).revision)

        assert NOT_MODIFIED is answer

    def test_a_changed_object_is_downloaded(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))
        known = storage.stat(uri).revision
        place.put("a", payload(2, size_bytes))

        info = storage.download(uri, tmp_path / "dest", unless=known)

        assert isinstance(info, ObjectInfo)
        assert 2 == seed_of((tmp_path / "dest").read_bytes())
        assert storage.stat(uri).revision == info.revision

    def test_an_object_that_became_empty_is_downloaded(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("a", b"some")
        known = storage.stat(uri).revision
        place.put("a", b"")

        info = storage.download(uri, tmp_path / "dest", unless=known)

        assert isinstance(info, ObjectInfo)
        assert b"" == (tmp_path / "dest").read_bytes()

    def test_a_revision_without_validators_is_never_found_unchanged(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("a", b"some")

        storage.download(uri, tmp_path / "dest", unless=Revision(None, None, 4))

        assert b"some" == (tmp_path / "dest").read_bytes()

    def test_an_overwritten_object_has_another_revision(
        self, storage: StoragePort, place: Place
    ) -> None:
        uri = place.uri("a")
        revisions: set[Revision] = set()

        for number in range(5):
            place.put("a", payload(number, 1000))
            revisions.add(storage.stat(uri).revision)

        assert 5 == len(revisions)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_an_odd_name_is_kept_as_it_is(
        self, storage: StoragePort, place: Place, tmp_path: Path, name: str
    ) -> None:
        if name in place.renames:
            pytest.skip("the store does not keep this name")
        uri = place.put(name, name.encode())

        info = downloaded(storage, uri, tmp_path / "dest")

        assert name.encode() == (tmp_path / "dest").read_bytes()
        assert uri == info.uri == storage.stat(uri).uri
        assert [uri] == [found.uri for found in storage.walk(place.uri(""))]

    def test_names_that_decode_alike_are_different_objects(
        self, storage: StoragePort, place: Place
    ) -> None:
        names = ["A b", "A+b", "A%20b", "%41 b", "A%2520b"]
        uris = [place.put(name, name.encode()) for name in names]

        assert [n.encode() for n in names] == [storage.read(uri, 0, 100) for uri in uris]

    def test_progress_adds_up_to_the_size(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))
        progress = RecordedTransfer()

        storage.download(uri, tmp_path / "dest", progress=progress)

        assert ([size_bytes], size_bytes) == (progress.totals, progress.moved_bytes)
        assert not progress.moved_before_total

    def test_progress_is_told_of_an_empty_object(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        progress = RecordedTransfer()

        storage.download(place.put("a", b""), tmp_path / "dest", progress=progress)

        assert ([0], 0) == (progress.totals, progress.moved_bytes)

    def test_many_threads_download_one_object(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))

        def fetch(number: int) -> tuple[int, Revision]:
            dest = tmp_path / f"dest-{number}"
            info = downloaded(storage, uri, dest)
            seed = seed_of(dest.read_bytes())
            dest.unlink()
            return seed, info.revision

        assert {(1, storage.stat(uri).revision)} == set(at_once(16, fetch))

    def test_many_threads_download_many_objects(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uris = [place.put(f"{n}/same name", payload(n, 1000 + n)) for n in range(16)]

        def fetch(number: int) -> int:
            downloaded(storage, uris[number], tmp_path / str(number))
            return seed_of((tmp_path / str(number)).read_bytes())

        assert list(range(16)) == at_once(16, fetch)

    def test_a_download_that_races_with_overwrites_is_of_one_revision(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(0, size_bytes))
        files = [place.file(payload(seed, size_bytes)) for seed in range(3)]
        got: set[tuple[int, Revision]] = set()

        def fetch(dest: Path) -> None:
            info = downloaded(storage, uri, dest)
            got.add((seed_of(dest.read_bytes()), info.revision))

        with _overwritten(storage, uri, files) as written:
            for number in range(10):
                with suppress(RemoteChangedError):
                    fetch(tmp_path / str(number))
                (tmp_path / str(number)).unlink(missing_ok=True)
        fetch(tmp_path / "dest")

        # An upload whose answer was lost is sent again: then there is a version more than was told.
        for number, (seed, revision) in enumerate(got - written):
            assert revision.version is not None
            again = tmp_path / f"again-{number}"
            downloaded(storage, uri, again, version=revision.version)
            assert seed == seed_of(again.read_bytes())

    @pytest.mark.parametrize("operation", ["stat", "download", "read", "versions"])
    def test_a_missing_object_is_not_found(
        self, storage: StoragePort, place: Place, tmp_path: Path, operation: str
    ) -> None:
        place.put("ab", b"a neighbour")

        error = _failure(storage, operation, place.uri("a"), tmp_path)

        assert ObjectNotFoundError is type(error)
        assert str(place.uri("a")) == error.uri
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("operation", ["stat", "download", "read", "versions", "walk"])
    def test_a_missing_bucket_is_not_found(
        self, storage: StoragePort, nowhere: Uri, tmp_path: Path, operation: str
    ) -> None:
        error = _failure(storage, operation, nowhere, tmp_path)

        assert ObjectNotFoundError is type(error)

    @pytest.mark.parametrize("operation", ["stat", "download", "read", "versions"])
    def test_a_folder_is_not_an_object(
        self, storage: StoragePort, place: Place, tmp_path: Path, operation: str
    ) -> None:
        place.put("folder/a", b"1")

        error = _failure(storage, operation, place.uri("folder"), tmp_path)

        assert NotAnObjectError is type(error)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("operation", ["stat", "download", "read"])
    @pytest.mark.parametrize("name", ["a", "missing"])
    def test_an_unknown_version_is_not_found(
        self, storage: StoragePort, place: Place, tmp_path: Path, operation: str, name: str
    ) -> None:
        place.put("a", b"1")
        others = storage.stat(place.put("b", b"2")).version or "no-such-version"

        for version in ("no-such-version", others):
            error = _failure(storage, operation, place.uri(name), tmp_path, version=version)
            assert VersionNotFoundError is type(error)

    def test_a_place_that_cannot_be_written_is_the_caches_error(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))
        (tmp_path / "file").write_bytes(b"")

        with pytest.raises(CacheError):
            storage.download(uri, tmp_path / "file" / "dest")

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, 10, b"0123456789"),
            (3, 5, b"34"),
            (0, 1, b"0"),
            (9, 10, b"9"),
            (8, 100, b"89"),
            (10, 20, b""),
            (50, 60, b""),
            (0, 0, b""),
            (4, 4, b""),
            (10, 10, b""),
        ],
    )
    def test_a_range_is_read(
        self, storage: StoragePort, place: Place, start: int, end: int, expected: bytes
    ) -> None:
        uri = place.put("a", b"0123456789")

        assert expected == storage.read(uri, start, end)

    def test_nothing_is_read_of_an_empty_object(self, storage: StoragePort, place: Place) -> None:
        assert b"" == storage.read(place.put("a", b""), 0, 10)


@contextmanager
def _overwritten(
    storage: StoragePort, uri: Uri, files: list[Path]
) -> Iterator[set[tuple[int, Revision]]]:
    """Uploads one file after another until the block ends; gives all that was ever at `uri`.

    The set, of seeds and their revisions, is complete only then. File 0 is there already.
    """
    written = {(0, storage.stat(uri).revision)}
    stop = threading.Event()

    def overwrite() -> None:
        for seed in cycle([1, 2, 0]):
            written.add((seed, storage.upload(files[seed], uri).revision))
            if stop.is_set():
                return

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        yield written
    finally:
        stop.set()
        writer.join()


def _failure(
    storage: StoragePort, operation: str, uri: Uri, folder: Path, *, version: str | None = None
) -> StorageError:
    """The error of one operation on `uri`; a download goes to a folder that is not there yet."""
    acts: dict[str, Callable[[], object]] = {
        "stat": lambda: storage.stat(uri, version=version),
        "download": lambda: storage.download(uri, folder / "new" / "dest", version=version),
        "read": lambda: storage.read(uri, 0, 10, version=version),
        "versions": lambda: list(storage.versions(uri)),
        "walk": lambda: list(storage.walk(uri)),
    }
    with pytest.raises(StorageError) as caught:
        acts[operation]()
    return caught.value
