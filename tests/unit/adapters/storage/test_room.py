"""Room for a file is taken before its bytes come, or it is said that there is none."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from types import SimpleNamespace

import pytest

from datacachalog.adapters.storage.room import reserve


@pytest.fixture
def fd(tmp_path):
    fd = os.open(tmp_path / "new", os.O_CREAT | os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.fixture
def unsupported(monkeypatch):
    """A file system that cannot reserve, or a system that knows no such call."""

    def forget(problem):
        class Refusing:
            def __call__(self, *_):
                ctypes.set_errno(problem)
                return -1

        library = SimpleNamespace(fallocate=Refusing()) if problem else SimpleNamespace()
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)

    return forget


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no fallocate")
def test_room_is_taken(fd):
    reserve(fd, 3_000_000)

    status = os.fstat(fd)
    assert 3_000_000 == status.st_size
    assert status.st_blocks * 512 >= 3_000_000


def test_more_than_there_can_be_is_refused(fd):
    with pytest.raises(OSError, match=r"large|space"):
        reserve(fd, 1 << 60)


@pytest.mark.parametrize("problem", [None, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR])
def test_where_none_can_be_taken_there_must_be_enough(fd, unsupported, problem):
    unsupported(problem)

    reserve(fd, 3_000_000)

    assert 0 == os.fstat(fd).st_size
    with pytest.raises(OSError, match="No space left"):
        reserve(fd, 1 << 60)


def test_another_problem_is_told(fd, unsupported):
    unsupported(errno.EIO)

    with pytest.raises(OSError, match="Input/output"):
        reserve(fd, 1)
