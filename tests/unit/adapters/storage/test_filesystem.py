from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from datacachalog.adapters.storage import filesystem
from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.domain.errors import (
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import RecordedTransfer, digest_of, payload
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract
from tests.unit.adapters.other_processes import as_nobody, open_folder

__all__ = ["open_folder"]


class TestFilesystemStorage(StorageContract):
    big_bytes = 3 * 1024 * 1024 + 7  # above the 1 MiB that is copied at a time

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


@pytest.fixture
def storage():
    return FilesystemStorage()


@pytest.fixture
def file(tmp_path):
    """A file whose last write is long ago."""
    path = tmp_path / "lake" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(b"first")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    return path


def uri_of(path):
    return Uri.of_path(str(path))


def downloads(storage, uri, folder):
    """What a download brings."""
    storage.download(uri, folder / "dest")
    return (folder / "dest").read_bytes()


class TestRevisions:
    def test_a_file_tells_when_it_was_written(self, storage, file):
        expected = datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)

        assert expected == storage.stat(uri_of(file)).last_modified

    def test_a_copy_knows_its_digest(self, storage, file, tmp_path):
        info = storage.download(uri_of(file), tmp_path / "dest")

        assert digest_of(b"first") == info.digest

    def test_a_file_that_is_written_again_within_a_tick_is_another_revision(
        self, storage, tmp_path
    ):
        """Else a cache would keep the first of two that have one size and one time."""
        path, seen = tmp_path / "a", set()
        for number in range(20):
            path.write_bytes(b"%05d" % number)
            info = storage.download(uri_of(path), tmp_path / f"dest-{number}")
            seen.add(info.revision)

        assert 20 == len(seen)

    def test_a_fresh_copy_is_of_a_tick_that_has_passed(self, storage, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(b"first")

        storage.download(uri_of(path), tmp_path / "dest")

        assert time.time() - path.stat().st_mtime >= 0.015

    def test_an_old_file_is_not_waited_for(self, storage, file, tmp_path, monkeypatch):
        pauses: list[float] = []
        monkeypatch.setattr(
            filesystem, "time", SimpleNamespace(time=time.time, sleep=pauses.append)
        )

        storage.download(uri_of(file), tmp_path / "dest")

        assert [] == pauses

    def test_a_file_from_the_future_is_not_waited_for(self, storage, file, tmp_path):
        os.utime(file, (2**32, 2**32))

        assert b"first" == downloads(storage, uri_of(file), tmp_path)

    def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_another_revision(
        self, storage, file
    ):
        before = storage.stat(uri_of(file))
        other = file.with_name("other")
        other.write_bytes(b"other")
        os.utime(other, ns=(0, file.stat().st_mtime_ns))

        other.replace(file)

        assert before.revision != storage.stat(uri_of(file)).revision

    def test_a_known_revision_is_not_copied(self, storage, file, tmp_path):
        known = storage.stat(uri_of(file)).revision

        assert NOT_MODIFIED is storage.download(uri_of(file), tmp_path / "dest", unless=known)


class Interfering(RecordedTransfer):
    """Writes to the source whenever a copy of it has begun."""

    def __init__(self, path, times):
        super().__init__()
        self._path, self._times = path, times

    def total(self, size_bytes):
        super().total(size_bytes)
        if self._times:
            self._times -= 1
            self._path.write_bytes(payload(self._times, 100_000))


class TestChangingFiles:
    def test_a_file_that_changes_while_it_is_copied_is_copied_again(self, storage, file, tmp_path):
        info = storage.download(uri_of(file), tmp_path / "dest", progress=Interfering(file, 1))

        assert payload(0, 100_000) == (tmp_path / "dest").read_bytes()
        assert storage.stat(uri_of(file)).revision == info.revision

    def test_a_file_that_keeps_changing_is_told(self, storage, file, tmp_path):
        with pytest.raises(RemoteChangedError):
            storage.download(uri_of(file), tmp_path / "dest", progress=Interfering(file, 2))

    def test_a_file_that_goes_while_it_is_copied_is_whole(self, storage, file, tmp_path):
        class Removing(RecordedTransfer):
            def total(self, size_bytes):
                super().total(size_bytes)
                file.unlink()

        storage.download(uri_of(file), tmp_path / "dest", progress=Removing())

        assert b"first" == (tmp_path / "dest").read_bytes()

    def test_one_that_is_replaced_as_it_is_opened_is_copied_again(
        self, storage, file, tmp_path, monkeypatch
    ):
        """It is not the revision any more that its status tells of."""
        opened = os.open

        def open_and_replace(path, *flags):
            fd = opened(path, *flags)
            if path == file and file.read_bytes() == b"first":
                (tmp_path / "new").write_bytes(b"newer")
                (tmp_path / "new").replace(file)
            return fd

        monkeypatch.setattr(os, "open", open_and_replace)

        info = storage.download(uri_of(file), tmp_path / "dest")

        assert b"newer" == (tmp_path / "dest").read_bytes()
        assert storage.stat(uri_of(file)).revision == info.revision


def _pipe(path):
    os.mkfifo(path)


def _device(path):
    path.symlink_to("/dev/null")


def _loop(path):
    path.symlink_to(path.name)


def _dangling(path):
    path.symlink_to("nowhere")


def _under_a_file(path):
    path.parent.rmdir()
    path.parent.touch()


class TestOddFiles:
    @pytest.mark.parametrize("operation", ["stat", "download", "read", "versions"])
    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (_pipe, NotAnObjectError),
            (_device, NotAnObjectError),
            (os.mkdir, NotAnObjectError),
            (_loop, InvalidUriError),
            (_dangling, ObjectNotFoundError),
            (_under_a_file, ObjectNotFoundError),
        ],
    )
    def test_what_is_no_file_is_told_at_once(self, storage, tmp_path, make, kind, operation):
        path = tmp_path / "lake" / "odd"
        path.parent.mkdir()
        make(path)
        uri = uri_of(path)
        act = {
            "stat": lambda: storage.stat(uri),
            "download": lambda: storage.download(uri, tmp_path / "dest"),
            "read": lambda: storage.read(uri, 0, 1),
            "versions": lambda: list(storage.versions(uri)),
        }[operation]

        with pytest.raises(kind):
            act()

    @pytest.mark.parametrize("name", ["x" * 256, "é" * 128, f"{'d' * 256}/a", "/".join("d" * 5000)])
    def test_a_name_that_no_file_can_have_is_told(self, storage, file, tmp_path, name):
        uri = uri_of(tmp_path / name)

        with pytest.raises(InvalidUriError):
            storage.stat(uri)
        with pytest.raises(InvalidUriError):
            storage.upload(file, uri)

    def test_a_link_is_the_file_it_leads_to(self, storage, file, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(file)

        assert storage.stat(uri_of(file)).revision == storage.stat(uri_of(link)).revision
        assert b"first" == downloads(storage, uri_of(link), tmp_path)

    @pytest.mark.parametrize(("start", "end"), [(3, 3), (3, 1), (9, 3)])
    def test_a_range_that_ends_before_it_begins_is_empty(self, storage, file, start, end):
        assert b"" == storage.read(uri_of(file), start, end)

    @pytest.mark.parametrize("operation", ["stat", "read", "download"])
    def test_a_file_has_no_versions(self, storage, file, tmp_path, operation):
        arguments = {"stat": (), "read": (0, 1), "download": (tmp_path / "dest",)}[operation]

        with pytest.raises(VersionNotFoundError):
            getattr(storage, operation)(uri_of(file), *arguments, version="v1")

    def test_a_folder_that_no_disk_can_have_cannot_be_walked(self, storage):
        with pytest.raises(InvalidUriError):
            list(storage.walk(Uri("file", "", f"/tmp/{'x' * 300}/")))

    def test_a_disk_that_fails_is_told(self, storage, tmp_path):
        """Reading a process's memory from address 0 fails with EIO, which few files do."""
        with pytest.raises(StorageUnavailableError, match="Input/output error"):
            storage.read(Uri.of_path("/proc/self/mem"), 0, 10)


class TestWalks:
    def test_links_to_folders_are_not_followed(self, storage, file, tmp_path):
        (file.parent / "loop").symlink_to(file.parent)
        (file.parent / "link").symlink_to(file)
        (file.parent / "gone").symlink_to("nowhere")
        _pipe(file.parent / "pipe")

        found = storage.walk(Uri("file", "", f"{file.parent}/"))

        assert [uri_of(file), uri_of(file.parent / "link")] == [info.uri for info in found]

    def test_what_goes_while_it_is_listed_is_left_out(self, storage, file):
        stop, prefix = threading.Event(), Uri("file", "", f"{file.parent}/")

        def come_and_go():
            while not stop.is_set():
                for number in range(50):
                    (file.parent / f"b{number}").touch()
                for number in range(50):
                    (file.parent / f"b{number}").unlink()

        worker = threading.Thread(target=come_and_go)
        worker.start()
        try:
            found = [{info.uri for info in storage.walk(prefix)} for _ in range(300)]
        finally:
            stop.set()
            worker.join()

        assert {True} == {uri_of(file) in uris for uris in found}

    def test_the_root_can_be_walked(self, storage):
        assert [] == list(storage.walk(Uri("file", "", "/there is no such file")))


def test_what_may_not_be_read_or_written_is_told(open_folder):
    secret = open_folder / "secret"
    secret.mkdir()
    (secret / "a").write_text("a")
    (open_folder / "b").write_text("b")
    (open_folder / "b").chmod(0o600 if os.geteuid() == 0 else 0)
    secret.chmod(0o700 if os.geteuid() == 0 else 0)
    program = """
        folder, storage = Path(sys.argv[1]), FilesystemStorage()
        uri = lambda name: Uri.of_path(str(folder / name))
        mine = Path(os.__file__)
        print(attempt(lambda: storage.stat(uri("secret/a"))))
        print(attempt(lambda: storage.read(uri("b"), 0, 1)))
        print(attempt(lambda: storage.download(uri("b"), Path("/nonexistent/dest"))))
        print(attempt(lambda: list(storage.walk(uri("secret/a")))))
        print(attempt(lambda: storage.upload(mine, uri("secret/b"))))
        catalog = Catalog([Dataset("a", "a.csv")], cache_dir=tempfile.mkdtemp())
        print(attempt(lambda: catalog.push("a", folder / "b", expect="any")))
        """

    told = as_nobody(program, open_folder)
    secret.chmod(0o700)

    assert [*["StorageAccessError"] * 5, "LocalFileError"] == told
