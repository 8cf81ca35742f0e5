"""How far a download has come, written beside it so that it can be taken up where it was cut.

`<file>.journal`: a first line of JSON that says what is being downloaded, then a line a part: up to
which byte the file is right, and the BLAKE3 of all bytes up to there. Parts are hashed in order
anyway, so that a line costs no hashing, and reading the file once gives both the proof and the
digest to go on with.

A journal is hostile input when it is read: a line that was torn, or whose digest is not that of the
file, as after a power cut, ends it there. Anything else that is odd is as if there were none.
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import blake3

from datacachalog.adapters.disk import cache_errors, create_new
from datacachalog.domain.objects import Revision

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_FORMAT = 1
_SUFFIX = ".journal"
_HEAD_BYTES, _LINE_BYTES = 4096, 100
_LINE = re.compile(rb"(\d{1,19}) ([0-9a-f]{64})\n")
_OPEN = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_BLOCK_BYTES = 1 << 20


def journal_of(dest: str | os.PathLike[str]) -> str:
    """Where the journal of a download to `dest` is."""
    return f"{os.fspath(dest)}{_SUFFIX}"


def has_journal(dest: str | os.PathLike[str]) -> bool:
    """Whether a download to `dest` was interrupted, and has something to go on with."""
    return os.path.lexists(journal_of(dest))


def journals_in(folder: Path) -> list[Path]:
    """The journals of a folder."""
    return list(folder.glob(f"*{_SUFFIX}"))


def discard(dest: Path) -> None:
    """Removes what an interrupted download left, and its journal first."""
    with cache_errors(dest):
        dest.with_name(dest.name + _SUFFIX).unlink(missing_ok=True)
        dest.unlink(missing_ok=True)


class Journal:
    """One that is being written. It need not reach the disk: its digests are compared."""

    def __init__(self, path: str, fd: int) -> None:
        self._path, self._fd = path, fd

    @classmethod
    def begin(cls, dest: Path, revision: Revision) -> Journal:
        """A new one, for bytes of a revision whose tag is strong."""
        path = journal_of(dest)
        journal = cls(path, create_new(path))
        head = {"format": _FORMAT, "etag": revision.etag, "size": revision.size_bytes}
        journal._write(json.dumps(head))
        return journal

    def note(self, offset: int, digest: str) -> None:
        """The file holds all bytes up to `offset`, and this is their BLAKE3."""
        self._write(f"{offset} {digest}")

    def _write(self, line: str) -> None:
        # One call, so that a line is whole or the last one; and shorter ones are found out.
        os.write(self._fd, f"{line}\n".encode())

    def remove(self) -> None:
        """Takes it away: the download is finished, or must not be gone on with."""
        os.unlink(self._path)  # noqa: PTH108 - a string will do

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._fd)


@dataclass(slots=True)
class Kept:
    """What is right of an interrupted download: all bytes up to `offset`, which are hashed."""

    fd: int
    journal: Journal
    revision: Revision
    offset: int
    hasher: blake3.blake3


def reopened(dest: Path) -> Kept | None:
    """What there is to go on with at `dest`, every byte of it read; None where anything is odd."""
    path = journal_of(dest)
    try:
        with ExitStack() as opened:
            fd = os.open(dest, _OPEN & ~os.O_APPEND)
            opened.callback(os.close, fd)
            journal_fd = os.open(path, _OPEN)
            opened.callback(os.close, journal_fd)
            with os.fdopen(journal_fd, "rb", closefd=False) as lines:
                revision = _head(lines.readline(_HEAD_BYTES))
                _refuse_odd(os.fstat(fd), revision)
                hasher, offset, good_bytes = _proven(lines, fd, revision.size_bytes)
            if not offset:
                return None
            os.ftruncate(journal_fd, good_bytes)  # what follows a torn line could not be read
            opened.pop_all()
    except (OSError, ValueError, RecursionError):
        return None
    return Kept(fd, Journal(path, journal_fd), revision, offset, hasher)


def _head(line: bytes) -> Revision:
    match json.loads(line):
        case {"format": 1, "etag": str(etag), "size": int(size)} if line.endswith(b"\n"):
            revision = Revision(etag, None, size)
        case _:
            raise ValueError("it is not ours")
    if not revision.is_strong:
        raise ValueError("the tag is weak")
    return revision


def _refuse_odd(status: os.stat_result, revision: Revision) -> None:
    # A second name would be written to as well.
    is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    if not is_plain or status.st_size > revision.size_bytes:
        raise ValueError("it is no download of that object")


def _proven(lines: BinaryIO, fd: int, size_bytes: int) -> tuple[blake3.blake3, int, int]:
    """The hash up to the last right line, where that is in the file, and in the journal."""
    hasher, offset, good_bytes = blake3.blake3(), 0, 0
    while match := _LINE.fullmatch(lines.readline(_LINE_BYTES)):
        end = int(match[1])
        ahead = hasher.copy()
        if not offset < end <= size_bytes or not _hashed(fd, ahead, offset, end):
            break
        if ahead.hexdigest() != match[2].decode():
            break
        hasher, offset, good_bytes = ahead, end, lines.tell()
    return hasher, offset, good_bytes


def _hashed(fd: int, hasher: blake3.blake3, start: int, end: int) -> bool:
    while start < end:
        block = os.pread(fd, min(_BLOCK_BYTES, end - start), start)
        if not block:
            return False
        hasher.update(block)
        start += len(block)
    return True
