"""The lockfile on disk: read with suspicion, and replaced by one rename."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.locks import locked_folder
from datacachalog.domain.errors import LockfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BYTES = 16 << 20
"""Some 50,000 datasets."""

_WAIT = timedelta(seconds=10)  # a stopped process holds nobody off for ever


class LockfileOnDisk:
    """A file that people keep under version control. Where it is a link, what it leads to is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def file(self) -> str:
        return str(self._path)

    def read(self) -> str | None:
        with self._errors("read"):
            try:
                # O_NONBLOCK: opening a pipe must not wait for its writer.
                fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            with _closing(fd):
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise LockfileError(self.file, "is not a regular file")
                data = _all_of(fd)
        if len(data) > MAX_BYTES:
            raise LockfileError(self.file, f"is larger than {MAX_BYTES >> 20} MiB")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise LockfileError(self.file, "is not UTF-8 text", line) from None

    def update(self, change: Callable[[str | None], str | None]) -> None:
        with self._errors("written"):
            target = Path(os.path.realpath(self._path))
            # Its folder is locked, which leaves no file behind, and not the file: that is replaced.
            with locked_folder(str(target.parent), _WAIT):
                text = change(self.read())
                if text is not None:
                    self._replace(target, text)

    def _replace(self, target: Path, text: str) -> None:
        fresh = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
        try:
            with fresh.open("xb") as file:
                file.write(text.encode())
                file.flush()
                with contextlib.suppress(FileNotFoundError):  # there is none yet
                    os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
                os.fsync(file.fileno())  # a name must not come to stand before its bytes
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"cannot be {done}: {error.strerror or error}"
            raise LockfileError(self.file, problem) from error


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def _all_of(fd: int) -> bytes:
    """The bytes of a file, and one more than allowed where it has them."""
    data = b""
    while len(data) <= MAX_BYTES and (block := os.read(fd, MAX_BYTES + 1 - len(data))):
        data += block
    return data
