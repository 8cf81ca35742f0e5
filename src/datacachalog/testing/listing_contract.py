"""What every store promises of `walk` and `versions`, and of reading one version."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from datacachalog.domain.errors import ObjectNotFoundError, VersionNotFoundError
from datacachalog.testing.payloads import at_once, payload, seed_of
from datacachalog.testing.place import StorageFixtures
from datacachalog.testing.reading_contract import downloaded

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.ports import StoragePort
    from datacachalog.testing.place import Place


class ListingContract(StorageFixtures):
    """`walk`, `versions`, and what `version=` means."""

    many: ClassVar[int] = 1_010
    """More objects than the store lists in one answer."""

    def test_a_walk_finds_what_starts_with_the_prefix(
        self, storage: StoragePort, place: Place
    ) -> None:
        names = ["n-b", "n.b", "n/a", "n/b/c", "n/b0", "n0", "nü", "other/n", "N"]
        for name in reversed(names):
            place.put(name, name.encode())

        found = sorted(storage.walk(place.uri("n")), key=lambda info: info.uri.path)

        expected = ["n-b", "n.b", "n/a", "n/b/c", "n/b0", "n0", "nü"]
        assert [place.uri(name) for name in expected] == [info.uri for info in found]
        assert [len(name.encode()) for name in expected] == [info.size_bytes for info in found]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a/b", "a/bc", "a/c/d", "e"]),
            ("a", ["a/b", "a/bc", "a/c/d"]),
            ("a/", ["a/b", "a/bc", "a/c/d"]),
            ("a/b", ["a/b", "a/bc"]),
            ("a/c", ["a/c/d"]),
            ("a/c/", ["a/c/d"]),
            ("a/c/d", ["a/c/d"]),
            ("a/b/", []),
            ("x", []),
            ("x/y/", []),
        ],
    )
    def test_a_prefix_is_a_string_and_not_a_folder(
        self, storage: StoragePort, place: Place, prefix: str, expected: list[str]
    ) -> None:
        for name in ("a/b", "a/bc", "a/c/d", "e"):
            place.put(name, b"1")

        found = [info.uri for info in storage.walk(place.uri(prefix))]

        assert [place.uri(name) for name in expected] == sorted(found)

    def test_a_walk_tells_the_same_as_stat(self, storage: StoragePort, place: Place) -> None:
        uri = place.put("a", b"123")

        [found] = storage.walk(uri)

        told = storage.stat(uri)
        assert (told.size_bytes, False) == (found.size_bytes, found.deleted)
        assert found.etag in {None, told.etag}
        assert found.version in {None, told.version}

    def test_a_walk_finds_more_than_one_page(self, storage: StoragePort, place: Place) -> None:
        def put(number: int) -> None:
            for n in range(number, self.many, 8):
                place.put(f"{n:05}", b"")

        at_once(8, put)

        found = sorted(info.uri for info in storage.walk(place.uri("")))

        assert [place.uri(f"{n:05}") for n in range(self.many)] == found

    def test_a_deleted_object_is_not_found(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        uri = place.put("a", b"1")
        place.put("b", b"2")
        place.delete("a")

        with pytest.raises(ObjectNotFoundError):
            storage.stat(uri)
        with pytest.raises(ObjectNotFoundError):
            storage.download(uri, tmp_path / "dest")
        assert [place.uri("b")] == [info.uri for info in storage.walk(place.uri(""))]

    def test_a_store_without_versions_has_the_present_one(
        self, storage: StoragePort, place: Place
    ) -> None:
        if place.versioned:
            pytest.skip("this store keeps versions")
        place.put("a", b"old")
        uri = place.put("a", b"newer")

        [version] = storage.versions(uri)

        assert storage.stat(uri).revision == version.revision
        assert (uri, None, False) == (version.uri, version.version, version.deleted)

    def test_versions_come_newest_first(self, storage: StoragePort, place: Place) -> None:
        self._needs_versions(place)
        uri = place.uri("a")
        revisions = []
        for number in range(4):
            place.put("a", payload(number, 1000 + number))
            revisions.append(storage.stat(uri).revision)

        found = list(storage.versions(uri))

        assert revisions[::-1] == [info.revision for info in found]
        assert {uri} == {info.uri for info in found}
        times = [info.last_modified for info in found if info.last_modified]
        assert sorted(times, reverse=True) == times
        assert 4 == len(times)

    def test_versions_are_those_of_one_object(self, storage: StoragePort, place: Place) -> None:
        uri = place.put("a", b"1")
        for name in ("a0", "a-b", "b"):
            place.put(name, b"a neighbour")

        assert [uri] == [info.uri for info in storage.versions(uri)]

    def test_an_old_version_can_still_be_read(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        self._needs_versions(place)
        uri = place.put("a", payload(1, size_bytes))
        old = storage.stat(uri)
        assert old.version is not None
        place.put("a", payload(2, size_bytes))

        info = downloaded(storage, uri, tmp_path / "dest", version=old.version)

        assert 1 == seed_of((tmp_path / "dest").read_bytes())
        assert old.revision == info.revision == storage.stat(uri, version=old.version).revision
        part = storage.read(uri, 3, 90, version=old.version)
        assert payload(1, size_bytes)[3:90] == part

    def test_a_deletion_is_a_version(self, storage: StoragePort, place: Place) -> None:
        self._needs_versions(place)
        uri = place.put("a", b"1")
        first = storage.stat(uri)
        place.delete("a")
        place.put("a", b"2")

        found = list(storage.versions(uri))

        assert [False, True, False] == [info.deleted for info in found]
        assert [1, 0, 1] == [info.size_bytes for info in found]
        assert first.revision == found[2].revision

    def test_a_deleted_object_still_has_its_versions(
        self, storage: StoragePort, place: Place, tmp_path: Path
    ) -> None:
        self._needs_versions(place)
        uri = place.put("a", b"1")
        place.delete("a")

        marker, old = storage.versions(uri)

        assert (True, False) == (marker.deleted, old.deleted)
        assert marker.version is not None
        assert old.version is not None
        downloaded(storage, uri, tmp_path / "dest", version=old.version)
        assert b"1" == (tmp_path / "dest").read_bytes()
        with pytest.raises(VersionNotFoundError):
            storage.download(uri, tmp_path / "gone", version=marker.version)
        with pytest.raises(VersionNotFoundError):
            storage.stat(uri, version=marker.version)

    def _needs_versions(self, place: Place) -> None:
        if not place.versioned:
            pytest.skip("this store keeps no versions")
