"""The lockfile on disk: replaced whole, and read only where it is one."""

from __future__ import annotations

import os
import stat
import threading
from datetime import timedelta

import pytest

from datacachalog.adapters.lockfile import MAX_BYTES, LockfileOnDisk
from datacachalog.domain.errors import LockfileError
from datacachalog.testing.payloads import at_once


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalog.lock"


@pytest.fixture
def lockfile(path):
    return LockfileOnDisk(path)


def write(lockfile, text):
    lockfile.update(lambda _: text)


def test_one_that_is_not_there_is_none(lockfile):
    assert None is lockfile.read()


def test_what_is_written_is_read(lockfile, path):
    write(lockfile, "ö = 1\n")

    assert ("ö = 1\n", str(path)) == (lockfile.read(), lockfile.file)
    assert [path] == list(path.parent.iterdir())


def test_a_mark_of_byte_order_is_no_text(lockfile, path):
    path.write_bytes(b"\xef\xbb\xbfversion = 1\n")

    assert "version = 1\n" == lockfile.read()


def test_a_new_one_has_the_mode_of_any_new_file(lockfile, path):
    (path.parent / "any").touch()

    write(lockfile, "")

    assert stat.S_IMODE((path.parent / "any").stat().st_mode) == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_one_that_is_replaced_keeps_its_mode(lockfile, path, mode):
    path.touch()
    path.chmod(mode)

    write(lockfile, "new")

    assert (mode, "new") == (stat.S_IMODE(path.stat().st_mode), lockfile.read())


def test_a_reader_keeps_the_text_that_it_began_with(lockfile, path):
    write(lockfile, "old")
    with path.open() as reader:
        write(lockfile, "new")

        assert "old" == reader.read()


def test_a_link_is_followed_and_stays(lockfile, path, tmp_path):
    real = tmp_path / "real" / "locked"
    real.parent.mkdir()
    path.symlink_to(real)

    write(lockfile, "first")
    write(lockfile, "second")

    assert path.is_symlink()
    assert ("second", [real]) == (real.read_text(), list(real.parent.iterdir()))


def test_no_reader_sees_a_part_of_it(lockfile):
    texts = {letter * 100_000 for letter in "ab"}
    write(lockfile, "a" * 100_000)
    done = threading.Event()

    def rewrite():
        for _ in range(50):
            for text in texts:
                write(lockfile, text)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = {lockfile.read()}
    while not done.is_set():
        seen.add(lockfile.read())
    writer.join()

    assert seen <= texts


def test_no_update_of_several_at_once_is_lost(lockfile, path, monkeypatch):
    monkeypatch.setattr("datacachalog.adapters.lockfile._WAIT", timedelta(seconds=60))

    def add(number):
        LockfileOnDisk(path).update(lambda text: f"{text or ''}{number}\n")

    at_once(20, add)

    assert set(range(20)) == set(map(int, lockfile.read().split()))
    assert [path] == list(path.parent.iterdir())


def test_where_nothing_changes_nothing_is_written(lockfile, path):
    write(lockfile, "old")
    before = path.stat()

    lockfile.update(lambda _: None)

    assert (before.st_ino, before.st_ctime_ns) == (path.stat().st_ino, path.stat().st_ctime_ns)


def test_a_folder_is_no_lockfile(lockfile, path):
    path.mkdir()

    with pytest.raises(LockfileError, match="is not a regular file"):
        lockfile.read()
    with pytest.raises(LockfileError, match="is not a regular file"):
        write(lockfile, "")
    assert [path] == list(path.parent.iterdir())


def test_a_pipe_is_not_waited_for(lockfile, path):
    os.mkfifo(path)

    with pytest.raises(LockfileError, match="is not a regular file"):
        lockfile.read()


def test_what_is_no_text_is_told_by_its_line(lockfile, path):
    path.write_bytes(b"version = 1\n\xff\n")

    with pytest.raises(LockfileError, match="is not UTF-8 text") as caught:
        lockfile.read()

    assert 2 == caught.value.line


def test_one_that_is_huge_is_not_read_to_its_end(lockfile, path):
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 1000)

    with pytest.raises(LockfileError, match="is larger than"):
        lockfile.read()


def test_where_there_is_no_folder_nothing_can_be_written(tmp_path):
    with pytest.raises(LockfileError, match="cannot be written: No such file"):
        write(LockfileOnDisk(tmp_path / "nowhere" / "catalog.lock"), "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_what_may_not_be_read_or_written_is_told(lockfile, path):
    path.touch(0o000)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(LockfileError, match="cannot be read: Permission denied"):
            lockfile.read()
        with pytest.raises(LockfileError, match="cannot be written: Permission denied"):
            write(lockfile, "")
    finally:
        path.parent.chmod(0o700)
