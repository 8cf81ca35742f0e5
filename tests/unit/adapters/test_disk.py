"""Files are copied whole or not at all, and the system's errors are told in our words."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from datacachalog.adapters import disk
from datacachalog.adapters.disk import (
    SourceChangedError,
    cache_error,
    cache_errors,
    copy_whole,
    create_new,
    make_folder,
    remove_tree,
    turn_at_the_disk,
    write_at,
    write_new,
)
from datacachalog.domain.errors import CacheError, CacheFullError, CachePermissionError
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import RecordedTransfer, at_once, digest_of, payload

SIZES = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_017]


class Interfering(RecordedTransfer):
    """Does something to the source once the size of it was told."""

    def __init__(self, act):
        super().__init__()
        self._act = act

    def total(self, size_bytes):
        super().total(size_bytes)
        self._act()


def _write_and_set_the_time_back(path):
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"new")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(payload(1, 3_000_017))
    os.utime(path, ns=(0, 1_000_000_007))
    return path


class TestCopyWhole:
    @pytest.mark.parametrize("size_bytes", SIZES)
    def test_a_copy_holds_the_bytes_and_knows_their_digest(self, tmp_path, source, size_bytes):
        data = payload(1, size_bytes)
        source.write_bytes(data)

        status, digest = copy_whole(source, tmp_path / "new" / "dest", SILENT)

        assert data == (tmp_path / "new" / "dest").read_bytes()
        assert (size_bytes, source.stat().st_ino) == (status.st_size, status.st_ino)
        assert digest_of(data) == digest

    def test_a_copy_where_the_disk_shares_blocks_holds_the_bytes_too(
        self, tmp_path, source, monkeypatch
    ):
        """As btrfs and XFS do, which may not be at hand: the system call is played by a copy."""

        def clone(write_fd, request, read_fd):
            assert 0x40049409 == request
            os.sendfile(write_fd, read_fd, 0, os.fstat(read_fd).st_size)

        monkeypatch.setattr(fcntl, "ioctl", clone)
        monkeypatch.setattr(disk, "write_at", None)  # not a byte is written twice

        _, digest = copy_whole(source, tmp_path / "dest", SILENT)

        assert source.read_bytes() == (tmp_path / "dest").read_bytes()
        assert digest_of(source.read_bytes()) == digest

    def test_progress_adds_up(self, tmp_path, source):
        progress = RecordedTransfer()

        copy_whole(source, tmp_path / "dest", progress)

        assert ([3_000_017], 3_000_017) == (progress.totals, progress.moved_bytes)

    @pytest.mark.parametrize(
        "change",
        [
            lambda path: path.write_bytes(payload(2, 3_000_017)),
            lambda path: os.truncate(path, 1),
            lambda path: os.truncate(path, 4_000_000),
            lambda path: os.utime(path, ns=(0, 2)),
            _write_and_set_the_time_back,
        ],
    )
    def test_a_file_that_is_written_to_meanwhile_is_told(self, tmp_path, source, change):
        with pytest.raises(SourceChangedError):
            copy_whole(source, tmp_path / "dest", Interfering(lambda: change(source)))

    def test_a_file_that_is_replaced_meanwhile_is_copied_as_it_was(self, tmp_path, source):
        (tmp_path / "new").write_bytes(b"new")

        copy_whole(
            source, tmp_path / "dest", Interfering(lambda: (tmp_path / "new").replace(source))
        )

        assert payload(1, 3_000_017) == (tmp_path / "dest").read_bytes()

    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda _: None, "No such file"),
            (os.mkdir, "it is a folder"),
            (os.mkfifo, "it is not a regular file"),
            (lambda path: path.symlink_to("/dev/null"), "it is not a regular file"),
            (lambda path: path.symlink_to("nowhere"), "No such file"),
            (lambda path: path.symlink_to(path.name), "Too many levels"),
        ],
    )
    def test_what_is_no_file_is_not_copied(self, tmp_path, make, problem):
        make(tmp_path / "odd")

        with pytest.raises(OSError, match=problem):
            copy_whole(tmp_path / "odd", tmp_path / "dest", SILENT)

        assert not (tmp_path / "dest").exists()

    def test_nothing_is_written_over(self, tmp_path, source):
        (tmp_path / "dest").write_text("mine")

        with pytest.raises(CacheError, match="File exists"):
            copy_whole(source, tmp_path / "dest", SILENT)

        assert "mine" == (tmp_path / "dest").read_text()

    def test_a_disk_that_is_full_is_told_in_the_words_of_whoever_writes(self, source):
        @contextmanager
        def writing(path):
            try:
                yield
            except OSError as error:
                raise ValueError(path) from error

        with pytest.raises(ValueError, match="/dev/full/dest"):
            copy_whole(source, Path("/dev/full/dest"), SILENT, writing=writing)

    def test_no_descriptor_is_left_open(self, tmp_path, source):
        before = len(list(Path("/dev/fd").iterdir()))
        copy_whole(source, tmp_path / "dest", SILENT)
        with pytest.raises(OSError):
            copy_whole(tmp_path, tmp_path / "other", SILENT)

        assert before == len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, CacheFullError),
        (errno.EDQUOT, CacheFullError),
        (errno.EFBIG, CacheFullError),
        (errno.EACCES, CachePermissionError),
        (errno.EPERM, CachePermissionError),
        (errno.EROFS, CachePermissionError),
        (errno.EIO, CacheError),
    ],
)
def test_an_error_of_the_system_becomes_one_of_the_cache(number, kind):
    with pytest.raises(CacheError) as caught, cache_errors(Path("/cache")):
        raise OSError(number, os.strerror(number))

    assert kind is type(caught.value)
    assert ("/cache", os.strerror(number)) == (caught.value.path, caught.value.detail)


def test_an_error_without_words_is_told_by_its_own():
    assert "odd" == cache_error(OSError("odd"), Path("/cache")).detail


class TestWriting:
    def test_all_is_written_however_little_the_system_takes(self, tmp_path, monkeypatch):
        pwrite, data = os.pwrite, payload(1, 10_000)
        monkeypatch.setattr(os, "pwrite", lambda fd, view, at: pwrite(fd, view[:999], at))
        fd = create_new(tmp_path / "a")
        try:
            write_at(fd, data[5_000:], 5_000)
            write_at(fd, data[:5_000], 0)
        finally:
            os.close(fd)

        assert data == (tmp_path / "a").read_bytes()

    def test_a_new_file_is_never_a_link_somebody_left(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "victim")

        with pytest.raises(FileExistsError):
            create_new(tmp_path / "link")

        assert not (tmp_path / "victim").exists()

    def test_a_new_file_makes_its_folder(self, tmp_path):
        os.close(create_new(tmp_path / "a" / "b" / "c"))

        assert (tmp_path / "a" / "b" / "c").is_file()

    def test_many_make_a_folder_at_once(self, tmp_path):
        at_once(8, lambda n: os.close(create_new(tmp_path / "a" / "b" / str(n))))

        assert 8 == len(list((tmp_path / "a" / "b").iterdir()))

    @pytest.mark.parametrize("name", ["a", "a/b/c", "."])
    def test_a_folder_can_be_made_again(self, tmp_path, name):
        make_folder(str(tmp_path / name))
        make_folder(str(tmp_path / name))

        assert (tmp_path / name).is_dir()

    def test_a_small_file_is_written(self, tmp_path):
        write_new(str(tmp_path / "a"), "Zürich")

        assert "Zürich" == (tmp_path / "a").read_text(encoding="utf-8")
        with pytest.raises(FileExistsError):
            write_new(str(tmp_path / "a"), "other")


class TestRemoveTree:
    @pytest.mark.parametrize(
        "make", [lambda _: None, os.mkdir, lambda p: p.touch(), lambda p: p.symlink_to("nowhere")]
    )
    def test_whatever_is_there_is_gone(self, tmp_path, make):
        make(tmp_path / "a")

        remove_tree(tmp_path / "a")

        assert not os.path.lexists(tmp_path / "a")

    def test_read_only_files_go_too(self, tmp_path):
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "b" / "c").touch(mode=stat.S_IRUSR)

        remove_tree(str(tmp_path / "a"))

        assert not (tmp_path / "a").exists()

    def test_what_a_link_points_to_stays(self, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "file").touch()
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "link").symlink_to(tmp_path / "mine")

        remove_tree(tmp_path / "a")

        assert (tmp_path / "mine" / "file").exists()


class TestTurns:
    def test_one_thread_at_a_time_has_its_turn(self, monkeypatch):
        monkeypatch.setattr(disk, "_PATIENCE_S", 60)  # a turn may take long on a busy machine
        running, counts, lock = [0], [], threading.Lock()

        def act(_):
            with turn_at_the_disk():
                with lock:
                    running[0] += 1
                    counts.append(running[0])
                time.sleep(0.001)
                with lock:
                    running[0] -= 1

        at_once(4, act)

        assert 1 == max(counts)

    def test_nobody_waits_for_long(self):
        with turn_at_the_disk():
            begun = time.monotonic()
            at_once(1, lambda _: _take_a_turn())
            waited = timedelta(seconds=time.monotonic() - begun)

        assert waited < timedelta(seconds=30)
        assert _take_a_turn()

    def test_a_failure_ends_a_turn(self):
        with pytest.raises(ValueError), turn_at_the_disk():
            raise ValueError

        assert at_once(1, lambda _: _take_a_turn()) == [True]


def _take_a_turn():
    with turn_at_the_disk():
        return True
