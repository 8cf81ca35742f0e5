"""A pushed file is there at once or not at all, and replaces what was expected."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.domain.errors import (
    ConflictError,
    NotAnObjectError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.domain.objects import ABSENT, ANY, Revision
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import RecordedTransfer, at_once, digest_of, payload

if TYPE_CHECKING:
    from datacachalog.domain.objects import Expected


@pytest.fixture
def storage():
    return FilesystemStorage()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lake" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(b"first")
    return path


def uri_of(path):
    return Uri.of_path(str(path))


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine"
    path.write_bytes(b"mine")
    return path


def test_a_new_file_has_the_mode_the_user_wants(storage, tmp_path, mine):
    before = os.umask(0o027)
    try:
        storage.upload(mine, uri_of(tmp_path / "lake" / "a"))
    finally:
        os.umask(before)

    assert 0o640 == (tmp_path / "lake" / "a").stat().st_mode & 0o777


def test_a_file_that_is_replaced_keeps_its_mode(storage, file, mine):
    file.chmod(0o604)

    storage.upload(mine, uri_of(file))

    assert 0o604 == file.stat().st_mode & 0o777


def test_who_has_the_old_file_open_reads_on(storage, file, mine):
    with file.open("rb") as reader:
        storage.upload(mine, uri_of(file))

        assert b"first" == reader.read()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "😀" * 63])
def test_the_longest_names_can_be_pushed(storage, tmp_path, mine, name):
    storage.upload(mine, uri_of(tmp_path / name), expect=ABSENT)

    assert b"mine" == (tmp_path / name).read_bytes()


def test_a_link_stays_one(storage, file, tmp_path, mine):
    link = tmp_path / "link"
    link.symlink_to(file)

    info = storage.upload(mine, uri_of(link), expect=storage.stat(uri_of(link)).revision)

    assert link.is_symlink()
    assert b"mine" == file.read_bytes()
    assert storage.stat(uri_of(link)).revision == info.revision


def test_a_link_to_nowhere_gets_its_file(storage, tmp_path, mine):
    (tmp_path / "link").symlink_to("nowhere")

    storage.upload(mine, uri_of(tmp_path / "link"), expect=ABSENT)

    assert b"mine" == (tmp_path / "nowhere").read_bytes()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_not_replaced(storage, tmp_path, mine, make):
    make(tmp_path / "odd")

    with pytest.raises(NotAnObjectError):
        storage.upload(mine, uri_of(tmp_path / "odd"))

    assert not (tmp_path / "odd").is_file()


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="no Linux")
def test_a_folder_that_may_not_be_written_takes_no_upload(storage, mine):
    with pytest.raises(StorageAccessError):
        storage.upload(mine, Uri.of_path("/sys/kernel/datacachalog-test"))


def test_a_folder_that_is_a_file_takes_no_upload(storage, file, mine):
    with pytest.raises((StorageUnavailableError, ObjectNotFoundError)):
        storage.upload(mine, uri_of(file / "below"))

    assert b"first" == file.read_bytes()


@pytest.mark.parametrize("expect", [ABSENT, None])
def test_a_refused_upload_leaves_nothing_behind(storage, file, mine, expect):
    known = storage.stat(uri_of(file)).revision
    file.write_bytes(b"other")

    with pytest.raises(ConflictError):
        storage.upload(mine, uri_of(file), expect=expect or known)

    assert [file] == list(file.parent.iterdir())
    assert b"other" == file.read_bytes()


def test_what_an_upload_tells_is_of_its_own_bytes_whoever_comes_next(storage, tmp_path):
    """Else a cache would keep these bytes under the revision of somebody else's."""
    uri, names = uri_of(tmp_path / "lake" / "a"), [tmp_path / str(n) for n in range(4)]
    for number, name in enumerate(names):
        name.write_bytes(b"%d" % number)
    told = set()

    def upload(number):
        for _ in range(10):
            told.add((storage.upload(names[number], uri).revision, digest_of(b"%d" % number)))

    at_once(4, upload)

    assert 40 == len({revision for revision, _ in told})
    info = storage.download(uri, tmp_path / "dest")
    assert (info.revision, info.digest) in told


def test_what_has_not_arrived_is_not_there(storage, file, tmp_path, mine):
    seen = set[Uri]()

    class Looking(RecordedTransfer):
        def total(self, size_bytes):
            super().total(size_bytes)
            seen.update(info.uri for info in storage.walk(uri_of(tmp_path / "lake/")))

    storage.upload(mine, uri_of(file.with_name("b.csv")), progress=Looking())

    assert {uri_of(file)} >= seen


def test_conditions_are_kept_between_processes(storage, tmp_path):
    """Eight threads open the folder anew each time, as other processes do."""
    uri, won = uri_of(tmp_path / "lake" / "a"), list[Revision]()
    names = [tmp_path / str(number) for number in range(8)]
    for number, name in enumerate(names):
        name.write_bytes(payload(number, 1000))
    known: Expected = ABSENT
    for _ in range(5):

        def upload(number, known=known):
            with suppress(ConflictError):
                won.append(FilesystemStorage().upload(names[number], uri, expect=known).revision)

        won.clear()
        at_once(8, upload)
        [known] = won

    assert storage.stat(uri).revision == known
    assert storage.upload(names[0], uri, expect=ANY).revision != known
    assert Path(uri.path).read_bytes() == payload(0, 1000)
