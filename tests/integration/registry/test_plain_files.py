"""Files that are read without following links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.domain.errors import (
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    StorageError,
)
from datacachalog.domain.uri import Uri
from datacachalog.server.transfer.plain_files import PlainFiles


@pytest.fixture
def folder(tmp_path):
    made = tmp_path.resolve() / "folder"
    made.mkdir()
    (made / "x").write_bytes(b"0123456789")
    return made


def uri_of(path):
    return Uri.of_path(str(path))


def test_a_file_is_what_it_is_for_others(folder):
    uri = uri_of(folder / "x")

    assert FilesystemStorage().stat(uri) == PlainFiles().stat(uri)
    for start, end in ((0, 10), (2, 5), (8, 20), (5, 2)):
        assert FilesystemStorage().read(uri, start, end) == PlainFiles().read(uri, start, end)


def test_a_link_is_not_followed(folder):
    (folder / "file").symlink_to(folder / "x")
    (folder.parent / "links").symlink_to(folder)

    for path in (folder / "file", folder.parent / "links" / "x"):
        with pytest.raises((InvalidUriError, ObjectNotFoundError)):
            PlainFiles().stat(uri_of(path))
        with pytest.raises((InvalidUriError, ObjectNotFoundError)):
            PlainFiles().read(uri_of(path), 0, 1)


def test_what_is_no_file_is_none(folder):
    os.mkfifo(folder / "pipe")

    for path in (folder, folder / "pipe"):
        with pytest.raises(NotAnObjectError):
            PlainFiles().read(uri_of(path), 0, 1)
    for path in (folder / "none", folder / "x" / "y"):
        with pytest.raises(ObjectNotFoundError):
            PlainFiles().stat(uri_of(path))


def test_nothing_stays_open(folder):
    before = len(list(Path("/dev/fd").iterdir()))
    for path in (folder / "x", folder / "none", folder / "x" / "y", folder):
        try:
            PlainFiles().read(uri_of(path), 0, 1)
        except StorageError:
            continue

    assert before == len(list(Path("/dev/fd").iterdir()))
